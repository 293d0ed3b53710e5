"""The only place of the daemon that reads time or sleeps.

Due times, pauses, token ages and retention all go through a `Clock`, so that tests move time by hand. Socket time-outs
use the event loop's own time: a test that moves the clock must not end an exchange that is under way.
"""

import asyncio
import time
from typing import Protocol


class Pace:
    """Lets everything else run every so often in a long piece of work, by what was done and not by the time it took.

    One unit is about a microsecond's work; others wait for at most `turn` of them, and what takes more in one piece.
    """

    def __init__(self, turn: int = 1_000) -> None:
        self._turn = turn
        self._done = 0

    async def did(self, units: int) -> None:
        """Take note of work done, and let others run where that was enough for one turn."""
        self._done += units
        if self._done >= self._turn:
            self._done = 0
            await asyncio.sleep(0)


class Clock(Protocol):
    """Reads and waits for time; `monotonic` never jumps, `wall` may."""

    def wall(self) -> float:
        """Seconds since the Unix epoch, as this host believes."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never steps; its zero means nothing."""
        ...

    async def sleep_until(self, at_s: float) -> None:
        """Return once `monotonic()` has reached `at_s`."""
        ...

    async def wait(self, event: asyncio.Event, until_s: float) -> bool:
        """Wait for `event`, at the longest until `monotonic()` reaches `until_s`; tell whether it was set."""
        ...


class SystemClock:
    """The clock of this host; a poll reads it a score of times, so these are the functions themselves."""

    wall = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep_until(self, at_s: float) -> None:
        """See `Clock.sleep_until`."""
        await asyncio.sleep(max(0.0, at_s - self.monotonic()))

    async def wait(self, event: asyncio.Event, until_s: float) -> bool:
        """See `Clock.wait`."""
        try:
            async with asyncio.timeout(max(0.0, until_s - self.monotonic())):
                await event.wait()
        except TimeoutError:
            return event.is_set()
        return True
