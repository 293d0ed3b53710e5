"""The only place of the daemon that reads time or sleeps.

Due times, pauses, token ages and retention all go through a `Clock`, so that tests move time by hand. Socket time-outs
use the event loop's own time: a test that moves the clock must not end an exchange that is under way.
"""

import asyncio
import time
from typing import Protocol


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
    """The clock of this host."""

    def wall(self) -> float:
        """See `Clock.wall`."""
        return time.time()

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()

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
