"""What the page, the status page and the log say while a tenant is away for an hour, and after."""

import math

import pytest

from spexporter.domain.values import replace
from spexporter.simulator import default_plans, result_of
from tests.support.world import World, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
JOBS = (
    {"tenant": "acme", "operation": "export", "job_id": "running", "duration_s": math.inf},
    {
        "tenant": "acme",
        "operation": "import",
        "job_id": "ended",
        "duration_s": 30.0,
        "result": result_of({"SOURCE": {"errors": 2}}),
    },
)


async def facts(running: World) -> dict[str, object]:
    """Return what an operator would look at first."""
    page, (_, html) = await running.scrape(), await running.get("/")
    return {
        "up": page.value("spconfig_tenant_up", tenant="acme"),
        "running": page.state("running"),
        "ended": page.state("ended"),
        "errors": page.value("spconfig_import_errors_total", object_type="SOURCE"),
        "unobserved": page.value("spconfig_jobs", operation="export", state="UNOBSERVED"),
        "alone": "circuit breaker" in html,
        "says so": "not known any more" in html,
        "cause": "no answer: Cannot connect to host" in html,
    }


UP = {
    "up": 1,
    "running": "IN_PROGRESS",
    "ended": "COMPLETE",
    "errors": 2,
    "unobserved": 0,
    "alone": False,
    "cause": False,
    "says so": False,
}
AWAY = {**UP, "up": 0, "alone": True, "cause": True}
STALE = {**AWAY, "running": None, "unobserved": 1, "says so": True}


async def test_an_hour_without_network_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    """Last values at first, with the cause; after an hour nothing is said of what runs; a minute after, all is well."""
    async with world([PLAN], plant=JOBS) as running:
        await running.advance(120)
        assert await facts(running) == UP
        before_s = (await running.scrape()).value("spconfig_job_duration_seconds", job_id="running")
        await running.cut_off()
        await running.advance(60)
        assert await facts(running) == AWAY
        await running.advance(240)
        assert await facts(running) == AWAY
        held_s = (await running.scrape()).value("spconfig_job_duration_seconds", job_id="running")
        assert held_s == pytest.approx(before_s, abs=20)
        await running.advance(3300)
        assert await facts(running) == STALE
        assert (await running.scrape()).all("spconfig_job_info", job_id="running") == {}
        await running.reconnect()
        await running.advance(120)
        assert await facts(running) == UP
        after_s = (await running.scrape()).value("spconfig_job_duration_seconds", job_id="running")
        assert after_s == pytest.approx(120 + 3600 + 120, abs=2)
    log = capsys.readouterr().err
    assert log.count("event=trouble_began") == log.count("event=trouble_ended") <= 2


async def test_a_jump_of_the_hosts_clock_makes_nothing_stale() -> None:
    """Silence is measured on a clock that does not jump."""
    async with world([PLAN], plant=JOBS) as running:
        await running.advance(120)
        running.host.step_wall(10_800)
        assert await facts(running) == UP
        running.host.step_wall(-21_600)
        assert await facts(running) == UP


async def test_max_staleness_is_the_operators_to_set() -> None:
    """Ten minutes instead of an hour."""
    async with world([PLAN], plant=JOBS, defaults="  max_staleness: 10m") as running:
        await running.advance(120)
        await running.cut_off()
        await running.advance(700)
        assert await facts(running) == STALE
