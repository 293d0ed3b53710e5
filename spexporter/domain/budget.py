"""When the next request may start."""

import math
from collections import deque
from dataclasses import dataclass

LONGEST_PAUSE_S = 900.0
_FIRST_OWN_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The published limit, `requests` in `per_s` seconds, and the share of it that we allow ourselves."""

    requests: int = 100
    per_s: float = 10.0
    use: float = 0.8

    @property
    def allowed(self) -> int:
        """Requests that we may have in one window, at least one."""
        # 1e-9: 0.29 * 100 is 28.999999999999996.
        return max(1, math.floor(self.requests * self.use + 1e-9))


class RequestBudget:
    """Lets at most `limit.allowed` requests occupy any window of `limit.per_s` seconds.

    A request holds a place from its start until `per_s` after its answer has arrived: the tenant counts it at some
    moment in between, so that its own window never holds more than ours allows. It only says when a request may start;
    the caller waits. Nothing is booked ahead. Times are monotonic seconds.

    Source: SailPoint API documentation, "Rate Limiting": 100 requests in 10 s per client id and API version.
    """

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self._in_flight = 0
        self._free_at: deque[float] = deque()
        self._paused_until_s = -math.inf

    def opens_at(self, now_s: float) -> float:
        """When a place can be free at the earliest; `now_s` when one is."""
        if now_s < self._paused_until_s:
            return self._paused_until_s
        if self.used(now_s) < self.limit.allowed:
            return now_s
        # With all places in flight none is free sooner than a whole window after an answer that has not come yet.
        return self._free_at[0] if self._free_at else now_s + self.limit.per_s

    def start(self, now_s: float) -> None:
        """Take a place for a request that starts now; only when `opens_at` says so."""
        if self.opens_at(now_s) > now_s:
            raise ValueError("no place is free")
        self._in_flight += 1

    def finish(self, now_s: float) -> None:
        """Say that an answer has arrived or has been given up: its place is free `per_s` after this."""
        self._in_flight -= 1
        self._free_at.append(now_s + self.limit.per_s)

    def used(self, now_s: float) -> int:
        """Places taken in the present window, those in flight included."""
        while self._free_at and self._free_at[0] <= now_s:
            self._free_at.popleft()
        return self._in_flight + len(self._free_at)

    def pause(self, until_s: float) -> None:
        """Let nothing start before `until_s`; a pause never gets shorter."""
        self._paused_until_s = max(self._paused_until_s, until_s)

    @property
    def paused_until_s(self) -> float:
        """End of the newest pause, minus infinity before the first."""
        return self._paused_until_s


def throttle_pause(asked_s: float | None, in_a_row: int) -> float:
    """How long to pause after a 429: what it asks for, else our own back-off, at most `LONGEST_PAUSE_S`.

    `in_a_row` counts the pauses since the last other answer, this one included. Being asked for no pause at all right
    after being refused is as good as not being told.
    """
    if asked_s is None or asked_s <= 0:
        asked_s = _FIRST_OWN_PAUSE_S * 2.0 ** min(in_a_row - 1, 16)
    return min(asked_s, LONGEST_PAUSE_S)
