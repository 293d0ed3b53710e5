"""All tenants of a configuration, running; another configuration can take its place while they do.

Tenants that share a client id are one group, with one gate and one poller. A tenant whose configuration has not
changed keeps its token, its budget, its queue and its requests in flight. Of several replicas each runs the tenants of
the groups that its leases say.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from spexporter.clock import Clock
from spexporter.config.values import Config, Tenant
from spexporter.connect import Authorities, connected, group_of
from spexporter.desk import Desk
from spexporter.domain.chronicle import Chronicle
from spexporter.domain.errors import (
    LeaseEnded,
    StoreError,
    TenantElsewhere,
    UnknownTenant,
)
from spexporter.domain.job import JobKey, Source
from spexporter.domain.liveness import Liveness
from spexporter.domain.ports import (
    NOTHING,
    Board,
    BudgetUse,
    Group,
    Inheritance,
    Leases,
    Ledger,
    Queued,
    StoredWindow,
    Terms,
)
from spexporter.domain.schedule import Target
from spexporter.domain.values import replace
from spexporter.domain.view import TenantState
from spexporter.exposition.guard import Guard
from spexporter.ledger.lease import SoleOwner
from spexporter.poller import Care, Poller, TenantPolling
from spexporter.sailpoint.client import TenantClient
from spexporter.sailpoint.endpoints import Endpoint, listed_operations
from spexporter.sailpoint.gate import Gate
from spexporter.telemetry import GroupPulse, Telemetry
from spexporter.watch.configured import configured_jobs


@dataclass(frozen=True, slots=True)
class Shared:
    """What all tenants share."""

    ledger: Ledger
    board: Board
    http: aiohttp.ClientSession
    telemetry: Telemetry
    liveness: Liveness
    guard: Guard
    clock: Clock
    chronicle: Chronicle


@dataclass(frozen=True, slots=True)
class Difference:
    """How many tenants a new configuration has added, removed and changed otherwise than by its jobs."""

    added: Sequence[str]
    removed: Sequence[str]
    changed: Sequence[str]


class Fleet:
    """Runs the tenants of one configuration after another, as far as their groups are ours.

    Satisfies `spexporter.domain.ports.Prospects`.
    """

    def __init__(self, shared: Shared, lease: Leases | None = None) -> None:
        self._shared = shared
        self._lease: Leases = lease or SoleOwner()
        self._config: Config | None = None
        self._groups: Mapping[str, Group] = {}
        self.desk = Desk(self._poller_of)
        self._tenants: dict[str, Tenant] = {}
        self._budgets: dict[str, Callable[[], BudgetUse]] = {}
        self._hold_s, self._per_job = 0.0, True
        self._gates: dict[Group, Gate] = {}
        self._authorities = Authorities()
        self._pollers: dict[Group, Poller] = {}
        self._inherited: dict[Group, Inheritance] = {}  # of the groups that begin now
        self._left: dict[Group, list[Queued]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[Group, asyncio.Task[None]] = {}

    async def take_over(self, config: Config) -> Difference:
        """Make the tenants of `config` those that run: all that are new or have changed begin anew.

        Raises:
            StoreError: what is known of a new tenant cannot be read; the fleet is as before.
        """
        async with self.desk.turns.of_all():
            before = list(self._tenants)
            difference = await self._take_over(config)
            for name in before:
                if name in self._tenants and name not in difference.changed:
                    self._poller_of(name).reloaded(name)
        self._config = config
        self._groups = {tenant.name: group_of(tenant) for tenant in config.tenants}
        return difference

    async def regroup(self, leaving: Collection[Group] = ()) -> Difference:
        """Run the tenants of those groups that are ours now, without those that are `leaving`: all is stored of them.

        Raises:
            StoreError: what is known of a tenant that has become ours cannot be read; the fleet is as before.
        """
        if self._config is None:
            return Difference((), (), ())
        async with self.desk.turns.of_all():
            return await self._take_over(self._config, frozenset(leaving))

    @property
    def tenants(self) -> Collection[str]:
        """The tenants that run here."""
        return self._tenants.keys()

    @property
    def groups(self) -> Mapping[str, Group]:
        """The group of each tenant that is configured, whether it runs here or not."""
        return self._groups

    def store_fails(self) -> bool:
        """Whether what is known here may be in memory alone now."""
        return self._shared.ledger.failing

    def costs(self) -> Mapping[Group, float]:
        """Return how much there is to do in each group that runs here."""
        return {group: 1.0 + poller.cost for group, poller in self._pollers.items()}

    def halt(self) -> None:
        """End all requests at once: the tenants may be another replica's now."""
        for poller in self._pollers.values():
            poller.halt()

    async def _take_over(self, config: Config, leaving: frozenset[Group] = frozenset()) -> Difference:
        wanted = {tenant.name: tenant for tenant in config.tenants if self._is_ours(group_of(tenant), leaving)}
        removed = [name for name in self._tenants if name not in wanted]
        all_differ = self._per_job != config.per_job_metrics
        lists_differ = self.desk.max_jobs != config.limits.max_jobs_per_tenant
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
        self.desk.max_jobs = config.limits.max_jobs_per_tenant
        self._shared.guard.limit = config.limits.max_series
        waiting = {name: tuple(self._poller_of(name).waiting(name).values()) for name in changed}
        for name in (*removed, *changed):
            if name not in renamed and name not in removed:
                await self._pollers[group_of(self._tenants[name])].remove(name)
        for name in removed:
            await self._forget(name, paused=name in renamed)
        for name in (*changed, *added):
            tenant = self._tenants[name] = wanted[name]
            self._gates[group_of(tenant)].relimit(tenant.rate_limit)
            await self._add(tenant, states[name])
            # Not what was read above: polling went on until now.
            self.desk.restore(name)
        for name, jobs in waiting.items():
            await self._poller_of(name).watch(name, jobs, ())
        for name, tenant in wanted.items():
            self._tenants[name] = tenant
            await self.desk.name(Source.CONFIG, name, configured_jobs(tenant))
        for name in states:
            await self.desk.watch_backups(wanted[name])
        self._inherited.clear()
        await self._end_idle_groups()
        self._shared.telemetry.lease_tenants(len(self._tenants))
        return Difference(added, removed, changed)

    def _is_ours(self, group: Group, leaving: frozenset[Group]) -> bool:
        return group not in leaving and self._lease.held(group) is not None

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
            states = await self._shared.ledger.restore([self._terms(tenant) for tenant in begun])
            await self._have_groups(begun)
        except StoreError:
            for name in renamed:
                tenant = self._tenants[name]
                await self._add(tenant, (await self._shared.ledger.restore([self._terms(tenant)]))[name])
            raise
        return states

    def _terms(self, tenant: Tenant) -> Terms:
        group = group_of(tenant)
        fence = self._lease.held(group) or 0
        return Terms(
            tenant.name, tenant.former_names, tenant.retention_s, tenant.count_new_within_s, group=group, fence=fence
        )

    async def _pause(self, tenant: Tenant) -> None:
        group = group_of(tenant)
        await self._pollers[group].remove(tenant.name)
        if (fence := self._lease.held(group)) is not None:
            with suppress(LeaseEnded):
                await self._shared.ledger.publish(tenant.name, {}, fence=fence)

    async def _add(self, tenant: Tenant, state: TenantState) -> None:
        group = group_of(tenant)
        await self._pollers[group].add(tenant.name, self._polling(tenant), state, self._dues(group, tenant.name))

    def _dues(self, group: Group, tenant: str) -> Mapping[Target, float]:
        """Return when what the last owner of the group had queued for a tenant is due (monotonic seconds)."""
        inheritance = self._inherited.get(group, NOTHING)
        since_s = inheritance.since_s or 0.0
        return {
            queued.target: since_s + queued.due_in_s for queued in inheritance.queued if queued.target.tenant == tenant
        }

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
        """Let those pollers look for what is due that have more to do than to ask."""
        for poller in self._pollers.values():
            if poller.needs_care():
                poller.wake()

    def _poller_of(self, tenant: str) -> Poller:
        """Return who polls a tenant that runs here."""
        if tenant in self._tenants:
            return self._pollers[group_of(self._tenants[tenant])]
        if tenant in self._groups:
            raise TenantElsewhere(f"another replica looks after tenant {tenant} now; ask that one, or try again")
        raise UnknownTenant(tenant, tuple(self._groups))

    def next_look_s(self, key: JobKey) -> float | None:
        """See `spexporter.domain.ports.Prospects.next_look_s`."""
        tenant = self._tenants.get(key.tenant)
        poller = self._pollers.get(group_of(tenant)) if tenant else None
        return poller.next_look_s(key) if poller else None

    def budget(self, tenant: str) -> BudgetUse | None:
        """See `spexporter.domain.ports.Prospects.budget`."""
        use = self._budgets.get(tenant)
        return use() if use else None

    async def leave(self) -> None:
        """Leave the rate limit windows, and counters as the last page had them, for the next process."""
        for poller in self._pollers.values():
            await poller.leave()
        await self._leave_windows(self._gates)
        for group, poller in self._pollers.items():
            self._lease.bequeath(group, poller.queued())

    async def _have_groups(self, tenants: Iterable[Tenant]) -> None:
        """Make sure that each tenant's group has a gate and a poller."""
        new = {group: tenant for tenant in tenants if (group := group_of(tenant)) not in self._pollers}
        fences = {group: self._lease.held(group) or 0 for group in new}
        stored = await self._shared.ledger.open_windows(fences, self._shared.clock.wall())
        for group, tenant in new.items():
            self._begin(group, tenant, stored.get(group))

    def _begin(self, group: Group, tenant: Tenant, stored: StoredWindow | None) -> None:
        """Give a group a gate, with what is `stored` of its windows, and a poller."""
        shared = self._shared
        gate = Gate(
            tenant.rate_limit,
            shared.clock,
            ours=lambda: self._lease.held(group) is not None,
            ends_soon=self._lease.ends_soon,
        )
        self._inherited[group] = self._lease.inherit(group)
        if stored:
            gate.restore(stored, self._inherited[group])
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
            follow=self.desk.follow if tenant.follow_backups else None,
            chronicle=shared.chronicle,
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
            max_jobs=self.desk.max_jobs,
        )

    def _client(self, tenant: Tenant, gate: Gate) -> TenantClient:
        """Connect a tenant: it has its own client and token, and shares the gate of its group."""
        shared = self._shared
        client = connected(
            tenant,
            gate,
            self._authorities,
            http=shared.http,
            exchanges=shared.telemetry,
            clock=shared.clock,
            told=shared.chronicle.told,
        )
        vitals = client.vitals
        self._budgets[tenant.name] = lambda: BudgetUse(
            gate.used(vitals.health.api_version), gate.allowed(vitals.health.api_version)
        )
        shared.telemetry.begin_tenant(
            tenant.name,
            endpoints=Endpoint,
            used=lambda: gate.used(vitals.health.api_version),
            allowed=lambda: gate.allowed(vitals.health.api_version),
            at_s=shared.clock.wall(),
        )
        return client

    async def _forget(self, name: str, *, paused: bool) -> None:
        """Take a tenant that does not run here any more off the pages; the ledger keeps what it knows of it.

        The next process goes on from the last page. One that may be another process's already is not written.
        """
        tenant, shared = self._tenants.pop(name), self._shared
        self._budgets.pop(name, None)
        group, poller = group_of(tenant), self._pollers[group_of(tenant)]
        if (fence := self._lease.held(group)) is None:
            if not paused:
                await poller.remove(name)
            shared.ledger.abandon(name)
        elif not paused:
            self._left.setdefault(group, []).extend(it for it in poller.queued() if it.target.tenant == name)
            polling = await poller.remove(name)
            with suppress(LeaseEnded):
                await shared.ledger.publish(name, {}, fence=fence)  # all that is under way is stored first
            await polling.leave()
        self.desk.drop(name)
        shared.board.drop(name)
        shared.telemetry.end_tenant(name)
        await shared.ledger.release(name)

    async def _end_idle_groups(self) -> None:
        for group in [group for group, poller in self._pollers.items() if not len(poller)]:
            del self._pollers[group]
            if task := self._running.pop(group, None):
                task.cancel()
                await asyncio.wait([task])
            self._shared.liveness.gone(group)
            await self._leave_windows([group])
            self._lease.bequeath(group, self._left.get(group, ()))
            del self._gates[group]
        self._left.clear()

    async def _leave_windows(self, groups: Iterable[Group]) -> None:
        windows = {group: self._gates[group].export() for group in groups if self._lease.held(group) is not None}
        if not windows:
            return
        await self._shared.ledger.close_windows(windows, self._shared.clock.wall())


def _differ(before: Tenant, after: Tenant) -> bool:
    """Whether a tenant must begin anew: anything but its jobs has changed."""
    return replace(before, jobs=(), job_files=()) != replace(after, jobs=(), job_files=())
