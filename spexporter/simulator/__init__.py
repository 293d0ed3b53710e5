"""A fake SailPoint Identity Security Cloud over real HTTP, for the demo, for tests and for users.

It knows nothing of the exporter but its `Clock`, so that a mistake in reading the API cannot be made twice in one way.
"""

from spexporter.simulator.calls import API_VERSIONS
from spexporter.simulator.faults import KINDS, QUIRKS, Fault
from spexporter.simulator.jobs import SimulatedJob
from spexporter.simulator.plan import TenantPlan, default_plans
from spexporter.simulator.presets import ALL_QUIRKS, all_quirks, hostile
from spexporter.simulator.results import ImportResult, Message, ObjectRef, TypeResult, result_of
from spexporter.simulator.simulator import Simulator, serving

__all__ = [
    "ALL_QUIRKS",
    "API_VERSIONS",
    "KINDS",
    "QUIRKS",
    "Fault",
    "ImportResult",
    "Message",
    "ObjectRef",
    "SimulatedJob",
    "Simulator",
    "TenantPlan",
    "TypeResult",
    "all_quirks",
    "default_plans",
    "hostile",
    "result_of",
    "serving",
]
