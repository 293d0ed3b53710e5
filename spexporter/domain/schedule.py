"""When to look at what next."""

import heapq
import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from spexporter.domain.job import JobKey, Operation

# A job is looked at again after a tenth of its age: an end is known late by at most a tenth of what the job took.
_SHARE_OF_AGE = 0.1


class TargetKind(Enum):
    """What a look asks for."""

    PROBE = "config-objects"  # is the tenant there, and which object types has it?
    STATUS = "status"
    RESULT = "result"
    LIST = "list"
    CREDENTIAL = "credential"


class Target(NamedTuple):
    """One GET that is to be made: of one job, of the list of all jobs of an `operation`, or of the tenant as such."""

    tenant: str
    kind: TargetKind
    key: JobKey | None = None
    operation: Operation | None = None

    def __str__(self) -> str:
        about = f"{self.tenant}/{self.operation}" if self.operation else self.tenant
        return f"{self.kind.value} {self.key or about}"


@dataclass(frozen=True, slots=True)
class Pace:
    """Bounds of the time between two looks, in seconds; `probe_s` for a tenant with nothing else due."""

    fastest_s: float = 2.0
    slowest_s: float = 60.0
    probe_s: float = 300.0


def next_look_s(pace: Pace, age_s: float | None) -> float:
    """Return how long to wait until the next look at a job that has run for `age_s` (None: not known), in seconds."""
    return min(max(pace.fastest_s, _SHARE_OF_AGE * (age_s or 0.0)), pace.slowest_s)


def spread_s(pace: Pace, subject: str) -> float:
    """Return how long the first look at `subject` waits, in seconds: always the same, and evenly spread over subjects.

    Many tenants, or many jobs of one, would else be asked about all at once at every start.
    """
    return pace.fastest_s * zlib.crc32(subject.encode()) / 2**32


class Schedule:
    """The due queue of one group: the most overdue target first, whatever its tenant.

    Pure: the caller says what time it is (monotonic seconds). A target is in the queue once; adding it again moves it.
    """

    def __init__(self) -> None:
        self._queues: dict[str, list[tuple[float, int, Target]]] = {}
        self._due: dict[Target, tuple[float, int]] = {}
        self._held_until: dict[str, float] = {}
        self._order = itertools.count()

    def add(self, target: Target, due_s: float) -> None:
        """Queue `target` for `due_s`."""
        entry = (due_s, next(self._order))
        self._due[target] = entry
        heapq.heappush(self._queues.setdefault(target.tenant, []), (*entry, target))

    def discard(self, target: Target) -> None:
        """Forget `target`, queued or not."""
        self._due.pop(target, None)

    def drop(self, tenant: str) -> None:
        """Forget everything about `tenant`."""
        for _, _, target in self._queues.pop(tenant, []):
            self._due.pop(target, None)
        self._held_until.pop(tenant, None)

    def hold(self, tenant: str, until_s: float) -> None:
        """Take nothing of `tenant` before `until_s`: it is in trouble."""
        self._held_until[tenant] = until_s

    def due(self, target: Target) -> float | None:
        """When `target` will be looked at, None when it is not queued."""
        entry = self._due.get(target)
        return max(entry[0], self._held_until.get(target.tenant, entry[0])) if entry else None

    def head(self, busy: frozenset[str] = frozenset()) -> float | None:
        """When the next target of a tenant that is not `busy` is due, None when there is none."""
        return min((ready_s for ready_s, _, _ in self._heads(busy)), default=None)

    def take(self, now_s: float, busy: frozenset[str] = frozenset()) -> tuple[Target, float] | None:
        """Take the most overdue target out of the queue and return it with its due time, None when nothing is due.

        `busy` names tenants that already have as many requests in flight as they may have.
        """
        ready = [(due_s, target) for ready_s, due_s, target in self._heads(busy) if ready_s <= now_s]
        if not ready:
            return None
        due_s, target = min(ready, key=lambda entry: entry[0])
        heapq.heappop(self._queues[target.tenant])
        del self._due[target]
        return target, max(due_s, self._held_until.get(target.tenant, due_s))

    def _heads(self, busy: frozenset[str]) -> Iterator[tuple[float, float, Target]]:
        """Yield (when it may be taken, when it is due, target) for the first target of each tenant."""
        for tenant, queue in self._queues.items():
            while queue and self._due.get(queue[0][2]) != queue[0][:2]:
                heapq.heappop(queue)
            if queue and tenant not in busy:
                due_s, _, target = queue[0]
                yield max(due_s, self._held_until.get(tenant, due_s)), due_s, target
