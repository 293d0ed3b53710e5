"""Waiting for budget: no request of a client id starts without a place in the window of its API version."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from spexporter.clock import Clock
from spexporter.domain.budget import BudgetState, RateLimit, RequestBudget, throttle_pause
from spexporter.domain.ports import StoredWindow
from spexporter.sailpoint.endpoints import VERSIONS


class Gate:
    """All budgets of one client id, one for each API version. First come, first served."""

    def __init__(self, limit: RateLimit, clock: Clock) -> None:
        self.budgets = {version: RequestBudget(limit) for version in VERSIONS}
        self._clock = clock
        self._turns = {version: asyncio.Lock() for version in VERSIONS}
        self._pauses_in_a_row = 0

    @asynccontextmanager
    async def place(self, versions: Sequence[str], on_wait: Callable[[float], None]) -> AsyncIterator[None]:
        """Hold one place in the budget of each of `versions`, which come in the order of `VERSIONS` (no deadlock).

        `on_wait` hears how long the wait for them took, in seconds, where there was one.

        The answer must have arrived, or been given up, before the block is left.
        """
        budgets = [self.budgets[version] for version in versions]
        asked_s = self._clock.monotonic()
        waited = any(self._turns[version].locked() for version in versions)
        async with AsyncExitStack() as turns:
            for version in versions:
                await turns.enter_async_context(self._turns[version])
            now_s = self._clock.monotonic()
            while (opens_s := max(budget.opens_at(now_s) for budget in budgets)) > now_s:
                waited = True
                await self._clock.sleep_until(opens_s)
                now_s = self._clock.monotonic()
            for budget in budgets:
                budget.start(now_s)
        if waited:
            on_wait(self._clock.monotonic() - asked_s)
        try:
            yield
        finally:
            for budget in budgets:
                budget.finish(self._clock.monotonic())

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
            budget.limit = limit

    def export(self) -> Mapping[str, BudgetState]:
        """Return what the next process must know of each version's window."""
        now_s = self._clock.monotonic()
        return {version: budget.export(now_s) for version, budget in self.budgets.items()}

    def restore(self, stored: StoredWindow) -> None:
        """Go on where another process has stopped, or was killed."""
        now_s = self._clock.monotonic()
        for version, budget in self.budgets.items():
            if not stored.clean:
                budget.spend(now_s)
            elif version in stored.windows:
                budget.restore(stored.windows[version], now_s)

    def opens_s(self, version: str | None, looks: int) -> float:
        """When another look should start so that it need not wait in `place`, monotonic seconds.

        Those of the `looks` under way that are no request yet are about to be one.
        """
        requests = max(budget.in_flight for budget in self.budgets.values())
        return self.budgets[version or VERSIONS[0]].evenly_at(self._clock.monotonic(), max(0, looks - requests))

    def used(self, version: str | None) -> int:
        """Return the places taken in the present window of `version`; of the newest one while it is not known."""
        return self.budgets[version or VERSIONS[0]].used(self._clock.monotonic())

    def allowed(self, version: str | None) -> int:
        """Return the places that we allow ourselves now in a window of `version`."""
        return self.budgets[version or VERSIONS[0]].allowed(self._clock.monotonic())

    def answered(self) -> None:
        """Take note of an answer that is not a 429."""
        self._pauses_in_a_row = 0
