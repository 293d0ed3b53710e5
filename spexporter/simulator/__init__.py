"""A fake SailPoint Identity Security Cloud over real HTTP, for the demo, for tests and for users.

It knows nothing of the exporter but its `Clock`, so that a mistake in reading the API cannot be made twice in one way.
"""

from spexporter.simulator.jobs import SimulatedJob
from spexporter.simulator.plan import API_VERSIONS, TenantPlan, default_plans
from spexporter.simulator.results import ImportResult, Message, ObjectRef, TypeResult, result_of
from spexporter.simulator.simulator import Simulator, serving

__all__ = [
    "API_VERSIONS",
    "ImportResult",
    "Message",
    "ObjectRef",
    "SimulatedJob",
    "Simulator",
    "TenantPlan",
    "TypeResult",
    "default_plans",
    "result_of",
    "serving",
]
