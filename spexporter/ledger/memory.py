"""A ledger that forgets everything when the process ends."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from spexporter.domain.counting import SeriesKey
from spexporter.domain.ports import Change
from spexporter.domain.view import TenantState
from spexporter.ledger.book import Book


class MemoryLedger:
    """Satisfies `spexporter.domain.ports.Ledger` in memory; there is one process, so the fence is not looked at."""

    def __init__(self) -> None:
        self._books: defaultdict[str, Book] = defaultdict(Book)

    async def restore(self, tenants: Iterable[str]) -> Mapping[str, TenantState]:
        """See `Ledger.restore`."""
        return {tenant: self._books[tenant].state() for tenant in tenants}

    async def apply(self, tenant: str, change: Change, *, fence: int) -> TenantState:
        """See `Ledger.apply`."""
        del fence
        self._books[tenant].apply(change)
        return self._books[tenant].state()

    async def publish(self, tenant: str, upto: Mapping[SeriesKey, float], *, fence: int) -> TenantState:
        """See `Ledger.publish`."""
        del fence
        self._books[tenant].publish(upto)
        return self._books[tenant].state()
