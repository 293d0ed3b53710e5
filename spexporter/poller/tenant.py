"""Asks one tenant, writes what it says into the ledger, and puts the tenant's view on the board."""

import asyncio
import math
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from random import Random
from typing import NamedTuple, Protocol

import structlog

from spexporter.clock import Clock
from spexporter.domain.breaker import BreakerState
from spexporter.domain.errors import (
    AnswerTooLarge,
    StoreError,
    TenantError,
    TenantForbidden,
    TenantMalformed,
    TenantNotFound,
    TenantRejected,
)
from spexporter.domain.hub import ListedJob, Listing
from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, Source, WatchedJob
from spexporter.domain.patience import Patience
from spexporter.domain.ports import Board, Change, Counted, Exchanges, Group, Lease, Ledger
from spexporter.domain.result import ImportResult, Outcome
from spexporter.domain.schedule import Target, TargetKind, next_look_s, spread_s
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantState
from spexporter.poller.care import Care
from spexporter.poller.lists import Lists, Reading, next_reading_s
from spexporter.poller.publishing import Publisher
from spexporter.poller.troubles import Troubles, subject_of
from spexporter.sailpoint.endpoints import LIST_ENDPOINT, STATUS_ENDPOINT, Endpoint
from spexporter.sailpoint.vitals import Vitals
from spexporter.watch.backups import backup_of

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LOOKS_PER_TENANT = 4  # a tenant that hangs holds no more of its group than this
# A result that cannot be had: about half a minute where the job says that it failed, minutes where there must be one.
_RESULT_TRIES, _RESULT_TRIES_AFTER_COMPLETE = 5, 12
_STATES_LOGGED = 10  # of one reading of a list, each in a line of its own
_NOT_FOUND_ANSWERS = 3  # a first 404 and two that confirm it: a gateway can have a bad moment
_STORE_RETRY_S = 5.0
_CREDENTIAL_EVERY_S = 3600.0  # a token's end changes by hand, and an alert on it comes days before
_OPTIONAL = (TargetKind.LIST, TargetKind.CREDENTIAL)
_RESULTS_KEPT_S = 7 * 86400.0  # where a job tells no expiration; every published sample has created + 7 days
# These concern one job; other failures concern an endpoint or the tenant.
_JOB_TROUBLE = (TenantMalformed, TenantNotFound, TenantRejected)


# Watches a job that SailPoint has started by the way.
Follow = Callable[[WatchedJob], Awaitable[None]]


class Asks(Protocol):
    """What polling needs of a tenant's client; every method raises `TenantError` and nothing else."""

    @property
    def vitals(self) -> Vitals:
        """The tenant's health, kept by the client."""
        ...

    async def object_types(self) -> frozenset[str]:
        """Return the object types that the tenant knows."""
        ...

    async def status(self, key: JobKey) -> Observation:
        """Return what the tenant says of a job now."""
        ...

    async def result(self, key: JobKey) -> ImportResult:
        """Return an ended import's result."""
        ...

    async def listed(self, operation: Operation) -> tuple[ListedJob, ...]:
        """Return what one of Configuration Hub's lists has now."""
        ...

    async def credential_expires(self) -> float | None:
        """Return when the personal access token ends, Unix seconds; None for never, or where that is not told."""
        ...

    def secret_changed(self) -> bool:
        """Tell whether the secret is another one than that of the last token request."""
        ...


class Following(NamedTuple):
    """The look that follows one, and in how many seconds."""

    target: Target
    after_s: float


