"""The connections to tenants: kept between looks, the newest one used first, and missed where the tenant closes one."""

import socket
from collections.abc import Callable
from contextvars import ContextVar

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest, ConnectionKey
from aiohttp.tracing import Trace

from spexporter import __version__
from spexporter.domain.errors import LeaseEnded
from spexporter.sailpoint.resolver import DaemonResolver

# Longer than the default of `poll.probe`, the longest pause between two requests to a tenant: a TLS handshake costs as
# much as ten looks. An idle connection costs little memory, and who is on the other end may close it at any time.
KEPT_S = 360.0
# Firewalls and NAT gateways forget connections that are silent for some minutes, and tell neither end.
_ALIVE = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 45),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
)


class Line(msgspec.Struct):
    """What is known of the connection of one exchange: was it opened for it, and did an answer begin?

    `check` raises where nothing may be sent any more: to connect can take longer than a lease lasts.
    """

    check: Callable[[], None] = lambda: None
    fresh: bool = False
    answered: bool = False

    def was_closed_while_idle(self, error: Exception) -> bool:
        """Tell whether the other end had closed the connection before it could know of the request.

        It then closes without an answer; where that happens on a new connection, something is wrong.
        Source: RFC 9112, 9.3.1, "Retrying Requests".
        """
        closed = isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
        return closed and not self.fresh and not self.answered and not isinstance(error, aiohttp.ClientConnectorError)


# Of the exchange that is under way in this task. aiohttp's own traces tell the same at a fifth of a request's cost.
LINE: ContextVar[Line | None] = ContextVar("line", default=None)


class NewestFirst(aiohttp.TCPConnector):
    """Uses the idle connection that was used last, so that those which a burst has left over come to their end.

    aiohttp takes the one that was idle longest: requests one after another would keep all of them alive.
    """

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's
    ) -> ResponseHandler:
        line = LINE.get() or Line()
        line.fresh = True
        protocol = await super()._create_connection(req, traces, timeout)
        try:
            line.check()
        except LeaseEnded:  # nothing may be sent on it
            protocol.close()
            raise
        return protocol

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        super()._release(key, protocol, should_close=should_close)
        if (idle := self._conns.get(key)) and idle[-1][0] is protocol:
            idle.rotate(1)  # aiohttp takes the first one


def client_session(trace_configs: list[aiohttp.TraceConfig] | None = None) -> aiohttp.ClientSession:
    """Return the session for all exchanges with tenants; enter it, or close it when done."""
    session = aiohttp.ClientSession(
        connector=connector(),
        # Cookies would let one tenant's gateway follow another's requests.
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"spexporter/{__version__}", "Accept": "application/json"},
        trace_configs=trace_configs,
    )
    # aiohttp would send a GET again by itself when the connection closes: outside the budget and our counters.
    session._retry_connection = False  # noqa: SLF001 (there is no public switch; test_troubles counts what arrives)
    return session


def connector() -> aiohttp.TCPConnector:
    """Return what opens and keeps the connections to all tenants; there may be as many as pollers want."""
    return NewestFirst(
        limit=0,
        keepalive_timeout=KEPT_S,
        use_dns_cache=False,  # connections last, so look-ups are rare; a host that has moved is followed at once
        resolver=DaemonResolver(),
        socket_factory=open_socket,
    )


def open_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Open a socket that shows both ends, and those between, that the connection lives."""
    family, kind, proto, _, _ = address
    opened = socket.socket(family, kind, proto)
    for level, name, value in _ALIVE:
        if hasattr(socket, name):  # not every system has all of them
            opened.setsockopt(level, getattr(socket, name), value)
    return opened
