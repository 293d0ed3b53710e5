"""A ledger in a database: books in memory, written behind by one task.

Memory is what counts while the process lives: a store that fails takes nothing from what is known, and what could not
be written is written when it is back. Pages show a counter's new value only once it is stored.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

from spexporter.clock import Clock
from spexporter.domain.budget import BudgetState
from spexporter.domain.counting import SeriesKey
from spexporter.domain.errors import StoreError
from spexporter.domain.job import JobKey
from spexporter.domain.ports import Change, Group, StoredWindow, StoreWatch, Terms
from spexporter.domain.view import TenantState
from spexporter.ledger.book import Book, Remembered
from spexporter.ledger.database import Database, StoreReplaced
from spexporter.ledger.lockfile import sole_owner
from spexporter.ledger.sqlite import SqliteFile

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_PAUSE_S = 5.0  # what may wait is written together, and what failed is tried again
_PRUNE_EVERY_S = 3600.0


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
        ledger = SqlLedger(database, remember_s=remember_s, clock=clock, watch=watch)
        keeping = asyncio.create_task(ledger.keep(), name="ledger")
        try:
            yield ledger
        finally:
            ledger.close()
            await keeping


class SqlLedger:
    """Satisfies `spexporter.domain.ports.Ledger`; one process owns the store, so the fence is not looked at.

    Ids are remembered for `remember_s` seconds after somebody last wanted them.
    """

    def __init__(self, database: Database, *, remember_s: float, clock: Clock, watch: StoreWatch) -> None:
        self._database = database
        self._remember_s = remember_s
        self._clock = clock
        self._watch = watch
        self._books: dict[str, Book] = {}
        self._dirty: set[str] = set()
        self._urgent: set[str] = set()
        self._groups: set[Group] = set()
        self._turn = asyncio.Lock()
        self._lookups = 0
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._failing_since_s: float | None = None
        self._said: set[str] = set()
        self._prune_at_s = clock.monotonic() + _PRUNE_EVERY_S
        self._closed = False
        watch.store_up(up=True)

    @property
    def busy(self) -> bool:
        """Whether the store is being read or written, or somebody waits for that."""
        return self._turn.locked() or bool(self._waiting)

    async def restore(self, terms: Iterable[Terms]) -> Mapping[str, TenantState]:
        """See `Ledger.restore`."""
        asked = {each.tenant: each for each in terms}
        for tenant in asked.keys() & self._books:
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
                    await self._database.rename(former, tenant)
            stored = await self._database.load(fresh, self._clock.wall())
        self._books |= {tenant: Book(each, stored[tenant]) for tenant, each in fresh.items()}

    async def release(self, tenant: str) -> None:
        """See `Ledger.release`."""
        while tenant in self._dirty and self._failing_since_s is None:
            await self._written()
        async with self._turn:  # it may just be written, and be to write again if that fails
            if tenant not in self._dirty:
                self._books.pop(tenant, None)

    async def apply(self, tenant: str, change: Change, *, fence: int) -> TenantState:
        """See `Ledger.apply`."""
        del fence
        book = self._books[tenant]
        self._lookups += 1
        try:
            book.recall(await self._find([job.key for job in change.added if not book.knows(job.key)]))
            with suppress(StoreError):  # then it is wanted until the next start, and no harm is done
                book.recall(await self._find([key for key in change.removed if not book.knows(key)]))
            book.apply(change)
        finally:
            self._lookups -= 1
        self._dirty.add(tenant)
        if change.urgent:
            self._urgent.add(tenant)
        return await self._stored_state(tenant)

    async def publish(self, tenant: str, upto: Mapping[SeriesKey, float], *, fence: int) -> TenantState:
        """See `Ledger.publish`."""
        del fence
        book = self._books[tenant]
        if self._failing_since_s is None:
            book.publish(upto)
            self._dirty.add(tenant)
            self._urgent.add(tenant)
        return await self._stored_state(tenant)

    async def withdraw(self, tenant: str, shown: Mapping[SeriesKey, float], *, fence: int) -> None:
        """See `Ledger.withdraw`. It is stored with what is left at the end."""
        del fence
        self._books[tenant].withdraw(shown)
        self._dirty.add(tenant)

    async def open_window(self, group: Group, now_s: float) -> StoredWindow | None:
        """See `Ledger.open_window`."""
        async with self._read():
            self._groups.add(group)
            return await self._database.take_window(group, now_s)

    async def close_windows(self, windows: Mapping[Group, Mapping[str, BudgetState]], now_s: float) -> None:
        """See `Ledger.close_windows`; a store that fails is not waited for, the next process will be careful."""
        if self._failing_since_s is not None:
            return
        try:
            async with self._turn:
                await self._database.put_windows(windows, now_s)
        except StoreError as error:
            self._failed("write", error)

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
            await self._write()
            await self._tidy()
        except StoreReplaced as error:
            self._failed("write", error)
            await self._write_anew()
        except StoreError as error:
            self._failed("write", error)
        except Exception:  # a bug here must not leave everybody waiting
            log.exception("store_crashed")
        finally:
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)

    async def _write(self) -> None:
        taken = {tenant: rows for tenant in self._dirty if (rows := self._books[tenant].changed())}
        self._dirty.clear()
        try:
            if taken:
                await self._database.write(taken, self._clock.wall())
            elif self._failing_since_s is not None or self._database.touched():
                await self._database.verify()
        except BaseException:
            self._dirty.update(taken)
            for tenant, rows in taken.items():
                self._books[tenant].unwritten(rows)
            raise
        for tenant, rows in taken.items():
            self._books[tenant].written(rows, forget=not self._lookups)
        self._urgent &= self._dirty
        self._works()

    async def _write_anew(self) -> None:
        """Make whatever file is there now, or a new one, hold what memory holds."""
        try:
            await self._database.prepare()
            for group in self._groups:  # their windows are in use
                await self._database.take_window(group, self._clock.wall())
            for tenant, book in self._books.items():
                book.rewrite()
                self._dirty.add(tenant)
            await self._write()
        except StoreError as error:
            self._failed("write", error)

    async def _tidy(self) -> None:
        if self._clock.monotonic() >= self._prune_at_s:
            self._prune_at_s = self._clock.monotonic() + _PRUNE_EVERY_S
            await self._database.prune(self._books, self._clock.wall(), self._remember_s)

    async def _stored_state(self, tenant: str) -> TenantState:
        """Return a state that is stored: pages will show it, with all that others have changed meanwhile."""
        while tenant in self._urgent and self._failing_since_s is None:
            await self._written()
        return self._books[tenant].state()

    async def _written(self) -> None:
        """Wait until what has changed is stored; not while the store fails."""
        if self._failing_since_s is None:
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
            except StoreError as error:
                self._failed("read", error)
                raise

    def _failed(self, op: str, error: StoreError) -> None:
        self._watch.store_failed(op)
        self._watch.store_up(up=False)
        if self._failing_since_s is None:
            self._failing_since_s = self._clock.monotonic()
        if error.message not in self._said:  # each way to fail once, until it works again
            self._said.add(error.message)
            log.error("store_failed", error=error.message, cure=error.cure)

    def _works(self) -> None:
        self._watch.store_up(up=True)
        if self._failing_since_s is not None:
            lasted_s = round(self._clock.monotonic() - self._failing_since_s, 3)
            self._failing_since_s = None
            self._said.clear()
            log.info("store_recovered", lasted_s=lasted_s)
