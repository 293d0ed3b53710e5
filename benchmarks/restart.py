"""Compares starting with a full ledger to starting with an empty one: `python benchmarks/restart.py`.

All data is synthetic: a stub tenant on loopback, which nobody is expected to ask about jobs that have ended, and a
ledger that the product's own code has written.
"""

# ruff: noqa: INP001, T201 - a script that prints what it found
import argparse
import asyncio
import json
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import aiohttp
from aiohttp import web

from spexporter.clock import SystemClock
from spexporter.domain.job import JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.ports import Change, Counted, Terms
from spexporter.domain.result import ImportResult, Outcome, TypeCounts
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.ledger.sql import opened
from spexporter.telemetry import Telemetry

TENANT = "acme"
TYPES = ("SYNTHETIC_TYPE_1", "SYNTHETIC_TYPE_2")
PATIENCE_S = 300.0
AN_HOUR_S = 3600.0


@dataclass
class Stub:
    """A tenant that knows no job, and notes when it was asked for what (monotonic seconds)."""

    url: str = ""
    asked: list[tuple[float, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Note a request and answer it."""
        self.asked.append((time.monotonic(), request.path))
        if request.path.endswith("/token"):
            return web.json_response({"access_token": "synthetic", "expires_in": 3600})
        if request.path.endswith("/config-objects"):
            return web.json_response([{"objectType": name} for name in TYPES])
        return web.json_response({}, status=404)

    def before(self, at_s: float) -> Counter[str]:
        """Return what was asked for until `at_s`: about jobs, and anything else."""
        paths = (path for asked_s, path in self.asked if asked_s < at_s)
        return Counter("other" if path.endswith(("/token", "/config-objects")) else "jobs" for path in paths)


@asynccontextmanager
async def stub() -> AsyncIterator[Stub]:
    """Serve a stub tenant for as long as the block lasts."""
    tenant, app = Stub(), web.Application()
    app.router.add_route("*", "/{path:.*}", tenant.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    tenant.url = f"http://{host}:{port}"
    try:
        yield tenant
    finally:
        await runner.cleanup()


def jobs(count: int) -> list[JobKey]:
    """Return the keys of the synthetic jobs, half of them imports."""
    operations = (Operation.EXPORT, Operation.IMPORT)
    return [JobKey(TENANT, operations[number % 2], f"synthetic-{number:06}") for number in range(count)]


async def fill(path: Path, keys: Sequence[JobKey]) -> None:
    """Write a ledger in which all these jobs have ended and were counted, an hour ago."""
    clock, now_s = SystemClock(), time.time() - AN_HOUR_S
    imports = [key for key in keys if key.operation is Operation.IMPORT]
    result = ImportResult({name: TypeCounts(1, 2, 3, 4) for name in TYPES})
    async with opened(path, remember_s=1e9, clock=clock, watch=Telemetry(OWN_FAMILIES)) as ledger:
        await ledger.restore([Terms(TENANT)])
        changes = (
            Change(added=tuple(WatchedJob(key, name="synthetic") for key in keys), object_types=frozenset(TYPES)),
            Change(observations=tuple(_ended(key, now_s) for key in keys)),
            Change(results=tuple(Counted(key, Outcome.COUNTED, result) for key in imports)),
        )
        for change in changes:
            state = await ledger.apply(TENANT, change, fence=0)
        await ledger.publish(TENANT, {key: cell.due for key, cell in state.totals.items()}, fence=0)


def _ended(key: JobKey, now_s: float) -> Observation:
    return Observation(
        key,
        JobState.COMPLETE,
        "COMPLETE",
        observed_s=now_s,
        created_s=now_s - 60.0,
        modified_s=now_s,
        completed_s=now_s,
        expires_s=now_s + 7 * 86400.0,
        description="synthetic",
    )


def configure(folder: Path, url: str, keys: Sequence[JobKey]) -> Path:
    """Write a configuration that names these jobs; the store is `ledger.db` beside it."""
    tenant = {"name": TENANT, "base_url": url, "client_id": "synthetic", "client_secret": "synthetic"}
    lines = ["store: {url: sqlite:///ledger.db}", "tenants:", f"  - {json.dumps(tenant)[:-1]}, jobs: ["]
    lines += [f"      {{id: {key.job_id}, operation: {key.operation}, name: synthetic}}," for key in keys]
    path = folder / "spexporter.yaml"
    path.write_text("\n".join([*lines, "    ]}", ""]))
    return path


@dataclass(frozen=True, slots=True)
class Start:
    """One start of the program: when its first whole page had come, and what it had asked until that was rendered."""

    took_s: float
    page_bytes: int
    jobs_on_page: int
    asked: Counter[str]


async def started(folder: Path, tenant: Stub, profile: Path | None) -> Start:
    """Start the program in `folder` and wait for its first page."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    tenant.asked.clear()
    profiler = ("-m", "cProfile", "-o", str(profile)) if profile else ()
    arguments = ("run", "--config.file", "spexporter.yaml", "--web.listen-address", f"127.0.0.1:{port}")
    began_s = time.monotonic()
    said = folder / "stderr"
    with said.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *profiler, "-m", "spexporter", *arguments), cwd=folder, stderr=stderr
        )
    try:
        page, rendered_s = await _first_page(f"http://127.0.0.1:{port}/metrics")
        done_s = time.monotonic()
    except TimeoutError:
        raise SystemExit(f"no page within {PATIENCE_S:g} s:\n{said.read_text()[-2000:]}") from None
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
    on_page = sum(line.startswith(b"spconfig_job_info{") for line in page.splitlines())
    return Start(done_s - began_s, len(page), on_page, tenant.before(rendered_s))


