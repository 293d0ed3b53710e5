"""Looks at single jobs: their status, and the results of imports that have ended."""

from collections.abc import Awaitable

import structlog

from spexporter.clock import Clock
from spexporter.domain.errors import AnswerTooLarge, TenantError, TenantForbidden, TenantMalformed, TenantNotFound
from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation
from spexporter.domain.ports import Change, Counted
from spexporter.domain.result import Outcome
from spexporter.domain.schedule import Pace, Target, TargetKind
from spexporter.domain.tenanttime import Moment
from spexporter.poller.asks import Asks, Follow, Following
from spexporter.poller.experience import Experience
from spexporter.poller.publishing import Publisher
from spexporter.sailpoint.endpoints import STATUS_ENDPOINT, Endpoint
from spexporter.watch.backups import backup_of

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# A result that cannot be had: about half a minute where the job says that it failed, minutes where there must be one.
_RESULT_TRIES, _RESULT_TRIES_AFTER_COMPLETE = 5, 12
_NOT_FOUND_ANSWERS = 3  # a first 404 and two that confirm it: a gateway can have a bad moment
_RESULTS_KEPT_S = 7 * 86400.0  # where a job tells no expiration; every published sample has created + 7 days


class JobLooks:
    """Asks one tenant about its jobs, each by its id, and believes the answers."""

    def __init__(
        self,
        client: Asks,
        pace: Pace,
        *,
        publisher: Publisher,
        experience: Experience,
        clock: Clock,
        follow: Follow | None,
    ) -> None:
        self._client = client
        self._pace = pace
        self._publisher = publisher
        self._experience = experience
        self._clock = clock
        self._follow = follow

    def look(self, target: Target, key: JobKey) -> Awaitable[Following | None]:
        """Look at the status of a job, or at its result; None when it has nothing more to tell."""
        job = self._publisher.state.jobs.get(key)
        if target.kind is TargetKind.RESULT:
            return self._look_at_result(target, job)
        return self._look_at_status(target, job)

    async def _look_at_status(self, target: Target, before: Job | None) -> Following | None:
        if before is None:
            return None
        key, endpoint = before.key, STATUS_ENDPOINT[before.key.operation]
        try:
            observation = await self._client.status(key)
        except TenantNotFound as error:
            if error.endpoint != endpoint:
                raise
            retry_s = self._experience.missed(target, error)
            if self._experience.patience.failures(target) < _NOT_FOUND_ANSWERS:
                return Following(target, retry_s)
            observation = Observation(key, JobState.NOT_FOUND, "", observed_s=self._clock.wall())
        else:
            self._experience.worked(target, endpoint)
        await self._publisher.apply(Change(observations=(observation,)))
        job = self._publisher.jobs.get(key)
        if job is None:
            return None
        if (state := job.state) != before.state:
            log_state(job)
        if job.end_seen_s is not None:
            following = self.next_target(job)
            return following and Following(following, 0.0)
        if state is JobState.NOT_FOUND:
            return Following(target, self._pace.probe_s if job.left else self._pace.slowest_s)
        return Following(target, outlooks=[self._publisher.outlook(job)])

    async def _look_at_result(self, target: Target, job: Job | None) -> None:
        if job is None:
            return
        try:
            result = await self._client.result(job.key)
        except TenantError as error:
            outcome = self._given_up(target, job, error)
            if outcome is None:
                raise
            self._experience.refused_result(job.key, error)
            counted = Counted(job.key, outcome)
        else:
            counted = Counted(job.key, job.outcome_of(result), result)
            self._experience.worked(target, Endpoint.IMPORT_RESULT)
        self._experience.patience.forget(target)
        await self._publisher.apply(Change(results=(counted,)))
        if self._follow and (backup := backup_of(self._publisher.jobs.get(job.key))):
            await self._follow(backup)
        if job.state is JobState.COMPLETE and not counted.outcome.read:
            log.warning("import_result_lost", outcome=counted.outcome.value)
            return
        errors = counted.result.errors if counted.result else None
        log.info("import_result_settled", outcome=counted.outcome.value, errors=errors)

    def next_target(self, job: Job) -> Target | None:
        """Return what is left to ask about a job: its status, an ended import's result, or nothing."""
        key = job.key
        if key.operation not in STATUS_ENDPOINT:
            return None  # a list tells it
        if job.end_seen_s is None:
            return Target(key.tenant, TargetKind.STATUS, key)
        if key.operation is Operation.IMPORT and job.outcome is None:
            return Target(key.tenant, TargetKind.RESULT, key)
        return None

    def _given_up(self, target: Target, job: Job, error: TenantError) -> Outcome | None:
        """Say what became of a result that will never be read, None while it is worth another try."""
        if error.endpoint != Endpoint.IMPORT_RESULT:
            return None
        if isinstance(error, AnswerTooLarge):
            return Outcome.TOO_LARGE
        if isinstance(error, TenantForbidden):
            return Outcome.FORBIDDEN if self._expired(job) else None
        tries = _RESULT_TRIES_AFTER_COMPLETE if job.state is JobState.COMPLETE else _RESULT_TRIES
        last_try = self._experience.patience.failures(target) + 1 >= tries
        if isinstance(error, TenantMalformed):
            return Outcome.MALFORMED if last_try else None
        if isinstance(error, TenantNotFound):
            return Outcome.MISSING if last_try or self._expired(job) else None
        return None

    def _expired(self, job: Job) -> bool:
        """Whether the tenant does not keep the job's result any more."""
        now_s = self._client.vitals.health.tenant_now_s(Moment(self._clock.wall(), self._clock.monotonic()))
        expires_s = job.latest.expires_s if job.latest else None
        return now_s > (expires_s if expires_s is not None else (job.end_seen_s or now_s) + _RESULTS_KEPT_S)


def log_state(job: Job) -> None:
    """Log that a job has got another state."""
    facts = {} if job.duration_s is None else {"duration_s": round(job.duration_s, 3)}
    message = job.latest.message if job.latest else ""
    log.info("job_state_seen", operation=job.key.operation.value, state=str(job.state), message=message[:300], **facts)
