"""The export that SailPoint makes before an import, followed without anybody naming it."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.domain.ports import Terms
from spexporter.domain.values import replace
from spexporter.domain.view import TenantState
from spexporter.simulator import Fault, default_plans, result_of
from tests.support.truth import differences
from tests.support.world import Scrape, World, world

EMPTY = {"jobs_at_start": 0, "starts_per_minute": 0.0, "hub_jobs_at_start": 0, "hub_starts_per_minute": 0.0}
QUIET = replace(default_plans(1)[0], name="acme", **EMPTY)
FINE = result_of({"RULE": {"objects": 4}})
IMPORT = {"tenant": "acme", "operation": "import", "job_id": "i", "duration_s": 30.0, "result": FINE, "backup": True}


def backup_id(running: World) -> str:
    truth: Any = running.simulator.truth()
    return str(next(job["export_job_id"] for job in truth["jobs"] if job["id"] == "i"))


def looks_at_exports(running: World) -> int:
    clients: Any = running.simulator.truth()["clients"]
    requests = clients[QUIET.client_id]["requests"] if QUIET.client_id in clients else ()
    return sum(endpoint == "export_status" for _, _, endpoint, _ in requests)


def sources(page: Scrape, job_id: str) -> list[str]:
    return [dict(labels)["source"] for labels in page.all("spconfig_job_info", job_id=job_id)]


async def test_the_backup_of_an_import_is_watched_and_is_no_success() -> None:
    """It appears once the result names it; an export that nobody asked for says nothing about those that are due."""
    async with world([QUIET], plant=[IMPORT], hub=True) as running:
        await running.advance(20)
        assert (await running.scrape()).all("spconfig_jobs", operation="export") == {}
        await running.advance(60)
        page = await running.scrape()
        backup = backup_id(running)
        assert (page.state(backup), sources(page, backup)) == ("COMPLETE", ["backup"])
        assert page.value("spconfig_jobs_finished_total", operation="export", state="COMPLETE") == 1
        assert page.value("spconfig_last_success_timestamp_seconds", operation="export") is None
        assert page.value("spconfig_last_success_timestamp_seconds", operation="import") is not None


async def test_whoever_names_the_backup_first_is_its_source() -> None:
    """An export that the configuration names is a success as any other, and is not asked about twice."""
    async with world([QUIET], plant=[IMPORT], hub=True) as running:
        key = JobKey("acme", Operation.EXPORT, backup_id(running))
        own = JobKey("acme", Operation.IMPORT, "i")
        await running.exporter.fleet.desk.watch(Source.CONFIG, "acme", [WatchedJob(key), WatchedJob(own)])
        await running.advance(120)
        page = await running.scrape()
        assert (page.state(key.job_id), sources(page, key.job_id)) == ("COMPLETE", ["config"])
        assert page.value("spconfig_last_success_timestamp_seconds", operation="export") is not None
        assert (times := looks_at_exports(running)) > 0
        await running.exporter.fleet.desk.watch(Source.CONFIG, "acme", [WatchedJob(own)])
        await running.advance(300)
        page = await running.scrape()
        assert sources(page, key.job_id) == ["backup"]
        assert looks_at_exports(running) == times


@pytest.mark.parametrize("stops", [False, True])
async def test_a_restart_goes_on_with_the_backup(tmp_path: Path, *, stops: bool) -> None:
    """Also with one whose import was counted by a process that did not come to follow it."""
    store = tmp_path / "store.db"
    defaults = "  follow_backups: false" if stops else ""
    async with world([QUIET], plant=[IMPORT], store=store, hub=not stops, defaults=defaults and " ") as first:
        await first.advance(90)
        assert bool((await first.scrape()).state(backup_id(first))) is not stops
    async with world(again=first, store=store, hub=True) as second:
        await second.advance(90)
        page = await second.scrape()
        assert (page.state(backup_id(second)), sources(page, backup_id(second))) == ("COMPLETE", ["backup"])
        assert page.value("spconfig_jobs_finished_total", operation="export", state="COMPLETE") == 1
        await second.exporter.fleet.take_over(
            replace(second.used, tenants=tuple(replace(it, follow_backups=False) for it in second.used.tenants))
        )
        assert (await second.scrape()).state(backup_id(second)) is None


async def test_a_backup_is_followed_though_a_reload_came_in_between() -> None:
    """An import's result that is counted while the tenant is about to begin anew names its backup all the same."""
    async with world([QUIET], plant=[IMPORT], hub=True) as running:
        await running.advance(20)
        assert running.ledger
        restore = running.ledger.restore

        async def slow(terms: Iterable[Terms]) -> Mapping[str, TenantState]:
            states = await restore(terms)
            await running.advance(60)
            return states

        running.ledger.restore = slow  # type: ignore[method-assign]
        (tenant,) = running.used.tenants
        await running.exporter.fleet.take_over(replace(running.used, tenants=(replace(tenant, timeout_s=7.0),)))
        await running.advance(60)
        page = await running.scrape()
        assert page.state("i") == "COMPLETE"
        assert sources(page, backup_id(running)) == ["backup"]


