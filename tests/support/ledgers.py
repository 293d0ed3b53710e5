"""Ledgers that tests open, close, crash and make fail; every one keeps the same contract."""

import asyncio
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Protocol

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import ConnectionPoolEntry

from spexporter.domain import counting
from spexporter.domain.counting import SeriesKey
from spexporter.domain.errors import StoreError
from spexporter.domain.job import JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.ports import Change, Counted, Ledger, Terms
from spexporter.domain.result import ImportResult, Outcome, TypeCounts
from spexporter.domain.view import TenantState
from spexporter.ledger.backend import Holds
from spexporter.ledger.book import Book, Rows
from spexporter.ledger.database import Database
from spexporter.ledger.health import StoreHealth
from spexporter.ledger.memory import MemoryLedger
from spexporter.ledger.postgres import PostgresDatabase, PostgresServer
from spexporter.ledger.sql import SqlLedger
from spexporter.ledger.sqlite import SqliteFile
from tests.support.clock import START_WALL_S, FakeClock, settle
from tests.support.postgres import Server

DAY_S = 86400.0
REMEMBER_S = 400 * DAY_S
RETENTION_S = 7 * DAY_S
WRITTEN_AFTER_S = 6.0  # what may wait is written within 5 s


class HeardWatch:
    """Keeps what a ledger says of its store."""

    def __init__(self) -> None:
        self.up: bool | None = None
        self.failures: Counter[str] = Counter()

    def store_up(self, *, up: bool) -> None:
        self.up = up

    def store_failed(self, op: str) -> None:
        self.failures[op] += 1


