"""When to look at what next."""

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import msgspec

from spexporter.domain.duequeue import DueQueue, Entry
from spexporter.domain.durations import UNKNOWN
from spexporter.domain.inspection import Fit, together_s, wait_s
from spexporter.domain.job import JobKey, Operation
from spexporter.domain.price import Price

_EARLY_Z = -1.5  # one job in fifteen ends sooner
_IN_OVERLOAD = 0.8
_ONE_IN = 10  # looks, where they are scarce, goes to what has waited longest


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


class Outlook(msgspec.Struct, frozen=True, gc=False):
    """What is expected of a job that runs: how long such jobs take, and how long it has run when it was seen."""

    fit: Fit
    age_s: float


def next_look_s(pace: Pace, age_s: float | None) -> float:
    """Return how long to wait until the next look at a lone job of which only the age is known, in seconds."""
    wait = wait_s(UNKNOWN, age_s or 0.0, Price().value_s)
    return min(max(pace.fastest_s, wait), pace.slowest_s)


def spread_s(pace: Pace, subject: str) -> float:
    """Return how long the first look at `subject` waits, in seconds: always the same, and evenly spread over subjects.

    Many tenants, or many jobs of one, would else be asked about all at once at every start.
    """
    return pace.fastest_s * zlib.crc32(subject.encode()) / 2**32


# When a look at a tenant may start, monotonic seconds; infinity while it has its hands full.
Opens = Callable[[str], float]


def _always(_: str) -> float:
    return -math.inf


class Schedule:
    """The due queue of one group: its tenants take turns, and of each the most overdue target comes first.

    Pure: the caller says what time it is (monotonic seconds). A target is in the queue once; adding it again moves it.
    """

    def __init__(self) -> None:
        self._queues: dict[str, TenantQueue] = {}
        self._turn = 0

    def pace(self, tenant: str, pace: Pace) -> None:
        """Set the bounds of the time between two looks at a job of `tenant`."""
        self._queue(tenant).pace = pace

    def add(self, target: Target, due_s: float) -> None:
        """Queue `target` for `due_s`."""
        self._queue(target.tenant).add(target, due_s)

    def look_again(self, target: Target, outlooks: Sequence[Outlook], now_s: float) -> None:
        """Queue `target`, just looked at, for when it is worth another look, which answers for all of `outlooks`."""
        self._queue(target.tenant).look_again(target, outlooks, now_s)

    def discard(self, target: Target) -> None:
        """Forget `target`, queued or not."""
        self._queue(target.tenant).discard(target)

    def drop(self, tenant: str) -> None:
        """Forget everything about `tenant`."""
        self._queues.pop(tenant, None)

    def hold(self, tenant: str, until_s: float) -> None:
        """Take nothing of `tenant` before `until_s`: it is in trouble."""
        self._queue(tenant).held_until_s = until_s

    def due(self, target: Target) -> float | None:
        """When `target` will be looked at, None when it is not queued."""
        return self._queue(target.tenant).due_s(target)

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def queued(self, now_s: float) -> Iterator[tuple[Target, float]]:
        """Yield everything that is queued, and in how many seconds from `now_s` it is due."""
        for queue in self._queues.values():
            for target, due_s in queue.queued():
                yield target, max(0.0, due_s - now_s)

    def head(self, opens: Opens = _always) -> float:
        """When there is something to take, infinity when there never is."""
        return min((max(queue.ready_s(), opens(name)) for name, queue in self._queues.items()), default=math.inf)

    def take(self, now_s: float, opens: Opens = _always) -> tuple[Target, float] | None:
        """Take what is to be looked at now out of the queue, and return it with its due time; None for nothing.

        Of the tenants that have something, that which has had the fewest looks while it had.
        """
        ready = [
            (max(queue.served, self._turn), name)
            for name, queue in self._queues.items()
            if queue.ready_s() <= now_s and opens(name) <= now_s
        ]
        if not ready:
            return None
        self._turn, name = min(ready)
        queue = self._queues[name]
        queue.served = self._turn + 1
        return queue.take(now_s)

    def _queue(self, tenant: str) -> "TenantQueue":
        queue = self._queues.get(tenant)
        if queue is None:
            queue = self._queues[tenant] = TenantQueue(tenant)
        return queue


_Queued = Entry[Target | JobKey]


