"""Compares what a complete poll costs to a bare GET: `python benchmarks/poll_cost.py [--httpx]`.

All data is synthetic. A server in a process of its own answers each GET with the status of a job that runs, on TLS
connections that are kept. A poll is all that the daemon does for one: schedule, budget, request, decoding, ledger, what
pages show; a look is the same without schedule and poller. The bare GET is one of aiohttp's with nothing around it;
with `--httpx` httpx does the same, if it is installed. What is measured is the processor's time of this process for
each request.
"""

# ruff: noqa: INP001, T201 - a script that prints what it found
import argparse
import asyncio
import logging
import math
import multiprocessing
import shutil
import socket
import ssl
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import formatdate
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import aiohttp
import structlog
import trustme

from spexporter.domain.chronicle import Chronicle
from spexporter.domain.values import replace

sys.path.insert(0, str(Path(__file__).parents[1]))

from spexporter.board import LatestViews
from spexporter.cli.loop import new_loop
from spexporter.clock import SystemClock
from spexporter.config.values import Config
from spexporter.domain.budget import RateLimit
from spexporter.domain.liveness import Liveness
from spexporter.domain.schedule import Pace, Target, TargetKind
from spexporter.exposition.guard import Guard
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.fleet import Fleet, Shared
from spexporter.ledger.memory import MemoryLedger
from spexporter.poller.tenant import TenantPolling
from spexporter.sailpoint.connections import client_session
from spexporter.telemetry import Telemetry
from tests.support.world import read_config

AT_ONCE = 4  # as many as the daemon has under way with one tenant
BARE, ALONE, LONE = "bare aiohttp GET", "bare aiohttp GET, one at a time", "complete poll, one running job"
LOOK = "request, decode, state and mark, 100 running jobs"
TOKEN = "t" * 930
STATUS = (
    b'{"jobId":"%s","status":"IN_PROGRESS","type":"EXPORT","description":"synthetic '
    b'nightly export of the sandbox","expiration":"2030-01-22T08:00:00.000Z","created":"2030-01-15T08:00:00.000Z",'
    b'"modified":"2030-01-15T08:00:%02d.%03dZ","completed":null,"message":"","tenant":"synthetic","pod":"synthetic",'
    b'"requester":"0123456789abcdef0123456789abcdef","more":"................................................"}'
)


class Server(asyncio.Protocol):
    """Answers whatever is asked as fast as it can: requests have no bodies but that for a token."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = transport
        self._asked = 0
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._received += data
        if not self._received.endswith(b"\r\n\r\n") and not self._received.startswith(b"POST"):
            return
        if self._received.startswith(b"POST") and b"client_secret" not in self._received:
            return
        asked, self._received = self._received, b""
        self._transport.write(self._answer(asked))  # type: ignore[attr-defined]  # a stream's transport

    def _answer(self, asked: bytes) -> bytes:
        self._asked += 1
        if asked.startswith(b"POST"):
            body = b'{"access_token":"%s","token_type":"bearer","expires_in":40000}' % TOKEN.encode()
        elif b"config-objects" in asked.partition(b"\r\n")[0]:
            body = b'[{"objectType":"SOURCE"}]'
        else:
            job_id = asked.partition(b" HTTP/")[0].rpartition(b"/")[2]
            body = STATUS % (job_id, self._asked // 1000 % 60, self._asked % 1000)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: %s\r\nContent-Length: %d\r\n\r\n"
        return head % (formatdate(usegmt=True).encode(), len(body)) + body


def serve(listening: socket.socket, authority: trustme.CA) -> None:
    """Serve until the process is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA).configure_cert(context)

    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(Server, sock=listening, ssl=context)
        await server.serve_forever()

    with asyncio.Runner(loop_factory=new_loop()) as runner:
        runner.run(forever())


def bare(at_once: int) -> Callable[[str, float], Awaitable[float]]:
    """Return what measures GETs, body read, of a hundred jobs in turn with so many under way."""

    async def measure(url: str, for_s: float) -> float:
        done = 0

        async def ask(http: aiohttp.ClientSession) -> None:
            nonlocal done
            headers = {"Accept": "application/json", "Authorization": f"Bearer {TOKEN}"}
            while time.perf_counter() < end_s:
                done += 1
                async with http.get(
                    f"{url}/sp-config/export/job-{done % 100:032}",
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(total=10),
                    allow_redirects=False,
                ) as answer:
                    await answer.read()

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls())) as http:
            end_s, began_s = time.perf_counter() + for_s, time.process_time()
            await asyncio.gather(*(ask(http) for _ in range(at_once)))
            return (time.process_time() - began_s) / done * 1e6

    return measure


async def by_httpx(url: str, for_s: float) -> float:
    """Return the same with httpx."""
    import httpx  # noqa: PLC0415 (not one of our dependencies)

    done = 0

    async def ask(http: "httpx.AsyncClient") -> None:
        nonlocal done
        while time.perf_counter() < end_s:
            await http.get(
                f"{url}/sp-config/export/job-00000000000000000000000000000001",
                headers={"Authorization": f"Bearer {TOKEN}"},
            )
            done += 1

    async with httpx.AsyncClient(timeout=10, verify=tls()) as http:
        end_s, began_s = time.perf_counter() + for_s, time.process_time()
        await asyncio.gather(*(ask(http) for _ in range(AT_ONCE)))
        return (time.process_time() - began_s) / done * 1e6


