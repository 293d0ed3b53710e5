"""Looks after one group: the tenants that share a client id, and so a budget.

One due queue and a few looks in flight; no task or timer for each job. This is the one place where failures end: the
layers below raise, and this turns what they raise into health, log lines and another try.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog
from structlog.contextvars import bound_contextvars

from spexporter.clock import Clock
from spexporter.domain.errors import (
    AnswerTooLarge,
    TenantError,
    TenantForbidden,
    TenantMalformed,
    TenantNotFound,
    TenantServerError,
    TenantThrottled,
    TenantTimeout,
    TenantUnauthorized,
    TenantUnreachable,
)
from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.ports import Board, Change, Counted, Exchanges, Group, Lease, Ledger, Pulse
from spexporter.domain.result import ImportResult, Outcome
from spexporter.domain.schedule import Pace, Schedule, Target, TargetKind, next_look_s, retry_after_s
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantState, TenantView
from spexporter.sailpoint.vitals import Vitals

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_HEARTBEAT_S = 5.0
_LOOKS_PER_TENANT = 4  # a tenant that hangs holds no more of the group than this
_LOOKS_PER_GROUP = 32
_RESULT_TRIES = 5
_RESULTS_KEPT_S = 7 * 86400.0  # where a job tells no expiration; every published sample has created + 7 days

# The whole tenant is in trouble, not one job: leave all of it alone for a while.
_TENANT_WIDE = (TenantUnreachable, TenantTimeout, TenantServerError, TenantUnauthorized)


class Asks(Protocol):
    """What the poller needs of a tenant's client; every method raises `TenantError` and nothing else."""

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


@dataclass(frozen=True, slots=True)
class Polled:
    """One tenant of the group: its client and the bounds of its pace."""

    client: Asks
    pace: Pace


