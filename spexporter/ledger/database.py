"""The store: what it keeps of tenants, in transactions. It knows no rules of counting."""

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Select, Table, delete, literal, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from spexporter.clock import Pace
from spexporter.domain.budget import BudgetState
from spexporter.domain.errors import StoreError
from spexporter.domain.job import JobKey
from spexporter.domain.ports import Group, StoredWindow
from spexporter.ledger import rows as codec
from spexporter.ledger.backend import Backend, Holds, StoreReplaced
from spexporter.ledger.book import Facts, Remembered, Rows
from spexporter.ledger.lockfile import Lock
from spexporter.ledger.schema import MIGRATIONS, VERSION, counters, jobs, ledger, tenants, windows

_PATIENCE_AT_START_S = 5.0
_PATIENCE_S = 1.0
_DAY_S = 86400.0
_KEYS_AT_A_TIME = 500
_ROWS_AT_A_TIME = 200  # SQLAlchemy goes through them in one piece, and everybody else waits
_UNITS_A_ROW = 10
_JOB_KEY = tuple_(jobs.c.tenant, jobs.c.operation, jobs.c.job_id)


class Database:
    """One store. Every method is one transaction, and raises StoreError where it fails.

    What writes about groups says by which fences it holds them; a store of several processes refuses others.
    """

    def __init__(self, backend: Backend, lock: Lock | None = None) -> None:
        self._backend = backend
        self._lock = lock
        self._opening = backend.engine(create=True, patience_s=_PATIENCE_AT_START_S)
        self._engine = backend.engine(create=False, patience_s=_PATIENCE_S)
        self._generation = -1

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._opening.dispose()
        await self._engine.dispose()

    async def prepare(self) -> None:
        """Open the store, create or upgrade it, and take it over; whatever was opened before is forgotten."""
        if self._lock is not None:
            self._lock.take()  # it may have been removed with the file
        async with self._translated(), self._opening.begin() as connection:
            await self._backend.check(connection)
            version = await self._version(connection)
            if version > VERSION:
                known = f"schema {version}, known up to {VERSION}"
                raise StoreError(
                    f"store {self._backend.name} was written by a newer spexporter ({known})",
                    cure="run that version again, or let store.url name another store",
                )
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    await connection.execute(text(statement))
            # Two new stores begin apart, so that one can be told from the other.
            generation = ledger.c.generation + 1 if version else random.getrandbits(40)
            await connection.execute(update(ledger).values(version=VERSION, generation=generation))
            taken_over = (await connection.execute(select(ledger.c.generation))).scalar_one()
        self._generation = taken_over
        self._backend.stamp()

    @property
    def gone(self) -> bool:
        """Whether the file is not there any more, or nothing is in it."""
        return not self._backend.exists()

    def touched(self) -> bool:
        """Whether somebody else seems to have changed the store."""
        return self._backend.touched()

    async def verify(self) -> None:
        """Find out whether the store is still the one that was opened."""
        async with self._writing({}) as connection:
            await connection.execute(text("SELECT 1"))  # a transaction begins with its first statement

    async def load(self, names: Collection[str], now_s: float, holds: Holds) -> dict[str, Rows]:
        """Return what is stored of tenants and to be held in memory: counters, facts and watched jobs."""
        async with self._writing(holds) as connection:
            # Those that have left the pages are named again by whoever still names them.
            left = jobs.c.body.is_(None) & jobs.c.tenant.in_(names)
            await connection.execute(update(jobs).where(left).values(watched=False))
            await connection.execute(update(tenants).where(tenants.c.tenant.in_(names)).values(seen_s=now_s))
            return await self._load(connection, names)

    async def rename(self, former: str, tenant: str, holds: Holds) -> None:
        """Make all that is stored under `former` the tenant's; what it has itself comes first.

        Where both have a counter, what the former one counted is late: no page of the tenant may step up by it.
        """
        async with self._writing(holds) as connection:
            taken = await self._facts(connection, former)
            if taken is None:
                return
            own = await self._facts(connection, tenant) or (Facts(), taken[1])
            await _upsert(connection, tenants, [codec.facts_row(tenant, own[0].adopting(taken[0]), own[1])])
            await connection.execute(_moved(jobs, former, tenant).on_conflict_do_nothing())
            moved = _moved(counters, former, tenant)
            both = {
                "value": counters.c.value + moved.excluded.value,
                "late": counters.c.late + moved.excluded.value,
            }
            await connection.execute(moved.on_conflict_do_update(index_elements=counters.primary_key, set_=both))
            for table in (jobs, counters, tenants):
                await connection.execute(delete(table).where(table.c.tenant == former))

    async def find(self, keys: Collection[JobKey]) -> dict[JobKey, Remembered]:
        """Return what is known of jobs."""
        wanted = [(key.tenant, key.operation.value, key.job_id) for key in keys]
        found: dict[JobKey, Remembered] = {}
        async with self._reading() as connection:
            for first in range(0, len(wanted), _KEYS_AT_A_TIME):
                named = _JOB_KEY.in_(wanted[first : first + _KEYS_AT_A_TIME])
                found |= codec.read_jobs(await connection.execute(select(jobs).where(named)))
        return found

    async def write(self, changed: Mapping[str, Rows], now_s: float, holds: Holds) -> None:
        """Store what has changed of tenants, all of it or nothing."""
        pace = Pace()
        of_jobs, of_cells, of_facts = [], [], []
        for tenant, rows in changed.items():
            of_jobs += [codec.job_row(key, row, now_s) for key, row in rows.jobs.items()]
            of_cells += [codec.cell_row(tenant, *item) for item in rows.cells.items()]
            of_facts += [codec.facts_row(tenant, rows.facts, now_s)] if rows.facts else []
            await pace.did(_UNITS_A_ROW * (len(rows.jobs) + len(rows.cells) + 1))
        async with self._writing(holds) as connection:
            await _upsert(connection, jobs, of_jobs)
            await _upsert(connection, counters, of_cells)
            await _upsert(connection, tenants, of_facts)

    async def prune(self, present: Collection[str], now_s: float, remember_s: float, holds: Holds) -> None:
        """Forget what nobody wants any more; `present` are the tenants that are configured."""
        forgotten_s = now_s - remember_s
        gone = select(tenants.c.tenant).where(tenants.c.seen_s < forgotten_s)
        async with self._writing(holds) as connection:
            await connection.execute(update(tenants).where(tenants.c.tenant.in_(present)).values(seen_s=now_s))
            still = jobs.c.watched & jobs.c.tenant.in_(present) & (jobs.c.wanted_s < now_s - _DAY_S)
            await connection.execute(update(jobs).where(still).values(wanted_s=now_s))
            left = ~jobs.c.watched & (jobs.c.leaves_s < now_s) & jobs.c.body.is_not(None)
            await connection.execute(update(jobs).where(left).values(body=None))
            unwanted = ~jobs.c.watched & (jobs.c.wanted_s < forgotten_s)
            await connection.execute(delete(jobs).where(unwanted | jobs.c.tenant.in_(gone)))
            await connection.execute(delete(counters).where(counters.c.tenant.in_(gone)))
            await connection.execute(delete(tenants).where(tenants.c.seen_s < forgotten_s))

    async def take_windows(self, now_s: float, holds: Holds) -> dict[Group, StoredWindow]:
        """Return the windows of groups as they are now, but for those that are new; they are stored no more then."""
        if not holds:
            return {}
        found: dict[Group, StoredWindow] = {}
        async with self._writing(holds) as connection:
            rows = await connection.execute(select(windows).where(windows.c.client_group.in_(holds)))
            now_s = await self._time(connection, now_s)
            for row in rows:
                found[Group(row.client_group)] = _window(row.state, max(0.0, now_s - row.stored_s))
            await _upsert(
                connection, windows, [{"client_group": group, "stored_s": now_s, "state": None} for group in holds]
            )
        return found

    async def put_windows(self, states: Mapping[Group, Mapping[str, BudgetState]], now_s: float, holds: Holds) -> None:
        """Store the windows of some groups."""
        async with self._writing(holds) as connection:
            now_s = await self._time(connection, now_s)
            found = [
                {"client_group": group, "stored_s": now_s, "state": codec.write_windows(of_group)}
                for group, of_group in states.items()
            ]
            await _upsert(connection, windows, found)

    async def _load(self, connection: AsyncConnection, names: Collection[str]) -> dict[str, Rows]:
        found: dict[str, Rows] = {}
        for first in range(0, len(names), _KEYS_AT_A_TIME):
            some = list(names)[first : first + _KEYS_AT_A_TIME]
            live = jobs.c.tenant.in_(some) & jobs.c.watched & jobs.c.body.is_not(None)
            of_jobs = await _by_tenant(connection, select(jobs).where(live))
            of_cells = await _by_tenant(connection, select(counters).where(counters.c.tenant.in_(some)))
            of_tenants = await _by_tenant(connection, select(tenants).where(tenants.c.tenant.in_(some)))
            for name in some:
                facts = [codec.read_facts(row) for row in of_tenants[name]]
                cells = codec.read_cells(of_cells[name])
                found[name] = Rows(codec.read_jobs(of_jobs[name]), cells, facts[0] if facts else None)
        return found

    async def _facts(self, connection: AsyncConnection, tenant: str) -> tuple[Facts, float] | None:
        """Return what is stored of a tenant, and when it was last configured (Unix seconds)."""
        row = (await connection.execute(select(tenants).where(tenants.c.tenant == tenant))).one_or_none()
        return (codec.read_facts(row), row.seen_s) if row else None

    async def _version(self, connection: AsyncConnection) -> int:
        names = (await connection.execute(text(self._backend.tables))).scalars().all()
        if "ledger" in names:
            return int((await connection.execute(select(ledger.c.version))).scalar_one())
        if names:
            raise StoreError(
                f"store {self._backend.name} is not a store of spexporter: it has tables of another program",
                cure="let store.url name a file or database of its own",
            )
        return 0

    async def _time(self, connection: AsyncConnection, now_s: float) -> float:
        """Return the time by which windows are kept (Unix seconds): ours, as there is one process."""
        del connection
        return now_s

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        async with self._translated(), self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def _writing(self, holds: Holds) -> AsyncIterator[AsyncConnection]:
        """A transaction on the very store that was opened, about groups that are ours by `holds`."""
        if self.gone:
            raise StoreReplaced(
                f"store {self._backend.name} is gone or empty",
                cure="none needed if store_recovered follows: it is written anew",
            )
        async with self._reading() as connection:
            await self._mark(connection, holds)
            yield connection
        self._marked()

    async def _mark(self, connection: AsyncConnection, holds: Holds) -> None:
        """Leave a mark in the store that the next transaction looks for; there is one process, which holds all."""
        del holds
        ours = ledger.c.generation == self._generation
        marked = await connection.execute(update(ledger).where(ours).values(generation=self._generation + 1))
        if marked.rowcount != 1:
            raise StoreReplaced(
                f"store {self._backend.name} has been replaced by another file",
                cure="none needed if store_recovered follows: it is written anew",
            )

    def _marked(self) -> None:
        """Take note that a transaction has left its mark."""
        self._generation += 1
        self._backend.stamp()

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            yield
        except self._backend.errors as error:
            raise self._backend.translate(error) from error
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise self._backend.damaged(error) from error


