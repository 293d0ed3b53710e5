"""One tenant's API: jobs, results, object types and lists as domain values.

Only GET here, and POST on the token URL in `auth`: the token that we hold could start imports.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlsplit

import structlog

from spexporter.clock import Clock
from spexporter.config.values import MaxAnswer
from spexporter.domain.errors import TenantForbidden, TenantMalformed, TenantNotFound, TenantUnauthorized
from spexporter.domain.hub import ListedJob
from spexporter.domain.job import JobKey, Observation, Operation
from spexporter.domain.result import ImportReport, ImportResult, Texts
from spexporter.sailpoint import advice, lists, wire
from spexporter.sailpoint.auth import TokenSource
from spexporter.sailpoint.endpoints import LIST_ENDPOINT, STATUS_ENDPOINT, VERSIONS, Endpoint, exists, path
from spexporter.sailpoint.fields import Unreadable
from spexporter.sailpoint.replies import check
from spexporter.sailpoint.resultsink import ResultSink
from spexporter.sailpoint.transport import Answer, Sink, Transport
from spexporter.sailpoint.wire import Grants

log: structlog.stdlib.BoundLogger = structlog.get_logger()

T = TypeVar("T")
_UNAUTHORIZED = HTTPStatus.UNAUTHORIZED.value  # to find it in its enumeration takes as long as a call
# Hears what an import said, by object type: of a long result only the beginning.
Told = Callable[[JobKey, Mapping[str, Texts]], None]


class TenantClient:
    """Asks one tenant. Every method raises `TenantError` and nothing else when it gets no good answer.

    `version` None means that the API version is to be found out; it is remembered from then on. `told`, where there is
    one, hears what the errors and warnings of each result say.
    """

    def __init__(
        self,
        base_url: str,
        version: str | None,
        *,
        tokens: TokenSource,
        transport: Transport,
        limits: MaxAnswer,
        clock: Clock,
        told: Told | None = None,
    ) -> None:
        self.vitals = transport.vitals
        self._base_url = base_url
        self._version = version
        self._tokens = tokens
        self._transport = transport
        self._limits = limits
        self._clock = clock
        self._told = told
        self._finding_version = asyncio.Lock()
        self._renamed: set[JobKey] = set()

    async def object_types(self) -> frozenset[str]:
        """Return the object types that the tenant knows; its cheapest sign of life."""
        async with self._finding_version:
            if self._version is None:
                return await self._find_version()
        return await self._get(Endpoint.CONFIG_OBJECTS, "", wire.decode_object_types)

    def status(self, key: JobKey) -> Coroutine[None, None, Observation]:
        """Return what the tenant says of a job now."""

        def decode(body: bytes) -> Observation:
            unknown = self._transport.exchanges.unknown
            observation = wire.decode_status(body, key, observed_s=self._clock.wall(), unknown=unknown)
            reported_id = observation.reported_id
            if reported_id and reported_id != key.job_id and key not in self._renamed:
                self._renamed.add(key)
                log.warning("job_id_differs", job_id=key.job_id, reported_id=reported_id)
            return observation

        return self._get(STATUS_ENDPOINT[key.operation], key.job_id, decode)

    async def result(self, key: JobKey) -> ImportResult:
        """Download an ended import's result and return its counts."""
        sink = ResultSink()
        result = await self._get(Endpoint.IMPORT_RESULT, key.job_id, lambda _: sink.result(), sink)
        if self._told and (result.errors or result.warnings):
            self._told(key, await sink.texts())
        return result

    async def report(self, key: JobKey) -> ImportReport:
        """Download an ended import's result and return its counts and what it says."""
        return await self._get(Endpoint.IMPORT_RESULT, key.job_id, wire.decode_report)

    async def grants(self) -> Grants:
        """Return what a token of this tenant shows of what it may do."""
        return (await self._tokens.get()).grants

    async def listed(self, operation: Operation) -> tuple[ListedJob, ...]:
        """Return what the list of Configuration Hub's backups, uploads, drafts or deploys has now, in its own order.

        Entries whose id cannot be read are left out and reported; each id is there once.
        """

        def decode(body: bytes) -> tuple[ListedJob, ...]:
            return lists.decode_list(body, operation, self._reading())

        return await self._get(LIST_ENDPOINT[operation], "", decode)

    async def credential_expires(self) -> float | None:
        """Return when the personal access token in use ends, Unix seconds; None for never, or where it is not told."""

        def decode(body: bytes) -> float | None:
            return lists.decode_credential_end(body, self._tokens.client_id, self._transport.exchanges.unknown)

        return await self._get(Endpoint.PERSONAL_ACCESS_TOKENS, "", decode)

    def opens_s(self, looks: int) -> float:
        """When the budget lets another look start, monotonic seconds, with `looks` that share it under way."""
        return self._transport.gate.opens_s(self._version, looks)

    def secret_changed(self) -> bool:
        """Tell whether the secret is another one than that of the last token request."""
        return self._tokens.secret_changed()

    def _get(
        self, endpoint: Endpoint, job_id: str, decode: Callable[[bytes], T], sink: Sink | None = None
    ) -> Coroutine[None, None, T]:
        version = self._version
        if version is None:
            return self._get_first(endpoint, job_id, decode, sink)
        if not exists(endpoint, version):
            cure = advice.about_not_found(endpoint)
            raise TenantNotFound(f"the API version {version} has no {endpoint}", endpoint=endpoint, cure=cure)
        return self._ask(endpoint, job_id, version, decode, sink)

    async def _get_first(
        self, endpoint: Endpoint, job_id: str, decode: Callable[[bytes], T], sink: Sink | None = None
    ) -> T:
        async with self._finding_version:
            if self._version is None:
                await self._find_version()
        return await self._get(endpoint, job_id, decode, sink)

    def _reading(self) -> lists.Reading:
        return lists.Reading(
            self._transport.tenant,
            own_names(self._base_url, self._tokens.org),
            observed_s=self._clock.wall(),
            unknown=self._transport.exchanges.unknown,
        )

    async def _find_version(self) -> frozenset[str]:
        """Find the newest API version that the tenant has and return its object types.

        401 and 403 mean that the version exists; an unreadable answer decides nothing.
        """
        for version in VERSIONS:
            try:
                types = await self._ask(Endpoint.CONFIG_OBJECTS, "", version, wire.decode_object_types)
            except TenantNotFound as error:
                if error.endpoint == Endpoint.TOKEN:
                    raise
            except (TenantForbidden, TenantUnauthorized) as error:
                if error.endpoint != Endpoint.TOKEN:
                    self._remember(version)
                raise
            else:
                self._remember(version)
                return types
        raise TenantNotFound(
            f"no API version ({', '.join(VERSIONS)}) answers at {self._base_url}",
            endpoint=Endpoint.CONFIG_OBJECTS,
            cure=advice.about_wrong_host(),
        )

    def _remember(self, version: str) -> None:
        self._version = version
        self.vitals.version(version)
        log.info("api_version_found", api_version=version)

    async def _ask(
        self, endpoint: Endpoint, job_id: str, version: str, decode: Callable[[bytes], T], sink: Sink | None = None
    ) -> T:
        """Ask once, and once more with a new token after a 401: a token can die before its time."""
        url = self._base_url + path(endpoint, version, job_id)
        is_result = endpoint is Endpoint.IMPORT_RESULT
        most = self._limits.results_bytes if is_result else self._limits.other_bytes
        token = self._tokens.good or await self._tokens.get()
        answer = await self._transport.ask(endpoint, url, [version], max_bytes=most, token=token.text, sink=sink)
        if answer.status == _UNAUTHORIZED:
            token = await self._tokens.replace(token)
            answer = await self._transport.ask(endpoint, url, [version], max_bytes=most, token=token.text, sink=sink)
        return self._believed(answer.without(token.text), endpoint, version, decode, token.grants)

    def _believed(
        self, answer: Answer, endpoint: Endpoint, version: str, decode: Callable[[bytes], T], grants: Grants
    ) -> T:
        """Return what a good answer says, and keep the tenant's vitals."""
        try:
            check(answer, endpoint, [version], self._transport, clock=self._clock, grants=grants)
            decoded = decode(answer.body)
        except TenantForbidden:
            self.vitals.access(endpoint, allowed=False)
            raise
        except TenantUnauthorized:
            self.vitals.up(up=False)
            raise
        except Unreadable as error:
            self.vitals.access(endpoint, allowed=True)
            self.vitals.up(up=False)
            cure = "if it is HTML, base_url names a web page or a proxy answers in the tenant's place"
            raise TenantMalformed(f"{endpoint} answered {error}", endpoint=endpoint, cure=cure) from error
        self.vitals.answered(endpoint)
        return decoded


def own_names(base_url: str, org: str) -> frozenset[str]:
    """Return the names that a tenant may have for itself, in small letters: as its token and its host tell them.

    Source: SailPoint API documentation, "Authentication": API hosts begin with the tenant's name, as in
    acme.api.identitynow.com, also where people use a host of their own.
    """
    host = urlsplit(base_url).hostname or ""
    name, api, _ = host.partition(".api.")
    return frozenset(word.lower() for word in (org, name if api else "") if word)
