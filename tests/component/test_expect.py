"""What a user who says what is expected gets to alert on, before anything has happened."""

from pathlib import Path

import pytest

from spexporter.domain.values import replace
from spexporter.simulator import default_plans
from tests.support.world import Scrape, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
FINISHED, RUNS = "spconfig_jobs_finished_total", "spconfig_job_run_seconds"
ENDS = {"COMPLETE": 0.0, "CANCELLED": 0.0, "FAILED": 0.0}


def finished(page: Scrape, operation: str) -> dict[str, float]:
    return {dict(labels)["state"]: value for labels, value in page.all(FINISHED, operation=operation).items()}


def operations(page: Scrape) -> set[str]:
    """Return the operations that have any counter."""
    names = (FINISHED, f"{RUNS}_count", f"{RUNS}_sum", f"{RUNS}_bucket")
    return {dict(labels)["operation"] for name in names for labels in page.all(name)}


@pytest.fixture(params=["in memory", "in a file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "spexporter.db" if request.param == "in a file" else None


async def test_what_is_expected_shows_with_its_interval_and_counters_at_0(store: Path | None) -> None:
    """From the first page on, without a job and without an answer; for backups, which no job is needed for, too."""
    async with world([PLAN], store=store, defaults="  expect: {backup: 24h, export: 7d}") as running:
        page = await running.scrape_once()
        assert page.value("spconfig_expected_interval_seconds", tenant="acme", operation="backup") == 86_400
        assert page.value("spconfig_expected_interval_seconds", tenant="acme", operation="export") == 604_800
        assert len(page.all("spconfig_expected_interval_seconds")) == 2
        for operation in ("backup", "export"):
            assert finished(page, operation) == ENDS
            assert page.value(f"{RUNS}_count", operation=operation) == 0
            assert page.value(f"{RUNS}_sum", operation=operation) == 0
            assert set(page.all(f"{RUNS}_bucket", operation=operation).values()) == {0}
        assert operations(page) == {"backup", "export"}
        assert page.all("spconfig_import_results_total") == {}
        assert page.all("spconfig_last_success_timestamp_seconds") == {}


async def test_an_expected_import_has_its_outcomes_at_0(store: Path | None) -> None:
    """Each of the six, before the first import."""
    async with world([PLAN], store=store, defaults="  expect: {import: 1d}") as running:
        page = await running.scrape_once()
        outcomes = {
            dict(labels)["outcome"]: value for labels, value in page.all("spconfig_import_results_total").items()
        }
        names = ("counted", "preview", "missing", "forbidden", "malformed", "too_large")
        assert outcomes == dict.fromkeys(names, 0.0)


async def test_an_operation_without_a_job_or_an_expectation_has_no_series() -> None:
    """Nobody is to look at zeros of what does not concern him."""
    async with world([PLAN]) as running:
        await running.advance(60)
        page = await running.scrape()
        assert operations(page) == set()
        assert page.all("spconfig_import_results_total") == page.all("spconfig_jobs") == {}
        assert page.all("spconfig_expected_interval_seconds") == {}


async def test_what_is_expected_counts_as_ever(store: Path | None) -> None:
    """The first export is an increase, and the success is on the page beside its interval."""
    defaults = "  expect: {export: 1h}"
    async with world([PLAN], store=store, defaults=defaults) as running:
        await running.scrape()
        running.simulator.start("acme", "export", job_id="e", duration_s=5.0)
        await running.hand_over()
        assert finished(await running.scrape(), "export")["COMPLETE"] == 0
        await running.advance(20)
        page = await running.scrape()
        ended_s = page.value("spconfig_last_success_timestamp_seconds", operation="export")
        interval_s = page.value("spconfig_expected_interval_seconds", operation="export")
        assert ended_s is not None
        assert interval_s is not None
        assert running.clock.wall() - ended_s < interval_s


async def test_another_interval_shows_after_a_restart_and_the_old_one_is_gone(tmp_path: Path) -> None:
    """It is the configuration of now that says what is expected; no exchange is needed for it."""
    store = tmp_path / "spexporter.db"
    async with world([PLAN], store=store, defaults="  expect: {export: 1h, backup: 1d}") as first:
        await first.scrape()
    async with world(again=first, store=store, defaults="  expect: {export: 2h}") as second:
        page = await second.scrape_once()
        intervals = page.all("spconfig_expected_interval_seconds")
        assert {dict(labels)["operation"]: value for labels, value in intervals.items()} == {"export": 7200}