class TenantPolling:
    """One tenant: what is believed of its jobs, and how a look at it changes that."""

    def __init__(
        self,
        tenant: str,
        group: Group,
        client: Asks,
        care: Care,
        *,
        ledger: Ledger,
        board: Board,
        lease: Lease,
        clock: Clock,
        exchanges: Exchanges,
        follow: Follow | None = None,
    ) -> None:
        self.pace = care.pace
        self._care = care
        self._tenant = tenant
        self._client = client
        self._clock = clock
        self._exchanges = exchanges
        self._follow = follow
        self._lists = Lists(care.max_jobs)
        self._nameless = False
        self._list_turn = asyncio.Lock()  # they share the room for jobs that have not ended
        # The lists that have more unfinished jobs than there is room for.
        self._crowded: set[Operation] = set()
        # What the credential may not be used for, and is not asked again until somebody asks for a reload.
        self._off: set[Target] = set()
        self._troubles = Troubles(client.vitals, clock)
        self._knows_types = False
        self._shared_error: TenantError | None = None
        self._shared_retry_s = 0.0
        # What could not be watched while the store failed.
        self._unwatched: dict[JobKey, WatchedJob] = {}
        self._store_retry_s = -math.inf
        # Dice of its own, so that tenants in trouble together are not tried again together; no secret depends on them.
        self._patience = Patience(care.pace, Random(zlib.crc32(tenant.encode())))  # noqa: S311
        self._publisher = Publisher(
            tenant,
            group,
            care,
            vitals=client.vitals,
            patience=self._patience,
            ledger=ledger,
            board=board,
            lease=lease,
            clock=clock,
        )

    async def restore(self, state: TenantState) -> list[Target]:
        """Believe what the ledger knows, and return what is to be asked about its jobs, and of the tenant."""
        self._publisher.restore(state)
        if state.last_answer_s is not None:
            self._client.vitals.restore(state.last_answer_s, state.tenant_offset_s, state.still_at_s)
        await self._publisher.apply(Change(operations=frozenset(self._care.expect)))
        # Not those of `state`: a reading may have ended since that was read.
        discovered = [key for key, job in self.jobs.items() if job.watched.source is Source.DISCOVERY]
        if forgotten := tuple(key for key in discovered if key.operation not in self._care.discover):
            await self._publisher.apply(Change(removed=forgotten))
        if Operation.DRAFT not in self._care.discover:
            await self._forget_drafts()
        self.show()
        lists = [Target(self._tenant, TargetKind.LIST, operation=operation) for operation in self._care.discover]
        credential = [Target(self._tenant, TargetKind.CREDENTIAL)] if self._care.asks_credential_end else []
        return [*lists, *credential, *self._left_to_ask(self.jobs)]

    async def watch(self, added: tuple[WatchedJob, ...], removed: tuple[JobKey, ...]) -> list[Target]:
        """Watch the jobs `added` from now on, and those `removed` no more; return what is to be asked about them.

        Where the store cannot tell whether they were counted before, `tend` will watch them.
        """
        gone = frozenset(removed)
        self._unwatched = {key: job for key, job in self._unwatched.items() if key not in gone}
        self._unwatched |= {job.key: job for job in added}
        added = tuple(self._unwatched.values())
        try:
            await self._publisher.apply(Change(added=added, removed=removed))
        except StoreError:
            self._store_retry_s = self._clock.monotonic() + _STORE_RETRY_S
            await self._publisher.apply(Change(removed=removed))
            added = ()
        done = {job.key: job for job in added}
        self._unwatched = {key: job for key, job in self._unwatched.items() if done.get(key) != job}
        self._troubles.forget([subject_of(key) for key in removed])
        self.show()
        return self._left_to_ask(watched.key for watched in added)

    async def begin(self, job: WatchedJob) -> list[Target]:
        """Watch one job from now on, or not at all; return what is to be asked about it.

        Raises:
            StoreError: it is not known whether the job was counted before; it is not watched.
        """
        await self._publisher.apply(Change(added=(job,)))
        self._unwatched.pop(job.key, None)
        self.show()
        return self._left_to_ask([job.key])

    @property
    def jobs(self) -> Mapping[JobKey, Job]:
        """What is watched and has not left the pages for ever."""
        return self._publisher.state.jobs

    @property
    def waiting(self) -> Mapping[JobKey, WatchedJob]:
        """Those that are watched as soon as the store can tell whether they were counted before."""
        return dict(self._unwatched)

    def needs_care(self) -> bool:
        """Whether something is due that is no look.

        A job leaves, counters are let go, the tenant went down or came back, or the store may be back.
        """
        now_s = self._clock.monotonic()
        if self._publisher.releasable:
            return True
        state = self._publisher.state
        if self._clock.wall() >= state.leaves_s:
            return True
        went_or_came = state.last_answer_s is not None and self._client.vitals.health.still_at_s != state.still_at_s
        return (went_or_came or bool(self._unwatched) or self._publisher.behind) and now_s >= self._store_retry_s

    async def tend(self) -> list[Target]:
        """Do what `needs_care`, and return what is to be asked about jobs that are watched from now on."""
        self._store_retry_s = self._clock.monotonic() + _STORE_RETRY_S
        self._publisher.release()
        return await self.watch((), ())

    def _left_to_ask(self, keys: Iterable[JobKey]) -> list[Target]:
        jobs = (self._publisher.state.jobs[key] for key in keys if key in self._publisher.state.jobs)
        targets = (self._next_target(job) for job in jobs)
        return [target for target in targets if target is not None]

    def reconsider(self) -> list[Target]:
        """Return what is to be asked at once because a credential that was refused has changed; mostly nothing."""
        if not ((self._patience.refused or self._off) and self._client.secret_changed()):
            return []
        self._patience.relent()
        log.info("secret_changed")
        return [Target(self._tenant, TargetKind.PROBE), *self.reloaded(), *self._left_to_ask(self.jobs)]

    def reloaded(self) -> list[Target]:
        """Return what was switched off and is to be asked again: an operator may have given the token more scopes."""
        again = list(self._off)
        self._off.clear()
        return again

    @property
    def waits_until_s(self) -> float | None:
        """Until when nothing is to be asked of the tenant (monotonic seconds), None when it is asked as usual."""
        return self._patience.tenant_waits_until_s(self._clock.monotonic())

    @property
    def most_looks(self) -> int:
        """How many looks may be in flight: one, to find out, while the tenant's circuit breaker is not closed."""
        closed = self._patience.breaker(self._clock.monotonic()) is BreakerState.CLOSED
        return _LOOKS_PER_TENANT if closed else 1

    def watches(self, target: Target) -> bool:
        """Whether `target` is still worth a look: its job may have left while one was under way."""
        return target not in self._off and (target.key is None or target.key in self.jobs)

    def show(self) -> None:
        """Put the present view on the board."""
        self._publisher.show()

    async def leave(self) -> None:
        """Take back what was published since the last page: the next process may have another address."""
        await self._publisher.leave()

    async def look(self, target: Target) -> Following | None:
        """Make one look and return the one that follows, None when the job has nothing more to tell.

        Raises:
            TenantError: there was no good answer; `failed` is to be told.
        """
        waits_s = self._patience.endpoint_waits_s(_endpoint(target), self._clock.monotonic())
        if waits_s > 0:
            return Following(target, waits_s + spread_s(self.pace, str(target)))
        if target.kind is TargetKind.PROBE:
            return await self._probe(target)
        if target.kind is TargetKind.CREDENTIAL:
            return await self._look_at_credential(target)
        if target.operation is not None:
            return await self._look_at_list(target, target.operation)
        return await self._look_at_job(target)

    async def _look_at_job(self, target: Target) -> Following | None:
        job = self.jobs.get(target.key) if target.key else None
        if job is None:
            return None
        if target.kind is TargetKind.RESULT:
            await self._look_at_result(target, job)
            return None
        return await self._look_at_status(target, job)

    async def _look_at_credential(self, target: Target) -> Following:
        self._publisher.credential_expires_s = await self._client.credential_expires()
        self._worked(target, Endpoint.PERSONAL_ACCESS_TOKENS)
        return Following(target, _CREDENTIAL_EVERY_S)

    async def _look_at_list(self, target: Target, operation: Operation) -> Following:
        try:
            listed = await self._client.listed(operation)
        except TenantForbidden:
            if operation is Operation.DRAFT:
                await self._forget_drafts()
            raise
        self._worked(target, LIST_ENDPOINT[operation])
        self._log_nameless(listed)
        async with self._list_turn:
            taken = await self._take_in(operation, listed)
        if not taken:
            return Following(target, _STORE_RETRY_S)
        running = [job for job in self.jobs.values() if job.running and job.key.operation in LIST_ENDPOINT]
        ages_s = {job.key: self._publisher.elapsed_s(job) for job in running}
        return Following(target, next_reading_s(self.pace, operation, ages_s))

    async def _take_in(self, operation: Operation, listed: tuple[ListedJob, ...]) -> bool:
        """Believe what a list says, and tell whether that is so of its new jobs, too."""
        before = self.jobs
        reading = self._lists.read(operation, listed, before, self._clock.wall())
        try:
            await self._publisher.apply(reading.change)
        except StoreError:
            await self._publisher.apply(reading.without_new_jobs)
            self._log_changes(reading, before)
            return False
        self._lists.took(reading)
        self._log_changes(reading, before)
        self._log_room(reading)
        return True

    def _log_changes(self, reading: Reading, before: Mapping[JobKey, Job]) -> None:
        """Log what has changed: each job, or only how many where they are many, or had ended before we could tell."""
        listed = [entry.observation for entry in reading.change.listing.jobs] if reading.change.listing else []
        keys = [observation.key for observation in (*listed, *reading.change.observations)]
        now = (self.jobs[key] for key in keys if key in self.jobs)
        changed = [job for job in now if job.key not in before or before[job.key].state is not job.state]
        news = [job for job in changed if not job.late]
        for job in news if len(news) <= _STATES_LOGGED else ():
            _log_state(job)
        if rest := [job for job in changed if job.late or len(news) > _STATES_LOGGED]:
            counts = Counter(str(job.state) for job in rest)
            states = ", ".join(f"{state} {count}" for state, count in sorted(counts.items()))
            log.info("jobs_listed", operation=reading.operation.value, jobs=len(rest), states=states)

    def _log_nameless(self, listed: Iterable[ListedJob]) -> None:
        """Log, once, why no backup is a success where we do not know what the tenant calls itself."""
        if not self._nameless and any(entry.facts.of_other_tenant is None for entry in listed):
            self._nameless = True
            cure = "let base_url be the host that SailPoint gives the tenant, as in https://acme.api.identitynow.com"
            log.warning("own_name_unknown", cure=cure)

    def _log_room(self, reading: Reading) -> None:
        """Log that jobs are left out when that begins and when it ends: their number can change with each reading."""
        if bool(reading.left_out) == (reading.operation in self._crowded):
            return
        self._crowded ^= {reading.operation}
        say = log.warning if reading.left_out else log.info
        say("jobs_left_out", operation=reading.operation.value, jobs=reading.left_out)

    async def _forget_drafts(self) -> None:
        if self._publisher.state.drafts is not None:
            await self._publisher.apply(Change(listing=Listing(Operation.DRAFT)))

    async def _probe(self, target: Target) -> Following:
        health = self._client.vitals.health
        # Lists that are read as rarely come first, and show that the tenant is there.
        rest_s = self.pace.probe_s + (self.pace.fastest_s if self._care.discover else 0.0)
        well = self._knows_types and Endpoint.CONFIG_OBJECTS not in health.troubles
        if well and health.last_answer_monotonic_s is not None:
            quiet_s = self._clock.monotonic() - health.last_answer_monotonic_s
            if quiet_s < self.pace.probe_s:
                # Other answers show that the tenant is there; a moment at least, or it would be due again at once.
                return Following(target, max(self.pace.fastest_s, rest_s - quiet_s))
        await self._publisher.apply(Change(object_types=await self._client.object_types()))
        self._knows_types = True
        self._worked(target, Endpoint.CONFIG_OBJECTS)
        return Following(target, rest_s)

    async def _look_at_status(self, target: Target, before: Job) -> Following | None:
        key, endpoint = before.key, STATUS_ENDPOINT[before.key.operation]
        try:
            observation = await self._client.status(key)
        except TenantNotFound as error:
            if error.endpoint != endpoint:
                raise
            self._exchanges.failed(self._tenant, error.reason)
            retry_s = self._patience.failed(target, error, self._clock.monotonic())
            if self._patience.failures(target) < _NOT_FOUND_ANSWERS:
                return Following(target, retry_s)
            observation = Observation(key, JobState.NOT_FOUND, "", observed_s=self._clock.wall())
        else:
            self._worked(target, endpoint)
        await self._publisher.apply(Change(observations=(observation,)))
        job = self._publisher.state.jobs.get(key)
        if job is None:
            return None
        if job.state != before.state:
            _log_state(job)
        following = self._next_target(job)
        if following is None or following.kind is TargetKind.RESULT:
            return following and Following(following, 0.0)
        if job.state is JobState.NOT_FOUND:
            return Following(target, self.pace.probe_s if job.left else self.pace.slowest_s)
        return Following(target, next_look_s(self.pace, self._publisher.elapsed_s(job)))

    async def _look_at_result(self, target: Target, job: Job) -> None:
        try:
            result = await self._client.result(job.key)
        except TenantError as error:
            outcome = self._given_up(target, job, error)
            if outcome is None:
                raise
            self._exchanges.failed(self._tenant, error.reason)
            self._troubles.forget([subject_of(job.key)])
            counted = Counted(job.key, outcome)
        else:
            counted = Counted(job.key, job.outcome_of(result), result)
            self._worked(target, Endpoint.IMPORT_RESULT)
        self._patience.forget(target)
        await self._publisher.apply(Change(results=(counted,)))
        if self._follow and (backup := backup_of(self.jobs.get(job.key))):
            await self._follow(backup)
        if job.state is JobState.COMPLETE and not counted.outcome.read:
            log.warning("import_result_lost", outcome=counted.outcome.value)
            return
        errors = counted.result.errors if counted.result else None
        log.info("import_result_settled", outcome=counted.outcome.value, errors=errors)

    def _next_target(self, job: Job) -> Target | None:
        """Return what is left to ask about a job: its status, an ended import's result, or nothing."""
        if job.key.operation not in STATUS_ENDPOINT:
            return None  # a list tells it
        if job.end_seen_s is None:
            return Target(self._tenant, TargetKind.STATUS, job.key)
        if job.key.operation is Operation.IMPORT and job.outcome is None:
            return Target(self._tenant, TargetKind.RESULT, job.key)
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
        last_try = self._patience.failures(target) + 1 >= tries
        if isinstance(error, TenantMalformed):
            return Outcome.MALFORMED if last_try else None
        if isinstance(error, TenantNotFound):
            return Outcome.MISSING if last_try or self._expired(job) else None
        return None

    def _expired(self, job: Job) -> bool:
        """Whether the tenant does not keep the job's result any more."""
        now_s = self._client.vitals.health.tenant_now_s(self._now())
        expires_s = job.latest.expires_s if job.latest else None
        return now_s > (expires_s if expires_s is not None else (job.end_seen_s or now_s) + _RESULTS_KEPT_S)

    def _worked(self, target: Target, endpoint: Endpoint) -> None:
        """Take note of a good answer: what was wrong with this endpoint, this job and the token is over."""
        self._patience.succeeded(target, endpoint)
        subjects = [endpoint, Endpoint.TOKEN, *([subject_of(target.key)] if target.key else [])]
        self._troubles.ended(subjects)

    def failed(self, target: Target, error: TenantError) -> float:
        """Take note of a failure and return when to try again, in seconds."""
        if error is self._shared_error:  # looks that wait for one token share its failure
            return self._shared_retry_s
        self._exchanges.failed(self._tenant, error.reason)
        own = error.endpoint == _endpoint(target)
        about_job = own and target.key is not None and isinstance(error, _JOB_TROUBLE)
        # A result that is not there yet is no trouble: it may come, and if it does not, its outcome says so. Nor is
        # what concerns a job that has left while it was asked for: nothing would ever end that.
        if not (about_job and (isinstance(error, TenantNotFound) or not self.watches(target))):
            self._troubles.began(subject_of(target.key) if about_job and target.key else error.endpoint, error)
        if own and self._switched_off(target, error):
            return math.inf
        retry_s = self._patience.failed(target, error, self._clock.monotonic(), own=own)
        self._shared_error, self._shared_retry_s = error, retry_s
        return retry_s

    def _switched_off(self, target: Target, error: TenantError) -> bool:
        """Switch off what the credential may not be used for and nothing else needs; tell whether that is so."""
        if target.kind not in _OPTIONAL or not isinstance(error, TenantForbidden):
            return False
        self._off.add(target)
        log.warning("switched_off", endpoint=error.endpoint, until="the next reload", cure=error.cure)
        return True

    def _now(self) -> Moment:
        return Moment(self._clock.wall(), self._clock.monotonic())


def _endpoint(target: Target) -> Endpoint:
    if target.operation is not None:
        return LIST_ENDPOINT[target.operation]
    if target.key is None:
        return Endpoint.PERSONAL_ACCESS_TOKENS if target.kind is TargetKind.CREDENTIAL else Endpoint.CONFIG_OBJECTS
    return Endpoint.IMPORT_RESULT if target.kind is TargetKind.RESULT else STATUS_ENDPOINT[target.key.operation]


def _log_state(job: Job) -> None:
    facts = {} if job.duration_s is None else {"duration_s": round(job.duration_s, 3)}
    message = job.latest.message if job.latest else ""
    log.info("job_state_seen", operation=job.key.operation.value, state=str(job.state), message=message[:300], **facts)
