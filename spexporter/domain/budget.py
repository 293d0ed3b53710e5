"""When the next request may start."""

import math
from collections import deque
from dataclasses import dataclass

LONGEST_PAUSE_S = 900.0
_THEIR_CLOCK = 1.0001  # it may run faster than ours; quartz differs by less than this
_NOISE = 1e-9  # 0.29 * 100 is 28.999999999999996
_FIRST_OWN_PAUSE_S = 2.0
_SMALLEST_SHARE = 0.1
_SHARE_REGAINED_PER_S = 1 / 600  # from half to the whole in five minutes


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The published limit, `requests` in `per_s` seconds, and the share of it that we allow ourselves."""

    requests: int = 100
    per_s: float = 10.0
    use: float = 0.8

    @property
    def allowed(self) -> int:
        """Requests that we may have in one window, at least one."""
        return max(1, math.floor(self.requests * self.use + _NOISE))


@dataclass(frozen=True, slots=True)
class BudgetState:
    """What a budget would otherwise forget between two processes; times are seconds from the moment it is taken.

    `free_in_s` is when each place taken is free again, in order; `share` the part of our allowance left after a 429.
    """

    free_in_s: tuple[float, ...] = ()
    paused_for_s: float = 0.0
    share: float = 1.0

    def later(self, by_s: float) -> "BudgetState":
        """Return what is left of it `by_s` seconds later."""
        free_in_s = tuple(in_s - by_s for in_s in self.free_in_s if in_s > by_s)
        return BudgetState(free_in_s, max(0.0, self.paused_for_s - by_s), self.share)


class RequestBudget:
    """Lets at most `limit.allowed` requests occupy any window of `limit.per_s` seconds.

    A request holds a place from its start until `per_s` after its answer has arrived: the tenant counts it at some
    moment in between, so that its own window never holds more than ours allows. It only says when a request may start;
    the caller waits. Nothing is booked ahead. Times are monotonic seconds.

    Source: SailPoint API documentation, "Rate Limiting": 100 requests in 10 s per client id and API version.
    """

    def __init__(self, limit: RateLimit) -> None:
        self.relimit(limit)
        self._in_flight = 0
        self._started_s = -math.inf
        self._free_at: deque[float] = deque()
        self._paused_until_s = -math.inf
        self._share = 1.0
        self._share_since_s = -math.inf
        self.halved = False  # only half of our allowance is to be used: see `spend`

    def relimit(self, limit: RateLimit) -> None:
        """Let another limit hold from now on; what is used stays used."""
        self._most = limit.allowed
        self._window_s = limit.per_s * _THEIR_CLOCK

    def opens_at(self, now_s: float) -> float:
        """When a place can be free at the earliest; `now_s` when one is."""
        if now_s < self._paused_until_s:
            return self._paused_until_s
        if self.used(now_s) < self.allowed(now_s):
            return now_s
        # With all places in flight none is free sooner than a whole window after an answer that has not come yet.
        return self._free_at[0] if self._free_at else now_s + self._window_s

    def evenly_at(self, now_s: float, beginning: int = 0) -> float:
        """When another request should start, with `beginning` more about to: some places are kept for what comes later.

        Half of a window may be used at once. From there on starts keep an even distance: an allowance that is all used
        would else be used in one burst, with nothing to be asked until the next window.
        """
        in_use, allowed = self.used(now_s), self.allowed(now_s)
        if now_s < self._paused_until_s or in_use >= allowed:
            return self.opens_at(now_s)
        used = in_use + beginning
        if 2 * used < allowed:
            return now_s
        if used >= allowed:
            return now_s + self._window_s / allowed
        return max(now_s, self._started_s + self._window_s / allowed * (1 + beginning))

    def start(self, now_s: float) -> None:
        """Take a place for a request that starts now; only when `opens_at` says so."""
        if not self.try_start(now_s):
            raise ValueError("no place is free")

    def try_start(self, now_s: float) -> bool:
        """Take a place for a request that starts now if one is free; tell whether that is so."""
        if now_s < self._paused_until_s or self.used(now_s) >= self.allowed(now_s):
            return False
        self._in_flight += 1
        self._started_s = now_s
        return True

    def finish(self, now_s: float) -> None:
        """Say that an answer has arrived or has been given up: its place is free `per_s` after this."""
        self._in_flight -= 1
        self._free_at.append(now_s + self._window_s)

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return self._in_flight

    def used(self, now_s: float) -> int:
        """Places taken in the present window, those in flight included."""
        while self._free_at and self._free_at[0] <= now_s:
            self._free_at.popleft()
        return self._in_flight + len(self._free_at)

    def allowed(self, now_s: float) -> int:
        """Places that we allow ourselves now: fewer after a 429, which shows that we are not alone or know less."""
        most = self._half if self.halved else self._most
        if self._share == 1.0:
            return most
        return max(1, math.floor(most * self._present_share(now_s) + _NOISE))

    @property
    def _half(self) -> int:
        return max(1, self._most // 2)

    def throttled(self, now_s: float) -> None:
        """Halve our share after a 429; it grows back slowly, so that another user of the client is not starved.

        Source: D. Chiu and R. Jain, additive increase and multiplicative decrease.
        """
        self._share = max(_SMALLEST_SHARE, self._present_share(now_s) / 2)
        self._share_since_s = now_s

    def _present_share(self, now_s: float) -> float:
        if self._share == 1.0:
            return 1.0
        return min(1.0, self._share + _SHARE_REGAINED_PER_S * (now_s - self._share_since_s))

    def pause(self, until_s: float) -> None:
        """Let nothing start before `until_s`; a pause never gets shorter."""
        self._paused_until_s = max(self._paused_until_s, until_s)

    def export(self, now_s: float) -> BudgetState:
        """Return what the next process must know; places in flight count as answered now."""
        in_flight = (self._window_s,) * self._in_flight
        left_s = tuple(free_s - now_s for free_s in self._free_at if free_s > now_s)
        return BudgetState(left_s + in_flight, max(0.0, self._paused_until_s - now_s), self._present_share(now_s))

    def restore(self, state: BudgetState, now_s: float) -> None:
        """Go on where another process has stopped; no place is held for longer than a window lasts."""
        self._free_at.extend(sorted(now_s + min(in_s, self._window_s) for in_s in state.free_in_s))
        self.pause(now_s + min(state.paused_for_s, LONGEST_PAUSE_S))
        self._share, self._share_since_s = state.share, now_s

    def spend(self, at_s: float, halved_s: float | None = None) -> None:
        """Take every place until a window from `at_s`: nobody knows what a process that ended then has used.

        One that has used no more than half since `halved_s` has not used the others later than then.
        """
        half = self._half if halved_s is not None else self._most
        self._free_at.extend([(halved_s or 0.0) + self._window_s] * (self._most - half))
        self._free_at.extend([at_s + self._window_s] * half)

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
