"""Another client with the same credential: it makes no requests, its places in the rate limit are reckoned."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from spexporter.simulator.limiter import most_in_any_window

_TINY = 1e-9
"""Evenly spaced moments are sums of fractions: what is this close to a moment is that moment."""


@dataclass(frozen=True, slots=True)
class Rival:
    """Somebody who makes `count` requests in any `per_s` seconds to each API version, evenly, whatever we do.

    Times are monotonic seconds. It never waits and is never refused, so that what it leaves is all that we get.
    """

    count: int
    per_s: float
    from_s: float
    until_s: float = math.inf

    def taken_at(self, now_s: float) -> int:
        """Return how many places of the window that ends at `now_s` are its own."""
        return self.made_until(now_s) - self.made_until(now_s - self.per_s)

    def made_until(self, now_s: float) -> int:
        """Return how many requests it has made until `now_s`, that moment included."""
        gap_s = self.per_s / self.count
        last = math.floor((now_s - self.from_s) / gap_s + _TINY) + 1
        ever = math.inf if math.isinf(self.until_s) else math.ceil((self.until_s - self.from_s) / gap_s - _TINY)
        return int(max(0, min(last, ever)))

    def times_s(self, now_s: float) -> list[float]:
        """Return the moments of its requests until `now_s`."""
        return [self.from_s + number * self.per_s / self.count for number in range(self.made_until(now_s))]


def busiest_together(ours_s: Iterable[float], rivals: Iterable[Rival], per_s: float, now_s: float) -> int:
    """Return the most requests, ours and the rivals', in any window of `per_s` seconds until `now_s`."""
    theirs_s = [at_s for rival in rivals for at_s in rival.times_s(now_s)]
    return most_in_any_window(sorted([*ours_s, *theirs_s]), per_s - 1000 * _TINY)
