"""Three daemons that share a real PostgreSQL, and what can happen to them; benchmarks/replicas.py goes on longer."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.eventually import eventually
from tests.support.postgres import Server, serving
from tests.support.program import answer
from tests.support.replicas import REQUESTS, Daemon, Replicas, ordeal, replicas

RULES = Path(__file__).resolve().parents[2] / "prometheus" / "spexporter.rules.yml"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


async def test_whatever_happens_each_tenant_has_one_watcher_and_each_event_counts_once(
    server: Server, tmp_path: Path
) -> None:
    """Kills, pauses, cut connections and restarts of the database change nothing of what is true in the end."""
    found = await ordeal(tmp_path, server, tenants=24, lease_s=3.0, lasts_s=50.0, seed=3, rules=RULES)
    print(found)  # noqa: T201 - what was measured
    assert found.differences == []
    assert found.scraped_differences == []
    assert found.scraped.falls == []
    assert found.wrong_alerts == []
    assert (found.busiest <= REQUESTS, found.throttled) == (True, 0)
    assert found.stragglers <= found.connections_paused
    assert found.bad_news == []
    assert found.moves > 0


async def watchers(run: Replicas) -> dict[str, Daemon]:
    """Return who exposes which tenant now."""
    found = {}
    for daemon in run.daemons:
        _, text = await answer(f"{daemon.url}/metrics")
        for line in text.splitlines():
            if line.startswith("spconfig_tenant_info{"):
                tenant = line.partition('tenant="')[2].partition('"')[0]
                assert tenant not in found, "two show it"
                found[tenant] = daemon
    return found


async def test_any_replica_takes_jobs_and_names_all_tenants(server: Server, tmp_path: Path) -> None:
    """A pipeline need not know who watches its tenant, and an operator finds out."""
    async with replicas(tmp_path, server, count=2, tenants=2, jobs_each=0) as run, run.living():
        for daemon in run.daemons:
            await run.start(daemon)

        async def shared() -> dict[str, Daemon] | None:
            found = await watchers(run)
            return found if len({daemon.number for daemon in found.values()}) == 2 else None

        found = await eventually(shared, "each replica watches one tenant", within_s=30.0, every_s=0.3)
        (tenant, theirs), (own, ours) = found.items()
        job = run.simulator.start(tenant, "export", queue_s=0.0, duration_s=1.0)
        body = {"tenant": tenant, "operation": "export", "id": job.id}
        async with aiohttp.ClientSession() as http:
            for status in (201, 200):
                async with http.post(f"{ours.url}/api/v1/jobs", json=body) as response:
                    assert response.status == status, await response.text()
            one = f"{ours.url}/api/v1/jobs/{tenant}/export"
            async with http.delete(f"{one}/unknown") as response:
                assert response.status == 404, await response.text()
            assert job.id in (await answer(f"{theirs.url}/metrics"))[1]
            async with http.delete(f"{one}/{job.id}") as response:
                assert response.status == 204, await response.text()
            assert job.id not in (await answer(f"{theirs.url}/metrics"))[1]
        page = (await answer(f"{ours.url}/"))[1]
        assert f"<li>{tenant}: " in page
        assert own in page
        assert (await answer(f"{ours.url}/probe?tenant={tenant}"))[0] == 503
        assert (await answer(f"{ours.url}/probe?tenant={own}"))[0] == 200
        assert (await answer(f"{ours.url}/probe?tenant=nobody"))[0] == 404


async def test_a_database_that_is_away_at_the_start_is_waited_for(server: Server, tmp_path: Path) -> None:
    """Nothing is asked, and the replica is not ready; a replica without a tenant is."""
    async with replicas(tmp_path, server, count=2, tenants=1, jobs_each=0) as run, run.living():
        first, second = run.daemons
        first.cable.cut()
        await run.start(first)
        assert (await answer(f"{first.url}/-/ready"))[0] == 503
        assert (await answer(f"{first.url}/-/healthy"))[0] == 200
        assert not run.asked
        first.cable.mend()
        await run.start(second)
        for daemon in run.daemons:

            async def ready(daemon: Daemon = daemon) -> bool:
                return (await answer(f"{daemon.url}/-/ready"))[0] == 200

            await eventually(ready, "ready", within_s=30.0)
        await eventually(lambda: watchers(run), "the tenant is watched", within_s=30.0)


async def test_a_database_that_goes_away_is_said_to_be(server: Server, tmp_path: Path) -> None:
    """Once the lease is over nobody says that the tenant is not there, nor that the store works, until it does."""
    async with replicas(tmp_path, server, count=1, tenants=1, jobs_each=0) as run, run.living():
        (daemon,) = run.daemons
        await run.start(daemon)
        (tenant,) = await eventually(lambda: watchers(run), "the tenant is watched", within_s=30.0)
        paths = (f"/probe?tenant={tenant}", f"/tenants/{tenant}", f"/api/v1/jobs?tenant={tenant}")
        daemon.cable.cut()

        async def over() -> bool:
            return not await watchers(run)

        await eventually(over, "the lease is over", within_s=30.0)
        for _ in range(20):  # longer than the ledger lets what is to be written wait
            assert "\nspexporter_store_up 0.0\n" in (await answer(f"{daemon.url}/metrics"))[1]
            for path in paths:
                status, text = await answer(daemon.url + path)
                assert (status, "o replica watches" in text) == (503, True), text
            await asyncio.sleep(0.4)
        daemon.cable.mend()
        await eventually(lambda: watchers(run), "the tenant is watched again", within_s=30.0)

        async def works() -> bool:
            return "\nspexporter_store_up 1.0\n" in (await answer(f"{daemon.url}/metrics"))[1]

        await eventually(works, "the store works for all that use it", within_s=10.0)
        for path in paths:
            assert (await answer(daemon.url + path))[0] == 200
