"""All connections at once: how many there may be, and who has to go when others wait.

Who connects and says nothing, or never ends a request, must keep nobody out: not the scraper that is connected already,
and not one that comes.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from enum import Enum, auto
from typing import cast

import structlog
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from spexporter.config.webconfig import plain_address
from spexporter.web.door import Handler

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LONGEST_HEAD_BYTES = 64 * 1024  # each of the 128 lines that the library takes may have 8 KiB
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_REFUSALS_TOLD = 100
_NEWCOMER_S = 0.5  # so long nobody has to go who may just have come: what was sent is perhaps not read yet


class Stage(Enum):
    """What a connection is about."""

    ARRIVING = auto()  # no whole request was heard of it since it came, or since the last answer
    BUSY = auto()
    IDLE = auto()


# In seconds. Prometheus itself closes what was idle for five minutes: so no request crosses our end on its way.
PATIENCE = {Stage.ARRIVING: 10.0, Stage.BUSY: 300.0, Stage.IDLE: 330.0}


class Crowd:
    """Knows all visitors by what they are about, each kind from the one who has been so for longest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._visitors: dict[Stage, dict[Visitor, float]] = {stage: {} for stage in Stage}
        self._left = asyncio.Event()
        self._refused: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return sum(map(len, self._visitors.values()))

    def move(self, visitor: "Visitor", before: Stage | None, after: Stage | None) -> None:
        """Note what a visitor is about from now on; None is outside."""
        if before:
            del self._visitors[before][visitor]
        if after:
            self._visitors[after][visitor] = asyncio.get_running_loop().time()
        else:
            self._left.set()

    async def room(self) -> None:
        """Wait until there is room for one more, and make some where somebody can go."""
        while len(self) >= self._most:
            if longest := self._who_can_go():
                longest.cut("room is needed")
                return
            await self.somebody_leaves()

    async def somebody_leaves(self) -> None:
        """Wait until somebody has left, or for a moment in which somebody may become one who can go."""
        self._left.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_NEWCOMER_S / 10):
                await self._left.wait()

    def refused(self, peer: str, reason: str) -> None:
        """Say why a connection is refused, which the other side is not told: once, for it will come again and again."""
        if (peer, reason) not in self._refused and len(self._refused) < _REFUSALS_TOLD:
            self._refused.add((peer, reason))
            log.info("connection_refused", peer=peer, reason=reason)

    def _who_can_go(self) -> "Visitor | None":
        """Return who has been on its way for too long; where few are, who has been idle for longest."""
        arriving, idle = self._visitors[Stage.ARRIVING], self._visitors[Stage.IDLE]
        first = next(iter(arriving), None)
        if first and arriving[first] + _NEWCOMER_S < asyncio.get_running_loop().time():
            return first
        return next(iter(idle), None) if len(arriving) < self._most / 2 else None


class Visitor(asyncio.Protocol):
    """One connection: it hands on to `server`'s protocol what comes, and goes when its stage has lasted too long.

    Where there are `sans`, one of them must be in the client's certificate.
    """

    def __init__(self, server: Callable[[], asyncio.Protocol], crowd: Crowd, peer: str, sans: Collection[str]) -> None:
        self._inner = server()
        self._crowd = crowd
        self._peer = peer
        self._sans = sans
        self._head = _Head()
        self._is_in = False
        self._stage: Stage | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._entering: asyncio.Task[None] | None = None

    def begin(self, entering: asyncio.Task[None]) -> None:
        """Count from now on; `entering` is the task that makes the connection, with TLS where that is spoken."""
        self._entering = entering
        self._move(Stage.ARRIVING)

    def busy(self) -> None:
        """Note that a whole request was heard."""
        self._move(Stage.BUSY)

    def idle(self) -> None:
        """Note that it was answered."""
        self._head = _Head()
        self._move(Stage.IDLE)

    def cut(self, why: str) -> None:
        """End the connection at once."""
        log.debug("connection_cut", peer=self._peer, why=why)
        if self._transport:
            self._transport.abort()
        elif self._entering:
            self._entering.cancel()
        self.leave()

    def leave(self) -> None:
        """Count no more."""
        self._move(None)

    def _move(self, stage: Stage | None) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._stage is None and stage is not Stage.ARRIVING:
            return  # it has left: what is still said of it comes late
        self._crowd.move(self, self._stage, stage)
        self._stage = stage
        if stage:
            self._timer = asyncio.get_running_loop().call_later(
                PATIENCE[stage], self.cut, f"{stage.name.lower()} too long"
            )

    @property
    def entered(self) -> bool:
        """Whether the connection was made, with TLS where that is spoken."""
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        if self._sans and not names_of(transport.get_extra_info("peercert")) & {*self._sans}:
            self._crowd.refused(self._peer, "the certificate has none of client_allowed_sans")
            self.cut("refused")
        elif self._stage is None:
            self._transport.abort()
        else:
            self._inner.connection_made(transport)
            self._is_in = True

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._stage is Stage.IDLE:
            self._move(Stage.ARRIVING)
        if self._head.is_too_long_with(data) and self._transport:
            self._transport.write(_TOO_LONG)
            self._transport.close()
        else:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.leave()
        if self._is_in:
            self._inner.connection_lost(exc)


class _Head:
    """Measures the head of a request; the empty lines before it, which the library skips, are none of it."""

    def __init__(self) -> None:
        self._size = 0
        self._end = b""
        self._whole = False

    def is_too_long_with(self, data: bytes) -> bool:
        """Tell whether it is longer than it may be once `data` has come."""
        if self._whole:
            return False
        fresh = data if self._size else data.lstrip(b"\r\n")
        self._size += len(fresh)
        self._whole = b"\r\n\r\n" in self._end + fresh
        self._end = (self._end + fresh)[-3:]
        return not self._whole and self._size > _LONGEST_HEAD_BYTES


def names_of(certificate: Mapping[str, object] | None) -> set[str]:
    """Return the alternative names in a certificate as `ssl` shows it, addresses as the web configuration has them."""
    names = cast("Iterable[tuple[str, str]]", (certificate or {}).get("subjectAltName", ()))
    return {plain_address(name) if kind == "IP Address" else name for kind, name in names}


@web.middleware
async def heard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Note that a whole request was heard: the outermost middleware."""
    if visitor := _visitor(request):
        visitor.busy()
    return await handler(request)


async def part(request: web.Request, response: web.StreamResponse) -> None:
    """Let the connection end after an answer that came before the whole body did, when an answer begins.

    So what still comes is never taken for the head of another request, which is measured.
    """
    if not request.content.is_eof():
        response.headers["Connection"] = "close"
        response.force_close()


class Answered(AbstractAccessLogger):
    """Notes that a request was answered and another may come; it is told by the library, and logs nothing."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:  # noqa: ARG002 - given
        """See `AbstractAccessLogger`."""
        if response.keep_alive and (visitor := _visitor(request)):
            visitor.idle()


def _visitor(request: web.BaseRequest) -> Visitor | None:
    protocol = request.transport.get_protocol() if request.transport else None
    return protocol if isinstance(protocol, Visitor) else None
