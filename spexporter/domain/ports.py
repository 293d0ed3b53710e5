"""The seams: what rooms of one ring know of each other.

Later capabilities replace the bodies behind these Protocols, not their callers.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple, NewType, Protocol

import msgspec

from spexporter.domain.budget import BudgetState
from spexporter.domain.counting import SeriesKey
from spexporter.domain.hub import Listing
from spexporter.domain.job import JobKey, Observation, Operation, WatchedJob
from spexporter.domain.result import ImportResult, Outcome
from spexporter.domain.schedule import Target
from spexporter.domain.view import TenantState, TenantView

Group = NewType("Group", str)
"""Digest of a client id: the unit of budget, queue, supervision and, with several replicas, of the lease."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of an ended import's result; `result` is None where it could not be read."""

    key: JobKey
    outcome: Outcome
    result: ImportResult | None = None


_KEY: Callable[[Observation], JobKey] = attrgetter("key")


class Change(msgspec.Struct, frozen=True):
    """All that one poll, or one change of what is watched, may cause: applied whole or not at all.

    `at_s` is when it happens (Unix seconds, our clock); `answered_s` and `tenant_offset_s` are the tenant's last good
    answer and how far its clock is ahead of ours. `operations` and `object_types` have counters from now on.
    The first `listing` ever of an operation shows what had ended before we could tell. `still_at_s` is as in
    `TenantHealth`. `unseen` are counters that no page has shown: only they can take in what is
    late without looking like an increase.
    """

    added: tuple[WatchedJob, ...] = ()
    removed: tuple[JobKey, ...] = ()
    operations: frozenset[Operation] = frozenset()
    object_types: frozenset[str] = frozenset()
    observations: tuple[Observation, ...] = ()
    results: tuple[Counted, ...] = ()
    listing: Listing | None = None
    unseen: AbstractSet[SeriesKey] = frozenset()
    at_s: float | None = None
    answered_s: float | None = None
    tenant_offset_s: float | None = None
    still_at_s: float | None = None

    @property
    def observed(self) -> Sequence[JobKey]:
        """The jobs of which this tells a state."""
        if self.listing is None:
            return tuple(map(_KEY, self.observations))
        return [*map(_KEY, self.observations), *(entry.observation.key for entry in self.listing.jobs)]

    @property
    def urgent(self) -> bool:
        """Whether it must be in the store before a page shows it; what a running job says can wait a little."""
        listed = [entry.observation for entry in self.listing.jobs] if self.listing else []
        ended = any(observation.state.ended for observation in (*self.observations, *listed))
        return ended or bool(self.added or self.removed or self.operations or self.object_types or self.results)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the ledger must know of a tenant's configuration; times in seconds.

    What is stored under `former_names` becomes this tenant's. Its `group` is ours by `fence`.
    """

    tenant: str
    former_names: tuple[str, ...] = ()
    retention_s: float = math.inf
    count_new_within_s: float = math.inf
    group: Group = Group("")
    fence: int = 0


@dataclass(frozen=True, slots=True)
class StoredWindow:
    """The rate limit windows of one client id as a clean stop left them, by API version.

    `clean` is False where the process before this one had no time to leave them: they are to be taken as spent.
    """

    clean: bool
    windows: Mapping[str, BudgetState] = field(default_factory=dict)


class Ledger(Protocol):
    """Durable memory: which jobs are watched, what was seen, and what was counted. Every method is idempotent."""

    @property
    def failing(self) -> bool:
        """Whether the store fails now: what was applied lately may be in memory alone."""
        ...

    async def restore(self, terms: Iterable[Terms]) -> Mapping[str, TenantState]:
        """Return what is known of each tenant, an empty state for one never met; the terms hold from now on.

        Raises:
            StoreError: the store cannot be read.
        """
        ...

    async def release(self, tenant: str) -> None:
        """Write what is left of a tenant that has left the configuration, and hold it in memory no more.

        While the store cannot be written it stays in memory; what another process looks after now is not written.
        """
        ...

    def abandon(self, tenant: str) -> None:
        """Hold a tenant in memory no more that another process may look after now; nothing is written."""
        ...

    async def apply(self, tenant: str, change: Change, *, fence: int) -> TenantState:
        """Apply `change` in one transaction and return the tenant's state after it.

        While the store cannot be written the change is kept in memory and written later.

        Raises:
            LeaseEnded: what memory holds is not of the time of `fence`, or was lost; nothing was applied.
            StoreError: it is not known whether jobs that are added were counted before; nothing was applied.
        """
        ...

    async def publish(self, tenant: str, upto: Mapping[SeriesKey, float], *, fence: int) -> TenantState:
        """Allow pages to show these values, durably, before any page does; return the tenant's state after it.

        While the store cannot be written nothing is allowed.

        Raises:
            LeaseEnded: as in `apply`.
        """
        ...

    async def withdraw(self, tenant: str, shown: Mapping[SeriesKey, float], *, fence: int) -> None:
        """Take back what was published beyond the values that pages have `shown`, as the process ends.

        Raises:
            LeaseEnded: as in `apply`.
        """
        ...

    async def open_windows(self, fences: Mapping[Group, int], now_s: float) -> Mapping[Group, StoredWindow]:
        """Take the rate limit windows of groups, which are ours by `fences`, out of the store, as they are now.

        `now_s` is in Unix seconds. A group that was never met has none. From then on they are as good as spent, until
        `close_windows`.

        Raises:
            StoreError: the store cannot be read or written.
        """
        ...

    async def close_windows(self, windows: Mapping[Group, Mapping[str, BudgetState]], now_s: float) -> None:
        """Leave the windows of some groups, by API version, for the next process."""
        ...


class StoreWatch(Protocol):
    """Hears how the store does, so that telemetry can show it."""

    def store_up(self, *, up: bool) -> None:
        """Take note of whether the store works."""
        ...

    def store_failed(self, op: str) -> None:
        """Take note of a failure; `op` is `read` or `write`."""
        ...


class BudgetUse(NamedTuple):
    """Requests in the present rate limit window: how many are used, and how many we allow ourselves."""

    used: int
    allowed: int


class Prospects(Protocol):
    """What pages tell of the time to come, which is on no board."""

    def next_look_s(self, key: JobKey) -> float | None:
        """When a look at a job is due, monotonic seconds; None where none is queued: it has ended, or one is under way.

        Where looks wait for budget it comes later.
        """
        ...

    def budget(self, tenant: str) -> BudgetUse | None:
        """Return what is used of a tenant's rate limit now, None where it is not ours."""
        ...


