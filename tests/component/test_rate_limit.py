from tests.support import pressure
from tests.support.world import world


async def test_budget_is_kept_used_and_shared_fairly_under_permanent_pressure() -> None:
    """Five minutes of too many jobs: the limit holds in every window, it is used, and no job or tenant starves."""
    async with world(pressure.plans(), plant=pressure.endless_jobs(), defaults=pressure.DEFAULTS) as running:
        await running.advance(300.0)
        seen = pressure.traffic(running.simulator)
    assert seen.throttled == 0, seen
    assert 95 <= seen.busiest <= pressure.LIMIT, seen
    assert len(seen.requests) >= 0.95 * 30 * pressure.LIMIT, seen
    assert len(seen.looks) == pressure.TENANTS * pressure.JOBS_EACH
    assert min(seen.looks) >= 1, seen
    assert seen.unfairness <= 0.2, seen
