"""PostgreSQL as the store of several replicas: how it is reached, fenced, and what its errors mean to an operator."""

import math
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from spexporter.domain.errors import StoreError
from spexporter.domain.ports import Group
from spexporter.ledger.backend import Holds, LeaseLost, StoreReplaced
from spexporter.ledger.database import Database

_CONNECTIONS = 2  # of each engine: bounded, whatever there is to do
_SETUP_LOCK = 7_379_041  # any number: replicas that start together create the tables one after another

_ERRORS: dict[str, tuple[str, str]] = {
    "28P01": ("refuses the password", "look at the password in store.url"),
    "28000": ("refuses the user", "look at the user in store.url, and at the server's pg_hba.conf"),
    "3D000": ("has no such database", "create the database that store.url names"),
    "3F000": ("has no schema to write into", "create the schema that the user's search_path names"),
    "42501": ("does not let the user do that", "let the user create and write tables in this database"),
    "53100": ("has no room: its disk is full", "make room on its disk"),
    "53300": ("has no connection left", "each replica takes up to 8 connections; raise max_connections"),
    "25006": ("is read-only", "let store.url name the primary server; it goes on when there is one"),
    "57P01": ("is shutting down", "none needed if it comes back"),
    "57P03": ("is starting up", "none needed if it comes up"),
    "57014": ("did not answer in time", "look at its load and at its locks"),
    "55P03": ("did not answer in time: something is locked", "look at its locks (pg_locks)"),
}
_TABLES_MISSING = {"42P01", "42703"}


class PostgresServer:
    """A database on a server; satisfies `spexporter.ledger.backend.Backend`.

    `dsn` may name several hosts: the one that can be written is used. Nothing waits longer than `patience_s` for it,
    and a transaction whose process stands still is ended by the server after that time.
    """

    errors: tuple[type[Exception], ...] = (
        SQLAlchemyError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        OSError,
        TimeoutError,
    )
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"

    def __init__(self, dsn: str, name: str, patience_s: float) -> None:
        self._dsn = dsn
        self.name = name
        self._patience_s = patience_s

    def engine(self, *, create: bool, patience_s: float) -> AsyncEngine:
        """See `Backend.engine`."""
        del create, patience_s  # a server is there, and its patience is that of the lease

        def connect() -> Coroutine[Any, Any, asyncpg.Connection]:
            return asyncpg.connect(  # type: ignore[no-any-return]  # it ships no types
                self._dsn,
                timeout=self._patience_s,
                command_timeout=self._patience_s + 1.0,
                target_session_attrs="read-write",
                server_settings=self._settings(),
            )

        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_timeout=self._patience_s,
            pool_use_lifo=True,
            isolation_level="READ COMMITTED",
        )

    def _settings(self) -> dict[str, str]:
        longest_ms = str(math.ceil(self._patience_s * 1000))
        return {
            "application_name": "spexporter",
            "statement_timeout": longest_ms,
            "lock_timeout": longest_ms,
            "idle_in_transaction_session_timeout": longest_ms,
        }

    @asynccontextmanager
    async def transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """Have a transaction for as long as the block lasts.

        Raises:
            StoreError: the server does not do it.
        """
        try:
            async with engine.begin() as connection:
                yield connection
        except self.errors as error:
            raise self.translate(error) from error

    def exists(self) -> bool:
        """See `Backend.exists`: only the server can tell."""
        return True

    def touched(self) -> bool:
        """See `Backend.touched`: each transaction looks for its own marks."""
        return False

    def stamp(self) -> None:
        """See `Backend.stamp`."""

    async def check(self, connection: AsyncConnection) -> None:
        """See `Backend.check`."""
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _SETUP_LOCK})

    def damaged(self, found: object) -> StoreError:
        """See `Backend.damaged`."""
        return StoreError(f"store {self.name} is damaged: {found}", cure="put back a backup of the database")

    def translate(self, error: Exception) -> StoreError:
        """See `Backend.translate`."""
        cause = (error.orig.__cause__ or error.orig) if isinstance(error, DBAPIError) and error.orig else error
        state = str(getattr(cause, "sqlstate", "") or "")
        if state in _TABLES_MISSING:
            what, cure = f"is not a store of spexporter: {cause}", "let store.url name a database of its own"
        elif state in _ERRORS:
            what, cure = _ERRORS[state]
        elif isinstance(cause, TimeoutError):
            what, cure = "did not answer in time", "look at the server, and at the way to it"
        elif isinstance(cause, OSError | asyncpg.InterfaceError | asyncpg.PostgresConnectionError):
            what, cure = f"cannot be reached: {cause}", "look at the server, and at the host and port in store.url"
        else:
            what, cure = f"failed: {cause}", "look at the server's log"
        return StoreError(f"store {self.name} {what}", cure=cure)