class JobDesk(Protocol):
    """Where jobs are handed in whose ids come through our API, and taken back."""

    async def add_job(self, job: WatchedJob) -> bool:
        """Watch `job` from now on and tell whether nobody had named it before.

        One that was handed in before keeps what `job` does not say anew; of one that a stronger source names nothing
        changes.

        Raises:
            WatchError: its tenant is unknown, elsewhere or has too many jobs.
            StoreError: it is not known whether the job was counted before, or a restart would forget it. To ask again
                does no harm.
        """
        ...

    async def remove_job(self, key: JobKey) -> None:
        """Watch a job no more that was handed in.

        Raises:
            WatchError: tenant or job are unknown, the tenant is elsewhere, or another source names the job.
            StoreError: a restart would forget that.
        """
        ...


class Order(NamedTuple):
    """What one replica wants another to do: watch `job` from now on, or no more the one of that key."""

    number: int
    key: JobKey
    job: WatchedJob | None


class OrderBook(Protocol):
    """Orders of one replica to another; every method raises StoreError where the store does not answer."""

    async def place(self, key: JobKey, job: WatchedJob | None) -> int:
        """Leave an order, durably, and return its number."""
        ...

    async def answer(self, number: int) -> str | None:
        """Return what was answered to an order, None as long as nothing was."""
        ...

    async def open(self, tenants: Collection[str]) -> Sequence[Order]:
        """Return orders about `tenants` that nobody has answered, the oldest first."""
        ...

    async def settle(self, number: int, answer: str) -> None:
        """Answer an order."""
        ...


