"""The seams: what rooms of one ring know of each other.

Later capabilities replace the bodies behind these Protocols, not their callers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NewType, Protocol

from spexporter.domain.counting import SeriesKey
from spexporter.domain.job import JobKey, Observation, WatchedJob
from spexporter.domain.result import ImportResult, Outcome
from spexporter.domain.view import TenantState, TenantView

Group = NewType("Group", str)
"""Digest of a client id: the unit of budget, queue, supervision and, with several replicas, of the lease."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of an ended import's result; `result` is None where it could not be read."""

    key: JobKey
    outcome: Outcome
    result: ImportResult | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """All that one poll, or one change of what is watched, may cause: applied whole or not at all."""

    added: tuple[WatchedJob, ...] = ()
    removed: tuple[JobKey, ...] = ()
    object_types: frozenset[str] = field(default_factory=frozenset)
    observations: tuple[Observation, ...] = ()
    results: tuple[Counted, ...] = ()


class Ledger(Protocol):
    """Durable memory: which jobs are watched, what was seen, and what was counted. Every method is idempotent."""

    async def restore(self, tenants: Iterable[str]) -> Mapping[str, TenantState]:
        """Return what is known of each tenant, an empty state for one never met."""
        ...

    async def apply(self, tenant: str, change: Change, *, fence: int) -> TenantState:
        """Apply `change` in one transaction and return the tenant's state after it."""
        ...

    async def publish(self, tenant: str, upto: Mapping[SeriesKey, float], *, fence: int) -> TenantState:
        """Allow pages to show these values, durably, before any page does; return the tenant's state after it."""
        ...


class Lease(Protocol):
    """Says which groups are this process's to poll."""

    def held(self, group: Group) -> int | None:
        """Return the fence for writes about `group`, None when it is not ours."""
        ...


class Board(Protocol):
    """The latest view of every tenant: what scrapes and pages for people read."""

    def put(self, view: TenantView) -> None:
        """Replace the view of one tenant."""
        ...

    def drop(self, tenant: str) -> None:
        """Forget a tenant that is no longer ours to show."""
        ...

    def snapshot(self) -> Sequence[TenantView]:
        """Return all views, ordered by tenant, as of one instant."""
        ...

    def served(self, versions: Mapping[str, int], at_s: float) -> None:
        """Take note that a whole page with these views has left, after its last byte (Unix seconds)."""
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