# Beside the tables that all stores have. A group without an owner is free since `freed_at`; an owner is a row of
# `replicas`, and whoever takes that away frees its groups in the same transaction.
_LEASES = (
    "CREATE TABLE IF NOT EXISTS replicas (id TEXT PRIMARY KEY, name TEXT NOT NULL, expires_at TIMESTAMPTZ NOT NULL)",
    """CREATE TABLE IF NOT EXISTS leases (
        client_group TEXT PRIMARY KEY, owner TEXT, fence BIGINT NOT NULL, generation BIGINT NOT NULL,
        cost DOUBLE PRECISION NOT NULL, freed_at TIMESTAMPTZ, schedule TEXT
    )""",
    "CREATE INDEX IF NOT EXISTS leases_of_owner ON leases (owner)",
    """CREATE TABLE IF NOT EXISTS orders (
        number BIGSERIAL PRIMARY KEY, tenant TEXT NOT NULL, operation TEXT NOT NULL, job_id TEXT NOT NULL,
        job TEXT, answer TEXT, made_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
    )""",
    "CREATE SEQUENCE IF NOT EXISTS fences",
)
_MARK = text("""
    WITH held AS (
        SELECT client_group FROM leases WHERE client_group = ANY(:groups) AND owner = :owner
        ORDER BY client_group FOR UPDATE
    )
    UPDATE leases SET generation = leases.generation + 1
    FROM held, unnest(CAST(:groups AS text[]), CAST(:fences AS bigint[]), CAST(:generations AS bigint[]))
        AS ours(client_group, fence, generation)
    WHERE leases.client_group = held.client_group AND leases.client_group = ours.client_group
        AND leases.fence = ours.fence AND leases.generation >= ours.generation
    RETURNING leases.client_group, leases.generation
""")
_STILL = text("""
    SELECT leases.client_group
    FROM leases JOIN unnest(CAST(:groups AS text[]), CAST(:fences AS bigint[])) AS ours(client_group, fence)
        ON leases.client_group = ours.client_group AND leases.fence = ours.fence
    WHERE leases.owner = :owner
""")


class PostgresDatabase(Database):
    """A store of several processes: each transaction holds the leases of the groups that it writes about.

    A lease that moves waits for such a transaction, and a transaction that comes after the move is refused. `owner` is
    who this process is, which changes when it has lost all leases.
    """

    def __init__(self, server: PostgresServer) -> None:
        super().__init__(server)
        self.owner = ""
        self._generations: dict[Group, int] = {}
        self._marks: dict[Group, int] = {}

    async def prepare(self) -> None:
        """Create or upgrade the store, and the tables of leases."""
        await super().prepare()
        async with self._translated(), self._opening.begin() as connection:
            await self._backend.check(connection)
            for statement in _LEASES:
                await connection.execute(text(statement))
        self._generations.clear()

    async def _mark(self, connection: AsyncConnection, holds: Holds) -> None:
        """Hold the leases until the end of the transaction, and leave a mark in each.

        Raises:
            LeaseLost: some of the groups are not ours by this fence.
            StoreReplaced: the store has forgotten transactions of ours: a server that knew less took over.
        """
        if not holds:
            return
        groups = list(holds)
        ours = {"owner": self.owner, "groups": groups, "fences": [holds[group] for group in groups]}
        before = [self._generations.get(group, 0) for group in groups]
        marked = await connection.execute(_MARK, {**ours, "generations": before})
        self._marks = {Group(row.client_group): row.generation for row in marked}
        if missing := holds.keys() - self._marks.keys():
            still = set((await connection.execute(_STILL, ours)).scalars())
            if lost := frozenset(missing - still):
                raise LeaseLost(lost)
            raise StoreReplaced(
                f"store {self._backend.name} has gone back to an earlier state",
                cure="none needed if store_recovered follows: what it has forgotten is written anew",
            )

    def begin(self, groups: Iterable[Group]) -> None:
        """Take note that `groups` are claimed anew: what was marked in them before is of another time."""
        for group in groups:
            self._generations.pop(group, None)

    def _marked(self) -> None:
        self._generations |= self._marks
        self._marks = {}

    async def _time(self, connection: AsyncConnection, now_s: float) -> float:
        """Return the server's time: clocks of two hosts may differ."""
        del now_s
        return float((await connection.execute(text("SELECT extract(epoch FROM clock_timestamp())"))).scalar_one())
