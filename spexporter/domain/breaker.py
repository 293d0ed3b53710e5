"""How a tenant in trouble is left alone: a circuit breaker, and a budget for retries.

Both are pure; the caller says what time it is (monotonic seconds) and brings the dice.
"""

from enum import StrEnum
from random import Random

from spexporter.domain.schedule import Pace

_FAILURES_TO_OPEN = 5
_MOST_RETRIES = 10.0
_RETRIES_EARNED = 0.1  # by each success: retries add a tenth to the load at the most


class BreakerState(StrEnum):
    """What a breaker lets through: everything, nothing, or one look to find out."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Opens after several failures of a whole tenant in a row, and closes with the first success.

    Source: M. Nygard, "Release It!", Circuit Breaker.
    """

    def __init__(self, pace: Pace, dice: Random) -> None:
        self._pace = pace
        self._dice = dice
        self._failures = 0
        self._openings = 0
        self.opens_until_s: float | None = None

    def state(self, now_s: float) -> BreakerState:
        """Return what it lets through now."""
        if self.opens_until_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self.opens_until_s else BreakerState.HALF_OPEN

    def succeeded(self) -> None:
        """Take note of an answer: the tenant is there."""
        self._failures = self._openings = 0
        self.opens_until_s = None

    def failed(self, now_s: float) -> None:
        """Take note of a failure. Those of looks that were in flight when it opened change nothing."""
        if self.state(now_s) is BreakerState.OPEN:
            return
        self._failures += 1
        if self._failures >= _FAILURES_TO_OPEN:
            self._openings += 1
            longest_s = backoff_s(self._pace, self._openings)
            self.opens_until_s = now_s + longest_s * self._dice.uniform(0.5, 1.0)


class RetryBudget:
    """Decides how soon a failed look is tried again: soon while retries are few, like any other look when they are not.

    Source: M. Brooker, "Exponential Backoff And Jitter" (full jitter); Finagle's RetryBudget.
    """

    def __init__(self, pace: Pace, dice: Random) -> None:
        self._pace = pace
        self._dice = dice
        self._left = _MOST_RETRIES

    @property
    def whole(self) -> bool:
        """Whether nothing of it is spent."""
        return self._left == _MOST_RETRIES

    def succeeded(self) -> None:
        """Earn a part of a retry."""
        self._left = min(_MOST_RETRIES, self._left + _RETRIES_EARNED)

    def delay_s(self, failures: int) -> float:
        """Return how long to wait after `failures` failures of one look in a row (at least 1), in seconds."""
        if self._left < 1:
            return self._pace.slowest_s
        self._left -= 1
        return self._dice.uniform(0.0, backoff_s(self._pace, failures))


def backoff_s(pace: Pace, failures: int) -> float:
    """Return a wait that doubles with each failure in a row (at least 1), in seconds, at most that of a healthy job."""
    return min(pace.fastest_s * 2.0 ** min(failures - 1, 32), pace.slowest_s)