class Queued(NamedTuple):
    """A look that the last owner of a group had queued, and in how many seconds it was due as it was left."""

    target: Target
    due_in_s: float


class Owner(NamedTuple):
    """A replica that looks after a group: what the store knows it by, and what people call it."""

    id: str
    name: str


class Inheritance(NamedTuple):
    """What the last owner of a group has left: since when nobody has asked (monotonic seconds), and the queue then.

    `since_s` is None where that is not known. One that did not hand over has used no more than half of its rate limit
    since `halved_s`.
    """

    since_s: float | None = None
    halved_s: float | None = None
    queued: Sequence[Queued] = ()


NOTHING = Inheritance()


class Lease(Protocol):
    """Says which groups are this process's to poll."""

    def held(self, group: Group) -> int | None:
        """Return the fence for writes about `group`, None when it is not ours."""
        ...


class Leases(Lease, Protocol):
    """The same for whoever begins and ends groups."""

    def ends_soon(self) -> bool:
        """Whether leases were not renewed in time: only half of each rate limit is to be used."""
        ...

    def inherit(self, group: Group) -> Inheritance:
        """Return what the last owner of `group`, which is ours, has left: once, as it is soon out of date."""
        ...

    def bequeath(self, group: Group, queued: Collection[Queued]) -> None:
        """Leave what is queued of `group` to its next owner, as soon as it is let go."""
        ...


class Board(Protocol):
    """The latest view of every tenant: what scrapes and pages for people read."""

    @property
    def newest_version(self) -> int:
        """The highest version of any view so far.

        A tenant that comes back goes on from there: a page that began before it left may still end, and shows none of
        the views that it has now.
        """
        ...

    def put(self, view: TenantView) -> None:
        """Replace the view of one tenant."""
        ...

    def drop(self, tenant: str) -> None:
        """Forget a tenant that is no longer ours to show."""
        ...

    def snapshot(self) -> Sequence[TenantView]:
        """Return all views, ordered by tenant, as of one instant."""
        ...

    def begin_page(self, tenant: str | None = None) -> Sequence[TenantView]:
        """Return the same for a page of metrics, and take note that one begins to show it; or that of one tenant."""
        ...

    def served(self, versions: Mapping[str, int], at_s: float) -> None:
        """Take note that a whole page with these views has left, after its last byte (Unix seconds)."""
        ...

    def served_version(self, tenant: str) -> int:
        """Return the newest version of a tenant's view that a whole page has shown, 0 before the first."""
        ...

    def shown(self, tenant: str) -> TenantView | None:
        """Return the newest view of a tenant that a page has begun to show, None before the first."""
        ...


class Exchanges(Protocol):
    """Hears of every exchange with a tenant, so that telemetry can count them."""

    def ended(self, tenant: str, endpoint: str, code: str, took_s: float, *, deprecated: bool) -> None:
        """Take note of one HTTP exchange; `code` is its status, or `none` when no whole answer came."""
        ...

    def failed(self, tenant: str, reason: str) -> None:
        """Take note of one failure, with its value of the label `reason`."""
        ...

    def waited(self, tenant: str, wait_s: float) -> None:
        """Take note of how long a request waited for budget."""
        ...

    def unknown(self, field_name: str) -> None:
        """Take note of an API value that this version does not know."""
        ...


class Pulse(Protocol):
    """Hears how polling goes, so that telemetry can show it."""

    def beat(self) -> None:
        """Take note that a scheduler is alive."""
        ...

    def started(self, late_s: float) -> None:
        """Take note of a look and of how late it started against its due time, in seconds."""
        ...

    def skipped(self, reason: str) -> None:
        """Take note of work put off; `reason` is `budget`, `backoff` or `lease`."""
        ...

    def attempted(self, tenant: str) -> None:
        """Take note that a look at `tenant` has ended, well or badly."""
        ...
