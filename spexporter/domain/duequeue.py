"""What is to be looked at of one tenant: by when it is due, and by who has waited longest."""

import math
from array import array
from collections.abc import Hashable, Iterator
from typing import Generic, NamedTuple, TypeVar

from spexporter.domain.dueorder import DueOrder

_RING = 0  # this place is nobody's: the ring of those who wait begins and ends here
_NOT_WAITING = -1.0

T = TypeVar("T", bound=Hashable)


class Entry(NamedTuple, Generic[T]):
    """How a target is queued; `seen_s` None: it does not wait in the ring."""

    target: T
    due_s: float
    seen_s: float | None


class DueQueue(Generic[T]):
    """Targets in the order of their due times, and a ring in the order of the last looks.

    Each target has a place while it is queued, and all that is known of it is in arrays by place, so that it takes
    about 100 bytes. Times are monotonic seconds, and not negative.
    """

    def __init__(self) -> None:
        self._place_of: dict[T, int] = {}
        self._targets: list[T | None] = [None]
        self._due_s = array("d", [math.inf])
        self._seen_s = array("d", [_NOT_WAITING])
        self._next = array("i", [_RING])
        self._before = array("i", [_RING])
        self._free: list[int] = []
        self._order = DueOrder()  # of those that are ever due
        self.waiting = 0  # in the ring

    def __len__(self) -> int:
        return len(self._place_of)

    def __iter__(self) -> Iterator[Entry[T]]:
        return map(self._entry, self._place_of.values())

    def add(self, target: T, due_s: float, seen_s: float | None = None) -> None:
        """Queue `target` for `due_s`, anew if it is queued.

        One that was looked at at `seen_s`, which is no earlier than in calls before, waits in the ring, too.
        """
        if target in self._place_of:
            self.discard(target)
        if not self._free:
            self._grow()
        place = self._free.pop()
        self._place_of[target] = place
        self._targets[place] = target
        self._due_s[place] = due_s
        if due_s < math.inf:
            self._order.add(due_s, place)
        if seen_s is not None:
            self._seen_s[place] = seen_s
            last = self._before[_RING]
            self._next[last] = self._before[_RING] = place
            self._before[place], self._next[place] = last, _RING
            self.waiting += 1

    def discard(self, target: T) -> None:
        """Forget `target`, queued or not."""
        place = self._place_of.pop(target, None)
        if place is not None:
            self._leave(place)

    def get(self, target: T) -> Entry[T] | None:
        """Return how `target` is queued, None when it is not."""
        place = self._place_of.get(target)
        return None if place is None else self._entry(place)

    def head(self) -> Entry[T] | None:
        """Return what is due first."""
        place = self._order.first()
        return None if place is None else self._entry(place)

    def longest(self) -> Entry[T] | None:
        """Return what has waited longest since it was looked at."""
        place = self._next[_RING]
        return None if place == _RING else self._entry(place)

    def _entry(self, place: int) -> Entry[T]:
        seen_s = self._seen_s[place]
        return Entry(self._targets[place], self._due_s[place], None if seen_s == _NOT_WAITING else seen_s)  # type: ignore[arg-type]

    def _leave(self, place: int) -> None:
        self._targets[place] = None
        if self._due_s[place] < math.inf:
            self._order.remove(self._due_s[place], place)
            self._due_s[place] = math.inf
        self._free.append(place)
        if self._seen_s[place] != _NOT_WAITING:
            before, after = self._before[place], self._next[place]
            self._next[before], self._before[after] = after, before
            self._seen_s[place] = _NOT_WAITING
            self.waiting -= 1

    def _grow(self) -> None:
        self._free.append(len(self._targets))
        self._targets.append(None)
        self._due_s.append(math.inf)
        self._seen_s.append(_NOT_WAITING)
        self._next.append(_RING)
        self._before.append(_RING)
