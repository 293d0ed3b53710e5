"""One HTTP exchange with a tenant: inside the budget, bounded in time and size, its failure put into our own words."""

import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
import structlog
from yarl import URL

from spexporter.clock import Clock
from spexporter.domain.errors import (
    AnswerTooLarge,
    TenantError,
    TenantMalformed,
    TenantTimeout,
    TenantUnreachable,
    words_of,
)
from spexporter.domain.ports import Exchanges
from spexporter.sailpoint import advice
from spexporter.sailpoint.connections import LINE, Line
from spexporter.sailpoint.deadlines import Deadlines
from spexporter.sailpoint.endpoints import Endpoint
from spexporter.sailpoint.gate import Gate
from spexporter.sailpoint.hiding import HIDDEN, Hiding, spellings, without
from spexporter.sailpoint.vitals import Vitals

_LONGEST_ERROR_BYTES = 1024**2
# A tenant has at most four looks in flight, and so no more idle connections that may all be closed.
_MOST_IDLE = 4
# `Deadlines` time the whole exchange.
_UNTIMED = aiohttp.ClientTimeout(total=None)


@dataclass(frozen=True, slots=True)
class Route:
    """How a tenant is reached.

    `proxy` is a URL; None leaves it to the environment. `tls` None means the system's authorities.
    """

    timeout_s: float = 10.0
    proxy: str | None = None
    tls: ssl.SSLContext | None = None


class Answer(msgspec.Struct, frozen=True):
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def without(self, *secrets: str) -> "Answer":
        """Return the answer without what it was asked with."""
        if len(self.body) < min(map(len, secrets)) and "Location" not in self.headers:
            return self  # as most: no spelling of a token is shorter
        body, headers = without(self.body, *secrets), self.headers
        if "Location" in headers:
            location = headers["Location"]
            told = {spelling for secret in secrets for spelling in spellings(secret)}
            headers = {**headers, "Location": HIDDEN} if any(secret in location for secret in told) else headers
        return self if body is self.body and headers is self.headers else Answer(self.status, headers, body)


class Sink(Protocol):
    """Takes the body of a good answer while it arrives."""

    async def take(self, piece: bytes) -> None:
        """Take the next piece, which may be empty."""
        ...


class _Asked(msgspec.Struct, frozen=True):
    """What is asked for, and what for: a GET, or a POST of a form."""

    endpoint: Endpoint
    url: str
    versions: Sequence[str]
    max_bytes: int
    token: str | None
    form: Mapping[str, str] | None
    sink: Sink | None

    def __repr__(self) -> str:
        return f"_Asked({self.endpoint!r}, {self.url!r})"


