"""Baseline first: no event is born inside a series' first sample.

Prometheus sees an increase only between two samples of one series. A counter that appears, because its object type was
met for the first time or because the exporter has started, therefore shows where it stood before for a while, and what
came since only then.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from spexporter.domain.counting import SeriesKey

_NONE: frozenset[SeriesKey] = frozenset()


class _Appearance(NamedTuple):
    """Counters that appeared together: when (monotonic seconds), and in which version of the tenant's view.

    `born` tells those that began here from those that an earlier process may have shown.
    """

    at_s: float
    version: float
    keys: frozenset[SeriesKey]
    born: bool


class Baselines:
    """Says which of a tenant's counters may show what came since they appeared.

    That is after `hold_s` seconds, and when at least one whole page has shown them.
    """

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._known: set[SeriesKey] = set()
        self._looked_at: Iterable[SeriesKey] = ()
        self._held: list[_Appearance] = []

    def appeared(self, keys: Iterable[SeriesKey], now_s: float, version: int, *, born: bool = True) -> None:
        """Take note of the counters that version `version` of the tenant's view has; not `born`: restored ones."""
        if keys is self._looked_at:
            return
        self._looked_at = keys
        fresh = frozenset(keys) - self._known
        if fresh:
            self._known |= fresh
            self._held.append(_Appearance(now_s, version, fresh, born))

    def release(self, now_s: float, served_version: int) -> None:
        """Let go of the counters that have shown their baseline long enough."""
        self._held = [held for held in self._held if now_s - held.at_s < self._hold_s or served_version < held.version]

    def reappear(self, keys: AbstractSet[SeriesKey], version: float) -> None:
        """Take note that `version` is the first view that has these counters, on no page so far; infinity: none yet."""
        for held in [held for held in self._held if held.keys & keys]:
            self._held.remove(held)
            self._held.append(held._replace(keys=held.keys & keys, version=version))
            if rest := held.keys - keys:
                self._held.append(held._replace(keys=rest))

    def releasable(self, now_s: float, served_version: int) -> bool:
        """Whether `release` would let go of any."""
        return bool(self._held) and any(
            now_s - held.at_s >= self._hold_s and served_version >= held.version for held in self._held
        )

    @property
    def held(self) -> AbstractSet[SeriesKey]:
        """Counters that still show their baseline."""
        return frozenset().union(*(held.keys for held in self._held))

    def unseen(self, shown_version: int) -> AbstractSet[SeriesKey]:
        """Counters that no page has ever begun to show, `shown_version` being the newest that one has."""
        if not self._held:
            return _NONE
        return _NONE.union(*(held.keys for held in self._held if held.born and held.version > shown_version))
