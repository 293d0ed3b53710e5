"""A simulated tenant with planted jobs and a configuration file for it, for commands that ask it themselves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from spexporter.clock import SystemClock
from spexporter.domain.values import replace
from spexporter.simulator import Fault, Simulator, TenantPlan, default_plans, serving
from tests.support.secrets import CLIENT_SECRET

ERRORS = {"SOURCE": {"errors": 2, "warnings": 1, "objects": 1}, "ROLE": {"warnings": 1}}


@dataclass(frozen=True, slots=True)
class Visited:
    """The tenant `acme-prod`, its server and the configuration file."""

    simulator: Simulator
    url: str
    config: Path

    def write(self, more: str = "", *, hub: bool = False) -> None:
        """Write the configuration with the jobs that there are now, looked at often, and `more` tenants.

        With `hub` Configuration Hub is watched, and the credential's end.

        A tenth of its rate limit is all that the simulator allows, so that tests need not wait.
        """
        often = "defaults:\n  poll: {fastest: 100ms}\n  rate_limit: {requests: 1000, per: 10s}"
        text = self.simulator.config_yaml(self.url, named_jobs_alone=not hub)
        self.config.write_text(text.replace("defaults:", often, 1) + more)


def plan(*faults: Fault, **changes: object) -> TenantPlan:
    """Return the plan of `acme-prod` with the planted secret and no jobs of its own."""
    quiet = replace(default_plans(1)[0], client_secret=CLIENT_SECRET, jobs_at_start=0, starts_per_minute=0.0)
    return replace(quiet, faults=faults, **changes)


@asynccontextmanager
async def visited(folder: Path, tenant: TenantPlan | None = None) -> AsyncIterator[Visited]:
    """Serve the tenant for as long as the block lasts."""
    simulator = Simulator([tenant or plan()], clock=SystemClock())
    async with serving(simulator) as url:
        there = Visited(simulator, url, folder / "spexporter.yaml")
        there.write()
        yield there


def stores(folder: Path) -> list[Path]:
    """Return the files of a store that a program has left in its working directory."""
    return list(folder.glob("*.db*"))
