"""A crowd that never ends what it began, heads without end, and a burst, while Prometheus scrapes each second."""

import asyncio
import json
import signal
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from spexporter.clock import SystemClock
from spexporter.simulator import Simulator, default_plans, serving
from tests.support.papers import papers
from tests.support.program import LOOPBACK, spexporter
from tests.support.prometheus import prometheus_with

LORIS, BURST, CONNECTIONS = 2_000, 10_000, 100
MIB = 1 << 20
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n"
# What a connection begins with and goes on with, never to its end: a request, or the first record of TLS.
BEGUN = {"http": (REQUEST, b"X: x\r\n"), "https": (b"\x16\x03\x01\x20\x00\x01\x00\x1f\xfc", b"\x03")}
LONG = {
    "one line": b"X: " + b"x" * MIB + b"\r\n",
    "many lines": b"".join(b"X%d: %s\r\n" % (number, b"x" * 8000) for number in range(131)),
}
LASTS_S = 15.0
WITHIN_S = 60.0


@dataclass
class Attack:
    """Everything that is done to one exporter at a time, and how it ended, by kind."""

    port: str
    tls: ssl.SSLContext | None
    begun: tuple[bytes, bytes]
    ended: Counter[str] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def loris(self) -> None:
        """Begin a request and send a little more of it each second; when that is cut off, begin another."""
        while not self.over.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(self.begun[0])
                await self._drip(reader, writer)
                writer.transport.abort()
            except OSError:
                await asyncio.sleep(0.1)
            self.ended["connections of a loris cut off"] += 1

    async def _drip(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not self.over.is_set():
            writer.write(self.begun[1])
            try:
                async with asyncio.timeout(1.0):
                    if not await reader.read(1024):
                        return
            except TimeoutError:
                continue

    async def long_heads(self) -> None:
        """Send heads of a megabyte, one line or many, one after the other."""
        while not self.over.is_set():
            for kind, head in LONG.items():
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
                    writer.write(REQUEST + head + b"\r\n")
                    answer = await reader.read(1024)
                    writer.transport.abort()
                    self.ended[f"heads of a MiB in {kind}: {answer[9:12].decode() or 'cut off'}"] += 1
                except OSError:
                    self.ended[f"heads of a MiB in {kind}: cut off"] += 1

    async def burst(self) -> None:
        """Ask as often as the burst has requests for one connection, as fast as the answers come."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
        for _ in range(BURST // CONNECTIONS):
            writer.write(REQUEST + b"\r\n")
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            self.ended[f"requests of the burst answered {head[9:12].decode()}"] += 1
        writer.transport.abort()


async def _all(count: int, work: Callable[[], Awaitable[None]]) -> None:
    await asyncio.gather(*(work() for _ in range(count)))


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_every_scrape_succeeds_whatever_else_comes(scheme: str, tmp_path: Path) -> None:
    """Two thousand slow-loris connections all the time, with TLS before any of it; megabytes of head; then a burst."""
    server = papers(tmp_path, "server")
    pair = {"cert_file": str(server.cert), "key_file": str(server.key)}
    web, config = tmp_path / "web.yaml", tmp_path / "spexporter.yaml"
    web.write_text(json.dumps({"tls_server_config": pair} if scheme == "https" else {}))
    trust = ssl.create_default_context(cafile=server.authority) if scheme == "https" else None
    flags = ("--config.file", config, "--web.config.file", web, "--web.listen-address", LOOPBACK)
    simulator = Simulator(default_plans(3), clock=SystemClock())
    async with serving(simulator) as tenants_url:
        config.write_text(simulator.config_yaml(tenants_url))
        async with spexporter("run", *flags, folder=tmp_path) as daemon:
            target = (await daemon.url()).partition("://")[2]
            attack = Attack(target.partition(":")[2], trust, BEGUN[scheme])
            how = {"scheme": scheme, "tls_config": {"ca_file": str(server.authority)}}
            scrape = {"job_name": "spexporter", "static_configs": [{"targets": [target]}], **how}
            async with prometheus_with([scrape], tmp_path) as running, asyncio.TaskGroup() as tasks:
                await running.eventually("count_over_time(up[1m]) > 2", within_s=WITHIN_S)
                tasks.create_task(_all(LORIS, attack.loris))
                tasks.create_task(_all(2, attack.long_heads))
                await asyncio.sleep(LASTS_S)
                await _all(CONNECTIONS, attack.burst)
                await asyncio.sleep(LASTS_S)
                attack.over.set()
                (scrapes,) = await running.values("count_over_time(up[5m])")
                (up,) = await running.values("sum_over_time(up[5m])")
                (slowest_s,) = await running.values("max_over_time(scrape_duration_seconds[5m])")
            assert (await daemon.end(signal.SIGTERM)).status == 0
    print(f"\n{scheme}: {scrapes:.0f} scrapes, {scrapes - up:.0f} failed, the slowest took {slowest_s * 1000:.0f} ms;")  # noqa: T201
    print(*(f"  {count} {what}" for what, count in sorted(attack.ended.items())), sep="\n")  # noqa: T201 - with -s
    assert "level=error" not in daemon.printed()
    assert attack.ended["requests of the burst answered 200"] == BURST
    assert scrapes > 2 * LASTS_S * 0.8
    assert up == scrapes
