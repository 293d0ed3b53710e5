"""A fake SailPoint Identity Security Cloud over real HTTP, for the demo, for tests and for users.

It knows nothing of the exporter but its `Clock`, so that a mistake in reading the API cannot be made twice in one way.
"""

from spexporter.simulator.calls import API_VERSIONS
from spexporter.simulator.faults import KINDS, QUIRKS, Fault
from spexporter.simulator.hub_jobs import HUB_KINDS, HubJob, HubKind
from spexporter.simulator.hub_orders import HubOptions
from spexporter.simulator.jobs import SimulatedJob
from spexporter.simulator.plan import HUB_SCOPES, OWN_TOKENS_SCOPE, SP_CONFIG_SCOPES, TenantPlan, default_plans
from spexporter.simulator.presets import ALL_QUIRKS, all_quirks, hostile
from spexporter.simulator.results import ImportResult, Message, ObjectRef, TypeResult, result_of
from spexporter.simulator.simulator import Simulator, serving

__all__ = [
    "ALL_QUIRKS",
    "API_VERSIONS",
    "HUB_KINDS",
    "HUB_SCOPES",
    "KINDS",
    "OWN_TOKENS_SCOPE",
    "QUIRKS",
    "SP_CONFIG_SCOPES",
    "Fault",
    "HubJob",
    "HubKind",
    "HubOptions",
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
