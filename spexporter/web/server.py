"""The daemon's HTTP server: its routes, and how it is opened and closed."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from spexporter.domain.errors import StartError, words_of
from spexporter.web.api import Api, in_json
from spexporter.web.connection import Runner
from spexporter.web.metrics import MetricsPage
from spexporter.web.probes import Probes
from spexporter.web.reload import Reload
from spexporter.web.status import StatusPage

_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
_LINGER_S = 1.0  # for the rest of a body that was refused: to close at once can destroy the answer on its way
_GRACE_S = 0.5  # for scrapes under way when the daemon ends


class _OthersFaults(logging.Filter):
    """Keeps requests that are not HTTP out of the log: they are answered, and nobody here can mend them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything else pass; see `logging.Filter.filter`."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError | web.RequestPayloadError)


_library_log = logging.getLogger(__name__)
_library_log.addFilter(_OthersFaults())


class Address(NamedTuple):
    """Where to listen; an empty host means all addresses, port 0 a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def make_app(metrics: MetricsPage, probes: Probes, status: StatusPage, reload: Reload, api: Api) -> web.Application:
    """Return the application with all routes."""
    app = web.Application(middlewares=[in_json])
    app.router.add_get("/metrics", metrics.handle)
    app.router.add_get("/probe", metrics.probe)
    app.router.add_get("/sd", metrics.targets)
    app.router.add_get("/-/healthy", probes.healthy)
    app.router.add_get("/-/ready", probes.ready)
    app.router.add_get("/", status.handle)
    app.router.add_post("/-/reload", reload.handle)
    api.add_to(app.router)
    app.on_response_prepare.append(_harden)
    return app


@asynccontextmanager
async def serving(app: web.Application, addresses: Sequence[Address]) -> AsyncIterator[list[str]]:
    """Serve `app` on every address and yield the URLs, in the same order.

    Raises:
        StartError: an address cannot be listened on.
    """
    runner = Runner(
        app,
        access_log=None,
        logger=_library_log,
        shutdown_timeout=_GRACE_S,
        handle_signals=False,
        lingering_time=_LINGER_S,
    )
    await runner.setup()
    try:
        urls: list[str] = []
        for address in addresses:
            site = web.TCPSite(runner, address.host or None, address.port)
            try:
                await site.start()
            except OSError as error:
                raise StartError(
                    f"cannot listen on {address}: {words_of(error)}; choose another address with --web.listen-address"
                ) from error
            port = runner.addresses[-1][1]
            urls.append(f"http://{Address(address.host or 'localhost', port)}")
        yield urls
    finally:
        await runner.cleanup()


async def _harden(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.extend(_SECURITY_HEADERS)