async def _by_tenant(connection: AsyncConnection, rows: Select[Any]) -> defaultdict[str, list[Any]]:
    """Return what is selected, by its column `tenant`."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in await connection.execute(rows):
        found[row.tenant].append(row)
    return found


def _window(state: str | None, passed_s: float) -> StoredWindow:
    """Return what is left after `passed_s` seconds of windows that were left as `state`, None where they were not."""
    if state is None:
        return StoredWindow(clean=False)
    stored = codec.read_windows(state)
    return StoredWindow(clean=True, windows={version: left.later(passed_s) for version, left in stored.items()})


def _moved(table: Table, former: str, tenant: str) -> Insert:
    """Return a statement that writes the rows of `former` once more, as the tenant's."""
    columns = [literal(tenant) if column is table.c.tenant else column for column in table.c]
    rows = select(*columns).where(table.c.tenant == former)
    return insert(table).from_select([column.name for column in table.c], rows)


async def _upsert(connection: AsyncConnection, table: Table, found: list[codec.Row]) -> None:
    for first in range(0, len(found), _ROWS_AT_A_TIME):
        await connection.execute(_upsert_into(table), found[first : first + _ROWS_AT_A_TIME])


@cache
def _upsert_into(table: Table) -> Insert:
    """Return a statement for rows of `table`; to put it together takes longer than to execute it."""
    statement = insert(table)
    rest = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=table.primary_key, set_=rest)
