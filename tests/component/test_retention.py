"""How long what is over stays on the page, and what stays for ever."""

import math
from pathlib import Path
from typing import Any

import pytest

from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.domain.values import replace
from spexporter.simulator import Fault, default_plans, result_of
from tests.support.clock import START_WALL_S
from tests.support.world import Scrape, World, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
LOST = result_of({"SOURCE": {"errors": 3}})
HOUR_S = 3600.0
TWO_HOURS = "  retention: 2h\n  poll: {fastest: 5s}"
IMPORT = {"tenant": "acme", "operation": "import", "job_id": "i", "duration_s": 20.0, "result": LOST}
EXPORT = {"tenant": "acme", "operation": "export", "job_id": "e", "duration_s": 30.0}
ENDLESS = {"tenant": "acme", "operation": "export", "job_id": "endless", "duration_s": math.inf}


def about(page: Scrape, job_id: str) -> list[str]:
    """Return the families that have a series of this job."""
    return sorted(name for name in page.samples if page.all(name, job_id=job_id))


def end_seen_s(page: Scrape, job_id: str) -> float:
    seen_s = page.value("spconfig_job_end_seen_timestamp_seconds", job_id=job_id)
    assert seen_s is not None
    return seen_s


def counted(page: Scrape) -> tuple[float | None, ...]:
    """Return what one import, of three errors, leaves for ever."""
    return (
        page.value("spconfig_import_errors_total", object_type="SOURCE"),
        page.value("spconfig_jobs_finished_total", operation="import", state="COMPLETE"),
        page.value("spconfig_import_results_total", outcome="counted"),
        page.value("spconfig_job_run_seconds_count", operation="import"),
    )


def told(running: World) -> Any:  # noqa: ANN401 - decoded JSON
    """Return how often each job's status and result were sent."""
    jobs: Any = running.simulator.truth()["jobs"]
    return {job["id"]: (job["statuses_sent"], job["results_sent"]) for job in jobs}


