"""A running fleet that is changed while something else is under way."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from spexporter.config import Config
from spexporter.config.values import Counters
from spexporter.simulator import Fault, default_plans, result_of
from tests.support.scene import until
from tests.support.world import World, read_config, world

ACME, GLOBEX = (replace(plan, jobs_at_start=0, starts_per_minute=0.0) for plan in default_plans(2))
RESULT = result_of({"SOURCE": {"errors": 3, "warnings": 1, "objects": 2}})
EXPORTS = [{"tenant": ACME.name, "operation": "export", "job_id": f"e{n}", "duration_s": 30.0 * n} for n in range(8)]
IMPORT = {"tenant": ACME.name, "operation": "import", "job_id": "i1", "duration_s": 30.0, "result": RESULT}


def changed(running: World, change: Callable[[Config], Config] = lambda config: config) -> Callable[[Config], Config]:
    """Return what reads the configuration of `running` with a change."""
    fresh = read_config(running.simulator.config_yaml(running.tenants_url))
    return lambda present: change(replace(fresh, store=present.store, counters=Counters(0.0, created=False)))


def without(*names: str) -> Callable[[Config], Config]:
    return lambda config: replace(config, tenants=tuple(it for it in config.tenants if it.name not in names))


async def test_a_tenant_that_leaves_with_looks_under_way_stops_no_other() -> None:
    """Two tenants of one client: the poller that they share goes on with the one that stays."""
    shared = {"client_id": "shared", "client_secret": "shared-planted"}
    plans = [replace(plan, **shared) for plan in (ACME, GLOBEX)]  # type: ignore[arg-type]  # names of its fields
    other = {"tenant": GLOBEX.name, "operation": "export", "job_id": "other", "duration_s": 120.0}
    async with world(plans, plant=[*EXPORTS, other]) as running:
        await running.advance(3)
        running.simulator.afflict(ACME.name, Fault("hang", endpoints=frozenset({"export_status"})))
        running.clock.jump_to(running.clock.monotonic() + 5)
        await until(lambda: running.telemetry.in_flight >= 4)
        reload = asyncio.create_task(running.exporter.files.reload(changed(running, without(ACME.name))))
        while not reload.done():
            running.exporter.fleet.wake()
            await asyncio.sleep(0)
        running.telemetry.in_flight = 0
        await running.advance(300)
        page = await running.scrape()
    assert page.state("other") == "COMPLETE"
    assert ACME.name not in page.text
