"""Connections as they arrive: each is counted from its first moment, and speaks TLS as the file says at that moment."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable
from functools import partial

import structlog

from spexporter.clock import Pace
from spexporter.domain.errors import words_of
from spexporter.web.crowd import PATIENCE, Crowd, Stage, Visitor
from spexporter.web.webfile import WebFile

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_NO_MORE_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_AT_ONCE = 16  # connections of one listener, before others have their turn
_TOLD = 100  # peers and reasons


class Entrance:
    """Accepts connections for `server`, which makes their protocols; `tasks` owns what runs meanwhile.

    The library's own listeners know nothing of a connection before TLS was agreed on, and keep to one context.
    """

    def __init__(
        self, server: Callable[[], asyncio.Protocol], crowd: Crowd, web_file: WebFile, tasks: asyncio.TaskGroup
    ) -> None:
        self._server = server
        self._crowd = crowd
        self._web_file = web_file
        self._tasks = tasks
        self._told: set[tuple[str, str]] = set()
        self._running: set[asyncio.Task[None]] = set()

    def open(self, listeners: Iterable[socket.socket]) -> None:
        """Accept connections on sockets that listen, until it is closed."""
        for each in listeners:
            self._run(self._accept(each), f"connections to {each.getsockname()}")

    def close(self) -> None:
        """Accept no more, and end those that are still on their way in."""
        for task in self._running:
            task.cancel()

    def _run(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        task = self._tasks.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _accept(self, listener: socket.socket) -> None:
        loop, pace = asyncio.get_running_loop(), Pace(_AT_ONCE)
        while True:
            await pace.did(1)
            try:
                connection, peer = await loop.sock_accept(listener)
            except OSError as error:  # who has gone before being let in is nobody's trouble
                if error.errno in _NO_MORE_FILES:
                    log.warning("connection_not_accepted", reason=error.strerror)
                await self._crowd.somebody_leaves()
                continue
            try:
                await self._crowd.room()
            except asyncio.CancelledError:
                connection.close()
                raise
            self._let_in(connection, peer[0] if isinstance(peer, tuple) else "")

    def _let_in(self, connection: socket.socket, peer: str) -> None:
        web = self._web_file.present
        visitor = Visitor(self._server, self._crowd, peer, web.client_sans)
        task = self._run(self._enter(connection, visitor, peer, web.tls), f"connection from {peer}")
        visitor.begin(task)
        task.add_done_callback(partial(_forget, connection, visitor))

    async def _enter(self, connection: socket.socket, visitor: Visitor, peer: str, tls: ssl.SSLContext | None) -> None:
        within_s = PATIENCE[Stage.ARRIVING] if tls else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: visitor, connection, ssl=tls, ssl_handshake_timeout=within_s
            )
        except OSError as error:  # it speaks no TLS, or trusts us not, or we not it
            reason = error.reason if isinstance(error, ssl.SSLError) else words_of(error)
            self._crowd.refused(peer, reason or "it hung up before TLS was agreed on")


def _forget(connection: socket.socket, visitor: Visitor, _ended: asyncio.Task[None]) -> None:
    """Let go of who has not come in."""
    if not visitor.entered:
        visitor.leave()
        connection.close()