class Poller:
    """Polls one group until it is cancelled."""

    def __init__(
        self,
        group: Group,
        tenants: Mapping[str, Polled],
        *,
        ledger: Ledger,
        board: Board,
        lease: Lease,
        clock: Clock,
        exchanges: Exchanges,
        pulse: Pulse,
    ) -> None:
        self._group = group
        self._tenants = tenants
        self._ledger = ledger
        self._board = board
        self._lease = lease
        self._clock = clock
        self._exchanges = exchanges
        self._pulse = pulse
        self._schedule = Schedule()
        self._states: dict[str, TenantState] = {}
        self._versions: Counter[str] = Counter()
        self._in_flight: Counter[str] = Counter()
        self._failures: Counter[str | Target] = Counter()
        self._wake = asyncio.Event()
        self._looks: Mapping[TargetKind, Callable[[Target], Awaitable[None]]] = {
            TargetKind.PROBE: self._probe,
            TargetKind.STATUS: self._look_at_status,
            TargetKind.RESULT: self._look_at_result,
        }

    async def restore(self) -> None:
        """Show what the ledger knows, before the first exchange, and queue a first probe of each tenant."""
        self._states.update(await self._ledger.restore(self._tenants))
        for tenant in self._tenants:
            self._schedule.add(Target(tenant, TargetKind.PROBE), self._clock.monotonic())
            self._show(tenant)

    async def watch(self, tenant: str, added: tuple[WatchedJob, ...], removed: tuple[JobKey, ...]) -> None:
        """Watch the jobs `added` from now on, and those `removed` no more."""
        await self._apply(tenant, Change(added=added, removed=removed))
        for key in removed:
            self._schedule.discard(Target(tenant, TargetKind.STATUS, key))
            self._schedule.discard(Target(tenant, TargetKind.RESULT, key))
        self._tenants[tenant].client.vitals.forget({_subject(key): None for key in removed})
        for watched in added:
            job = self._states[tenant].jobs[watched.key]
            target = self._next_target(job)
            if target is not None and self._schedule.due(target) is None:
                self._schedule.add(target, self._clock.monotonic())
        self._wake.set()
        self._show(tenant)

    async def run(self) -> None:
        """Poll until cancelled."""
        async with asyncio.TaskGroup() as looks:
            while True:
                self._wake.clear()
                self._pulse.beat()
                self._start_due(looks)
                now_s = self._clock.monotonic()
                head_s = self._schedule.head(self._busy()) if self._in_flight.total() < _LOOKS_PER_GROUP else None
                await self._clock.wait(
                    self._wake, min(now_s + _HEARTBEAT_S, head_s if head_s is not None else now_s + _HEARTBEAT_S)
                )

    def _start_due(self, looks: asyncio.TaskGroup) -> None:
        now_s = self._clock.monotonic()
        while self._in_flight.total() < _LOOKS_PER_GROUP and (taken := self._schedule.take(now_s, self._busy())):
            target, due_s = taken
            if self._lease.held(self._group) is None:
                self._pulse.skipped("lease")
                self._schedule.add(target, now_s + self._tenants[target.tenant].pace.slowest_s)
                continue
            self._pulse.started(now_s - due_s)
            self._in_flight[target.tenant] += 1
            looks.create_task(self._look(target), name=str(target))

    def _busy(self) -> frozenset[str]:
        return frozenset(tenant for tenant, looks in self._in_flight.items() if looks >= _LOOKS_PER_TENANT)

    async def _look(self, target: Target) -> None:
        """Make one look and queue the next one, whatever happens."""
        job_id = {"job_id": target.key.job_id} if target.key else {}
        with bound_contextvars(tenant=target.tenant, look=target.kind.value, **job_id):
            try:
                await self._looks[target.kind](target)
            except TenantError as error:
                self._failed(target, error)
            except Exception:  # a bug in one look must not blind us to the others
                log.exception("look_crashed")
                self._again(target, self._tenants[target.tenant].pace.slowest_s)
            finally:
                self._in_flight[target.tenant] -= 1
                self._pulse.attempted(target.tenant)
                self._show(target.tenant)
                self._wake.set()

    async def _probe(self, target: Target) -> None:
        polled = self._tenants[target.tenant]
        last_answer_s = polled.client.vitals.health.last_answer_s
        quiet_s = self._clock.wall() - last_answer_s if last_answer_s is not None else None
        if quiet_s is not None and 0 <= quiet_s < polled.pace.probe_s and self._knows_types(target.tenant):
            self._again(target, polled.pace.probe_s - quiet_s)
            return
        object_types = await polled.client.object_types()
        await self._apply(target.tenant, Change(object_types=object_types))
        self._worked(target, "config-objects")
        self._again(target, polled.pace.probe_s)

    def _knows_types(self, tenant: str) -> bool:
        return self._tenants[tenant].client.vitals.health.access.get("config-objects", False)

    async def _look_at_status(self, target: Target) -> None:
        key = _key(target)
        polled = self._tenants[target.tenant]
        before = self._states[target.tenant].jobs.get(key)
        try:
            observation = await polled.client.status(key)
        except TenantNotFound as error:
            if error.endpoint != f"{key.operation}-status":
                raise
            self._exchanges.failed(target.tenant, error.reason)
            observation = Observation(key, JobState.NOT_FOUND, "", observed_s=self._clock.wall())
        await self._apply(target.tenant, Change(observations=(observation,)))
        self._worked(target, f"{key.operation}-status")
        job = self._states[target.tenant].jobs.get(key)
        if job is None:
            return  # not watched any more since the look began
        if before is None or before.state != job.state:
            _log_state(job)
        following = self._next_target(job)
        if following == target:
            self._again(target, self._next_look_s(job, polled.pace))
        elif following is not None:
            self._again(following, 0.0)

    def _next_look_s(self, job: Job, pace: Pace) -> float:
        if job.state is JobState.NOT_FOUND:
            return pace.slowest_s
        return next_look_s(pace, self._view(job.key.tenant).elapsed_s(job, self._now()))

    def _next_target(self, job: Job) -> Target | None:
        """Return what is left to ask about a job: its status, an ended import's result, or nothing."""
        if job.end_seen_s is None:
            return Target(job.key.tenant, TargetKind.STATUS, job.key)
        if job.key.operation is Operation.IMPORT and job.outcome is None:
            return Target(job.key.tenant, TargetKind.RESULT, job.key)
        return None

    async def _look_at_result(self, target: Target) -> None:
        key = _key(target)
        job = self._states[target.tenant].jobs.get(key)
        if job is None:
            return
        try:
            result = await self._tenants[target.tenant].client.result(key)
        except TenantError as error:
            outcome = self._given_up(target, job, error)
            if outcome is None:
                raise
            self._exchanges.failed(target.tenant, error.reason)
            counted = Counted(key, outcome)
        else:
            counted = Counted(key, job.outcome_of(result), result)
            self._worked(target, "import-result")
        await self._apply(target.tenant, Change(results=(counted,)))
        self._failures.pop(target, None)
        self._tenants[target.tenant].client.vitals.forget({_subject(key): None})
        errors = counted.result.errors if counted.result else None
        log.info("import_result_settled", outcome=counted.outcome.value, errors=errors)

    def _given_up(self, target: Target, job: Job, error: TenantError) -> Outcome | None:
        """Say what became of a result that will never be read, None while it is worth another try."""
        tries = self._failures[target] + 1
        if isinstance(error, AnswerTooLarge):
            return Outcome.TOO_LARGE
        if isinstance(error, TenantMalformed) and error.endpoint == "import-result" and tries >= _RESULT_TRIES:
            return Outcome.MALFORMED
        if isinstance(error, TenantNotFound) and error.endpoint == "import-result" and tries >= _RESULT_TRIES:
            return Outcome.MISSING
        if isinstance(error, TenantForbidden) and self._expired(job):
            return Outcome.FORBIDDEN
        return None

    def _expired(self, job: Job) -> bool:
        """Whether the tenant does not keep the job's result any more."""
        now_s = self._view(job.key.tenant).health.tenant_now_s(self._now())
        expires_s = job.latest.expires_s if job.latest else None
        return now_s > (expires_s if expires_s is not None else (job.end_seen_s or now_s) + _RESULTS_KEPT_S)

    def _worked(self, target: Target, endpoint: str) -> None:
        """Take note of a good answer: what was wrong with this endpoint, job and token is over."""
        self._failures.pop(target.tenant, None)
        self._failures.pop(target, None)
        subjects = [endpoint, "token", *([_subject(target.key)] if target.key else [])]
        for trouble in self._tenants[target.tenant].client.vitals.worked(*subjects):
            lasted_s = round(self._clock.wall() - trouble.since_s, 3)
            log.info("trouble_ended", endpoint=trouble.endpoint, reason=trouble.reason, lasted_s=lasted_s)

    def _failed(self, target: Target, error: TenantError) -> None:
        """Take note of a failure and queue another try; the log hears of it once, not at every try."""
        polled = self._tenants[target.tenant]
        self._exchanges.failed(target.tenant, error.reason)
        wide = isinstance(error, (*_TENANT_WIDE, TenantForbidden, TenantThrottled)) or target.key is None
        subject = error.endpoint if wide or target.key is None else _subject(target.key)
        if trouble := polled.client.vitals.failed(subject, error):
            log.warning(
                "trouble_began",
                endpoint=trouble.endpoint,
                reason=trouble.reason,
                error=trouble.message,
                cure=trouble.cure,
                tracking_id=trouble.tracking_id,
            )
        self._again(target, self._retry_s(target, error, polled.pace))

    def _retry_s(self, target: Target, error: TenantError, pace: Pace) -> float:
        """Return when to try again, in seconds from now, and hold the whole tenant back where it is in trouble."""
        if isinstance(error, TenantThrottled):
            return 0.0  # the gate holds it until the pause is over
        if isinstance(error, (TenantForbidden, TenantUnauthorized)):
            retry_s = pace.slowest_s
        else:
            counts = target.tenant if isinstance(error, _TENANT_WIDE) else target
            self._failures[counts] += 1
            retry_s = retry_after_s(pace, self._failures[counts])
        if isinstance(error, _TENANT_WIDE):
            self._pulse.skipped("backoff")
            self._schedule.hold(target.tenant, self._clock.monotonic() + retry_s)
        return retry_s

    def _again(self, target: Target, after_s: float) -> None:
        if target.key is None or target.key in self._states[target.tenant].jobs:
            self._schedule.add(target, self._clock.monotonic() + after_s)

    async def _apply(self, tenant: str, change: Change) -> None:
        """Write `change` and let pages show what it counted."""
        fence = self._lease.held(self._group)
        if fence is None:
            return
        state = await self._ledger.apply(tenant, change, fence=fence)
        unpublished = {key: cell.value for key, cell in state.totals.items() if cell.value != cell.published}
        if unpublished:
            state = await self._ledger.publish(tenant, unpublished, fence=fence)
        self._states[tenant] = state

    def _show(self, tenant: str) -> None:
        self._versions[tenant] += 1
        self._board.put(self._view(tenant))

    def _view(self, tenant: str) -> TenantView:
        health = self._tenants[tenant].client.vitals.health
        return TenantView(tenant, self._versions[tenant], self._states[tenant], health)

    def _now(self) -> Moment:
        return Moment(self._clock.wall(), self._clock.monotonic())


def _key(target: Target) -> JobKey:
    if target.key is None:
        raise ValueError(f"{target} names no job")
    return target.key


def _subject(key: JobKey) -> str:
    """Name a job in a tenant's troubles."""
    return f"{key.operation} {key.job_id}"


def _log_state(job: Job) -> None:
    facts = {} if job.duration_s is None else {"duration_s": round(job.duration_s, 3)}
    message = job.latest.message if job.latest else ""
    log.info("job_state_seen", operation=job.key.operation.value, state=str(job.state), message=message[:300], **facts)
