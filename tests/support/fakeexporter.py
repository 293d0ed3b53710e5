"""A server in an exporter's place, with scripted answers; it remembers what it was asked."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from aiohttp import web

from spexporter.clock import Clock
from tests.support.clock import FakeClock

JOB: Mapping[str, object] = {
    "tenant": "acme",
    "operation": "import",
    "id": "i1",
    "state": "IN_PROGRESS",
    "end_seen": None,
    "elapsed_seconds": 12.5,
}
ENDED: Mapping[str, object] = {
    **JOB,
    "state": "COMPLETE",
    "end_seen": "2027-01-15T08:00:00.000Z",
    "outcome": "counted",
    "messages": {"SOURCE": {"error": 0, "warning": 1, "info": 4}},
    "objects": {"SOURCE": 2},
    "tenant_up": True,
}


class Scripted(NamedTuple):
    """One answer: an object as JSON, or a text as a page."""

    status: int
    body: Mapping[str, object] | str
    headers: Mapping[str, str] = {}


class Asked(NamedTuple):
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class FakeExporter:
    """Gives `answers` in their order, the last one for ever."""

    answers: Sequence[Scripted]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(Asked(request.method, request.path, request.headers, await request.read()))
        status, body, headers = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(body, str):
            return web.Response(status=status, text=body, headers=headers)
        return web.Response(status=status, text=json.dumps(body), content_type="application/json", headers=headers)


@asynccontextmanager
async def answering(*answers: Scripted, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeExporter]:
    """Serve the answers on loopback for as long as the block lasts."""
    fake = FakeExporter(answers)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        fake.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        yield fake
    finally:
        await runner.cleanup()


class HurriedClock(FakeClock, Clock):
    """Time passes as soon as somebody waits for it; `slept_s` is how long that was each time."""

    def __init__(self) -> None:
        super().__init__()
        self.slept_s: list[float] = []

    async def sleep_until(self, at_s: float) -> None:
        self.slept_s.append(at_s - self.monotonic())
        self.jump_to(at_s)
