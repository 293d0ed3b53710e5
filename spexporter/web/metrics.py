"""`GET /metrics`, `GET /probe` for one tenant, and `GET /sd`, which names them all."""

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import structlog
from aiohttp import web

from spexporter.clock import Clock, Pace
from spexporter.domain.errors import TenantElsewhere, UnknownTenant
from spexporter.domain.ports import Board
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView
from spexporter.exposition.families import COUNTER_FAMILIES
from spexporter.exposition.negotiate import accepts_gzip, choose_form
from spexporter.exposition.page import Page, Rendered, Wanted
from spexporter.web.refusal import tried_elsewhere
from spexporter.web.rounds import Rounds

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_GROUP = 128 * 1024  # bytes that are sent at once
_SENT_WITHIN_S = 120.0  # longer than any scrape may take: scrape_timeout is at most the interval, a minute as a rule


class MetricsPage:
    """Serves the page of metrics, and that of one tenant, as `Known.view` finds it: a whole one, or 500."""

    def __init__(self, board: Board, page: Page, clock: Clock, find: Callable[[str], TenantView]) -> None:
        self._board = board
        self._page = page
        self._clock = clock
        self._find = find
        self._rounds = Rounds(self._render)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Render what the board holds now, in the form and encoding that the client prefers."""
        return await self._answer(request)

    async def probe(self, request: web.Request) -> web.StreamResponse:
        """Render what belongs to one tenant, named by `?tenant=`; 404 if unknown, 503 if another replica's."""
        tenant = request.query.get("tenant")
        if tenant is None:
            return web.Response(status=400, text="Which tenant? Ask for /probe?tenant=NAME; /sd lists all of them.\n")
        try:
            self._find(tenant)
        except UnknownTenant:
            return web.Response(status=404, text="There is no such tenant; /sd lists those of this exporter.\n")
        except TenantElsewhere as error:
            return tried_elsewhere(web.Response(status=503, text=f"{error}\n"))
        return await self._answer(request, tenant)

    async def targets(self, request: web.Request) -> web.Response:
        """Name each tenant as a target, as Prometheus' http_sd_configs reads them."""
        targets = [
            {
                "targets": [request.host],
                "labels": {"__metrics_path__": "/probe", "__param_tenant": view.tenant},
            }
            for view in self._board.snapshot()
        ]
        return web.json_response(targets, headers={"Cache-Control": "no-store"})

    async def _answer(self, request: web.Request, tenant: str | None = None) -> web.StreamResponse:
        begun_s = self._clock.monotonic()
        form, gzip = choose_form(_joined(request, "Accept")), accepts_gzip(_joined(request, "Accept-Encoding"))
        keep = frozenset(request.query.getall("name[]", [])) or None
        try:
            now, rendered = await self._rounds.get(Wanted(form, gzip, keep, tenant))
        except Exception:  # half a page would look like series that have ended
            log.exception("page_failed")
            return web.Response(status=500, text="The page of metrics could not be rendered; see the log.\n")
        headers = {"Content-Type": form.content_type, "Vary": "Accept, Accept-Encoding", "Cache-Control": "no-store"}
        if gzip:
            headers["Content-Encoding"] = "gzip"
        response = web.StreamResponse(headers=headers)
        response.content_length = sum(map(len, rendered.parts))
        await response.prepare(request)
        if request.method == "HEAD":
            await response.write_eof()
        elif (
            await _sent(request, response, rendered.parts)
            and shows_counters(keep)
            and self._clock.monotonic() - begun_s < _patience_s(request)
        ):
            self._board.served({view.tenant: view.version for view in rendered.views}, now.wall_s)
        return response

    async def _render(self, wanted: Wanted) -> tuple[Moment, Rendered]:
        now = Moment(self._clock.wall(), self._clock.monotonic())
        return now, await self._page.render(partial(self._board.begin_page, wanted.tenant), now, wanted)


async def _sent(request: web.Request, response: web.StreamResponse, parts: Iterable[bytes]) -> bool:
    """Send a page, and tell whether all of it went; who takes too long to read it is cut off."""
    try:
        async with asyncio.timeout(_SENT_WITHIN_S):
            for group in _groups(parts):
                await response.write(group)
                await Pace(turn=1).did(1)
            await response.write_eof()
    except TimeoutError:
        log.warning("page_cut_off", after_s=_SENT_WITHIN_S, peer=request.remote)
        if request.transport is not None:
            request.transport.abort()
        return False
    except ConnectionError:  # whoever asked has gone: nobody here can mend that
        return False
    return True


def _patience_s(request: web.Request) -> float:
    """Return how long whoever asks waits for a page, in seconds: Prometheus tells, and throws away what is late.

    Source: Prometheus, scrape/scrape.go, header X-Prometheus-Scrape-Timeout-Seconds.
    """
    try:
        return float(request.headers.get("X-Prometheus-Scrape-Timeout-Seconds", "inf"))
    except ValueError:
        return math.inf


def _groups(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join many small pieces to fewer larger ones."""
    group: list[bytes] = []
    size = 0
    for part in parts:
        group.append(part)
        size += len(part)
        if size >= _GROUP:
            yield b"".join(group)
            group, size = [], 0
    yield b"".join(group)


def shows_counters(keep: frozenset[str] | None) -> bool:
    """Whether a page limited to `keep` shows where counters stand: a scraper may always ask for the same part."""
    return keep is None or any(name.startswith(COUNTER_FAMILIES) for name in keep)


def _joined(request: web.Request, name: str) -> str | None:
    """Return a list header as one value: it may come in several lines (RFC 9110 section 5.3)."""
    values = request.headers.getall(name, [])
    return ",".join(values) if values else None
