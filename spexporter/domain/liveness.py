"""Whether the daemon is alive and ready, from what its parts last said. Times are monotonic seconds."""

from collections.abc import Iterable

# A scheduler beats every 5 s even with nothing to do.
_LONGEST_SILENCE_S = 30.0
_LONGEST_START_S = 30.0


class Liveness:
    """Answers `/-/healthy` and `/-/ready`.

    `opened_s` is when the store was opened, None where that is still to come; see `opened`.
    """

    def __init__(self, tenants: Iterable[str], opened_s: float | None) -> None:
        self._untried = set(tenants)
        self._opened_s = opened_s
        self._was_ready = False
        self._beats: dict[str, float] = {}

    def opened(self, tenants: Iterable[str], now_s: float) -> None:
        """Take note that the store is open, and of the tenants that are ours so far."""
        if self._opened_s is None:
            self._opened_s = now_s
            self._untried = set(tenants)

    def beat(self, scheduler: str, now_s: float) -> None:
        """Take note that a scheduler is alive, or is to begin."""
        self._beats[scheduler] = now_s

    def gone(self, scheduler: str) -> None:
        """Take note that a scheduler has ended as it should."""
        self._beats.pop(scheduler, None)

    def attempted(self, tenant: str) -> None:
        """Take note that a first look at `tenant` has ended, well or badly."""
        self._untried.discard(tenant)

    def silence_s(self, now_s: float) -> float:
        """Return for how long the slowest scheduler has said nothing, 0 where there is none: tenants may come later."""
        return now_s - min(self._beats.values(), default=now_s)

    def healthy(self, now_s: float) -> bool:
        """Whether every scheduler's heart beats."""
        return self.silence_s(now_s) <= _LONGEST_SILENCE_S

    def ready(self, now_s: float) -> bool:
        """Whether the store was opened and every tenant tried once, or had the time; once true, it stays so."""
        if self._opened_s is not None and not self._was_ready:
            self._was_ready = not self._untried or now_s - self._opened_s >= _LONGEST_START_S
        return self._was_ready