@pytest.fixture(params=["in memory", "in a file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "spexporter.db" if request.param == "in a file" else None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "spexporter.db"


async def test_an_ended_job_leaves_after_its_retention_and_not_before(store: Path | None) -> None:
    """Two hours after its end was seen all its series go, though it is still configured; its counters stay."""
    async with world([PLAN], plant=[IMPORT, EXPORT], store=store, defaults=TWO_HOURS) as running:
        await running.advance(60)
        page = await running.scrape()
        whole = about(page, "i")
        assert {"spconfig_job_state", "spconfig_job_info", "spconfig_import_messages"} <= set(whole)
        leaves_s = end_seen_s(page, "i") + 2 * HOUR_S
        asked = told(running)
        await running.advance(leaves_s - 6 - running.clock.wall())
        assert about(await running.scrape(), "i") == whole
        await running.advance(12)
        page = await running.scrape()
        assert about(page, "i") == []
        assert about(page, "e") != []  # it ended a little later
        await running.advance(60)
        page = await running.scrape()
        assert 'job_id="' not in page.text
        assert counted(page) == (3, 1, 1, 1)
        assert page.value("spconfig_last_success_timestamp_seconds", operation="export") == START_WALL_S + 30
        assert told(running) == asked  # nothing was asked to find that out


async def test_retention_counts_from_when_we_saw_the_end() -> None:
    """A job that had ended six hours before its id came is shown for two hours all the same."""
    plant = [{**IMPORT, "created_s": START_WALL_S - 6 * HOUR_S}]
    async with world([PLAN], plant=plant, defaults=TWO_HOURS) as running:
        await running.advance(2 * HOUR_S - 60)
        assert (await running.scrape()).state("i") == "COMPLETE"
        await running.advance(120)
        assert about(await running.scrape(), "i") == []


async def test_a_running_job_stays_however_long_it_runs() -> None:
    """Retention is for what has ended."""
    async with world([PLAN], plant=[ENDLESS], defaults="  retention: 1h\n  poll: {fastest: 60s}") as running:
        await running.advance(3 * HOUR_S)
        assert (await running.scrape()).state("endless") == "IN_PROGRESS"


async def test_retention_goes_on_over_a_restart(file: Path) -> None:
    """An hour before it and an hour after it are two; a process that starts later never shows the job."""
    async with world([PLAN], plant=[IMPORT], store=file, defaults=TWO_HOURS) as first:
        await first.advance(HOUR_S)
        leaves_s = end_seen_s(await first.scrape(), "i") + 2 * HOUR_S
    async with world(again=first, store=file, defaults=TWO_HOURS) as second:
        assert (await second.scrape_once()).state("i") == "COMPLETE"
        await second.advance(leaves_s - 6 - second.clock.wall())
        assert (await second.scrape()).state("i") == "COMPLETE"
        await second.advance(12)
        page = await second.scrape()
        assert (about(page, "i"), counted(page)) == ([], (3, 1, 1, 1))
    asked = told(second)
    async with world(again=second, store=file, defaults=TWO_HOURS) as third:  # the job is still configured
        await third.advance(60)
        page = await third.scrape()
        assert (about(page, "i"), counted(page)) == ([], (3, 1, 1, 1))
        assert told(third) == asked


async def test_a_job_whose_time_came_while_no_process_ran_is_not_shown_again(file: Path) -> None:
    """Not on the first page either."""
    async with world([PLAN], plant=[IMPORT], store=file, defaults=TWO_HOURS) as first:
        await first.advance(60)
        assert counted(await first.scrape()) == (3, 1, 1, 1)
        asked = told(first)
    first.clock.jump_to(first.clock.monotonic() + 3 * HOUR_S)
    async with world(again=first, store=file, defaults=TWO_HOURS) as second:
        page = await second.scrape_once()
        assert (about(page, "i"), counted(page)) == ([], (3, 1, 1, 1))
        await second.advance(60)
        assert told(second) == asked


async def test_the_retention_of_now_counts(file: Path) -> None:
    """Made shorter between two processes it lets old jobs go at once; made longer it keeps the others longer."""
    async with world([PLAN], plant=[IMPORT], store=file, defaults=TWO_HOURS) as first:
        await first.advance(HOUR_S)
    async with world(again=first, store=file, defaults="  retention: 4h") as second:
        await second.advance(1.5 * HOUR_S)
        assert (await second.scrape()).state("i") == "COMPLETE"
    async with world(again=second, store=file, defaults="  retention: 2h") as third:
        assert about(await third.scrape_once(), "i") == []


@pytest.mark.parametrize("after_s", [60.0, 3 * HOUR_S], ids=["within retention", "after it"])
async def test_an_ended_job_that_is_taken_out_and_put_back_keeps_its_time(store: Path | None, after_s: float) -> None:
    """Within its retention it shows again, later it does not; it is counted once and read once."""
    async with world([PLAN], plant=[IMPORT], store=store, defaults=TWO_HOURS) as running:
        await running.advance(60)
        await running.exporter.fleet.desk.watch(Source.CONFIG, "acme", [])
        assert about(await running.scrape(), "i") == []
        asked = told(running)
        await running.advance(after_s)
        await running.hand_over()
        await running.advance(30)
        page = await running.scrape()
        assert page.state("i") == ("COMPLETE" if after_s < HOUR_S else None)
        assert counted(page) == (3, 1, 1, 1)
        assert told(running) == asked


async def test_a_job_that_the_tenant_does_not_know_leaves_after_its_retention_and_an_answer_brings_it_back() -> None:
    """NOT_FOUND for two hours, then off the page, and asked about all the same; then it is there, and counts."""
    async with world([PLAN], defaults=TWO_HOURS) as running:
        await running.exporter.fleet.desk.watch(
            Source.CONFIG, "acme", [WatchedJob(JobKey("acme", Operation.IMPORT, "i"))]
        )
        await running.advance(2 * HOUR_S - 120)
        page = await running.scrape()
        assert page.state("i") == "NOT_FOUND"
        assert page.value("spconfig_jobs", operation="import", state="NOT_FOUND") == 1
        await running.advance(300)
        page = await running.scrape()
        assert about(page, "i") == []
        assert sum(page.all("spconfig_jobs").values()) == 0
        running.simulator.start("acme", "import", job_id="i", duration_s=600.0, result=LOST)
        await running.advance(310)
        assert (await running.scrape()).state("i") == "IN_PROGRESS"
        await running.advance(600)
        page = await running.scrape()
        assert (page.state("i"), counted(page)) == ("COMPLETE", (3, 1, 1, 1))
        await running.advance(2 * HOUR_S)
        assert about(await running.scrape(), "i") == []


async def test_a_job_that_is_not_found_ages_out_over_a_restart(file: Path) -> None:
    """Its time counts from the first time it was missing, whichever process saw that."""
    config = f"""
defaults: {{allow_http: true, retention: 2h}}
tenants:
  - name: acme
    base_url: "{{url}}/acme"
    client_id: "{PLAN.client_id}"
    client_secret: "{PLAN.client_secret}"
    jobs: [{{id: gone, operation: export}}]
"""
    async with world([PLAN], store=file, config=config) as first:
        await first.advance(HOUR_S)
        assert (await first.scrape()).state("gone") == "NOT_FOUND"
    async with world(again=first, store=file, config=config) as second:
        assert (await second.scrape_once()).state("gone") == "NOT_FOUND"
        await second.advance(HOUR_S + 60)
        assert about(await second.scrape(), "gone") == []
    async with world(again=second, store=file, config=config) as third:
        assert about(await third.scrape_once(), "gone") == []
        await third.advance(600)
        assert about(await third.scrape(), "gone") == []
        third.simulator.start("acme", "export", job_id="gone", duration_s=math.inf)
        await third.advance(600)
        assert (await third.scrape()).state("gone") == "IN_PROGRESS"


async def test_an_import_stays_until_its_result_is_settled() -> None:
    """Nothing goes uncounted in silence: hours after the end of its time it is there, then it is counted and leaves."""
    away = Fault("status", status=503, endpoints=frozenset({"import_result"}))
    plan = replace(PLAN, faults=(away,))
    defaults = "  retention: 1h\n  poll: {fastest: 30s}"
    async with world([plan], plant=[IMPORT], defaults=defaults) as running:
        await running.advance(2 * HOUR_S)
        page = await running.scrape()
        assert (page.state("i"), page.value("spconfig_import_result_read", job_id="i")) == ("COMPLETE", 0)
        assert page.value("spconfig_jobs_finished_total", operation="import", state="COMPLETE") == 1
        running.simulator.heal("acme")
        await running.advance(HOUR_S)
        page = await running.scrape()
        assert (about(page, "i"), counted(page)) == ([], (3, 1, 1, 1))
