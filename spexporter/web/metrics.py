"""`GET /metrics`."""

from collections.abc import Iterable

import structlog
from aiohttp import web

from spexporter.clock import Clock, Pace
from spexporter.domain.ports import Board
from spexporter.domain.tenanttime import Moment
from spexporter.exposition.families import COUNTER_FAMILIES
from spexporter.exposition.negotiate import accepts_gzip, choose_form
from spexporter.exposition.page import Page, Wanted

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_GROUP = 128 * 1024  # bytes that are sent at once


class MetricsPage:
    """Serves the page of metrics: a whole one, or 500."""

    def __init__(self, board: Board, page: Page, clock: Clock) -> None:
        self._board = board
        self._page = page
        self._clock = clock

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Render what the board holds now, in the form and encoding that the client prefers."""
        form, gzip = choose_form(_joined(request, "Accept")), accepts_gzip(_joined(request, "Accept-Encoding"))
        keep = frozenset(request.query.getall("name[]", [])) or None
        now = Moment(self._clock.wall(), self._clock.monotonic())
        try:
            rendered = await self._page.render(self._board.begin_page, now, Wanted(form, gzip, keep))
        except Exception:  # half a page would look like series that have ended
            log.exception("page_failed")
            return web.Response(status=500, text="The page of metrics could not be rendered; see the log.\n")
        headers = {"Content-Type": form.content_type, "Vary": "Accept, Accept-Encoding", "Cache-Control": "no-store"}
        if gzip:
            headers["Content-Encoding"] = "gzip"
        response = web.StreamResponse(headers=headers)
        response.content_length = sum(map(len, rendered.parts))
        await response.prepare(request)
        if request.method != "HEAD":
            await _send(response, rendered.parts)
        await response.write_eof()
        if request.method != "HEAD" and shows_counters(keep):
            self._board.served({view.tenant: view.version for view in rendered.views}, now.wall_s)
        return response


async def _send(response: web.StreamResponse, parts: Iterable[bytes]) -> None:
    """Send many small pieces as few larger ones, and let others run between them."""
    group: list[bytes] = []
    size, pace = 0, Pace(turn=1)
    for part in parts:
        group.append(part)
        size += len(part)
        if size >= _GROUP:
            await response.write(b"".join(group))
            group, size = [], 0
            await pace.did(1)
    await response.write(b"".join(group))


def shows_counters(keep: frozenset[str] | None) -> bool:
    """Whether a page limited to `keep` shows where counters stand: a scraper may always ask for the same part."""
    return keep is None or any(name.startswith(COUNTER_FAMILIES) for name in keep)


def _joined(request: web.Request, name: str) -> str | None:
    """Return a list header as one value: it may come in several lines (RFC 9110 section 5.3)."""
    values = request.headers.getall(name, [])
    return ",".join(values) if values else None