async def _first_page(url: str) -> tuple[bytes, float]:
    """Return the first page, and when it was rendered: its headers come once it is whole (monotonic seconds)."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(PATIENCE_S):
        while True:
            try:
                # Not compressed: that would come between the rendering and the headers.
                async with http.get(url, headers={"Accept-Encoding": "identity"}) as response:
                    if response.status == 200:  # noqa: PLR2004 - OK
                        rendered_s = time.monotonic()
                        return await response.read(), rendered_s
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The stub tenant, the folder to work in, and the ledger to start with."""

    tenant: Stub
    folder: Path
    full: Path

    async def start(self, named: Sequence[JobKey], *, full: bool, profile: Path | None = None) -> Start:
        """Start once with a configuration that names these jobs, with a copy of the full ledger or none."""
        with TemporaryDirectory(dir=self.folder) as name:
            place = Path(name)
            configure(place, self.tenant.url, named)
            if full:
                (place / "ledger.db").write_bytes(self.full.read_bytes())
            return await started(place, self.tenant, profile)


async def compared(count: int, rounds: int, profiles: Path | None) -> None:
    """Start with a full ledger and with an empty one in turns, and print how they compare."""
    keys = jobs(count)
    with TemporaryDirectory() as folder:
        full = Path(folder) / "full.db"
        await fill(full, keys)
        print(f"{count} synthetic jobs that have ended, ledger of {full.stat().st_size / 1e6:.1f} MB")
        async with stub() as tenant:
            comparison = Comparison(tenant, Path(folder), full)
            for variant, named in (("jobs named", keys), ("no job named", [])):
                found: dict[str, list[Start]] = {"full": [], "empty": []}
                for _ in range(rounds):
                    for ledger, starts in found.items():
                        starts.append(await comparison.start(named, full=ledger == "full"))
                _tell(variant, found, expected=len(named))
                if profiles:
                    await comparison.start(named, full=True, profile=profiles / f"{variant.replace(' ', '-')}.prof")


def _tell(variant: str, found: dict[str, list[Start]], *, expected: int) -> None:
    took_s = {ledger: median(start.took_s for start in starts) for ledger, starts in found.items()}
    for ledger, starts in found.items():
        asked = sum((start.asked for start in starts), Counter())
        spread = f"{min(start.took_s for start in starts):.2f} to {max(start.took_s for start in starts):.2f}"
        one = starts[0]
        if any(start.jobs_on_page != expected for start in starts):
            raise SystemExit(f"{variant}, {ledger} ledger: {one.jobs_on_page} jobs on the page, not {expected}")
        print(
            f"{variant}, {ledger:5} ledger: first page after {took_s[ledger]:.2f} s ({spread}), "
            f"{one.jobs_on_page} jobs, {one.page_bytes / 1e6:.2f} MB; "
            f"asked before it was rendered: {asked['jobs']} about jobs, {asked['other']} else"
        )
    print(f"{variant}: full / empty = {took_s['full'] / took_s['empty']:.2f}")


def main() -> None:
    """Read the arguments and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profiles", type=Path, help="a folder for a profile of one start of each variant")
    options = parser.parse_args()
    asyncio.run(compared(options.jobs, options.rounds, options.profiles))


if __name__ == "__main__":
    main()
