"""Baseline first, and a first start that is no alarm: which steps of a counter a Prometheus gets to see."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest

from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.domain.values import replace
from spexporter.simulator import Fault, default_plans, result_of
from tests.support.clock import START_WALL_S
from tests.support.world import Labels, Scrape, World, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
LOST = result_of({"SOURCE": {"errors": 3, "warnings": 1, "objects": 2}, "RULE": {"objects": 5}})
TWO = result_of({"SOURCE": {"errors": 2}})
HOUR_S = 3600.0
Series = tuple[str, Labels]


def imported(job_id: str, *, after_s: float = 10.0, result: object = LOST) -> dict[str, object]:
    """Return an import that ends `after_s` seconds from the start of the world, or before it, and began before it."""
    begun_s = min(0.0, after_s - 10.0)
    facts = {"tenant": "acme", "operation": "import", "job_id": job_id, "queue_s": 0.0, "result": result}
    return {**facts, "created_s": START_WALL_S + begun_s, "duration_s": after_s - begun_s}


def errors(page: Scrape) -> float | None:
    return page.value("spconfig_import_errors_total", tenant="acme", object_type="SOURCE")


def counters(page: Scrape) -> dict[Series, float]:
    """Return every counter about tenants, histograms included."""
    suffixes = ("_total", "_count", "_sum", "_bucket")
    names = [name for name in page.samples if name.startswith("spconfig_") and name.endswith(suffixes)]
    return {(name, labels): value for name in names for labels, value in page.samples[name].items()}


def steps(pages: Sequence[Scrape]) -> dict[Series, float]:
    """Return by how much each series rose over the pages, as increase() would: what it began with is none."""
    rises: dict[Series, float] = {}
    for before, after in itertools.pairwise(map(counters, pages)):
        assert before.keys() <= after.keys()
        for series, value in before.items():
            assert after[series] >= value
            if after[series] > value:
                rises[series] = rises.get(series, 0.0) + after[series] - value
    return rises


async def watched(running: World, for_s: float, every_s: float) -> list[Scrape]:
    """Return the pages that somebody gets who scrapes all the time."""
    pages = [await running.scrape_once()]
    for _ in range(int(for_s / every_s)):
        await running.advance(every_s)
        pages.append(await running.scrape_once())
    return pages


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "spexporter.db"


async def test_a_counter_shows_its_baseline_for_as_long_as_it_is_held(file: Path) -> None:
    """Scraped every ten seconds, with a hold of a minute: 0 on each page of it, and the errors on the first after."""
    async with world([PLAN], plant=[imported("i")], store=file, hold_s=60) as running:
        pages = await watched(running, 90, 10)
    seen = [errors(page) for page in pages]
    assert seen[:1] == [None]
    assert seen[1:7] == [0.0] * 6
    assert seen[-2:] == [3.0, 3.0]
    assert [
        page.value("spconfig_import_messages", job_id="i", severity="error", object_type="SOURCE") for page in pages
    ][3] == 3  # the job's own series wait for nothing


async def test_a_counter_shows_its_baseline_on_a_whole_page_however_late_that_comes() -> None:
    """Nobody scrapes for ten minutes: the first page has the baseline all the same, the second what came since."""
    async with world([PLAN], plant=[imported("i")], hold_s=60) as running:
        await running.advance(600)
        assert errors(await running.scrape_once()) == 0
        await running.settle()
        assert errors(await running.scrape_once()) == 3


async def test_after_its_baseline_a_counter_rises_at_once() -> None:
    """The hold is for what is new; an error of later is on the very next page."""
    async with world([PLAN], hold_s=60) as running:
        await watched(running, 120, 15)
        running.simulator.start("acme", "import", job_id="later", duration_s=2.0, result=LOST)
        await running.hand_over()
        # The operation's own counters have just appeared, those of the object types have not.
        pages = await watched(running, 30, 1)
        read = next(page for page in pages if page.value("spconfig_import_result_read", job_id="later"))
        assert errors(read) == 3
        assert read.value("spconfig_jobs_finished_total", operation="import", state="COMPLETE") == 0
        pages = await watched(running, 60, 10)
        assert pages[-1].value("spconfig_jobs_finished_total", operation="import", state="COMPLETE") == 1
        assert pages[-1].value("spconfig_import_results_total", outcome="counted") == 1


async def test_without_a_hold_one_page_is_enough() -> None:
    """`counters.hold: 0s`: the baseline on one page, all of it on the next."""
    async with world([PLAN], plant=[imported("i")]) as running:
        await running.advance(60)
        assert errors(await running.scrape_once()) == 0
        await running.settle()
        assert errors(await running.scrape_once()) == 3


async def test_only_the_page_of_metrics_shows_a_baseline() -> None:
    """Who opens the page for people, or one that does not exist, has seen no counter."""
    async with world([PLAN], plant=[imported("i")]) as running:
        await running.advance(60)
        async with aiohttp.ClientSession() as http, http.get(f"{running.url}/nothing") as response:
            assert response.status == 404
        await running.get("/")
        await running.settle()
        assert errors(await running.scrape_once()) == 0


async def test_each_event_is_an_increase_once_whenever_it_comes(file: Path) -> None:
    """Sixteen imports over a hold and after it: increase() over all pages is what happened, to the last error."""
    plant = [imported(f"i{number}", after_s=8.0 * number + 1) for number in range(16)]
    async with world([PLAN], plant=plant, store=file, hold_s=60, defaults="  poll: {fastest: 5s}") as running:
        rises = steps(await watched(running, 180, 15))
    by_type = {dict(labels)["object_type"]: value for (name, labels), value in rises.items() if "errors" in name}
    assert by_type == {"SOURCE": 48}
    assert {value for (name, _), value in rises.items() if name == "spconfig_jobs_finished_total"} == {16}
    assert {value for (name, _), value in rises.items() if name == "spconfig_job_run_seconds_count"} == {16}


async def test_after_a_restart_the_counters_show_what_they_showed_and_then_what_came_since(file: Path) -> None:
    """What was counted while the baseline was held, and what ended while no process ran, are increases of the next."""
    plant = [imported("early"), imported("held", after_s=140), imported("between", after_s=330, result=TWO)]
    async with world([PLAN], plant=plant, store=file, hold_s=120) as first:
        pages = await watched(first, 130, 10)
        assert errors(pages[-1]) == 3
        await first.advance(30)  # "held" is counted, published, and on no page yet
    async with world(again=first, store=file, hold_s=120) as second:
        assert errors(await second.scrape_once()) == 3
        await second.advance(30)
        assert errors(await second.scrape_once()) == 3
        await second.advance(120)
        assert errors(await second.scrape_once()) == 6
    first.clock.jump_to(first.clock.monotonic() + 200)
    async with world(again=second, store=file, hold_s=120) as third:
        pages = await watched(third, 180, 20)
        assert [errors(page) for page in pages[:6]] == [6] * 6
        assert errors(pages[-1]) == 8
        assert sum(value for (name, _), value in steps(pages).items() if "errors" in name) == 2


async def test_a_stop_during_the_hold_leaves_what_was_held_to_the_next_process(file: Path) -> None:
    """Counted, and not shown: the next one begins where the pages stood, and shows it after a hold of its own."""
    async with world([PLAN], plant=[imported("i")], store=file, hold_s=120) as first:
        pages = await watched(first, 60, 10)
        assert errors(pages[-1]) == 0
        assert pages[-1].value("spconfig_import_result_read", job_id="i") == 1
    async with world(again=first, store=file, hold_s=120) as second:
        pages = await watched(second, 150, 10)
        assert {errors(page) for page in pages[:11]} == {0}
        assert errors(pages[-1]) == 3


@pytest.mark.parametrize("skew_s", [0.0, 7200.0, -7200.0], ids=["same clock", "ahead", "behind"])
async def test_a_first_start_is_no_alarm(file: Path, skew_s: float) -> None:
    """Whatever had ended more than an hour before its id came raises no counter on any page, what is newer does."""
    plan = replace(PLAN, faults=(Fault("clock_skew", seconds=skew_s),))
    plant = [imported("old", after_s=-HOUR_S - 60), imported("new", after_s=-HOUR_S + 60, result=TWO)]
    async with world([plan], plant=plant, store=file, hold_s=20) as running:
        pages = [*await watched(running, 6, 0.25), *await watched(running, 40, 5)]
    rises = steps(pages)
    found = {name for name, _ in rises}
    assert {"spconfig_import_errors_total", "spconfig_jobs_finished_total", "spconfig_import_results_total"} <= found
    by_type = {dict(labels)["object_type"]: value for (name, labels), value in rises.items() if "errors" in name}
    assert by_type == {"SOURCE": 2}
    assert {value for (name, _), value in rises.items() if name.endswith(("finished_total", "results_total"))} == {1}
    assert pages[-1].state("old") == pages[-1].state("new") == "COMPLETE"
    old = {"job_id": "old", "object_type": "SOURCE", "severity": "error"}
    assert pages[-1].value("spconfig_import_messages", **old) == 3
    assert pages[-1].value("spconfig_import_result_read", job_id="old") == 1


@pytest.mark.parametrize("skew_s", [0.0, 7200.0, -7200.0], ids=["same clock", "ahead", "behind"])
async def test_what_had_ended_long_ago_is_in_the_first_sample(file: Path, skew_s: float) -> None:
    """Scraped only after all was read: the counters begin with the old jobs, and rise by the new ones."""
    plan = replace(PLAN, faults=(Fault("clock_skew", seconds=skew_s),))
    plant = [imported("old", after_s=-HOUR_S - 60), imported("new", after_s=-HOUR_S + 60, result=TWO)]
    async with world([plan], plant=plant, store=file) as running:
        await running.advance(30)
        first = await running.scrape_once()
        await running.settle()
        second = await running.scrape_once()
    finished = {"operation": "import", "state": "COMPLETE"}
    assert (errors(first), errors(second)) == (3, 5)
    assert [page.value("spconfig_jobs_finished_total", **finished) for page in (first, second)] == [1, 2]
    assert [page.value("spconfig_job_run_seconds_count", operation="import") for page in (first, second)] == [1, 2]


async def test_the_operator_says_what_is_new() -> None:
    """`count_new_within: 5m`: an end of six minutes ago is old, one of four minutes ago is new."""
    plant = [imported("old", after_s=-360), imported("new", after_s=-240, result=TWO)]
    async with world([PLAN], plant=plant, defaults="  count_new_within: 5m") as running:
        rises = steps(await watched(running, 30, 1))
    assert {value for (name, _), value in rises.items() if "errors" in name} == {2}


async def test_an_old_id_that_is_given_to_a_running_exporter_raises_nothing() -> None:
    """It shows as any job, and is marked in its own series; one that has just ended is an increase."""
    plant = [imported("old", after_s=-3 * HOUR_S), imported("new", after_s=-60, result=TWO)]
    async with world([PLAN], plant=plant) as running:
        await running.exporter.fleet.desk.watch(Source.CONFIG, "acme", [])
        await watched(running, 30, 5)
        old, new = (WatchedJob(JobKey("acme", Operation.IMPORT, job_id)) for job_id in ("old", "new"))
        await running.exporter.fleet.desk.watch(Source.CONFIG, "acme", [old])
        pages = await watched(running, 60, 5)
        assert steps(pages) == {}
        assert pages[-1].state("old") == "COMPLETE"
        await running.exporter.fleet.desk.watch(Source.CONFIG, "acme", [old, new])
        rises = steps(await watched(running, 60, 5))
        assert {value for (name, _), value in rises.items() if "errors" in name} == {2}


async def test_old_is_what_was_old_when_its_id_came_not_when_it_was_read(file: Path) -> None:
    """A tenant that answers only hours later, to another process: the import is an increase there."""
    plant = [imported("i", after_s=-600)]
    async with world([PLAN], plant=plant, store=file) as first:
        await first.cut_off()
        await first.advance(60)
    first.clock.jump_to(first.clock.monotonic() + 3 * HOUR_S)
    async with world(again=first, store=file) as second:
        rises = steps(await watched(second, 60, 5))
        assert {value for (name, _), value in rises.items() if "results" in name} == {1}


async def test_what_was_old_stays_out_after_a_restart(file: Path) -> None:
    """Neither the page nor any later process shows it as an increase."""
    plant = [imported("old", after_s=-2 * HOUR_S), imported("new", after_s=-60, result=TWO)]
    async with world([PLAN], plant=plant, store=file) as first:
        pages = await watched(first, 10, 1)
    async with world(again=first, store=file) as second:
        pages += await watched(second, 20, 2)
    assert {value for (name, _), value in steps(pages).items() if "errors" in name} == {2}
