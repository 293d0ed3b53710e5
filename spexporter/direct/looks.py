"""One look at one job, and what it tells."""

from dataclasses import dataclass

from spexporter.clock import Clock
from spexporter.domain.durations import Usual
from spexporter.domain.errors import (
    TenantError,
    TenantNotFound,
    TenantServerError,
    TenantThrottled,
    TenantTimeout,
    TenantUnauthorized,
    TenantUnreachable,
)
from spexporter.domain.job import Job, JobState, Observation, Operation, Source, WatchedJob, seconds_between
from spexporter.domain.tenanttime import Moment
from spexporter.domain.values import replace
from spexporter.sailpoint.client import TenantClient
from spexporter.sailpoint.endpoints import STATUS_ENDPOINT, Endpoint

# Who meets one of these need not ask the tenant for anything else now.
_ABOUT_TENANT = (TenantUnreachable, TenantTimeout, TenantUnauthorized, TenantServerError, TenantThrottled)
_NO_SUCCESS = (JobState.FAILED, JobState.CANCELLED, JobState.NOT_FOUND)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a `TenantError` tells, where somebody else has met it, or where it is not the tenant that fails."""

    endpoint: str
    reason: str
    message: str
    cure: str = ""
    tracking_id: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of one job now; `elapsed_s` is how long it has run or took, by the tenant's clock.

    `trouble` is why its state, or the result of an ended import, is not known; `usual` is how long jobs of its
    operation usually take, None while nobody has learned that.
    """

    job: Job
    elapsed_s: float | None = None
    trouble: TenantError | Trouble | None = None
    usual: Usual | None = None

    @property
    def over(self) -> bool:
        """Whether the tenant will say nothing new of it."""
        return self.job.state is JobState.NOT_FOUND or self.job.end_seen_s is not None

    @property
    def needs_result(self) -> bool:
        """Whether the result of an ended import is still to be read."""
        is_import = self.job.key.operation is Operation.IMPORT
        return is_import and self.job.end_seen_s is not None and self.job.result is None

    @property
    def failed(self) -> bool:
        """Whether the job did not succeed: FAILED, CANCELLED, NOT_FOUND, or an import with errors."""
        return self.job.state in _NO_SUCCESS or bool(self.job.result and self.job.result.errors)

    @property
    def succeeded(self) -> bool:
        """Whether the job is COMPLETE and, of an import, the result was read and has no errors."""
        return self.job.state is JobState.COMPLETE and not self.failed and not self.needs_result


async def look(client: TenantClient, watched: WatchedJob, clock: Clock) -> Sight:
    """Ask for the job's status; a tenant that knows no such job makes it NOT_FOUND.

    Raises:
        TenantError: there was no good answer.
    """
    key = watched.key
    try:
        observation = await client.status(key)
    except TenantNotFound as error:
        if error.endpoint != STATUS_ENDPOINT[key.operation]:
            raise
        observation = Observation(key, JobState.NOT_FOUND, "", observed_s=clock.wall())
    job = Job(watched).seen(observation)
    return Sight(job, _elapsed_s(job, client, clock))


async def look_with_result(client: TenantClient, watched: WatchedJob, clock: Clock) -> Sight:
    """Ask for the job's status and, where it is an import that has ended, once for its result.

    Raises:
        TenantError: there was no good answer about its status.
    """
    sight = await look(client, watched, clock)
    if not sight.needs_result:
        return sight
    try:
        result = await client.result(watched.key)
    except TenantError as error:
        return replace(sight, trouble=None if no_result(error) and sight.failed else error)
    return replace(sight, job=replace(sight.job, result=result))


async def look_at_list(client: TenantClient, operation: Operation, clock: Clock) -> list[Sight]:
    """Ask for one of Configuration Hub's lists: all of its jobs that tell a state.

    Raises:
        TenantError: there was no good answer.
    """
    sights = []
    for entry in filter(lambda entry: entry.tells_state, await client.listed(operation)):
        watched = WatchedJob(entry.observation.key, Source.DISCOVERY, entry.name)
        job = replace(Job(watched), hub=entry.facts).seen(entry.observation)
        sights.append(Sight(job, _elapsed_s(job, client, clock)))
    return sights


def no_result(error: TenantError) -> bool:
    """Whether the tenant says that an import has no result, as many have that failed."""
    return isinstance(error, TenantNotFound) and error.endpoint == Endpoint.IMPORT_RESULT


def concerns_tenant(error: TenantError) -> bool:
    """Whether what was asked for had no part in the failure: everything else would fail likewise now."""
    wrong_host = isinstance(error, TenantNotFound) and error.endpoint in {Endpoint.TOKEN, Endpoint.CONFIG_OBJECTS}
    return wrong_host or error.endpoint == Endpoint.TOKEN or isinstance(error, _ABOUT_TENANT)


def _elapsed_s(job: Job, client: TenantClient, clock: Clock) -> float | None:
    if job.end_seen_s is not None:
        return job.duration_s
    if job.latest is None or job.latest.created_s is None or not job.running:
        return None
    now = Moment(clock.wall(), clock.monotonic())
    return seconds_between(job.latest.created_s, client.vitals.health.tenant_now_s(now))
