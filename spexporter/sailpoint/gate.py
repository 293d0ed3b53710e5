"""Waiting for budget: no request of a client id starts without a place in the window of its API version."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from spexporter.clock import Clock
from spexporter.domain.budget import BudgetState, RateLimit, RequestBudget, throttle_pause
from spexporter.domain.errors import LeaseEnded
from spexporter.domain.ports import NOTHING, Inheritance, StoredWindow
from spexporter.sailpoint.endpoints import VERSIONS


class Gate:
    """All budgets of one client id, one for each API version. First come, first served.

    Nobody gets a place while the group is not `ours`, and only half of the places are given away while that is to end
    soon: whoever comes then has to wait less.
    """

    def __init__(
        self,
        limit: RateLimit,
        clock: Clock,
        *,
        ours: Callable[[], bool] = lambda: True,
        ends_soon: Callable[[], bool] = lambda: False,
    ) -> None:
        self.budgets = {version: RequestBudget(limit) for version in VERSIONS}
        self._clock = clock
        self._ours = ours
        self._ends_soon = ends_soon
        self._turns = {version: asyncio.Lock() for version in VERSIONS}
        self._pauses_in_a_row = 0
        self._halved = False
        self._requests = 0  # under way, whatever their version

    def place(self, versions: Sequence[str], on_wait: Callable[[float], None]) -> "Place":
        """Hold one place in the budget of each of `versions`, which come in the order of `VERSIONS` (no deadlock).

        `on_wait` hears how long the wait for them took, in seconds, where there was one.

        The answer must have arrived, or been given up, before the block is left.
        """
        return Place(self, versions, on_wait)

    async def enter(self, versions: Sequence[str], on_wait: Callable[[float], None]) -> None:
        """Take the places; see `place`."""
        if not self.start(versions):
            await self.wait(versions, on_wait)

    def leave(self, versions: Sequence[str]) -> None:
        """Take note that the answer has arrived, or has been given up."""
        now_s = self._clock.monotonic()
        self._requests -= 1
        for version in versions:
            self.budgets[version].finish(now_s)

    def start(self, versions: Sequence[str]) -> bool:
        """Take a place in each budget if all have one and nobody waits; tell whether that is so.

        Raises:
            LeaseEnded: the group is not ours.
        """
        self._check_places()
        now_s = self._clock.monotonic()
        for version in versions:
            if self._turns[version].locked():
                return False
            if len(versions) > 1 and self.budgets[version].opens_at(now_s) > now_s:
                return False  # before a place is taken in another budget
        for version in versions:
            if not self.budgets[version].try_start(now_s):
                return False
        self._requests += 1
        return True

    async def wait(self, versions: Sequence[str], on_wait: Callable[[float], None]) -> None:
        """Wait for a place in each budget, and take them; see `place`.

        Raises:
            LeaseEnded: the group is not ours any more.
        """
        asked_s = self._clock.monotonic()
        budgets = [self.budgets[version] for version in versions]
        async with AsyncExitStack() as turns:
            for version in versions:
                await turns.enter_async_context(self._turns[version])
            now_s = self._clock.monotonic()
            self._check_places()
            while (opens_s := max(budget.opens_at(now_s) for budget in budgets)) > now_s:
                await self._clock.sleep_until(opens_s)
                now_s = self._clock.monotonic()
                self._check_places()
            for budget in budgets:
                budget.start(now_s)
        self._requests += 1
        on_wait(self._clock.monotonic() - asked_s)

    def check(self) -> None:
        """Make sure that something may be asked now.

        Raises:
            LeaseEnded: the group is not ours.
        """
        if not self._ours():
            raise LeaseEnded("its lease has ended")

    def _check_places(self) -> None:
        """Make sure that something may be asked now, and take note of how many places there are to give away."""
        self.check()
        if (halved := self._ends_soon()) is not self._halved:
            self._halved = halved
            for budget in self.budgets.values():
                budget.halved = halved

    def throttled(self, versions: Sequence[str], asked_s: float | None) -> float:
        """Pause the budgets of `versions` after a 429 that asks for `asked_s`; return the end in monotonic seconds."""
        now_s = self._clock.monotonic()
        budgets = [self.budgets[version] for version in versions]
        if all(budget.paused_until_s <= now_s for budget in budgets):  # not the second of two in flight together
            self._pauses_in_a_row += 1
            for budget in budgets:
                budget.throttled(now_s)
        until_s = now_s + throttle_pause(asked_s, max(1, self._pauses_in_a_row))
        for budget in budgets:
            budget.pause(until_s)
        return max(budget.paused_until_s for budget in budgets)

    def relimit(self, limit: RateLimit) -> None:
        """Keep what is used of each window, and let another limit hold from now on."""
        for budget in self.budgets.values():
            budget.relimit(limit)

    def export(self) -> Mapping[str, BudgetState]:
        """Return what the next process must know of each version's window."""
        now_s = self._clock.monotonic()
        return {version: budget.export(now_s) for version, budget in self.budgets.items()}

    def restore(self, stored: StoredWindow, before: Inheritance = NOTHING) -> None:
        """Go on where another process has stopped, or was killed, or was before us."""
        now_s = self._clock.monotonic()
        for version, budget in self.budgets.items():
            if not stored.clean:
                budget.spend(now_s if before.since_s is None else before.since_s, before.halved_s)
            elif version in stored.windows:
                budget.restore(stored.windows[version], now_s)

    def opens_s(self, version: str | None, looks: int) -> float:
        """When another look should start so that it need not wait in `place`, monotonic seconds.

        Those of the `looks` under way that are no request yet are about to be one.
        """
        about_to = max(0, looks - self._requests)
        return self.budgets[version or VERSIONS[0]].evenly_at(self._clock.monotonic(), about_to)

    def used(self, version: str | None) -> int:
        """Return the places taken in the present window of `version`; of the newest one while it is not known."""
        return self.budgets[version or VERSIONS[0]].used(self._clock.monotonic())

    def allowed(self, version: str | None) -> int:
        """Return the places that we allow ourselves now in a window of `version`."""
        return self.budgets[version or VERSIONS[0]].allowed(self._clock.monotonic())

    def answered(self) -> None:
        """Take note of an answer that is not a 429."""
        self._pauses_in_a_row = 0


class Place:
    """One place in the budget of each of some versions, for as long as the block lasts."""

    __slots__ = ("_gate", "_on_wait", "_versions")

    def __init__(self, gate: Gate, versions: Sequence[str], on_wait: Callable[[float], None]) -> None:
        self._gate = gate
        self._versions = versions
        self._on_wait = on_wait

    async def __aenter__(self) -> None:
        """Wait for the places."""
        await self._gate.enter(self._versions, self._on_wait)

    async def __aexit__(self, *_: object) -> None:
        """Give them back."""
        self._gate.leave(self._versions)
