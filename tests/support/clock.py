"""A clock that tests move by hand."""

import asyncio
import heapq
import itertools

START_WALL_S = 1_800_000_000.0
_TURNS_ON_UVLOOP = 100  # more than any chain of tasks that wake each other takes


class FakeClock:
    """Stands still until a test advances it; satisfies `spexporter.clock.Clock`.

    `wall` and `monotonic` advance together; `step_wall` moves the wall alone, as an operator or NTP may.
    """

    def __init__(self, wall_s: float = START_WALL_S, monotonic_s: float = 1000.0) -> None:
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def wall(self) -> float:
        return self._wall_s

    def monotonic(self) -> float:
        return self._monotonic_s

    def step_wall(self, by_s: float) -> None:
        self._wall_s += by_s

    async def sleep_until(self, at_s: float) -> None:
        if at_s <= self._monotonic_s:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (at_s, next(self._order), waiter))
        await waiter

    async def wait(self, event: asyncio.Event, until_s: float) -> bool:
        sleeping = asyncio.ensure_future(self.sleep_until(until_s))
        waiting = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait({sleeping, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waiting.cancel()
        return event.is_set()

    def next_wake(self) -> float | None:
        """Monotonic time at which the next sleeper wants to wake, None when nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def jump_to(self, at_s: float) -> None:
        """Move to `at_s` at once and wake everyone who was due by then."""
        by_s = max(0.0, at_s - self._monotonic_s)
        self._wall_s += by_s
        self._monotonic_s += by_s
        while (due_s := self.next_wake()) is not None and due_s <= self._monotonic_s:
            waiter = heapq.heappop(self._sleepers)[2]
            waiter.set_result(None)


class HostClock:
    """The same time on a host whose own idea of it may be set: `wall` alone differs from the clock that it follows."""

    def __init__(self, follows: FakeClock) -> None:
        self._follows = follows
        self._off_s = 0.0
        self.monotonic = follows.monotonic
        self.sleep_until = follows.sleep_until
        self.wait = follows.wait

    def wall(self) -> float:
        return self._follows.wall() + self._off_s

    def step_wall(self, by_s: float) -> None:
        """Set the host's time, as an operator or NTP may; tenants know nothing of it."""
        self._off_s += by_s


async def settle() -> None:
    """Let every task run until all of them wait for a clock, a socket or each other."""
    ready = getattr(asyncio.get_running_loop(), "_ready", None)  # nothing public tells, and uvloop nothing at all
    if ready is None:
        for _ in range(_TURNS_ON_UVLOOP):
            await asyncio.sleep(0)
        return
    quiet = 0
    while quiet < 3:
        await asyncio.sleep(0)
        quiet = 0 if ready else quiet + 1