class Transport:
    """Makes the exchanges of one tenant. Redirects are not followed: they would carry the token elsewhere."""

    def __init__(
        self,
        tenant: str,
        http: aiohttp.ClientSession,
        route: Route,
        *,
        gate: Gate,
        vitals: Vitals,
        exchanges: Exchanges,
        clock: Clock,
    ) -> None:
        self.tenant = tenant
        self.gate = gate
        self.vitals = vitals
        self.exchanges = exchanges
        self._http = http
        self._route = route
        self._clock = clock
        # Bound once: what `get_logger` returns makes a logger for each line, also for those that are thrown away.
        self._log: structlog.stdlib.BoundLogger = structlog.get_logger().bind()
        self._tells_all = self._log.is_enabled_for(logging.DEBUG)
        self._deadlines = Deadlines(route.timeout_s)
        self._proxies: dict[Endpoint, str | None] = {}  # the token URL may be on another host than the API

    def ask(
        self,
        endpoint: Endpoint,
        url: str,
        versions: Sequence[str],
        *,
        max_bytes: int,
        token: str | None = None,
        form: Mapping[str, str] | None = None,
        sink: Sink | None = None,
    ) -> Awaitable[Answer]:
        """Make one exchange and return its answer, whatever its status.

        A GET with a bearer token, or a POST of a urlencoded form; it takes a place in the budget of each of `versions`.
        The body of a good answer goes into `sink` where there is one, without the token, and is whole there in the end.
        Where the tenant has closed the connection between two looks, which is no failure, the request is made again:
        as an exchange like any other, which takes places and is counted.

        Raises:
            TenantUnreachable, TenantTimeout: no whole answer came.
            TenantMalformed: what came is not HTTP, or too long (AnswerTooLarge).
        """
        return self._exchange(_Asked(endpoint, url, versions, max_bytes, token, form, sink), _MOST_IDLE)

    async def _exchange(self, asked: _Asked, idle: int) -> Answer:
        """Make one exchange, and another one where the tenant had closed the connection, at most `idle` times."""
        line, endpoint = Line(self.gate.check), asked.endpoint
        LINE.set(line)
        if not self.gate.start(asked.versions):
            await self.gate.wait(asked.versions, self._waited)
        sent_s = self._clock.monotonic()
        code, deprecated = "none", False
        try:
            with self._deadlines.watch():
                response = await self._sent(asked)
                try:
                    line.answered = True
                    status, headers = response.status, response.headers
                    code, deprecated = str(status), headers.get("X-Deprecated", "").lower() == "true"
                    if date := headers.get("Date"):
                        self._learn_time(date, sent_s, self._clock.monotonic())
                    body = _arrived(response, asked)
                    return Answer(status, headers, await _read(response, asked) if body is None else body)
                finally:
                    if not response.closed:
                        response.release()
        except (aiohttp.ClientError, OSError, AnswerTooLarge) as error:
            if not (idle and line.was_closed_while_idle(error)):
                raise self._in_our_words(endpoint, error) from error
        finally:
            self.gate.leave(asked.versions)
            took_s = self._clock.monotonic() - sent_s
            self.exchanges.ended(self.tenant, endpoint, code, took_s, deprecated=deprecated)
            if self._tells_all:
                self._log.debug(
                    "request_ended", endpoint=endpoint, code=code, took_s=round(took_s, 3), version=asked.versions[0]
                )
        return await self._exchange(asked, idle - 1)

    def _waited(self, wait_s: float) -> None:
        self.exchanges.waited(self.tenant, wait_s)

    def _sent(self, asked: _Asked) -> Awaitable[aiohttp.ClientResponse]:
        return self._http.request(
            "GET" if asked.form is None else "POST",
            URL(asked.url, encoded=True),
            headers=None if asked.token is None else {"Authorization": f"Bearer {asked.token}"},
            data=asked.form,
            allow_redirects=False,
            timeout=_UNTIMED,
            proxy=self._proxy(asked),
            ssl=self._route.tls or True,
        )

    def _in_our_words(self, endpoint: Endpoint, error: Exception) -> TenantError:
        """Turn what is raised when no whole answer comes into our errors, and keep the tenant's vitals."""
        # A large result says nothing against the tenant.
        if not (isinstance(error, AnswerTooLarge) and endpoint is Endpoint.IMPORT_RESULT):
            self.vitals.up(up=False)
        if isinstance(error, AnswerTooLarge):
            return error
        if isinstance(error, TimeoutError):
            message = f"no whole answer within {self._route.timeout_s:g} s"
            return TenantTimeout(message, endpoint=endpoint, cure=advice.TIMED_OUT)
        if isinstance(error, aiohttp.ClientHttpProxyError):
            message = f"the proxy answered {error.status}: {error.message}"
            return TenantUnreachable(message, endpoint=endpoint, cure=advice.PROXY)
        if isinstance(error, aiohttp.ClientResponseError):
            return TenantMalformed(f"the answer cannot be read: {error.message}", endpoint=endpoint)
        said = _said(error)
        return TenantUnreachable(f"no answer: {said}", endpoint=endpoint, cure=advice.about_unreachable(said))

    def _proxy(self, asked: _Asked) -> str | None:
        if asked.endpoint not in self._proxies:
            self._proxies[asked.endpoint] = self._route.proxy or proxy_from_environment(asked.url)
        return self._proxies[asked.endpoint]

    def _learn_time(self, date: str, sent_s: float, received_s: float) -> None:
        try:
            date_s = _unix_s(date)
        except (ValueError, OverflowError):
            self.exchanges.unknown("Date")
            return
        time = self.vitals.time
        if time is None or time.low_s < date_s - received_s or date_s + 1.0 - sent_s < time.high_s:
            self.vitals.dated(date_s, sent_s=sent_s, received_s=received_s)


@lru_cache(maxsize=32)
def _unix_s(date: str) -> float:
    """Return a Date header as Unix seconds; all tenants write the same within a second."""
    return parsedate_to_datetime(date).timestamp()


def _said(error: Exception) -> str:
    """Return why no whole answer came, without aiohttp's own setting, which it tells even of plain HTTP."""
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError):
        return f"Cannot connect to host {error.host}:{error.port} [{words_of(error.os_error)}]"
    return re.sub(r" ssl:\w+", "", str(error))


def _arrived(response: aiohttp.ClientResponse, asked: _Asked) -> bytes | None:
    """Return a short body that is there already, as nearly all are; None for any other."""
    content = response.content
    if asked.sink is None and content.is_eof() and content.total_bytes <= min(asked.max_bytes, _LONGEST_ERROR_BYTES):
        return content.read_nowait()
    return None


async def _read(response: aiohttp.ClientResponse, asked: _Asked) -> bytes:
    """Read a body; return an empty one where it is good and went into a sink."""
    if asked.sink is None or response.status >= HTTPStatus.MULTIPLE_CHOICES:
        return b"".join([piece async for piece in _pieces(response, asked.max_bytes, asked.endpoint)])
    hiding = Hiding(asked.token or "")
    async for piece in _pieces(response, asked.max_bytes, asked.endpoint):
        await asked.sink.take(hiding.without(piece))
    await asked.sink.take(hiding.rest())
    return b""


async def _pieces(response: aiohttp.ClientResponse, max_bytes: int, endpoint: Endpoint) -> AsyncIterator[bytes]:
    """Read a body of at most `max_bytes`, counted as it is after decompression; of an error's body the first MiB."""
    is_good = response.status < HTTPStatus.MULTIPLE_CHOICES
    longest = max_bytes if is_good else min(max_bytes, _LONGEST_ERROR_BYTES)
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > longest:
            response.close()
            if not is_good:
                return  # the status says enough
            key = "results" if endpoint is Endpoint.IMPORT_RESULT else "other"
            cure = f"raise max_answer.{key} for this tenant if such an answer is to be expected"
            raise AnswerTooLarge(f"the answer is longer than {max_bytes} bytes", endpoint=endpoint, cure=cure)
        yield piece


def proxy_from_environment(url: str) -> str | None:
    """Return the proxy that HTTPS_PROXY (HTTP_PROXY for plain HTTP) and NO_PROXY name for `url`, None for none."""
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc):
        return None
    return getproxies().get(parts.scheme)
