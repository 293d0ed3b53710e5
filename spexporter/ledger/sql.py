"""A ledger in a database: books in memory, written behind by one task.

Memory is what counts while the process lives: a store that fails takes nothing from what is known, and what could not
be written is written when it is back. Pages show a counter's new value only once it is stored.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

from spexporter.clock import Clock, Pace
from spexporter.domain.budget import BudgetState
from spexporter.domain.counting import SeriesKey
from spexporter.domain.errors import LeaseEnded, StoreError
from spexporter.domain.job import JobKey
from spexporter.domain.ports import Change, Group, StoredWindow, StoreWatch, Terms
from spexporter.domain.view import TenantState
from spexporter.ledger.backend import Holds, LeaseLost, StoreReplaced
from spexporter.ledger.book import Book, Remembered, Rows
from spexporter.ledger.database import Database
from spexporter.ledger.health import StoreHealth
from spexporter.ledger.lockfile import sole_owner
from spexporter.ledger.sqlite import SqliteFile

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_PAUSE_S = 5.0  # what may wait is written together, and what failed is tried again
_PRUNE_EVERY_S = 3600.0
_READS, _WRITES = "reads of the ledger", "writes of the ledger"
_UNITS_A_BOOK = 20  # to take what has changed in one, or to note that it is written


@asynccontextmanager
async def opened(path: Path, *, remember_s: float, clock: Clock, watch: StoreWatch) -> AsyncIterator["SqlLedger"]:
    """Own the ledger at `path` for as long as the block lasts, and write what is left at its end.

    Raises:
        StoreError: it cannot be opened, or another daemon has it.
    """
    file = SqliteFile(path)
    with sole_owner(file.path) as lock:
        database = Database(file, lock)
        await database.prepare()
        async with keeping(
            SqlLedger(database, remember_s=remember_s, clock=clock, health=StoreHealth(watch, clock))
        ) as ledger:
            yield ledger


@asynccontextmanager
async def keeping(ledger: "SqlLedger") -> AsyncIterator["SqlLedger"]:
    """Keep `ledger` for as long as the block lasts, and write what is left at its end."""
    task = asyncio.create_task(ledger.keep(), name="ledger")
    try:
        yield ledger
    finally:
        ledger.close()
        await task


class SqlLedger:
    """Satisfies `spexporter.domain.ports.Ledger`.

    Ids are remembered for `remember_s` seconds after somebody last wanted them. What is known of a tenant was read, and
    is written, under the fence of its `Terms`; where the store says that its group is another process's, it is dropped.
    """

    def __init__(self, database: Database, *, remember_s: float, clock: Clock, health: StoreHealth) -> None:
        self._database = database
        self._remember_s = remember_s
        self._clock = clock
        self._health = health
        self._books: dict[str, Book] = {}
        self._dirty: set[str] = set()
        self._urgent: set[str] = set()
        self._held: dict[str, tuple[Group, int]] = {}  # by tenant, under which fence it was read
        self._groups: dict[Group, int] = {}  # under which fence their windows are in use
        self._turn = asyncio.Lock()
        self._lookups = 0
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._prune_at_s = clock.monotonic() + _PRUNE_EVERY_S
        self._closed = False

    @property
    def failing(self) -> bool:
        """See `Ledger.failing`."""
        return self._health.failing(_WRITES)

    @property
    def busy(self) -> bool:
        """Whether the store is being read or written, or somebody waits for that."""
        return self._turn.locked() or bool(self._waiting)

    async def restore(self, terms: Iterable[Terms]) -> Mapping[str, TenantState]:
        """See `Ledger.restore`."""
        asked = {each.tenant: each for each in terms}
        for tenant in asked.keys() & self._books:
            if self._held[tenant][1] != asked[tenant].fence:
                self._drop(tenant)  # of another time: the store knows better
            else:
                self._held[tenant] = asked[tenant].group, asked[tenant].fence
                self._books[tenant].agree(asked[tenant])
        fresh = {tenant: each for tenant, each in asked.items() if tenant not in self._books}
        if fresh:
            await self._open(fresh)
        return {tenant: self._books[tenant].state() for tenant in asked}

    async def _open(self, fresh: Mapping[str, Terms]) -> None:
        """Read tenants that are not in memory yet."""
        async with self._read():
            for tenant, each in fresh.items():
                for former in each.former_names:
                    await self._database.rename(former, tenant, {each.group: each.fence})
            holds = {each.group: each.fence for each in fresh.values()}
            stored = await self._database.load(fresh, self._clock.wall(), holds)
        self._books |= {tenant: Book(each, stored[tenant]) for tenant, each in fresh.items()}
        self._held |= {tenant: (each.group, each.fence) for tenant, each in fresh.items()}

    async def release(self, tenant: str) -> None:
        """See `Ledger.release`."""
        while tenant in self._dirty and not self.failing:
            await self._written()
        async with self._turn:  # it may just be written, and be to write again if that fails
            if tenant not in self._dirty:
                self._drop(tenant)

    def _drop(self, tenant: str) -> None:
        """Hold a tenant in memory no more; what is not stored of it is lost."""
        for known in (self._books, self._held):
            known.pop(tenant, None)
        self._dirty.discard(tenant)
        self._urgent.discard(tenant)

    def abandon(self, tenant: str) -> None:
        """See `Ledger.abandon`: what is not stored is asked for again by that one."""
        self._drop(tenant)

    async def apply(self, tenant: str, change: Change, *, fence: int) -> TenantState:
        """See `Ledger.apply`."""
        self._check(tenant, fence)
        book = self._books[tenant]
        self._lookups += 1
        try:
            book.recall(await self._find([job.key for job in change.added if not book.knows(job.key)]))
            with suppress(StoreError):  # then it is wanted until the next start, and no harm is done
                book.recall(await self._find([key for key in change.removed if not book.knows(key)]))
            book.apply(change)
        finally:
            self._lookups -= 1
        if self._books.get(tenant) is not book:  # the group was lost meanwhile
            return book.state()
        self._dirty.add(tenant)
        if change.urgent:
            self._urgent.add(tenant)
        return await self._stored_state(tenant)

    async def publish(self, tenant: str, upto: Mapping[SeriesKey, float], *, fence: int) -> TenantState:
        """See `Ledger.publish`."""
        self._check(tenant, fence)
        book = self._books[tenant]
        if not self.failing:
            book.publish(upto)
            self._dirty.add(tenant)
            self._urgent.add(tenant)
        return await self._stored_state(tenant)

    async def withdraw(self, tenant: str, shown: Mapping[SeriesKey, float], *, fence: int) -> None:
        """See `Ledger.withdraw`. It is stored with what is left at the end."""
        self._check(tenant, fence)
        self._books[tenant].withdraw(shown)
        self._dirty.add(tenant)

    def _check(self, tenant: str, fence: int) -> None:
        """Make sure that what memory holds of a tenant is of the time of `fence`, and not lost since."""
        if tenant not in self._held or self._held[tenant][1] != fence:
            raise LeaseEnded("another process may look after it now")

    async def open_windows(self, fences: Mapping[Group, int], now_s: float) -> Mapping[Group, StoredWindow]:
        """See `Ledger.open_windows`."""
        async with self._read():
            self._groups |= fences
            return await self._database.take_windows(now_s, fences)

    async def close_windows(self, windows: Mapping[Group, Mapping[str, BudgetState]], now_s: float) -> None:
        """See `Ledger.close_windows`; a store that fails is not waited for, the next process will be careful."""
        if self.failing:
            return
        try:
            async with self._turn:
                holds = {group: self._groups.pop(group, 0) for group in windows}
                await self._database.put_windows(windows, now_s, holds)
        except LeaseLost:
            return  # the next process has taken them as spent
        except StoreError as error:
            self._health.failed(_WRITES, "write", error)

    async def keep(self) -> None:
        """Write what is to be written until `close`; this is where failures of the store end."""
        last = False
        while not last:
            last = self._closed
            if not last:
                await self._clock.wait(self._wanted, self._clock.monotonic() + _PAUSE_S)
            self._wanted.clear()
            async with self._turn:
                await self._round()
        if self._dirty:
            log.error(
                "store_left_behind",
                tenants=sorted(self._dirty),
                cure="repair the store before the next start; what was not stored is asked for and counted then",
            )

    def close(self) -> None:
        """Let `keep` write what is left and end."""
        self._closed = True
        self._wanted.set()

    async def _round(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            await self._as_far_as_ours(self._write)
            await self._tidy()
        except StoreReplaced as error:
            self._health.failed(_WRITES, "write", error)
            await self._write_anew()
        except StoreError as error:
            self._health.failed(_WRITES, "write", error)
        except Exception:  # a bug here must not leave everybody waiting
            log.exception("store_crashed")
        finally:
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)

    async def _as_far_as_ours(self, write: Callable[[], Awaitable[object]]) -> None:
        """Do `write`, and drop what turns out to be another process's."""
        while True:
            try:
                await write()
            except LeaseLost as lost:
                self._lose(lost)
            else:
                return

    async def _write(self) -> None:
        """Write what has changed. Others run meanwhile: what they change then is written in the next round."""
        dirty, self._dirty = self._dirty, set()
        taken: dict[str, tuple[Book, Rows]] = {}
        try:
            await self._take(dirty, taken)
            ours = {tenant: rows for tenant, (book, rows) in taken.items() if self._books.get(tenant) is book}
            if ours:
                await self._database.write(ours, self._clock.wall(), self._holds(ours))
            elif self._health.failing(_READS, _WRITES) or self._database.touched():
                await self._database.verify()
        except BaseException:
            self._dirty.update(dirty & self._books.keys())
            for book, rows in taken.values():
                book.unwritten(rows)
            raise
        pace = Pace()
        for book, rows in taken.values():
            book.written(rows, forget=not self._lookups)
            await pace.did(_UNITS_A_BOOK)
        self._urgent &= self._dirty
        self._health.works(_WRITES)
        self._health.works(_READS)

    async def _take(self, dirty: Iterable[str], taken: dict[str, tuple[Book, Rows]]) -> None:
        """Put into `taken` what is to be written of each tenant."""
        pace = Pace()
        for tenant in dirty:
            book = self._books.get(tenant)
            if book and (rows := book.changed()):
                taken[tenant] = book, rows
            await pace.did(_UNITS_A_BOOK)

    def _holds(self, tenants: Iterable[str]) -> Holds:
        return dict(self._held[tenant] for tenant in tenants)

    def _lose(self, lost: LeaseLost) -> None:
        """Forget what is another process's now; all else is to be written again."""
        tenants = [tenant for tenant, (group, _) in self._held.items() if group in lost.groups]
        if tenants:
            log.warning("lease_lost", tenants=sorted(tenants))
        for tenant in tenants:
            self._drop(tenant)
        for group in lost.groups:
            self._groups.pop(group, None)

    async def _write_anew(self) -> None:
        """Make whatever file is there now, or a new one, hold what memory holds."""
        try:
            await self._database.prepare()
            await self._as_far_as_ours(self._take_windows)
            for tenant, book in self._books.items():
                book.rewrite()
                self._dirty.add(tenant)
            await self._as_far_as_ours(self._write)
        except StoreError as error:
            self._health.failed(_WRITES, "write", error)

    async def _take_windows(self) -> None:
        """Say again that the windows of our groups are in use."""
        await self._database.take_windows(self._clock.wall(), self._groups)

    async def _tidy(self) -> None:
        if self._clock.monotonic() >= self._prune_at_s:
            self._prune_at_s = self._clock.monotonic() + _PRUNE_EVERY_S
            await self._as_far_as_ours(self._prune)

    async def _prune(self) -> None:
        holds = self._holds(self._books)
        await self._database.prune(list(self._books), self._clock.wall(), self._remember_s, holds)

    async def _stored_state(self, tenant: str) -> TenantState:
        """Return a state that is stored: pages will show it, with all that others have changed meanwhile."""
        book = self._books[tenant]
        while tenant in self._urgent and not self.failing:
            await self._written()
        return book.state()

    async def _written(self) -> None:
        """Wait until what has changed is stored; not while the store fails."""
        if not self.failing:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            self._wanted.set()
            await waiter

    async def _find(self, keys: Collection[JobKey]) -> Mapping[JobKey, Remembered]:
        if not keys:
            return {}
        async with self._read():
            return await self._database.find(keys)

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[None]:
        async with self._turn:
            try:
                yield
            except LeaseLost:
                raise
            except StoreError as error:
                self._health.failed(_READS, "read", error)
                self._wanted.set()  # it is found out at once whether that is all that fails
                raise
