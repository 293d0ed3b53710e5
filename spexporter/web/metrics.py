"""`GET /metrics`."""

import asyncio
import zlib
from collections.abc import Sequence

import structlog
from aiohttp import web

from spexporter.clock import Clock
from spexporter.domain.ports import Board
from spexporter.domain.tenanttime import Moment
from spexporter.exposition.families import COUNTER_FAMILIES
from spexporter.exposition.negotiate import accepts_gzip, choose_form
from spexporter.exposition.page import Page

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_GZIP_LEVEL = 1
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way to ask for a gzip header


class MetricsPage:
    """Serves the page of metrics: a whole one, or 500."""

    def __init__(self, board: Board, page: Page, clock: Clock) -> None:
        self._board = board
        self._page = page
        self._clock = clock

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Render what the board holds now, in the form and encoding that the client prefers."""
        form = choose_form(_joined(request, "Accept"))
        views = self._board.begin_page()
        now = Moment(self._clock.wall(), self._clock.monotonic())
        keep = frozenset(request.query.getall("name[]", [])) or None
        try:
            parts = self._page.parts(views, form, now, keep)
        except Exception:  # half a page would look like series that have ended
            log.exception("page_failed")
            return web.Response(status=500, text="The page of metrics could not be rendered; see the log.\n")
        headers = {"Content-Type": form.content_type, "Vary": "Accept, Accept-Encoding", "Cache-Control": "no-store"}
        if accepts_gzip(_joined(request, "Accept-Encoding")):
            parts = await asyncio.to_thread(_gzip, parts)
            headers["Content-Encoding"] = "gzip"
        response = web.StreamResponse(headers=headers)
        response.content_length = sum(map(len, parts))
        await response.prepare(request)
        if request.method != "HEAD":
            for part in parts:
                await response.write(part)
        await response.write_eof()
        if request.method != "HEAD" and shows_counters(keep):
            self._board.served({view.tenant: view.version for view in views}, now.wall_s)
        return response


def shows_counters(keep: frozenset[str] | None) -> bool:
    """Whether a page limited to `keep` shows where counters stand: a scraper may always ask for the same part."""
    return keep is None or any(name.startswith(COUNTER_FAMILIES) for name in keep)


def _joined(request: web.Request, name: str) -> str | None:
    """Return a list header as one value: it may come in several lines (RFC 9110 section 5.3)."""
    values = request.headers.getall(name, [])
    return ",".join(values) if values else None


def _gzip(parts: Sequence[bytes]) -> Sequence[bytes]:
    pack = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WINDOW)
    return [*(pack.compress(part) for part in parts), pack.flush()]
