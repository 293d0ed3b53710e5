"""SQLite as the store: how its file is opened, and what its errors mean to an operator."""

import asyncio
import sqlite3
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from spexporter.domain.errors import StoreError

PUT_BACK = (
    "put a copy of the right file in its place; if you delete it, a running exporter writes it anew from memory, and"
    " one that starts begins anew"
)
_ERRORS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: (
        "is locked by another process",
        "find out who has it open (`fuser FILE`); it goes on when that one is done",
    ),
    sqlite3.SQLITE_FULL: ("has no room: the disk is full", "make room on its disk, without deleting the store"),
    sqlite3.SQLITE_READONLY: (
        "is read-only",
        "let this user write the file and its folder, or mount its disk writable",
    ),
    sqlite3.SQLITE_NOTADB: ("is not a store: its file holds something else", PUT_BACK),
    sqlite3.SQLITE_CORRUPT: ("is damaged", PUT_BACK),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "let store.url name a file that this user may read and write"),
    sqlite3.SQLITE_IOERR: ("cannot be read or written: input/output error", "look at its disk"),
}
_PRIMARY = 0xFF  # an extended result code has its primary code in the low byte


class SqliteFile:
    """The file of a store; satisfies `spexporter.ledger.backend.Backend`.

    Each transaction opens it anew, and so notices when another file has taken its place.
    """

    errors: tuple[type[Exception], ...] = (SQLAlchemyError, sqlite3.Error)
    tables = "SELECT name FROM sqlite_master WHERE type = 'table'"

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()  # the same lock by whatever name
        self._stamp: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return str(self.path)

    def engine(self, *, create: bool, patience_s: float) -> AsyncEngine:
        """Return an engine without a pool; it waits `patience_s` for locks of other processes."""
        mode = "rwc" if create else "rw"
        uri = f"{self.path.as_uri()}?mode={mode}"

        def connect() -> Coroutine[Any, Any, aiosqlite.Connection]:
            return _connect(uri, patience_s)

        engine = create_async_engine("sqlite+aiosqlite://", async_creator=connect, poolclass=NullPool)
        # SQLAlchemy's recipe for real transactions: the driver begins none by itself, not even before DDL.
        event.listen(engine.sync_engine, "connect", _configure)
        event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        return engine

    def touched(self) -> bool:
        """Whether somebody else has changed, exchanged or removed the file since `stamp`."""
        return self._look() != self._stamp

    def stamp(self) -> None:
        """Remember how the file looks after a transaction of ours."""
        self._stamp = self._look()

    def _look(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def exists(self) -> bool:
        """Whether there is a file with anything in it; SQLite leaves an empty one on a full disk."""
        found = self._look()
        return found is not None and found[2] > 0

    async def check(self, connection: AsyncConnection) -> None:
        """See `Backend.check`."""
        found = (await connection.execute(text("PRAGMA quick_check(1)"))).scalar_one()
        if found != "ok":
            raise self.damaged(found)

    def damaged(self, found: object) -> StoreError:
        """See `Backend.damaged`."""
        return StoreError(f"store {self.name} is damaged: {found}", cure=PUT_BACK)

    def translate(self, error: Exception) -> StoreError:
        """Return what an error of the database means."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", 0) & _PRIMARY
        what, cure = _ERRORS.get(code, (f"failed: {cause}", "look at its file"))
        if "no such table" in str(cause) or "no such column" in str(cause):
            what, cure = f"is not a store of spexporter: {cause}", PUT_BACK
        return StoreError(f"store {self.name} {what}", cure=cure)


async def _connect(uri: str, patience_s: float) -> aiosqlite.Connection:
    connection = aiosqlite.connect(uri, uri=True, timeout=patience_s, isolation_level=None)
    try:
        return await connection
    except sqlite3.Error:
        # aiosqlite tells its thread to end, and nobody waits for it: it would outlive the event loop.
        await asyncio.to_thread(connection._thread.join)  # noqa: SLF001
        raise


def _configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    # A count that is lost with the power would be counted again; EXTRA also writes the folder after each transaction.
    cursor.execute("PRAGMA synchronous = EXTRA")
    cursor.close()
