"""A real Prometheus scrapes a running daemon whose page is large, from its first page on.

`SPEXPORTER_SERIES=1000000 SPEXPORTER_SCRAPES=10` is the full form, at Prometheus' default time-out of 10 s; show its
figures with `-s`. All jobs are synthetic: they have ended and are in the store before the daemon starts.
"""

import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from spexporter.clock import SystemClock
from spexporter.domain.job import JobKey, JobState, Observation, Operation, Source, WatchedJob
from spexporter.domain.ports import Change, Counted, Terms
from spexporter.domain.result import ImportResult, Outcome, TypeCounts
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.ledger.sql import opened
from spexporter.telemetry import Telemetry
from tests.support.program import LOOPBACK, answer, spexporter
from tests.support.prometheus import prometheus

SERIES = int(os.environ.get("SPEXPORTER_SERIES", "40000"))
SCRAPES = int(os.environ.get("SPEXPORTER_SCRAPES", "3"))
EVERY_S = 10 if SCRAPES > 3 else 3
JOBS, SERIES_OF_A_TENANT = 100, 2060
TYPE = "SYNTHETIC"
RESULT = ImportResult({TYPE: TypeCounts(errors=1, warnings=2, infos=3, objects=4)})
TENANTS = [f"tenant-{number:04}" for number in range(SERIES // SERIES_OF_A_TENANT + 1)]


@asynccontextmanager
async def idle_tenants() -> AsyncIterator[str]:
    """Serve tenants that nothing happens in, and yield their root."""

    async def token(_request: web.Request) -> web.Response:
        return web.json_response({"access_token": "synthetic", "expires_in": 43_200})

    async def types(_request: web.Request) -> web.Response:
        return web.json_response([{"objectType": TYPE}])

    app = web.Application()
    app.router.add_post("/{tenant}/oauth/token", token)
    app.router.add_get("/{tenant}/sp-config/v1/config-objects", types)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def fill(path: Path) -> None:
    """Let the product's own ledger remember imports that pipelines have handed in and that have ended."""
    clock = SystemClock()
    now_s = clock.wall()
    async with opened(path, remember_s=1e9, clock=clock, watch=Telemetry(OWN_FAMILIES)) as ledger:
        await ledger.restore([Terms(tenant) for tenant in TENANTS])
        for tenant in TENANTS:
            keys = [JobKey(tenant, Operation.IMPORT, f"synthetic-import-{number:020}") for number in range(JOBS)]
            for change in changes(keys, now_s):
                state = await ledger.apply(tenant, change, fence=0)
            await ledger.publish(tenant, {key: cell.due for key, cell in state.totals.items()}, fence=0)


def changes(keys: Sequence[JobKey], now_s: float) -> Sequence[Change]:
    """Return how they came, ended and were counted."""
    ended = [
        Observation(
            key,
            JobState.COMPLETE,
            "COMPLETE",
            observed_s=now_s,
            created_s=now_s - 60,
            modified_s=now_s,
            completed_s=now_s,
            expires_s=now_s + 86_400,
        )
        for key in keys
    ]
    return (
        Change(added=tuple(WatchedJob(key, Source.API) for key in keys), at_s=now_s),
        Change(observations=tuple(ended), at_s=now_s),
        Change(results=tuple(Counted(key, Outcome.COUNTED, RESULT) for key in keys), at_s=now_s),
    )


def configure(folder: Path, url: str) -> Path:
    """Write a configuration of all tenants, each with a client of its own."""
    tenants = [
        {
            "name": name,
            "base_url": f"{url}/{name}",
            "client_id": name,
            "client_secret": "synthetic",
            "api_version": "v1",
        }
        for name in TENANTS
    ]
    path = folder / "spexporter.yaml"
    path.write_text(f"limits: {{max_series: 5000000}}\ntenants: {json.dumps(tenants)}\n")
    return path


async def test_prometheus_scrapes_a_large_page_each_time(tmp_path: Path) -> None:
    """Up at every scrape, the first one included, and every sample of the page taken."""
    await fill(tmp_path / "spexporter.db")
    async with idle_tenants() as url:
        flags = ("--config.file", configure(tmp_path, url), "--web.listen-address", LOOPBACK)
        async with spexporter("run", *flags, folder=tmp_path) as daemon:
            page_url = await daemon.url()
            async with prometheus(page_url.removeprefix("http://"), tmp_path, every=f"{EVERY_S}s") as server:
                await server.eventually(f"count_over_time(up[1h]) >= {SCRAPES}", within_s=EVERY_S * (SCRAPES + 2))
                (up,) = await server.raw("up[1h]")
                (samples,) = await server.raw("scrape_samples_scraped[1h]")
                (took,) = await server.raw("scrape_duration_seconds[1h]")
            _, text = await answer(f"{page_url}/metrics")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    figures = f"up {up.values}, scraped {samples.values}, in {took.values} s"
    print(f"{len(lines)} samples, {len(text) / 1e6:.1f} MB; {figures}")  # noqa: T201 - figures for the record
    assert set(up.values) == {1.0}
    assert len(lines) >= SERIES
    assert set(samples.values) == {len(lines)}
