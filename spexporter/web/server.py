"""The daemon's HTTP server: its routes, and how it is opened and closed."""

import asyncio
import logging
import resource
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from spexporter.web.api import in_json
from spexporter.web.connection import Runner
from spexporter.web.crowd import Answered, Crowd, heard, part
from spexporter.web.door import Door
from spexporter.web.entrance import Entrance
from spexporter.web.listeners import Place, listening
from spexporter.web.metrics import MetricsPage
from spexporter.web.probes import Probes
from spexporter.web.reload import Reload
from spexporter.web.webfile import WebFile

_LINGER_S = 1.0  # for the rest of a body that was refused: to close at once can destroy the answer on its way
_GRACE_S = 0.5  # for scrapes under way when the daemon ends
_MOST_CONNECTIONS = 4096  # some 20 KB each; of the files that the system lets us have open, half are for others


class _OthersFaults(logging.Filter):
    """Keeps requests that are not HTTP, and who hangs up, out of the log: nobody here can mend that."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything else pass; see `logging.Filter.filter`."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError | web.RequestPayloadError | ConnectionError)


_library_log = logging.getLogger(__name__)
_library_log.addFilter(_OthersFaults())


class Routes(Protocol):
    """A part of the application that brings its own routes."""

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        ...


def make_app(
    metrics: MetricsPage, probes: Probes, reload: Reload, parts: Iterable[Routes], *, door: Door
) -> web.Application:
    """Return the application with all routes."""
    app = web.Application(middlewares=[heard])
    app.on_response_prepare.append(part)
    door.add_to(app)
    app.middlewares.append(in_json)
    app.router.add_get("/metrics", metrics.handle)
    app.router.add_get("/probe", metrics.probe)
    app.router.add_get("/sd", metrics.targets)
    app.router.add_get("/-/healthy", probes.healthy)
    app.router.add_get("/-/ready", probes.ready)
    app.router.add_post("/-/reload", reload.handle)
    for each in parts:
        each.add_to(app.router)
    return app


@asynccontextmanager
async def serving(app: web.Application, places: Sequence[Place], web_file: WebFile) -> AsyncIterator[list[str]]:
    """Serve `app` at every place, as `web_file` says, and yield the URLs, in the same order.

    Raises:
        StartError: a place cannot be listened on.
    """
    runner = Runner(
        app,
        access_log=_library_log,
        access_log_class=Answered,
        logger=_library_log,
        shutdown_timeout=_GRACE_S,
        handle_signals=False,
        lingering_time=_LINGER_S,
    )
    await runner.setup()
    try:
        async with AsyncExitStack() as stack:
            found = [await stack.enter_async_context(listening(place)) for place in places]
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            entrance = Entrance(_server(runner), Crowd(_most_connections()), web_file, tasks)
            entrance.open([each for one in found for each in one.sockets])
            scheme = "https" if web_file.present.tls else "http"
            try:
                yield [one.url(scheme) for one in found]
            finally:
                entrance.close()
    finally:
        await runner.cleanup()


def _most_connections() -> int:
    """Return how many there may be, with as many open files as that needs where the system allows it.

    The usual soft limit is there for programs that cannot handle more; Go's, such as Prometheus, do the same.
    """
    wanted = 2 * _MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else min(_MOST_CONNECTIONS, soft // 2)


def _server(runner: web.AppRunner) -> web.Server:
    if runner.server is None:
        raise RuntimeError("the runner was not set up")
    return runner.server
