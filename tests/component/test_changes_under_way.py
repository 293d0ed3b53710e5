"""A running fleet that is changed while something else is under way."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from spexporter.config import Config
from spexporter.config.values import Counters
from spexporter.domain.errors import StoreError
from spexporter.domain.job import Source
from spexporter.domain.values import replace
from spexporter.simulator import Fault, default_plans, result_of
from tests.support.clock import settle
from tests.support.disks import overwritten
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
    plans = [replace(plan, **shared) for plan in (ACME, GLOBEX)]
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


async def test_a_reload_while_the_exporter_ends_begins_nothing() -> None:
    """Who reloads in the last moment does not keep the program from its end."""
    async with world([ACME, GLOBEX]) as running:
        fleet = running.exporter.fleet
        await running.exporter.files.reload(changed(running, without(GLOBEX.name)))
        await running.advance(10)
        fleet.stop()
        before = asyncio.all_tasks()
        await running.exporter.files.reload(changed(running))
        assert [task.get_name() for task in asyncio.all_tasks() - before] == []


async def test_an_exporter_without_tenants_is_healthy() -> None:
    """They may come with a file at any time; nothing that should beat is silent meanwhile."""
    async with world([ACME, GLOBEX]) as running:
        await running.advance(60)
        await running.exporter.files.reload(changed(running, without(ACME.name, GLOBEX.name)))
        await running.advance(300)
        assert (await running.get("/-/healthy"))[0] == 200
        heartbeat_s = (await running.scrape()).value("spexporter_scheduler_heartbeat_timestamp_seconds")
        assert heartbeat_s == running.clock.wall()
        await running.exporter.files.reload(changed(running))
        await running.advance(10)
        assert (await running.scrape()).value("spconfig_tenant_up", tenant=ACME.name) == 1


async def test_a_failure_about_a_job_that_has_gone_meanwhile_is_no_trouble() -> None:
    """A job is taken back while it is being asked for, and the answer is bad: nobody need look into that."""
    async with world([ACME], plant=[{**IMPORT, "duration_s": 600.0}]) as running:
        await running.advance(5)
        status = frozenset({"import_status"})
        running.simulator.afflict(ACME.name, Fault("latency", seconds=3, endpoints=status))
        running.simulator.afflict(ACME.name, Fault("garbage", endpoints=status))
        received = running.simulator.record.exchanges[ACME.client_id]
        before = len(received)
        running.clock.jump_to(running.clock.monotonic() + 5)
        await until(lambda: len(received) == before + 1)
        await settle()
        await running.exporter.fleet.desk.watch(Source.CONFIG, ACME.name, [])
        assert running.telemetry.in_flight == 1
        running.clock.jump_to(running.clock.monotonic() + 3)
        await running.advance(60)
        assert "<li>" not in (await running.get("/"))[1]
        assert running.exporter.board.snapshot()[0].state.jobs == {}


async def test_a_tenant_gets_another_name_while_it_is_polled(tmp_path: Path) -> None:
    """Its counters and jobs go on under the new name, and nothing is left under the old one to be added again."""
    store = tmp_path / "spexporter.db"

    def renamed(config: Config) -> Config:
        return replace(config, tenants=(replace(config.tenants[0], name="acme-new", former_names=(ACME.name,)),))

    async with world([ACME], plant=[IMPORT, *EXPORTS], store=store) as first:
        await first.advance(100)
        assert (await first.scrape()).value("spconfig_import_errors_total", object_type="SOURCE") == 3
        await first.advance(4)  # running jobs have been looked at: the store will hear of that within 5 s
        await first.exporter.files.reload(changed(first, renamed))
        page = await first.scrape_once()
        assert f'tenant="{ACME.name}"' not in page.text
        assert page.value("spconfig_import_errors_total", tenant="acme-new", object_type="SOURCE") == 3
        await first.advance(300)
        assert (await first.scrape()).value("spconfig_jobs_finished_total", operation="export", state="COMPLETE") == 8
        assert names_stored(store) == {"acme-new"}
        text = first.simulator.config_yaml("{url}").replace(
            f'name: "{ACME.name}"', f"name: acme-new\n    former_names: [{ACME.name}]"
        )
    async with world(again=first, store=store, config=text) as second:
        page = await second.scrape()
        assert page.value("spconfig_import_errors_total", tenant="acme-new", object_type="SOURCE") == 3
        assert page.value("spconfig_jobs_finished_total", operation="export", state="COMPLETE") == 8


async def test_a_tenant_that_cannot_get_another_name_now_goes_on_under_the_old_one(tmp_path: Path) -> None:
    """While the store fails nothing can be moved in it: the reload is refused, and succeeds when the store is back."""
    store = tmp_path / "spexporter.db"

    def renamed(config: Config) -> Config:
        return replace(config, tenants=(replace(config.tenants[0], name="acme-new", former_names=(ACME.name,)),))

    async with world([ACME], plant=[IMPORT, *EXPORTS], store=store) as running:
        await running.advance(100)
        await running.scrape()
        with overwritten(store):
            with pytest.raises(StoreError):
                await running.exporter.files.reload(changed(running, renamed))
            await running.advance(60)
            page = await running.scrape()
            assert page.state("e4") == "COMPLETE"
            assert page.value("spconfig_import_errors_total", tenant=ACME.name, object_type="SOURCE") == 3
        await running.advance(20)
        await running.exporter.files.reload(changed(running, renamed))
        await running.advance(300)
        page = await running.scrape()
        assert names_stored(store) == {"acme-new"}
    assert page.value("spconfig_import_errors_total", tenant="acme-new", object_type="SOURCE") == 3
    assert page.value("spconfig_jobs_finished_total", operation="export", state="COMPLETE") == 8


def names_stored(store: Path) -> set[str]:
    """Return the names of the tenants of which the store holds anything."""
    with closing(sqlite3.connect(store)) as connection:
        return {
            name
            for table in ("tenants", "jobs", "counters")
            for (name,) in connection.execute(f"SELECT DISTINCT tenant FROM {table}")  # noqa: S608 (names from above)
        }


async def test_a_job_that_is_handed_in_while_its_tenant_leaves_is_taken_or_refused() -> None:
    """201 where it came first, 404 where it did not, and nothing else; the next reload finds the fleet whole."""
    found = set()
    async with world([ACME, GLOBEX], lifecycle=True) as running, aiohttp.ClientSession(running.url) as http:

        async def hand_in(number: int) -> int:
            order = {"tenant": GLOBEX.name, "operation": "export", "id": f"handed-in-{number}"}
            async with http.post("/api/v1/jobs", json=order) as response:
                return response.status

        for number in range(20):
            reload = asyncio.create_task(running.exporter.files.reload(changed(running, without(GLOBEX.name))))
            for _ in range(number * 3):
                await asyncio.sleep(0)
            found.add(await hand_in(number))
            await reload
            assert f'tenant="{GLOBEX.name}"' not in (await running.scrape_once()).text
            await running.exporter.files.reload(changed(running))
        assert await hand_in(100) == 201
        await running.advance(60)
        assert (await running.scrape()).state("handed-in-100") == "NOT_FOUND"
    assert found <= {201, 404}


async def test_a_job_that_a_file_names_too_stays_until_both_let_go(tmp_path: Path) -> None:
    """While the file names it, it is the file's, and cannot be taken back; then it is the API's again."""
    file = tmp_path / "jobs.yaml"

    def filed(config: Config) -> Config:
        with_file = replace(config.tenants[0], jobs=(), job_files=(str(file),))
        return replace(config, tenants=(with_file, *config.tenants[1:]))

    async with world([ACME], plant=[EXPORTS[7]], lifecycle=True) as running, aiohttp.ClientSession(running.url) as http:
        job = f"/api/v1/jobs/{ACME.name}/export/e7"
        await running.exporter.files.reload(changed(running, filed))
        order = {"tenant": ACME.name, "operation": "export", "id": "e7", "name": "handed in"}
        async with http.post("/api/v1/jobs", json=order) as response:
            assert response.status == 201
        for text, source in (("- {id: e7, operation: export, name: filed}\n", "file"), ("", "api")):
            file.write_text(text)
            await running.advance(2)
            async with http.get(job) as response:
                assert (await response.json())["source"] == source
            async with http.delete(job) as response:
                assert response.status == (409 if source == "file" else 204)
        await running.advance(5)
        assert (await running.scrape()).all("spconfig_job_info") == {}


async def test_a_file_that_flaps_each_second_costs_no_count(tmp_path: Path) -> None:
    """Its job is there and gone, again and again, while it runs and ends: it is counted once, when it stays."""
    file = tmp_path / "jobs.yaml"

    def filed(config: Config) -> Config:
        return replace(config, tenants=(replace(config.tenants[0], jobs=(), job_files=(str(file),)),))

    async with world([ACME], plant=[IMPORT]) as running:
        await running.exporter.files.reload(changed(running, filed))
        for number in range(90):
            file.write_text("[]" if number % 2 else "- {id: i1, operation: import}\n")
            await running.advance(1)
        file.write_text("- {id: i1, operation: import}\n")
        await running.advance(60)
        page = await running.scrape()
    assert page.value("spconfig_import_errors_total", object_type="SOURCE") == 3
    assert page.value("spconfig_jobs_finished_total", operation="import", state="COMPLETE") == 1
    assert page.value("spconfig_import_results_total", outcome="counted") == 1
