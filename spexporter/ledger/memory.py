"""A ledger that forgets everything when the process ends."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from spexporter.domain.budget import BudgetState
from spexporter.domain.counting import SeriesKey
from spexporter.domain.ports import Change, Group, StoredWindow, Terms
from spexporter.domain.view import TenantState
from spexporter.ledger.book import Book

_PRUNE_EVERY_S = 3600.0


class MemoryLedger:
    """Satisfies `spexporter.domain.ports.Ledger` in memory; there is one process, so the fence is not looked at.

    Ids are remembered for `remember_s` seconds after somebody last wanted them.
    """

    def __init__(self, remember_s: float) -> None:
        self._remember_s = remember_s
        self._books: dict[str, Book] = {}
        self._prune_at_s: defaultdict[str, float] = defaultdict(float)
        self._windows: dict[Group, StoredWindow] = {}

    async def restore(self, terms: Iterable[Terms]) -> Mapping[str, TenantState]:
        """See `Ledger.restore`."""
        return {each.tenant: self._opened(each).state() for each in terms}

    @property
    def failing(self) -> bool:
        """See `Ledger.failing`: memory does not."""
        return False

    async def release(self, tenant: str) -> None:
        """See `Ledger.release`: there is nowhere else to keep it."""

    def abandon(self, tenant: str) -> None:
        """See `Ledger.abandon`: there is no other process."""

    async def apply(self, tenant: str, change: Change, *, fence: int) -> TenantState:
        """See `Ledger.apply`."""
        del fence
        book = self._books[tenant]
        book.apply(change)
        if change.at_s is not None and change.at_s >= self._prune_at_s[tenant]:
            self._prune_at_s[tenant] = change.at_s + _PRUNE_EVERY_S
            book.prune(change.at_s - self._remember_s)
        book.keep()
        return book.state()

    async def publish(self, tenant: str, upto: Mapping[SeriesKey, float], *, fence: int) -> TenantState:
        """See `Ledger.publish`."""
        del fence
        book = self._books[tenant]
        book.publish(upto)
        book.keep()
        return book.state()

    async def withdraw(self, tenant: str, shown: Mapping[SeriesKey, float], *, fence: int) -> None:
        """See `Ledger.withdraw`."""
        del fence
        book = self._books[tenant]
        book.withdraw(shown)
        book.keep()

    async def open_windows(self, fences: Mapping[Group, int], now_s: float) -> Mapping[Group, StoredWindow]:
        """See `Ledger.open_windows`."""
        del now_s
        return {group: self._windows[group] for group in fences if group in self._windows}

    async def close_windows(self, windows: Mapping[Group, Mapping[str, BudgetState]], now_s: float) -> None:
        """See `Ledger.close_windows`."""
        del now_s
        self._windows.update({group: StoredWindow(clean=True, windows=states) for group, states in windows.items()})

    def _opened(self, terms: Terms) -> Book:
        book = self._books.get(terms.tenant) or Book(terms)
        book.agree(terms)
        for name in terms.former_names:
            if former := self._books.pop(name, None):
                book.adopt(former)
        book.keep()
        self._books[terms.tenant] = book
        return book
