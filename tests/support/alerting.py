"""Debian's Alertmanager, and a receiver of its notifications."""

import json
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from aiohttp import web

from tests.support.eventually import eventually
from tests.support.program import answer, free_port, started
from tests.support.prometheus import tool

READY_WITHIN_S = 15.0
FIRING, RESOLVED = "firing", "resolved"


class Told(NamedTuple):
    """What one notification says of one alert, to whom, and when it came (monotonic seconds)."""

    receiver: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    at_s: float

    @property
    def name(self) -> str:
        return self.labels["alertname"]


class Notification(NamedTuple):
    """One notification: to whom, which group, and what it says of each alert of the group."""

    receiver: str
    group: Mapping[str, str]
    alerts: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Webhook:
    """Receives what Alertmanager sends, each receiver at a path of its own."""

    url: str
    notifications: list[Notification] = field(default_factory=list)

    def told(self, status: str = FIRING) -> Iterator[Told]:
        """Return what was said, from the beginning; what is said of one alert again and again each time."""
        return (alert for each in self.notifications for alert in each.alerts if alert.status == status)

    def first(self, name: str, status: str = FIRING, **labels: str) -> Told | None:
        """Return the first time that an alert of that name, with these labels, was told of."""
        wanted = {"alertname": name, **labels}.items()
        return next((told for told in self.told(status) if wanted <= told.labels.items()), None)

    async def hears(self, name: str, status: str = FIRING, *, within_s: float, **labels: str) -> Told:
        """Wait for that."""

        async def look() -> Told | None:
            return self.first(name, status, **labels)

        return await eventually(look, f"{name} {status} {labels or ''}", within_s=within_s)


@asynccontextmanager
async def webhook() -> AsyncIterator[Webhook]:
    """Listen on loopback for as long as the block lasts."""
    notifications: list[Notification] = []

    async def receive(request: web.Request) -> web.Response:
        notifications.append(_read(request.match_info["receiver"], await request.json()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/{receiver}", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Webhook(f"http://127.0.0.1:{runner.addresses[0][1]}", notifications)
    finally:
        await runner.cleanup()


def _read(receiver: str, body: Any) -> Notification:  # noqa: ANN401 - decoded JSON
    now_s = time.monotonic()
    assert body["version"] == "4", body
    assert body["truncatedAlerts"] == 0, body
    alerts = [Told(receiver, it["status"], it["labels"], it["annotations"], now_s) for it in body["alerts"]]
    return Notification(receiver, body["groupLabels"], tuple(alerts))


def delivering_to(webhook_url: str, config: str) -> str:
    """Return an Alertmanager configuration whose receivers all are the webhook, each at a path of its own name."""
    read = yaml.safe_load(config)
    read["receivers"] = [
        {"name": it["name"], "webhook_configs": [{"url": f"{webhook_url}/{it['name']}", "send_resolved": True}]}
        for it in read["receivers"]
    ]
    return json.dumps(read)  # which is YAML, too


@asynccontextmanager
async def alertmanager(config: str, folder: Path) -> AsyncIterator[str]:
    """Run an Alertmanager with `config` on loopback and yield its host and port; it keeps its data in `folder`."""
    file = folder / "alertmanager.yml"
    file.write_text(config)
    listen = f"127.0.0.1:{free_port()}"
    flags = [
        f"--config.file={file}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={listen}",
        "--cluster.listen-address=",
    ]
    async with started([tool("prometheus-alertmanager"), *flags], folder, name="alertmanager") as program:

        async def ready() -> bool:
            assert program.process.returncode is None, program.printed()
            return (await answer(f"http://{listen}/-/ready"))[0] == 200

        await eventually(ready, "Alertmanager is ready", within_s=READY_WITHIN_S)
        yield listen
        assert (await program.end(signal.SIGTERM)).status == 0