async def test_backups_wait_for_the_store_together() -> None:
    """While it cannot tell of new jobs whether they were counted before, one does not take the place of another."""
    later = {**IMPORT, "job_id": "j", "duration_s": 60.0}
    async with world([QUIET], plant=[IMPORT, later], hub=True) as running:
        with running.store_without_new_jobs():
            await running.advance(180)
            page = await running.scrape()
        assert (page.state("i"), page.state("j"), sources(page, backup_id(running))) == ("COMPLETE", "COMPLETE", [])
        await running.advance(60)
        page = await running.scrape()
        assert sum(page.all("spconfig_jobs", operation="export", state="COMPLETE").values()) == 2


async def test_backups_leave_with_their_retention() -> None:
    """Imports every few minutes for a day leave no list of backups behind that grows."""
    async with world([QUIET], hub=True, defaults="  retention: 1h", lifecycle=True) as running:
        for number in range(24):
            running.simulator.start("acme", "import", job_id=f"i{number}", duration_s=20, result=FINE, backup=True)
            key = JobKey("acme", Operation.IMPORT, f"i{number}")
            await running.exporter.fleet.desk.add_job(WatchedJob(key, Source.API))
            await running.advance(1200)
        page = await running.scrape()
        assert page.value("spconfig_jobs_finished_total", operation="export", state="COMPLETE") == 24
        assert 3 <= sum(page.all("spconfig_jobs", operation="export").values()) <= 4


async def test_backups_that_cannot_be_found_are_not_asked_for_without_an_end() -> None:
    """Where SailPoint keeps none of them, hours with as many imports cost as many requests."""
    lost = Fault("status", endpoints=frozenset({"export_status"}), status=404)
    plan = replace(QUIET, faults=(lost,))
    async with world([plan], hub=True, defaults="  retention: 1h", lifecycle=True) as running:
        asked: list[int] = []
        for number in range(16):
            if number % 3 == 0:
                asked.append(looks_at_exports(running))
            running.simulator.start("acme", "import", job_id=f"i{number}", duration_s=20, result=FINE, backup=True)
            key = JobKey("acme", Operation.IMPORT, f"i{number}")
            await running.exporter.fleet.desk.add_job(WatchedJob(key, Source.API))
            await running.advance(1200)
        costs = [after - before for before, after in pairwise(asked)]
        assert costs[4] <= 1.1 * costs[2]
        page = await running.scrape()
        assert 3 <= (page.value("spconfig_jobs", operation="export", state="NOT_FOUND") or 0) <= 4


async def test_counters_are_right_with_backups_followed() -> None:
    """Nothing about the imports changes where their backups are watched, too."""
    plan = replace(QUIET, jobs_at_start=9)
    async with world([plan], hub=True) as running:
        await running.advance(600)
        page = await running.scrape()
        found = differences(running.simulator.truth(), page)
        # What is compared leaves out the backups: of exports there are more, and nothing else differs.
        assert [line for line in found if "export" not in line] == []