def polling(jobs: int) -> Callable[[str, float], Awaitable[float]]:
    """Return what measures complete polls of a tenant with so many running jobs."""

    async def measure(url: str, for_s: float) -> float:
        clock, telemetry, board = SystemClock(), Telemetry(OWN_FAMILIES), LatestViews()
        async with client_session() as http:
            liveness, guard = Liveness(["acme"], clock.monotonic()), Guard(10**9)
            shared = Shared(MemoryLedger(math.inf), board, http, telemetry, liveness, guard, clock, Chronicle())
            fleet = Fleet(shared)
            await fleet.take_over(_configured(url, jobs))
            async with asyncio.TaskGroup() as tasks:
                fleet.run(tasks)
                await asyncio.sleep(0.5)  # all have been seen once
                _scraped(board, clock)
                begun, began_s = _asked(telemetry), time.process_time()
                await asyncio.sleep(for_s)
                spent_s = time.process_time() - began_s
                done = _asked(telemetry) - begun
                fleet.stop()
        return spent_s / done * 1e6

    return measure


async def looking(url: str, for_s: float) -> float:
    """Return the same without schedule and poller: request, decode, state and mark, of a hundred jobs in turn."""
    done = 0

    async def look(tenant: TenantPolling, targets: Sequence[Target]) -> None:
        nonlocal done
        while time.perf_counter() < end_s:
            done += 1
            await tenant.look(targets[done % len(targets)])
            tenant.show()

    async with client_session() as http:
        clock = SystemClock()
        telemetry, liveness, guard = Telemetry(OWN_FAMILIES), Liveness(["acme"], clock.monotonic()), Guard(10**9)
        board = LatestViews()
        fleet = Fleet(Shared(MemoryLedger(math.inf), board, http, telemetry, liveness, guard, clock, Chronicle()))
        await fleet.take_over(_configured(url, 100))
        (poller,) = fleet._pollers.values()  # noqa: SLF001 - of the one tenant
        (tenant,) = poller._tenants.values()  # noqa: SLF001
        targets = [Target("acme", TargetKind.STATUS, key) for key in tenant.jobs]
        for target in targets:
            await tenant.look(target)
        tenant.show()
        _scraped(board, clock)
        await tenant.tend()  # counters have shown where they began
        end_s, began_s = time.perf_counter() + for_s, time.process_time()
        await asyncio.gather(*(look(tenant, targets) for _ in range(AT_ONCE)))
        return (time.process_time() - began_s) / done * 1e6


def _asked(telemetry: Telemetry) -> float:
    counts = telemetry.meters["acme"].counts("spexporter_api_requests_total")
    return sum(count for (endpoint, _), count in counts.items() if endpoint == "export-status")


def _scraped(board: LatestViews, clock: SystemClock) -> None:
    """Take note that a page has shown all that is known, as Prometheus asks for one all the time."""
    board.served({view.tenant: view.version for view in board.begin_page()}, clock.wall())


def _configured(url: str, jobs: int) -> Config:
    config = read_config(
        f"defaults: {{ca_file: '{authority_file()}', api_version: v2026}}\n"
        "store: {url: 'sqlite://'}\ncounters: {hold: 0s}\n"
        f"tenants:\n  - {{name: acme, base_url: '{url}', client_id: c, client_secret: s,"
        " jobs: [{operation: export, id: e}]}\n"
    )
    (tenant,) = config.tenants
    entries = tuple(replace(tenant.jobs[0], id=f"job-{number:032}") for number in range(jobs))
    pace, limit = Pace(fastest_s=0.0, slowest_s=0.0), RateLimit(requests=10**7, per_s=10.0, use=1.0)
    return replace(config, tenants=(replace(tenant, jobs=entries, poll=pace, rate_limit=limit),))


def listening() -> socket.socket:
    """Return a socket that listens on loopback."""
    opened = socket.socket()
    opened.bind(("127.0.0.1", 0))
    opened.listen(100)
    return opened


@cache
def authority_file() -> str:
    """Return a path for the certificate of the authority that vouches for the server."""
    return str(Path(mkdtemp(prefix="poll_cost-")) / "ca.pem")


def tls() -> ssl.SSLContext:
    """Return what trusts the server alone."""
    return ssl.create_default_context(cafile=authority_file())


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--httpx", action="store_true", help="compare to httpx, too, which must be installed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each way in each round")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    ways: dict[str, Callable[[str, float], Awaitable[float]]] = {BARE: bare(AT_ONCE), ALONE: bare(1), LONE: polling(1)}
    ways[LOOK] = looking
    ways |= {f"complete poll, {jobs:,} running jobs": polling(jobs) for jobs in (100, 1000, 10_000)}
    ways |= {"bare httpx GET": by_httpx} if options.httpx else {}
    opened = listening()
    authority = trustme.CA(organization_name="benchmark", key_type=trustme.KeyType.ECDSA)
    authority.cert_pem.write_to_path(authority_file())
    server = multiprocessing.get_context("fork").Process(target=serve, args=(opened, authority), daemon=True)
    server.start()
    url = f"https://127.0.0.1:{opened.getsockname()[1]}"
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            with asyncio.Runner(loop_factory=new_loop()) as runner:
                found[name].append(runner.run(way(url, options.seconds)))
    server.terminate()
    shutil.rmtree(Path(authority_file()).parent)
    report(found)


def report(found: Mapping[str, Sequence[float]]) -> None:
    """Print the median of each way, and how it compares in the same round to bare GETs with as many under way."""
    print("| way | CPU us for each request | x a bare aiohttp GET |\n|---|---|---|")
    for name, each_us in found.items():
        yardstick = found[ALONE if name in {ALONE, LONE} else BARE]
        ratio = statistics.median(us / of_bare for us, of_bare in zip(each_us, yardstick, strict=True))
        print(f"| {name} | {statistics.median(each_us):.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
