"""Whole pages over HTTP, asked for as Prometheus 2.42 does: ours, prometheus-client's server and Go's promhttp.

Run by `scrape.py --get`. Ours is the product's own route in a process of its own, in which somebody polls meanwhile.
"""

# ruff: noqa: INP001, T201 - a script that prints what it found
import asyncio
import gc
import json
import multiprocessing
import resource
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.request import urlopen

import aiohttp
from aiohttp import web
from fleet import NOW, Fleet
from prometheus_client import start_http_server
from scrape import engine, gauges, report

from spexporter.app import spare_collections
from spexporter.board import LatestViews
from spexporter.clock import SystemClock
from spexporter.exposition.page import Wanted
from spexporter.web.metrics import MetricsPage

ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
BEAT_S = 0.001
PATIENCE_S = 600.0
CROWD = 50


class Got(NamedTuple):
    """One page: when its first byte and its last had come (milliseconds), and its bytes."""

    first_ms: float
    all_ms: float
    size: int


def get(port: int, path: str = "/metrics", encoding: str = "gzip") -> Got:
    """Get one page over a new connection."""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: Prometheus/2.42.0\r\nAccept: {ACCEPT}\r\n"
        f"Accept-Encoding: {encoding}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        began_s, size = time.perf_counter(), 0
        connection.sendall(request.encode())
        chunk = connection.recv(1 << 20)
        first_s = time.perf_counter()
        while chunk:
            size += len(chunk)
            chunk = connection.recv(1 << 20)
    return Got((first_s - began_s) * 1000, (time.perf_counter() - began_s) * 1000, size)


@contextmanager
def running(serve: Callable[..., None], *arguments: object) -> Iterator[int]:
    """Run a server in a process of its own and yield its port."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, *arguments), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()


def serve_client(pipe: "multiprocessing.connection.Connection", series: int) -> None:  # type: ignore[name-defined]
    """Serve prometheus-client's own objects with its own server."""
    server, thread = start_http_server(0, "127.0.0.1", gauges(Fleet(series, 0.02).views))
    pipe.send(server.server_port)
    thread.join()


class Ours:
    """The product's route on a synthetic board, with a heart that tells how long others had to wait."""

    def __init__(self, series: int, running_share: float) -> None:
        before = resident_kib()
        self.fleet = Fleet(series, running_share)
        self.memory = {"views": resident_kib() - before}
        self.board = LatestViews()
        self.page = engine()
        self.longest_s, self.polls = 0.0, 0
        self.put()

    def put(self) -> None:
        """Put all views on the board."""
        for view in self.fleet.views:
            self.board.put(view)

    async def measure_memory(self) -> None:
        """Take note of what the blocks of both forms take, and what gzip adds."""
        for name, wanted in (("text", Wanted()), ("gzip", Wanted(gzip=True))):
            before = resident_kib()
            await self.page.render(self.board.snapshot, NOW, wanted)
            gc.collect()
            self.memory[name] = resident_kib() - before

    async def beat(self) -> None:
        """Look every millisecond how late that is."""
        while True:
            began_s = time.perf_counter()
            await asyncio.sleep(BEAT_S)
            self.longest_s = max(self.longest_s, time.perf_counter() - began_s - BEAT_S)

    async def poll(self, port: int) -> None:
        """Ask for something small all the time, a hundred times a second, as polls of tenants do."""
        async with aiohttp.ClientSession() as http:
            due_s = time.perf_counter()
            while True:
                async with http.get(f"http://127.0.0.1:{port}/small") as response:
                    await response.read()
                self.polls += 1
                due_s = max(due_s + 0.01, time.perf_counter() - 0.1)
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))

    async def small(self, _request: web.Request) -> web.Response:
        """Answer what somebody polls."""
        return web.Response(text="{}")

    async def change(self, request: web.Request) -> web.Response:
        """Change a share of the tenants."""
        self.fleet.change(float(request.query["share"]))
        self.put()
        return web.Response()

    async def told(self, _request: web.Request) -> web.Response:
        """Tell what was measured since the last time."""
        found = {
            "longest_ms": self.longest_s * 1000,
            "polls": self.polls,
            "memory_kib": self.memory,
            "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            "resident_kib": resident_kib(),
        }
        self.longest_s, self.polls = 0.0, 0
        return web.json_response(found)


def resident_kib() -> int:
    """Return the resident memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def serve_ours(pipe: "multiprocessing.connection.Connection", series: int, share: float) -> None:  # type: ignore[name-defined]
    """Serve the product's route."""
    asyncio.run(_serve_ours(pipe, series, share))


async def _serve_ours(pipe: "multiprocessing.connection.Connection", series: int, share: float) -> None:  # type: ignore[name-defined]
    ours = Ours(series, share)
    gc.collect()
    spare_collections()
    await ours.measure_memory()
    app = web.Application()
    found = {view.tenant: view for view in ours.board.snapshot()}
    app.router.add_get("/metrics", MetricsPage(ours.board, ours.page, SystemClock(), found.__getitem__).handle)
    app.router.add_get("/small", ours.small)
    app.router.add_get("/change", ours.change)
    app.router.add_get("/told", ours.told)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ours.beat())
        tasks.create_task(ours.poll(port))
        pipe.send(port)


