"""The end of what takes too long, with one timer for all that is under way with a tenant.

`asyncio.timeout` sets a timer for each block and takes it back, which is a twentieth of a look's work.
"""

import asyncio
from types import TracebackType


class Deadlines:
    """Ends each block that `watch` watches `timeout_s` seconds after it has begun; all of one event loop."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.running: dict[Deadline, None] = {}  # the one that has to end first comes first
        self.timer: asyncio.TimerHandle | None = None

    def watch(self) -> "Deadline":
        """Return a context manager that raises TimeoutError where the block takes too long, as `asyncio.timeout`."""
        return Deadline(self)

    def look(self) -> None:
        """End what has to end by now, and look again when the next one has to."""
        loop = asyncio.get_running_loop()
        self.timer = None
        for deadline in list(self.running):
            if deadline.at_s > loop.time():
                self.timer = loop.call_at(deadline.at_s, self.look)
                return
            del self.running[deadline]
            deadline.pass_by()


class Deadline:
    """One block; see `Deadlines.watch`."""

    __slots__ = ("_all", "_cancelling", "_passed", "_task", "at_s")

    def __init__(self, deadlines: Deadlines) -> None:
        self._all = deadlines
        self._passed = False

    def __enter__(self) -> None:
        """Begin."""
        loop, task, deadlines = asyncio.get_running_loop(), asyncio.current_task(), self._all
        if task is None:
            raise RuntimeError("only what a task does can be ended")
        self._task, self._cancelling = task, task.cancelling()
        self.at_s = loop.time() + deadlines.timeout_s
        deadlines.running[self] = None
        if deadlines.timer is None:
            deadlines.timer = loop.call_at(self.at_s, deadlines.look)

    def pass_by(self) -> None:
        """End the block."""
        self._passed = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End; a task that somebody else cancels as well stays cancelled."""
        if not self._passed:
            del self._all.running[self]
        elif self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
