"""A running exporter: one exchange with it at a time, and what its refusals mean to whoever asked."""

from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
import msgspec

from spexporter.config.convert import show_duration
from spexporter.config.httpclient import HttpAccess
from spexporter.direct.looks import Sight
from spexporter.domain.errors import words_of
from spexporter.domain.job import JobKey, WatchedJob
from spexporter.remote.answers import read_error, read_sight

PATIENCE_S = 10.0
_LONGEST_BYTES = 4 * 1024 * 1024
_JOBS = "/api/v1/jobs"
# Of the refusals these may be over in a moment, as failures of the server are.
_MOMENTARY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class Unavailable(Exception):
    """The exporter gave no answer that means anything; another try may help."""


class Refused(Exception):
    """The exporter said no, and why; to ask again changes nothing. `status` is that of HTTP, 0 where there is none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class NotExporter(Refused):
    """What answers is no exporter, or one without this API."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    body: bytes

    @property
    def said(self) -> str:
        """The error of the exporter's API, else the beginning of the text."""
        return read_error(self.body) or self.body[:200].decode(errors="replace").strip()


class RunningExporter:
    """The exporter at `url`, which is shown in messages and must hold no secret."""

    def __init__(self, http: aiohttp.ClientSession, url: str, access: HttpAccess) -> None:
        self.url = url
        self._http = http
        self._access = access

    async def not_ready(self, patience_s: float) -> str:
        """Return why the exporter is not ready, an empty text when it is."""
        try:
            reply = await self._exchange("GET", "/-/ready", patience_s=patience_s)
        except (Unavailable, Refused) as error:
            return str(error)
        if reply.status == HTTPStatus.OK:
            return ""
        return _doubting_address(f"{self.url}/-/ready answered {reply.status}: {reply.said}", reply.status)

    async def track(self, watched: WatchedJob) -> tuple[bool, Sight]:
        """Hand over a job; return whether it is watched only from now on, and what is known of it.

        Raises:
            Unavailable: there was no answer; whether the job is watched is not known, and handing it over again is
                harmless.
            Refused: the exporter does not take it.
        """
        key = watched.key
        order = {"tenant": key.tenant, "operation": key.operation.value, "id": key.job_id}
        order |= {"name": watched.name} if watched.name else {}
        more: dict[str, object] = {} if watched.max_age_s is None else {"max_age": show_duration(watched.max_age_s)}
        more |= {} if watched.preview is None else {"preview": watched.preview}
        reply = await self._exchange("POST", _JOBS, body=msgspec.json.encode(order | more))
        return reply.status == HTTPStatus.CREATED, self._sight(reply, watched)

    async def job(self, watched: WatchedJob) -> Sight:
        """Return what the exporter knows of a job.

        Raises:
            Unavailable: there was no answer now.
            Refused: it does not know the job, or does not let us ask.
        """
        return self._sight(await self._exchange("GET", f"{_JOBS}/{watched.key}"), watched)

    def _sight(self, reply: Reply, watched: WatchedJob) -> Sight:
        if reply.status in (HTTPStatus.OK, HTTPStatus.CREATED):
            if sight := read_sight(reply.body, watched):
                return sight
            raise NotExporter(f"{self.url} does not answer as an exporter does; is this its address?")
        said = f"{self.url} answered {reply.status}: {reply.said}"
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status in _MOMENTARY:
            raise Unavailable(said)
        if reply.status == HTTPStatus.UNAUTHORIZED:
            raise Refused(f"{said}; give who you are in a file as --http.config.file", reply.status)
        if reply.status < HTTPStatus.BAD_REQUEST:
            raise NotExporter(
                f"{self.url} answered {reply.status} and leads elsewhere; give that address", reply.status
            )
        if read_error(reply.body):
            raise Refused(said, reply.status)
        raise NotExporter(_doubting_address(said, reply.status), reply.status)

    async def _exchange(
        self, method: str, path: str, *, body: bytes | None = None, patience_s: float = PATIENCE_S
    ) -> Reply:
        """Make one exchange. Redirects are not followed: they could lead what authorizes us to somebody else."""
        try:
            async with self._http.request(
                method,
                self.url + path,
                data=body,
                headers=self._headers(body),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=patience_s),
                ssl=self._access.tls or True,
                server_hostname=self._access.server_name,
            ) as response:
                return Reply(response.status, await _read(response.content))
        except TimeoutError:
            raise Unavailable(f"{self.url}{path} did not answer within {patience_s:g} s") from None
        except aiohttp.ClientConnectorCertificateError as error:
            cure = "tls_config in --http.config.file says whom to trust"
            raise Refused(f"{self.url} cannot be trusted: {error.certificate_error}; {cure}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"{self.url}{path} cannot be asked: {_reason(error)}") from error

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if authorization := self._authorization():
            headers["Authorization"] = authorization
        return headers

    def _authorization(self) -> str | None:
        try:
            return self._access.authorization()
        except OSError as error:
            raise Unavailable(f"the secret's file of --http.config.file cannot be used: {error.strerror}") from None


def describe(key: JobKey) -> str:
    """Return a job as arguments of a command."""
    return f"{key.tenant} {key.operation} {key.job_id}"


def _doubting_address(said: str, status: int) -> str:
    """Doubt the address where an exporter would not have said that it has nothing at a path."""
    return f"{said}; check that this is the exporter's address" if status == HTTPStatus.NOT_FOUND else said


def _reason(error: Exception) -> str:
    """Return why there is no connection where that is all, else the library's words."""
    if not isinstance(error, aiohttp.ClientConnectorError):
        return str(error)
    said = words_of(error.os_error)
    return f"{said}; does it speak https?" if isinstance(error, aiohttp.ClientConnectorSSLError) else said


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Return a body within bounds; one beyond them is cut, so that it cannot be read."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > _LONGEST_BYTES:
            break
    return bytes(body[:_LONGEST_BYTES])