class TenantQueue:
    """The targets of one tenant, and the price of looks at them.

    The look at a job that runs is due when its price says so, and at the latest `slowest` after the one before. Where
    looks are scarce the price decides alone, but for one look in ten, which goes to what has waited longest; and places
    in the budget that nothing is due for go to what is due next.
    """

    def __init__(self, tenant: str) -> None:
        self.pace = Pace()
        self.held_until_s = -math.inf
        self.served = 0
        self._tenant = tenant
        self._price = Price()
        self._queue: DueQueue[Target | JobKey] = DueQueue()
        self._looks_at_others = 0  # than those that had waited for `slowest`, in a row
        self._taken_s = -math.inf
        self._turn_s = math.inf  # between two looks, where they are scarce

    def add(self, target: Target, due_s: float) -> None:
        """Queue `target` for `due_s`."""
        self._queue.add(_short(target), due_s)

    def look_again(self, target: Target, outlooks: Sequence[Outlook], now_s: float) -> None:
        """Queue `target` for when a look at it is worth its price."""
        waits_s = [self._wait_s(outlook) for outlook in outlooks]
        wait = waits_s[0] if len(waits_s) == 1 else together_s(waits_s)
        self._queue.add(_short(target), now_s + max(wait, self.pace.fastest_s), now_s)

    def _wait_s(self, outlook: Outlook) -> float:
        """Return how long to wait until the next look at a job.

        Where looks are scarce, and nearly none can have ended yet, as long as it is worth; else no longer than if all
        took turns, and a bit less in overload, where taking turns is as good as anything.
        """
        worth_s = wait_s(outlook.fit, outlook.age_s, self._price.value_s)
        if not self._price.scarce:
            return worth_s
        turn_s = self._turn_s * self._queue.waiting
        if turn_s > outlook.fit.median_s:
            turn_s *= _IN_OVERLOAD
        return min(worth_s, max(turn_s, outlook.fit.quantile_s(_EARLY_Z) - outlook.age_s))

    def discard(self, target: Target) -> None:
        """Forget `target`."""
        self._queue.discard(_short(target))

    def __len__(self) -> int:
        return len(self._queue)

    def queued(self) -> Iterator[tuple[Target, float]]:
        """Yield everything that is queued, with its due time."""
        for entry in self._queue:
            yield _whole(self._tenant, entry.target), max(self._latest_s(entry), self.held_until_s)

    def due_s(self, target: Target) -> float | None:
        """When `target` will be looked at, None when it is not queued."""
        entry = self._queue.get(_short(target))
        return None if entry is None else max(self._latest_s(entry), self.held_until_s)

    def ready_s(self) -> float:
        """When there is something to take, infinity when there never is."""
        head, longest = self._queue.head(), self._queue.longest()
        ready_s = self._earliest_s(head) if head else math.inf
        return max(min(ready_s, self._latest_s(longest)) if longest else ready_s, self.held_until_s)

    def take(self, now_s: float) -> tuple[Target, float]:
        """Take what is to be looked at now, `ready_s` having come, out of the queue and return it with its due time."""
        head, longest = self._queue.head(), self._queue.longest()
        first = head is not None and self._comes_first(head, longest, now_s)
        entry = head if first else longest
        if entry is None:
            raise ValueError("nothing is queued")
        due_s = max(self._promised_s(entry), self.held_until_s)
        if longest is None:
            self._price.relax()
        elif first and entry.seen_s is not None:
            wanted_s = max(entry.due_s if self._price.scarce else due_s, self.held_until_s)
            self._price.learn(now_s - wanted_s, now_s - (longest.seen_s or 0.0), self._queue.waiting)
        self._learn_turn(now_s)
        waited_s = 0.0 if entry.seen_s is None else now_s - entry.seen_s
        self._looks_at_others = 0 if waited_s >= self.pace.slowest_s else self._looks_at_others + 1
        self._queue.discard(entry.target)
        return _whole(self._tenant, entry.target), min(due_s, now_s)

    def _learn_turn(self, now_s: float) -> None:
        since_s, self._taken_s = now_s - self._taken_s, now_s
        if not self._price.scarce:
            self._turn_s = math.inf
        elif self._turn_s == math.inf:
            self._turn_s = since_s
        else:
            self._turn_s += (since_s - self._turn_s) / _ONE_IN

    def _comes_first(self, head: _Queued, longest: _Queued | None, now_s: float) -> bool:
        """Whether what is due first is to be taken, and not what has waited longest."""
        if self._earliest_s(head) > now_s:
            return False
        if longest is None or now_s - (longest.seen_s or 0.0) < self.pace.slowest_s:
            return True
        if self._price.scarce:
            return self._looks_at_others < _ONE_IN - 1
        return self._latest_s(head) <= self._latest_s(longest)

    def _earliest_s(self, entry: _Queued) -> float:
        """When `entry` may be taken: before it is due only where looks are scarce and this place is left over."""
        if entry.seen_s is None or not self._price.scarce:
            return self._latest_s(entry)
        return min(entry.seen_s + self.pace.fastest_s, entry.due_s)

    def _promised_s(self, entry: _Queued) -> float:
        """When a look at `entry` is late: where looks are scarce, what they are worth only says whose turn it is."""
        if entry.seen_s is None or not self._price.scarce:
            return self._latest_s(entry)
        return entry.seen_s + self.pace.slowest_s

    def _latest_s(self, entry: _Queued) -> float:
        """When `entry` is due: no later than `slowest` after the last look."""
        return entry.due_s if entry.seen_s is None else min(entry.due_s, entry.seen_s + self.pace.slowest_s)


def _short(target: Target) -> Target | JobKey:
    """Return what stands for `target` in a queue: a job's status is what most are of, and its key takes less room."""
    return target.key if target.kind is TargetKind.STATUS and target.key else target


def _whole(tenant: str, short: Target | JobKey) -> Target:
    return short if isinstance(short, Target) else Target(tenant, TargetKind.STATUS, short)
