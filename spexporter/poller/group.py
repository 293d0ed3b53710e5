"""Looks after one group: the tenants that share a client id, and so a budget.

One due queue and a few looks in flight; no task or timer for each job. This is the one place where failures end: the
layers below raise, and this turns what they raise into another try.
"""

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterable, Mapping

import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars, unbind_contextvars

from spexporter.clock import Clock
from spexporter.domain.errors import LeaseEnded, TenantError
from spexporter.domain.job import Job, JobKey, WatchedJob
from spexporter.domain.ports import Group, Lease, Pulse, Queued
from spexporter.domain.schedule import Schedule, Target, TargetKind, spread_s
from spexporter.domain.view import TenantState
from spexporter.poller.asks import Following
from spexporter.poller.tenant import TenantPolling

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_HEARTBEAT_S = 5.0
_LOOKS_PER_GROUP = 32


class Poller:
    """Polls one group until it is cancelled; tenants come and go meanwhile."""

    def __init__(self, group: Group, *, lease: Lease, clock: Clock, pulse: Pulse) -> None:
        self._group = group
        self._tenants: dict[str, TenantPolling] = {}
        self._looks: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)
        self._lease = lease
        self._clock = clock
        self._pulse = pulse
        self._schedule = Schedule()
        self._before_run: list[Target] | None = []
        self._dues: dict[Target, float] = {}
        self._in_flight: Counter[str] = Counter()
        self._tending: set[str] = set()
        self._shut_since_s: dict[str, float] = {}  # by tenant: since when looks that are due wait for budget
        self._wake = asyncio.Event()
        self._wakes_s = -math.inf  # when it wakes by itself

    async def add(
        self, name: str, tenant: TenantPolling, state: TenantState, dues: Mapping[Target, float] | None = None
    ) -> None:
        """Show what the ledger knows of a tenant, before the first exchange, and poll it from now on.

        `dues` is when looks that another process had queued are due (monotonic seconds).
        """
        self._dues |= dues or {}
        targets = await tenant.restore(state)
        self._tenants[name] = tenant
        self._schedule.pace(name, tenant.pace)
        self._ask_soon([Target(name, TargetKind.PROBE), *targets])
        self._wake.set()

    async def remove(self, name: str) -> TenantPolling:
        """Ask nothing of a tenant any more, end what is under way, and return what is known of it."""
        tenant = self._tenants.pop(name)
        self._schedule.drop(name)
        under_way = self._looks.pop(name, set())
        for look in under_way:
            look.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        self._in_flight.pop(name, None)
        self._shut_since_s.pop(name, None)
        self._tending.discard(name)
        return tenant

    def halt(self) -> None:
        """End all looks that are under way: the group may be another process's."""
        for under_way in self._looks.values():
            for look in under_way:
                look.cancel()

    @property
    def cost(self) -> float:
        """How much there is to do: how many looks are queued and under way."""
        return float(len(self._schedule) + self._in_flight.total())

    def queued(self) -> list[Queued]:
        """Return the looks that are queued, for whoever goes on."""
        return [Queued(target, due_in_s) for target, due_in_s in self._schedule.queued(self._clock.monotonic())]

    def __len__(self) -> int:
        return len(self._tenants)

    async def watch(self, tenant: str, added: tuple[WatchedJob, ...], removed: tuple[JobKey, ...]) -> None:
        """Watch the jobs `added` from now on, and those `removed` no more."""
        self._ask_about(await self._tenants[tenant].watch(added, removed))
        for key in removed:
            self._schedule.discard(Target(tenant, TargetKind.STATUS, key))
            self._schedule.discard(Target(tenant, TargetKind.RESULT, key))
        self._wake.set()

    async def begin(self, tenant: str, job: WatchedJob) -> None:
        """Watch one job from now on, or not at all.

        Raises:
            StoreError: it is not known whether the job was counted before; it is not watched.
        """
        self._ask_about(await self._tenants[tenant].begin(job))
        self._wake.set()

    def check_ours(self, tenant: str) -> None:
        """Make sure that what is watched of `tenant` from now on will be.

        Raises:
            TenantElsewhere: another replica may look after it now.
        """
        self._tenants[tenant].check_ours()

    def check_kept(self, tenant: str) -> None:
        """Make sure that what is watched of `tenant` will be after a restart, too.

        Raises:
            TenantElsewhere: another replica may look after it now.
            StoreError: the store fails now.
        """
        self._tenants[tenant].check_kept()

    def reloaded(self, tenant: str) -> None:
        """Ask again what was switched off until a reload."""
        self._ask_soon(self._tenants[tenant].reloaded())
        self._wake.set()

    def jobs(self, tenant: str) -> Mapping[JobKey, Job]:
        """Return what is watched of `tenant` and has not left the pages for ever."""
        return self._tenants[tenant].jobs

    def waiting(self, tenant: str) -> Mapping[JobKey, WatchedJob]:
        """Return what is watched as soon as the store can tell whether it was counted before."""
        return self._tenants[tenant].waiting

    def next_look_s(self, key: JobKey) -> float | None:
        """When a look that tells of a job is due, monotonic seconds; None where none is queued."""
        targets = (
            Target(key.tenant, TargetKind.STATUS, key),
            Target(key.tenant, TargetKind.RESULT, key),
            Target(key.tenant, TargetKind.LIST, operation=key.operation),
        )
        return next((due_s for target in targets if (due_s := self._schedule.due(target)) is not None), None)

    async def leave(self) -> None:
        """Leave the store so that the next process can go on from the last page; no page begins any more."""
        for tenant in self._tenants.values():
            await tenant.leave()

    def needs_care(self) -> bool:
        """Whether something is due that is no look."""
        return any(tenant.needs_care() for tenant in self._tenants.values())

    def wake(self) -> None:
        """Look at once for what is due."""
        self._wake.set()

    def _ask_about(self, targets: Iterable[Target]) -> None:
        self._ask_soon([target for target in targets if self._schedule.due(target) is None])

    def _ask_soon(self, targets: Iterable[Target]) -> None:
        """Queue first looks, spread over a moment: tenants over their probes, and jobs after the probe of theirs.

        The moment begins with polling: restoring thousands of jobs may take longer than it lasts.
        """
        if self._before_run is not None:
            self._before_run.extend(targets)
            return
        now_s = self._clock.monotonic()
        for target in targets:
            pace = self._tenants[target.tenant].pace
            after_s = spread_s(pace, target.tenant) + (spread_s(pace, str(target.key)) if target.key else 0.0)
            self._schedule.add(target, max(now_s, self._dues.pop(target, now_s + after_s)))

    async def run(self) -> None:
        """Poll until cancelled."""
        first, self._before_run = self._before_run or [], None
        self._ask_soon(target for target in first if self._wants(target))
        async with asyncio.TaskGroup() as looks:
            while True:
                self._wake.clear()
                self._pulse.beat()
                self._reconsider()
                self._take_care(looks)
                self._start_due(looks)
                self._wakes_s = self._next_wake_s()
                await self._clock.wait(self._wake, self._wakes_s)

    def _wants(self, target: Target) -> bool:
        """Whether a look is still worth it: the tenant, or the job, may have left."""
        return target.tenant in self._tenants and self._tenants[target.tenant].watches(target)

    def _reconsider(self) -> None:
        """Ask at once where a credential that was refused has changed since."""
        for name, tenant in self._tenants.items():
            if not tenant.refused:
                continue
            with bound_contextvars(tenant=name):
                targets = tenant.reconsider()
            if targets:
                self._schedule.hold(name, self._clock.monotonic())
                self._ask_soon(targets)

    def _take_care(self, tasks: asyncio.TaskGroup) -> None:
        """Do for each tenant what is due and is no look; that waits for the store, so looks do not wait for it."""
        for name, tenant in self._tenants.items():
            if name not in self._tending and tenant.needs_care():
                self._tending.add(name)
                self._begin(name, self._tend(name), f"tend {name}", tasks)

    async def _tend(self, name: str) -> None:
        with bound_contextvars(tenant=name):
            try:
                self._ask_about(await self._tenants[name].tend())
            except Exception:  # a bug with one tenant must not blind us to the others
                log.exception("look_crashed")
            finally:
                self._tending.discard(name)

    def _next_wake_s(self) -> float:
        """Return when there is something to do again, at the latest for the next heartbeat."""
        beat_s = self._clock.monotonic() + _HEARTBEAT_S
        if self._in_flight.total() >= _LOOKS_PER_GROUP:
            return beat_s  # the end of a look sets the event
        return min(beat_s, self._schedule.head(self._opens_s))

    def _start_due(self, looks: asyncio.TaskGroup) -> None:
        while target := self._next():
            self._begin(target.tenant, self._work(target), str(target), looks)

    def _next(self) -> Target | None:
        """Take what is to be looked at now, None for nothing; it counts as in flight from now on."""
        now_s = self._clock.monotonic()
        while self._in_flight.total() < _LOOKS_PER_GROUP and (taken := self._schedule.take(now_s, self._opens_s)):
            target, due_s = taken
            if self._lease.held(self._group) is None:
                self._pulse.skipped("lease")
                self._schedule.add(target, now_s + _HEARTBEAT_S)
                continue
            self._pulse.started(now_s - due_s)
            waited_s = now_s - max(due_s, self._shut_since_s.pop(target.tenant, now_s))
            if waited_s > 0:
                self._tenants[target.tenant].waited(waited_s)
            self._in_flight[target.tenant] += 1
            return target
        return None

    async def _work(self, target: Target) -> None:
        """Make a look, and the next one in the same task where there is only one tenant and it has all hands full."""
        tenant = self._tenants[target.tenant]
        following: Target | None = target
        try:
            while following:
                await self._look(following, tenant)
                busy = len(self._tenants) == 1 and self._in_flight[target.tenant] == tenant.most_looks - 1
                following = self._next() if busy else None
        finally:
            if tenant.needs_care() or self._next_wake_s() < self._wakes_s:
                self._wake.set()

    def _begin(self, tenant: str, work: Coroutine[None, None, None], name: str, tasks: asyncio.TaskGroup) -> None:
        """Start `work` so that it can be ended when the tenant leaves."""
        task = tasks.create_task(work, name=name)
        self._looks[tenant].add(task)
        task.add_done_callback(self._looks[tenant].discard)

    def _opens_s(self, name: str) -> float:
        """When a look at a tenant may start; at one that is leaving, never."""
        tenant, looks = self._tenants.get(name), self._in_flight[name]
        if tenant is None or looks >= tenant.most_looks:
            return math.inf
        opens_s = tenant.opens_s(self._in_flight.total())
        if opens_s <= (now_s := self._clock.monotonic()):
            return -math.inf  # now, also for who has read the clock a moment ago
        self._shut_since_s.setdefault(name, now_s)
        return opens_s

    async def _look(self, target: Target, tenant: TenantPolling) -> None:
        """Make one look and queue what comes next, whatever happens."""
        _name_in_log(target)
        try:
            following = await tenant.look(target)
        except TenantError as error:
            self._put_off(target, tenant, tenant.failed(target, error))
        except LeaseEnded:
            self._pulse.skipped("lease")
            self._put_off(target, tenant, _HEARTBEAT_S)
        except Exception:  # a bug in one look must not blind us to the others
            log.exception("look_crashed")
            self._put_off(target, tenant, tenant.pace.slowest_s)
        else:
            if following is not None and self._is_here(target, tenant):
                self._queue(following)
        finally:
            self._in_flight[target.tenant] -= 1
            self._pulse.attempted(target.tenant)
            tenant.show()

    def _queue(self, following: Following) -> None:
        now_s = self._clock.monotonic()
        if following.outlooks:
            self._schedule.look_again(following.target, following.outlooks, now_s)
        else:
            self._schedule.add(following.target, now_s + following.after_s)

    def _is_here(self, target: Target, tenant: TenantPolling) -> bool:
        """Whether the tenant has not left meanwhile: a look can end by itself in the moment in which it is ended."""
        return self._tenants.get(target.tenant) is tenant

    def _put_off(self, target: Target, tenant: TenantPolling, after_s: float) -> None:
        """Queue another try, and hold back the whole tenant where nothing is to be asked of it for a while."""
        if not self._is_here(target, tenant):
            return
        if tenant.watches(target):
            self._schedule.add(target, self._clock.monotonic() + after_s)
        if (until_s := tenant.waits_until_s) is not None:
            self._pulse.skipped("backoff")
            self._schedule.hold(target.tenant, until_s)


def _name_in_log(target: Target) -> None:
    """Tell in each line of the log what this task looks at; nothing takes that back, as its context is its own."""
    if target.key:
        bind_contextvars(tenant=target.tenant, look=target.kind.value, job_id=target.key.job_id)
    else:
        unbind_contextvars("job_id")
        bind_contextvars(tenant=target.tenant, look=target.kind.value)