@contextmanager
def running_go(program: Path, page: bytes) -> Iterator[int]:
    """Run promhttp with the samples of `page`."""
    with TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        path = Path(folder) / "page.txt"
        path.write_bytes(page)
        command = [str(program), str(path), "serve", f"127.0.0.1:{port}"]
        with subprocess.Popen(command) as process:  # noqa: S603 - our own arguments
            try:
                _wait_for(port)
                yield port
            finally:
                process.kill()


def _wait_for(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"nobody listens on {port}")


def told(port: int) -> dict[str, object]:
    """Ask our server what it has measured since the last time."""
    with urlopen(f"http://127.0.0.1:{port}/told", timeout=PATIENCE_S) as answer:
        found: dict[str, object] = json.load(answer)
    return found


def compare_gets(series: int, rounds: int, go: Path | None) -> None:
    """Print how long whole pages take, what others wait meanwhile, and what memory it takes."""
    page = _page(series)
    lines = page.count(b"\n") - page.count(b"\n#") - 1
    found: dict[str, list[float]] = {}
    firsts: dict[str, list[float]] = {}
    stalls: dict[str, list[float]] = {}

    def note(name: str, got: Got) -> None:
        found.setdefault(name, []).append(got.all_ms)
        firsts.setdefault(name, []).append(got.first_ms)

    with running(serve_ours, series, 0.02) as busy, running(serve_ours, series, 0.0) as idle:
        print(f"\n{lines} series, {len(page) / 1e6:.1f} MB; bytes a series by part: {_memory(told(busy), lines)}")
        polls_idle = _polls(busy, 3.0, None)
        for _ in range(rounds):
            if go is not None:
                with running_go(go, page) as port:
                    get(port)
                    note("Go promhttp, gzip", get(port))
            with running(serve_client, series) as port:
                note("prometheus_client's server, gzip", get(port))
            for share in (0.0, 0.1, 1.0):
                for name, port in (("0% running", idle), ("2% running", busy)):
                    get(port, f"/change?share={share}", "identity")
                    told(port)
                    way = f"ours, gzip, {share:.0%} changed, {name}"
                    note(way, get(port))
                    stalls.setdefault(way, []).append(float(str(told(port)["longest_ms"])))
            note("ours, identity, 0% changed, 2% running", get(busy, encoding="identity"))
        polls = _polls(busy, 5.0, get)
        print(f"polls a second: {polls_idle:.1f} idle, {polls:.1f} scraped all the time ({polls / polls_idle:.1%})")
        crowd(busy)
        last = told(busy)
        print(f"resident {last['resident_kib']} KiB, peak {last['peak_kib']} KiB")
    report(found, "prometheus_client's server, gzip", "Go promhttp, gzip")
    print("first byte, median ms:", {name: round(median(took), 2) for name, took in firsts.items()})
    print("longest others had to wait, ms:", {name: [round(it, 1) for it in took] for name, took in stalls.items()})


def _page(series: int) -> bytes:
    views = Fleet(series, 0.02).views
    return b"".join(asyncio.run(engine().render(lambda: views, NOW, Wanted())).parts)


def crowd(port: int) -> None:
    """Print how long a page takes alone, and in a crowd in which one dawdles and one hangs up."""
    alone = median(get(port).all_ms for _ in range(5))
    before = told(port)["resident_kib"]
    with socket.create_connection(("127.0.0.1", port)) as dawdler, ThreadPoolExecutor(CROWD) as pool:
        for connection in (dawdler, socket.create_connection(("127.0.0.1", port))):
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.recv(100)
            if connection is not dawdler:
                connection.close()
        waits: list[float] = []
        for _ in range(3):
            waits += [got.all_ms for got in pool.map(lambda _: get(port), range(CROWD))]
            dawdler.recv(1)
        found = told(port)
    after = found["resident_kib"]
    print(
        f"{CROWD} scrapers at once: {median(waits):.0f} ms in the middle, {max(waits):.0f} ms at worst,"
        f" {alone:.0f} ms alone (times {CROWD}: {alone * CROWD:.0f}); resident {before} KiB before, {after} KiB after;"
        f" longest others had to wait {found['longest_ms']:.1f} ms"
    )


def _memory(found: dict[str, object], lines: int) -> dict[str, float]:
    parts: dict[str, int] = found["memory_kib"]  # type: ignore[assignment]  # as told above
    return {name: round(kib * 1024 / lines, 1) for name, kib in parts.items()}


def _polls(port: int, for_s: float, ask: Callable[[int], Got] | None) -> float:
    """Return how many polls a second go on for some seconds, while `ask` is called every second."""
    told(port)
    began_s = time.perf_counter()
    while (passed_s := time.perf_counter() - began_s) < for_s:
        if ask is not None:
            ask(port)
        time.sleep(1.0 - passed_s % 1.0)
    return float(str(told(port)["polls"])) / (time.perf_counter() - began_s)