class FlakyDatabase(Database):
    """A store that fails when told to.

    While `broken` nothing is read or written, and while it is `broken_at` "write" nothing is written. While `unheard`
    everything is, but the answer is lost each time.
    With a `pragma` SQLite fails by itself. It does not wait for the disk: no test here takes the power away.
    """

    broken = False
    broken_at = ""
    unheard = False
    pragma = ""

    def __init__(self, file: SqliteFile) -> None:
        super().__init__(file)
        for engine in (self._opening, self._engine):
            event.listen(engine.sync_engine, "connect", self._prepare_connection)

    def _prepare_connection(self, connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous = OFF")
        if self.pragma:
            cursor.execute(f"PRAGMA {self.pragma}")
        cursor.close()

    async def prepare(self) -> None:
        fail_if(failing=self.broken)
        await super().prepare()

    async def write(self, changed: Mapping[str, Rows], now_s: float, holds: Holds) -> None:
        fail_if(failing=self.broken_at == "write")
        await super().write(changed, now_s, holds)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        fail_if(failing=self.broken)
        async with super()._reading() as connection:
            yield connection
        fail_if(failing=self.unheard)


class Bench(Protocol):
    """One ledger under test, with the clock that it lives by."""

    clock: FakeClock
    ledger: Ledger

    async def open(self, *terms: Terms) -> Mapping[str, TenantState]:
        """Open the ledger, again after `close` or `crash`, and restore these tenants."""
        ...

    async def move(self, by_s: float) -> None:
        """Move time on, and let the ledger do what is due."""
        ...

    async def close(self) -> None:
        """End as a process does that is asked to."""
        ...

    async def apply(self, change: Change, tenant: str = "acme") -> TenantState:
        """Apply a change and return the state after it."""
        ...

    async def publish(self, tenant: str = "acme") -> TenantState:
        """Let pages show all that is due, and return the state after it."""
        ...


class FlakyServer(PostgresDatabase):
    """The same of a database on a server; the time there is what the test says."""

    pragma = ""  # of SQLite

    broken = False
    broken_at = ""
    unheard = False

    async def prepare(self) -> None:
        fail_if(failing=self.broken)
        await super().prepare()

    async def write(self, changed: Mapping[str, Rows], now_s: float, holds: Holds) -> None:
        fail_if(failing=self.broken_at == "write")
        await super().write(changed, now_s, holds)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        fail_if(failing=self.broken)
        async with super()._reading() as connection:
            yield connection
        fail_if(failing=self.unheard)

    async def _time(self, connection: AsyncConnection, now_s: float) -> float:
        del connection
        return now_s


def fail_if(*, failing: bool) -> None:
    """Fail as a store does."""
    if failing:
        raise StoreError("the store fails because a test says so", cure="none")


class _Applying:
    """What all benches do alike."""

    ledger: Ledger

    async def apply(self, change: Change, tenant: str = "acme") -> TenantState:
        return await self.ledger.apply(tenant, change, fence=0)

    async def publish(self, tenant: str = "acme") -> TenantState:
        state = await self.apply(Change(), tenant)
        due = {key: cell.due for key, cell in state.totals.items()}
        return await self.ledger.publish(tenant, due, fence=0)


class MemoryBench(_Applying):
    """The ledger in memory; it is closed and opened within one process."""

    def __init__(self, folder: Path, clock: FakeClock, remember_s: float = REMEMBER_S) -> None:
        del folder
        self.clock = clock
        self.ledger: Ledger = MemoryLedger(remember_s)

    async def open(self, *terms: Terms) -> Mapping[str, TenantState]:
        return await self.ledger.restore(terms)

    async def move(self, by_s: float) -> None:
        self.clock.jump_to(self.clock.monotonic() + by_s)

    async def close(self) -> None:
        """There is nothing to write."""


class SqliteBench(_Applying):
    """The ledger in an SQLite file."""

    database: "FlakyDatabase | FlakyServer"

    def __init__(self, folder: Path, clock: FakeClock, remember_s: float = REMEMBER_S) -> None:
        self.path = folder / "ledger.db"
        self.clock = clock
        self.watch = HeardWatch()
        self._remember_s = remember_s
        self._crashes = 0
        self._keeping: asyncio.Task[None] | None = None

    async def open(self, *terms: Terms, crash_at: str = "") -> Mapping[str, TenantState]:
        """Open and restore; the process is killed before it does to the store what `crash_at` says."""
        self.database = FlakyDatabase(SqliteFile(self.path))
        await self.database.prepare()
        self.database.broken_at = crash_at
        return await self._restore(terms, crash=bool(crash_at))

    async def _restore(self, terms: Iterable[Terms], *, crash: bool) -> Mapping[str, TenantState]:
        self.health = StoreHealth(self.watch, self.clock)
        self.sql = SqlLedger(self.database, remember_s=self._remember_s, clock=self.clock, health=self.health)
        self.ledger: Ledger = self.sql
        self._keeping = asyncio.create_task(self.sql.keep(), name="ledger")
        states = await self.ledger.restore(terms)
        if crash:
            await self.crash()
        return states

    async def move(self, by_s: float) -> None:
        self.clock.jump_to(self.clock.monotonic() + by_s)
        await self.settle()

    async def tamper(self, statement: str) -> None:
        """Do something to the store, which is closed."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute(statement)
            connection.commit()

    async def settle(self) -> None:
        """Let the ledger read and write all that is due now."""
        await settle()
        while self.sql.busy:
            await asyncio.sleep(0.0002)  # the disk is at work
            await settle()

    async def close(self) -> None:
        if self._keeping:
            self.sql.close()
            await self._keeping
            self._keeping = None

    async def crash(self) -> None:
        """End without a last word: whoever opens the ledger next finds the bytes that are on disk now."""
        self._crashes += 1
        left = self.path.with_name(f"after-crash-{self._crashes}.db")
        shutil.copyfile(self.path, left)
        journal = self.path.with_name(f"{self.path.name}-journal")
        if journal.exists():
            shutil.copyfile(journal, left.with_name(f"{left.name}-journal"))
        if self._keeping:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
            self._keeping = None
        self.path = left

    async def on_disk(self, *terms: Terms) -> Mapping[str, TenantState]:
        """Return what another process would find if this one were killed now; the file itself is not touched."""
        with TemporaryDirectory() as folder:
            other = SqliteBench(Path(folder), self.clock)
            shutil.copyfile(self.path, other.path)
            try:
                return await other.open(*terms)
            finally:
                await other.crash()


class PostgresBench(SqliteBench):
    """The ledger in a database on a server, of which this process is the only replica and holds all groups.

    A crash forgets all that this process knows; the server does not crash.
    """

    server: ClassVar[Server]

    def __init__(self, folder: Path, clock: FakeClock, remember_s: float = REMEMBER_S) -> None:
        super().__init__(folder, clock, remember_s)
        self.url = self.server.fresh()

    async def open(self, *terms: Terms, crash_at: str = "") -> Mapping[str, TenantState]:
        await self._disconnect()
        self.database = self.flaky = FlakyServer(self.server_backend())
        self.flaky.owner = "bench"
        await self.flaky.prepare()
        await self.tamper(
            "INSERT INTO leases (client_group, owner, fence, generation, cost) VALUES"
            " ('', 'bench', 0, 0, 1), ('synthetic-group', 'bench', 0, 0, 1), ('other-group', 'bench', 0, 0, 1)"
            " ON CONFLICT DO NOTHING"
        )
        self.flaky.broken_at = crash_at
        return await self._restore(terms, crash=bool(crash_at))

    async def close(self) -> None:
        await super().close()
        await self._disconnect()

    async def _disconnect(self) -> None:
        if hasattr(self, "flaky"):
            await self.flaky.close()

    async def crash(self) -> None:
        if self._keeping:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
            self._keeping = None
        await self.flaky.close()

    def server_backend(self) -> PostgresServer:
        """Return a way to the database."""
        return PostgresServer(self.url, "postgresql://bench", 5.0)

    async def tamper(self, statement: str) -> None:
        self.look(statement)

    def look(self, statement: str) -> str:
        """Return what a statement finds."""
        return self.server.execute(statement, self.url.rpartition("/")[2])

    async def on_disk(self, *terms: Terms) -> Mapping[str, TenantState]:
        other = PostgresDatabase(self.server_backend())
        try:
            async with other._reading() as connection:  # noqa: SLF001 - nothing public reads without a trace
                found = await other._load(connection, [each.tenant for each in terms])  # noqa: SLF001
        finally:
            await other.close()
        return {each.tenant: Book(each, found[each.tenant]).state() for each in terms}


BENCHES: Mapping[str, Callable[..., MemoryBench | SqliteBench]] = {
    "memory": MemoryBench,
    "sqlite": SqliteBench,
    "postgresql": PostgresBench,
}
DURABLE: Mapping[str, Callable[..., SqliteBench]] = {"sqlite": SqliteBench, "postgresql": PostgresBench}


def export(job_id: str, tenant: str = "acme") -> JobKey:
    """Name an export."""
    return JobKey(tenant, Operation.EXPORT, job_id)


def imported(job_id: str, tenant: str = "acme") -> JobKey:
    """Name an import."""
    return JobKey(tenant, Operation.IMPORT, job_id)


def seen(key: JobKey, state: JobState, at_s: float, ended_s: float | None = None, took_s: float = 10.0) -> Observation:
    """Return an answer about a job at `at_s`; it had ended at `ended_s`, if the tenant tells, after `took_s`."""
    created_s = (at_s if ended_s is None else ended_s) - took_s
    return Observation(key, state, state, observed_s=at_s, created_s=created_s, completed_s=ended_s)


def values(state: TenantState) -> dict[SeriesKey, float]:
    """Return every counter that is not 0."""
    return {key: cell.value for key, cell in state.totals.items() if cell.value}


def durable(state: TenantState) -> tuple[object, ...]:
    """Return the part of a state that outlives the process in every version of the store."""
    cells = {key: (cell.value, cell.published, cell.late) for key, cell in state.totals.items()}
    facts = (dict(state.successes), dict(state.usual), state.last_answer_s, state.tenant_offset_s)
    return dict(state.jobs), cells, facts


def visible(state: TenantState) -> dict[SeriesKey, float]:
    """Return what pages show of the counters that are not 0 there."""
    return {key: cell.published for key, cell in state.totals.items() if cell.published}


# A small life: one export and one import are watched, end, and the import's result is counted.
TERMS = Terms("acme", retention_s=RETENTION_S, count_new_within_s=3600.0)
EXPORT, IMPORT = export("e"), imported("i")
WATCH = Change(added=(WatchedJob(EXPORT), WatchedJob(IMPORT)), at_s=START_WALL_S)
TWO_ERRORS = ImportResult({"SOURCE": TypeCounts(errors=2, objects=5)})
RESULT = Change(results=(Counted(IMPORT, Outcome.COUNTED, TWO_ERRORS),), at_s=START_WALL_S)
EXPORTED = SeriesKey(counting.JOBS_FINISHED, ("export", "COMPLETE"))
ERRORS = SeriesKey(counting.IMPORT_ERRORS, ("SOURCE",))


def ended(key: JobKey, at_s: float = START_WALL_S, ended_s: float = START_WALL_S - 5) -> Observation:
    """Return the answer that a job is complete."""
    return seen(key, JobState.COMPLETE, at_s, ended_s)


def ends_of(*keys: JobKey, at_s: float = START_WALL_S) -> Change:
    """Return the change that these jobs are seen to be complete."""
    return Change(observations=tuple(ended(key, at_s, at_s - 5) for key in keys), at_s=at_s)
