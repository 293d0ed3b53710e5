"""Whether a tenant lets us do what the configuration needs: each endpoint is tried."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from spexporter.clock import Clock
from spexporter.config.values import Tenant
from spexporter.connect import Visitors
from spexporter.direct.looks import Sight, concerns_tenant, look, no_result
from spexporter.domain.errors import TenantError, TenantForbidden
from spexporter.domain.job import JobState, Operation, WatchedJob
from spexporter.sailpoint import advice
from spexporter.sailpoint.client import TenantClient
from spexporter.sailpoint.endpoints import LIST_ENDPOINT, STATUS_ENDPOINT, Endpoint, listed_operations

_TENANTS_AT_ONCE = 32
_USER = "user context"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried; `subject` is an endpoint's name or `user context`, `job` an operation and id or empty.

    `works` None means that it could not be found out, and that nothing is wrong with that.
    """

    subject: str
    works: bool | None
    said: str
    cure: str = ""
    job: str = ""


@dataclass(frozen=True, slots=True)
class LiveCheck:
    """All that was tried of one tenant, in that order."""

    tenant: str
    api_version: str | None
    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """Whether nothing is missing."""
        return all(finding.works is not False for finding in self.findings)


async def check_live(
    tenants: Sequence[Tenant], jobs: Mapping[str, Sequence[WatchedJob]], visitors: Visitors, clock: Clock
) -> list[LiveCheck]:
    """Try every tenant, some of them at once; in the order of `tenants`."""
    places = asyncio.Semaphore(_TENANTS_AT_ONCE)

    async def attempt(tenant: Tenant) -> LiveCheck:
        async with places:
            client = visitors.client(tenant)
            trial = _Trial(client, clock)
            if await trial.run(jobs[tenant.name]):
                await trial.run_features(tenant)
            return LiveCheck(tenant.name, client.vitals.health.api_version, tuple(trial.findings))

    async with asyncio.TaskGroup() as tasks:
        checks = [tasks.create_task(attempt(tenant), name=f"check {tenant.name}") for tenant in tenants]
    return [task.result() for task in checks]


class _Trial:
    """Tries one tenant; where nothing can work any more it stops."""

    def __init__(self, client: TenantClient, clock: Clock) -> None:
        self.findings: list[Finding] = []
        self._client = client
        self._clock = clock
        self._closed: set[Endpoint] = set()

    async def run(self, jobs: Sequence[WatchedJob]) -> bool:
        """Try a token, the object types, and each job with its result; tell whether anything else is worth a try."""
        try:
            grants = await self._client.grants()
        except TenantError as error:
            return self._failed(Endpoint.TOKEN, error)
        self.findings.append(Finding(Endpoint.TOKEN, works=True, said="granted"))
        said = {True: "the token has one", False: "the token has none", None: "the token does not show it"}
        cure = advice.NO_USER if grants.has_user is False else ""
        self.findings.append(Finding(_USER, grants.has_user, said[grants.has_user], cure))
        try:
            types = await self._client.object_types()
        except TenantError as error:
            self._failed(Endpoint.CONFIG_OBJECTS, error)
            if concerns_tenant(error):
                return False
        else:
            self.findings.append(Finding(Endpoint.CONFIG_OBJECTS, works=True, said=f"{len(types)} object types"))
        for watched in jobs:
            if not await self._try_job(watched):
                return False
        return True

    async def run_features(self, tenant: Tenant) -> None:
        """Try what the configuration asks for beside jobs: lists of Configuration Hub, and the credential's end."""
        for operation in listed_operations(tenant.discover):
            try:
                listed = await self._client.listed(operation)
            except TenantError as error:
                if not self._failed(LIST_ENDPOINT[operation], error):
                    return
            else:
                self.findings.append(Finding(LIST_ENDPOINT[operation], works=True, said=f"{len(listed)} jobs"))
        if tenant.credential_expires == "auto":
            await self._try_credential()

    async def _try_credential(self) -> None:
        try:
            ends_s = await self._client.credential_expires()
        except TenantError as error:
            self._failed(Endpoint.PERSONAL_ACCESS_TOKENS, error)
            return
        said = (
            "it never ends" if ends_s is None else f"it ends {datetime.fromtimestamp(ends_s, UTC):%Y-%m-%d %H:%M} UTC"
        )
        self.findings.append(Finding(Endpoint.PERSONAL_ACCESS_TOKENS, works=True, said=said))

    async def _try_job(self, watched: WatchedJob) -> bool:
        """Try one job; tell whether the next is worth a try."""
        operation, job_id = watched.key.operation, watched.key.job_id
        endpoint, name = STATUS_ENDPOINT[operation], f"{operation} {job_id}"
        if endpoint in self._closed:
            self.findings.append(Finding(endpoint, works=False, said="not tried: see above", job=name))
            return True
        try:
            sight = await look(self._client, watched, self._clock)
        except TenantError as error:
            return self._failed(endpoint, error, name)
        state = str(sight.job.state)
        missing = sight.job.state is JobState.NOT_FOUND
        cure = advice.NO_SUCH_JOB if missing else ""
        self.findings.append(Finding(endpoint, not missing, state, cure, name))
        return await self._try_result(watched, sight, name) if sight.needs_result else True

    async def _try_result(self, watched: WatchedJob, sight: Sight, name: str) -> bool:
        if Endpoint.IMPORT_RESULT in self._closed:
            return True
        try:
            result = await self._client.result(watched.key)
        except TenantError as error:
            if not no_result(error):
                return self._failed(Endpoint.IMPORT_RESULT, error, name)
            # Which of them have one is for SailPoint to say; it lets us ask.
            self.findings.append(Finding(Endpoint.IMPORT_RESULT, not _must_have(sight), "there is none", job=name))
            return True
        self.findings.append(Finding(Endpoint.IMPORT_RESULT, works=True, said=f"{result.errors} errors", job=name))
        return True

    def _failed(self, endpoint: Endpoint, error: TenantError, job: str = "") -> bool:
        """Note a failure; tell whether anything else is worth a try."""
        if isinstance(error, TenantForbidden):
            self._closed.add(endpoint)
        # A token that is refused later, or a wrong host, shows while something else is asked for.
        self.findings.append(Finding(error.endpoint, works=False, said=error.message, cure=error.cure, job=job))
        return not concerns_tenant(error)


def _must_have(sight: Sight) -> bool:
    return sight.job.key.operation is Operation.IMPORT and sight.job.state is JobState.COMPLETE
