"""All tenants of a configuration, running; another configuration can take its place while they do.

Tenants that share a client id are one group, with one gate and one poller. A tenant whose configuration has not
changed keeps its token, its budget, its queue and its requests in flight.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import aiohttp

from spexporter.clock import Clock
from spexporter.config.values import Config, Tenant
from spexporter.connect import connected, group_of
from spexporter.domain.errors import (
    NamedElsewhere,
    StoreError,
    TenantElsewhere,
    TooManyJobs,
    UnknownJob,
    UnknownTenant,
)
from spexporter.domain.job import Job, JobKey, Source, WatchedJob
from spexporter.domain.liveness import Liveness
from spexporter.domain.ports import Board, Group, Ledger, Terms
from spexporter.domain.view import TenantState
from spexporter.ledger.lease import SoleOwner
from spexporter.poller import Care, Poller, TenantPolling
from spexporter.sailpoint.client import TenantClient
from spexporter.sailpoint.endpoints import Endpoint, listed_operations
from spexporter.sailpoint.gate import Gate
from spexporter.telemetry import GroupPulse, Telemetry
from spexporter.watch.backups import backups_of
from spexporter.watch.configured import configured_jobs
from spexporter.watch.watchlist import Watchlist

# What these say of a job wins over what our API says.
_STRONGER = tuple(Source)[: tuple(Source).index(Source.API)]


@dataclass(frozen=True, slots=True)
class Shared:
    """What all tenants share."""

    ledger: Ledger
    board: Board
    http: aiohttp.ClientSession
    telemetry: Telemetry
    liveness: Liveness
    clock: Clock


@dataclass(frozen=True, slots=True)
class Difference:
    """How many tenants a new configuration has added, removed and changed otherwise than by its jobs."""

    added: Sequence[str]
    removed: Sequence[str]
    changed: Sequence[str]


class Fleet:
    """Runs the tenants of one configuration after another."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._lease = SoleOwner()
        self._watchlist = Watchlist()
        self._tenants: dict[str, Tenant] = {}
        self._hold_s, self._per_job, self._max_jobs = 0.0, True, 0
        self._turn = asyncio.Lock()  # changes of what is watched, one after another
        self._gates: dict[Group, Gate] = {}
        self._pollers: dict[Group, Poller] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[Group, asyncio.Task[None]] = {}

    async def take_over(self, config: Config) -> Difference:
        """Make the tenants of `config` those that run: all that are new or have changed begin anew.

        Raises:
            StoreError: what is known of a new tenant cannot be read; the fleet is as before.
        """
        async with self._turn:
            return await self._take_over(config)

    async def _take_over(self, config: Config) -> Difference:
        wanted = {tenant.name: tenant for tenant in config.tenants}
        removed = [name for name in self._tenants if name not in wanted]
        all_differ = self._per_job != config.per_job_metrics
        lists_differ = self._max_jobs != config.limits.max_jobs_per_tenant
        changed = [
            name
            for name, tenant in self._tenants.items()
            if name in wanted and (all_differ or (lists_differ and tenant.discover) or _differ(tenant, wanted[name]))
        ]
        added = [name for name in wanted if name not in self._tenants]
        begun = [wanted[name] for name in (*changed, *added)]
        renamed = [name for name in removed if any(name in tenant.former_names for tenant in begun)]
        states = await self._restored(begun, renamed)
        self._hold_s, self._per_job = config.counters.hold_s, config.per_job_metrics
        self._max_jobs = config.limits.max_jobs_per_tenant
        waiting = {name: tuple(self._poller_of(name).waiting(name).values()) for name in changed}
        for name in (*removed, *changed):
            if name not in renamed:
                await self._pollers[group_of(self._tenants[name])].remove(name)
        for name in removed:
            await self._forget(name)
        for name in (*changed, *added):
            tenant = self._tenants[name] = wanted[name]
            self._gates[group_of(tenant)].relimit(tenant.rate_limit)
            await self._add(tenant, states[name])
            # Not what was read above: polling went on until now.
            self._watchlist.restore(name, _named(self._pollers[group_of(tenant)].jobs(name).values()))
        for name, jobs in waiting.items():
            await self._poller_of(name).watch(name, jobs, ())
        for name, tenant in wanted.items():
            self._tenants[name] = tenant
            await self._watch(Source.CONFIG, name, configured_jobs(tenant))
        for name, tenant in wanted.items():
            if name in states:
                await self._watch_backups(tenant)
            else:
                self._poller_of(name).reloaded(name)
        await self._end_idle_groups()
        return Difference(added, removed, changed)

    async def _restored(self, begun: Sequence[Tenant], renamed: Sequence[str]) -> Mapping[str, TenantState]:
        """Return what is known of the tenants that begin, each of which then has a group.

        Those that are `renamed` are not polled any more, and all of them is stored: what came later would stay behind
        under the old name. Where the store fails, they go on under that.

        Raises:
            StoreError: what is known of a tenant cannot be read.
        """
        for name in renamed:
            await self._pause(self._tenants[name])
        try:
            states = await self._shared.ledger.restore(_terms(tenant) for tenant in begun)
            for tenant in begun:
                await self._have_group(tenant)
        except StoreError:
            for name in renamed:
                tenant = self._tenants[name]
                await self._add(tenant, (await self._shared.ledger.restore([_terms(tenant)]))[name])
            raise
        return states

    async def _pause(self, tenant: Tenant) -> None:
        group = group_of(tenant)
        await self._pollers[group].remove(tenant.name)
        if (fence := self._lease.held(group)) is not None:
            await self._shared.ledger.publish(tenant.name, {}, fence=fence)

    async def _add(self, tenant: Tenant, state: TenantState) -> None:
        await self._pollers[group_of(tenant)].add(tenant.name, self._polling(tenant), state)

    def run(self, tasks: asyncio.TaskGroup) -> None:
        """Start polling; `tasks` owns the pollers from now on."""
        self._tasks = tasks
        for group in self._pollers:
            self._start(group)

    def stop(self) -> None:
        """End polling: nothing begins any more, also where a reload is under way."""
        self._tasks = None
        for task in self._running.values():
            task.cancel()

    def wake(self) -> None:
        """Let all pollers look for what is due."""
        for poller in self._pollers.values():
            poller.wake()

    async def watch(self, source: Source, tenant: str, jobs: Iterable[WatchedJob]) -> None:
        """Make `jobs` all that `source` names for `tenant`."""
        async with self._turn:
            await self._watch(source, tenant, jobs)

    async def add_job(self, job: WatchedJob) -> bool:
        """See `spexporter.domain.ports.JobDesk.add_job`."""
        async with self._turn:
            key, poller = job.key, self._poller_of(job.key.tenant)
            sources = self._watchlist.sources(key)
            if sources and sources[0] in _STRONGER:
                return False
            if not sources:
                self._check_room(key.tenant, poller.jobs(key.tenant).values())
            named = self._watchlist.named(Source.API, key.tenant)
            job = _told_again(named.get(key), job)
            await poller.begin(key.tenant, job)
            await self._name(Source.API, key.tenant, {**named, key: job}, begun=key)
            return not sources and key in poller.jobs(key.tenant)

    async def remove_job(self, key: JobKey) -> None:
        """See `spexporter.domain.ports.JobDesk.remove_job`."""
        async with self._turn:
            poller = self._poller_of(key.tenant)
            sources = self._watchlist.sources(key)
            if not sources and (job := poller.jobs(key.tenant).get(key)):
                sources = (job.watched.source,)
            if not sources:
                raise UnknownJob(f"nobody has named the {key.operation} job {key.job_id} of tenant {key.tenant}")
            if others := [source for source in sources if source is not Source.API]:
                raise NamedElsewhere(
                    f"the job is named by another source than the API ({', '.join(others)}); take it out there"
                )
            named = self._watchlist.named(Source.API, key.tenant)
            await self._name(Source.API, key.tenant, {other: job for other, job in named.items() if other != key})

    async def _name(
        self, source: Source, tenant: str, named: Mapping[JobKey, WatchedJob], begun: JobKey | None = None
    ) -> None:
        """Make these, of which polling has `begun` one, all that `source` names for `tenant`.

        Those that have left the pages for ever are let go: nobody takes them back by hand, and what pipelines hand in
        would grow without an end. The ledger remembers that they were counted.
        """
        poller = self._poller_of(tenant)
        live = poller.jobs(tenant)
        delta = self._watchlist.replace(source, tenant, [job for key, job in named.items() if key in live])
        left_before = () if begun is None or begun in live or begun in delta.removed else (begun,)
        if gone := (*delta.removed, *left_before):
            await poller.watch(tenant, (), gone)

    async def _watch_backups(self, tenant: Tenant) -> None:
        """Watch the backups that the tenant's imports name; a crash may have come before they were watched."""
        named = {}
        if tenant.follow_backups:
            imports = self._poller_of(tenant.name).jobs(tenant.name).values()
            named = {backup.key: backup for backup in (*backups_of(imports), *self._followed(tenant.name))}
        await self._watch(Source.BACKUP, tenant.name, named.values())

    async def _follow(self, backup: WatchedJob) -> None:
        """Watch a backup from now on, too."""
        async with self._turn:
            tenant = backup.key.tenant
            await self._watch(Source.BACKUP, tenant, [*self._followed(tenant), backup])

    def _followed(self, tenant: str) -> list[WatchedJob]:
        """Return the backups that are watched and have not left the pages; one that has will not be found any more."""
        poller, known = self._poller_of(tenant), self._watchlist.named(Source.BACKUP, tenant)
        waiting = poller.waiting(tenant)
        kept = {key for key, job in poller.jobs(tenant).items() if not job.left}
        return [job for key, job in known.items() if key in kept or key in waiting]

    def _check_room(self, tenant: str, jobs: Iterable[Job]) -> None:
        unfinished = sum(job.end_seen_s is None and not job.left for job in jobs)
        if unfinished >= self._max_jobs:
            raise TooManyJobs(
                f"tenant {tenant} has {unfinished} jobs that have not ended, and limits.max_jobs_per_tenant is"
                f" {self._max_jobs}; wait until some have ended, or raise the limit"
            )

    def _poller_of(self, tenant: str) -> Poller:
        """Return who polls a tenant that is ours."""
        if tenant not in self._tenants:
            raise UnknownTenant(tenant, tuple(self._tenants))
        group = group_of(self._tenants[tenant])
        if self._lease.held(group) is None:
            raise TenantElsewhere(f"another replica looks after tenant {tenant} now; ask that one, or try again")
        return self._pollers[group]

    async def _watch(self, source: Source, tenant: str, jobs: Iterable[WatchedJob]) -> None:
        delta = self._watchlist.replace(source, tenant, jobs)
        if delta.added or delta.removed:
            await self._pollers[group_of(self._tenants[tenant])].watch(tenant, delta.added, delta.removed)

    async def leave(self) -> None:
        """Leave the rate limit windows, and counters as the last page had them, for the next process."""
        for poller in self._pollers.values():
            await poller.leave()
        for group in self._gates:
            await self._leave_window(group)

    async def _have_group(self, tenant: Tenant) -> None:
        """Make sure that the tenant's group has a gate and a poller."""
        group, shared = group_of(tenant), self._shared
        if group in self._pollers:
            return
        gate = Gate(tenant.rate_limit, shared.clock)
        if stored := await shared.ledger.open_window(group, shared.clock.wall()):
            gate.restore(stored)
        self._gates[group] = gate
        pulse = GroupPulse(group, shared.telemetry, shared.liveness, shared.clock)
        self._pollers[group] = Poller(group, lease=self._lease, clock=shared.clock, pulse=pulse)
        pulse.beat()  # from now on it must show that it lives
        self._start(group)

    def _start(self, group: Group) -> None:
        if self._tasks is not None:
            self._running[group] = self._tasks.create_task(self._pollers[group].run(), name=f"poller {group}")

    def _polling(self, tenant: Tenant) -> TenantPolling:
        shared = self._shared
        return TenantPolling(
            tenant.name,
            group_of(tenant),
            self._client(tenant, self._gates[group_of(tenant)]),
            self._care(tenant),
            ledger=shared.ledger,
            board=shared.board,
            lease=self._lease,
            clock=shared.clock,
            exchanges=shared.telemetry,
            follow=self._follow if tenant.follow_backups else None,
        )

    def _care(self, tenant: Tenant) -> Care:
        expires = tenant.credential_expires
        return Care(
            tenant.poll,
            tenant.max_staleness_s,
            self._hold_s,
            credential_expires_s=None if expires == "auto" else expires,
            asks_credential_end=expires == "auto",
            per_job=self._per_job,
            expect=tenant.expect,
            discover=listed_operations(tenant.discover),
            max_jobs=self._max_jobs,
        )

    def _client(self, tenant: Tenant, gate: Gate) -> TenantClient:
        """Connect a tenant: it has its own client and token, and shares the gate of its group."""
        shared = self._shared
        client = connected(tenant, gate, http=shared.http, exchanges=shared.telemetry, clock=shared.clock)
        vitals = client.vitals
        shared.telemetry.begin_tenant(
            tenant.name,
            endpoints=Endpoint,
            used=lambda: gate.used(vitals.health.api_version),
            allowed=lambda: gate.allowed(vitals.health.api_version),
        )
        return client

    async def _forget(self, name: str) -> None:
        """Take a tenant that is not configured any more off the pages; the ledger keeps what it knows of it."""
        del self._tenants[name]
        self._watchlist.drop(name)
        self._shared.board.drop(name)
        self._shared.telemetry.end_tenant(name)
        await self._shared.ledger.release(name)

    async def _end_idle_groups(self) -> None:
        for group in [group for group, poller in self._pollers.items() if not len(poller)]:
            del self._pollers[group]
            if task := self._running.pop(group, None):
                task.cancel()
                await asyncio.wait([task])
            self._shared.liveness.gone(group)
            await self._leave_window(group)
            del self._gates[group]

    async def _leave_window(self, group: Group) -> None:
        await self._shared.ledger.close_window(group, self._gates[group].export(), self._shared.clock.wall())


def _told_again(before: WatchedJob | None, job: WatchedJob) -> WatchedJob:
    """Return `job` with what it leaves open as it was said `before`."""
    if before is None:
        return job
    return replace(
        job,
        name=job.name or before.name,
        max_age_s=before.max_age_s if job.max_age_s is None else job.max_age_s,
        preview=before.preview if job.preview is None else job.preview,
    )


def _named(jobs: Iterable[Job]) -> Iterable[WatchedJob]:
    """Return what somebody names; of the jobs on a list the list itself tells."""
    return [job.watched for job in jobs if job.watched.source is not Source.DISCOVERY]


def _differ(before: Tenant, after: Tenant) -> bool:
    """Whether a tenant must begin anew: anything but its jobs has changed."""
    return replace(before, jobs=(), job_files=()) != replace(after, jobs=(), job_files=())


def _terms(tenant: Tenant) -> Terms:
    return Terms(tenant.name, tenant.former_names, tenant.retention_s, tenant.count_new_within_s)
