"""What a store says that cannot be opened; each message names the file and each cure what to do."""

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from spexporter.domain.errors import StoreError
from spexporter.domain.job import JobState
from spexporter.domain.ports import Change
from spexporter.ledger import database
from spexporter.ledger.database import Database
from spexporter.ledger.lockfile import sole_owner
from spexporter.ledger.schema import VERSION
from spexporter.ledger.sql import opened
from spexporter.ledger.sqlite import SqliteFile
from tests.support.clock import START_WALL_S as NOW_S
from tests.support.clock import FakeClock, settle
from tests.support.ledgers import EXPORT, TERMS, WATCH, HeardWatch, PostgresBench, SqliteBench, seen

PUT_BACK = (
    "put a copy of the right file in its place; "
    "if you delete it, a running exporter writes it anew from memory, and one that starts begins anew"
)
HOLDER = """
import sys, time
from pathlib import Path
from spexporter.ledger.lockfile import sole_owner
with sole_owner(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


async def threads_end() -> None:
    """Wait for the driver's threads: one that is left over would tell a closed event loop that it has ended."""
    for thread in workers():
        await asyncio.to_thread(thread.join)


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name]


async def refusal(path: Path) -> tuple[str, str]:
    """Return message and cure of the error at opening, the folder cut out."""
    with pytest.raises(StoreError) as raised:
        async with opened(path, remember_s=1e9, clock=FakeClock(), watch=HeardWatch()):
            pass
    await threads_end()
    return str(raised.value).replace(str(path.parent), "…"), raised.value.cure


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


async def filled(path: Path) -> None:
    """Make a store of some pages."""
    await Database(SqliteFile(path)).prepare()
    row = "INSERT INTO counters (tenant, name, labels, value, published, late) VALUES ('t', ?, '[]', 1, 1, 0)"
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(row, [(f"synthetic_{number:040}_total",) for number in range(500)])
        connection.commit()


async def test_the_folder_is_missing(tmp_path: Path) -> None:
    """It is not made: a mistyped path must not begin a new ledger somewhere."""
    assert await refusal(tmp_path / "missing" / "ledger.db") == (
        "store …/ledger.db: cannot write …/ledger.db.lock: No such file or directory",
        "let store.url name a file in a folder that exists and that this user may write",
    )


async def test_the_path_is_a_folder(tmp_path: Path) -> None:
    """Such as a volume that was mounted in the file's place."""
    (tmp_path / "ledger.db").mkdir()
    assert await refusal(tmp_path / "ledger.db") == (
        "store …/ledger.db cannot be opened",
        "let store.url name a file that this user may read and write",
    )


async def test_the_file_is_another_programs_database(tmp_path: Path) -> None:
    """It is left as it is."""
    path = tmp_path / "grafana.db"
    execute(path, "CREATE TABLE dashboard (id INTEGER)")
    before = path.read_bytes()
    assert await refusal(path) == (
        "store …/grafana.db is not a store of spexporter: it has tables of another program",
        "let store.url name a file or database of its own",
    )
    assert path.read_bytes() == before


async def test_the_file_holds_something_else(tmp_path: Path) -> None:
    """It is left as it is."""
    path = tmp_path / "ledger.db"
    path.write_text("tenants: []\n" * 400)
    assert await refusal(path) == (
        "store …/ledger.db is not a store: its file holds something else",
        PUT_BACK,
    )
    assert path.read_text() == "tenants: []\n" * 400


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2 // 4096 * 4096]


def scribble(content: bytes) -> bytes:
    middle = len(content) // 2 // 4096 * 4096
    return content[:middle] + b"\xa5" * 4096 + content[middle + 4096 :]


@pytest.mark.parametrize("damage", [cut, scribble])
async def test_the_file_is_damaged(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """It is found at the start, not weeks later in the middle of a write."""
    path = tmp_path / "ledger.db"
    await filled(path)
    path.write_bytes(damage(path.read_bytes()))
    message, cure = await refusal(path)
    assert message.startswith("store …/ledger.db is damaged")
    assert cure == PUT_BACK


@pytest.mark.parametrize(
    "broken",
    [
        "UPDATE counters SET labels = '[1' WHERE labels = '[\"export\"]'",
        "UPDATE tenants SET facts = '{\"successes\": 5}'",
        "UPDATE jobs SET body = '{}'",
        "UPDATE jobs SET body = x'ff'",
    ],
    ids=["labels", "facts", "job", "not text"],
)
async def test_a_row_cannot_be_read(store: SqliteBench, broken: str) -> None:
    """Rows that somebody has edited are no reason to start with half of them."""
    await store.open(TERMS)
    await store.apply(WATCH)
    await store.close()
    if isinstance(store, PostgresBench) and "x'ff'" in broken:
        pytest.skip("PostgreSQL takes no bytes for text")
    await store.tamper(broken)
    with pytest.raises(StoreError, match="is damaged") as raised:
        await store.open(TERMS)
    assert raised.value.cure in {PUT_BACK, "put back a backup of the database"}


async def test_a_newer_version_has_written_it(tmp_path: Path) -> None:
    """What this version does not know it must not touch."""
    path = tmp_path / "ledger.db"
    await Database(SqliteFile(path)).prepare()
    execute(path, "UPDATE ledger SET version = 99")
    before = path.read_bytes()
    assert await refusal(path) == (
        f"store …/ledger.db was written by a newer spexporter (schema 99, known up to {VERSION})",
        "run that version again, or let store.url name another store",
    )
    assert path.read_bytes() == before


async def test_another_program_has_locked_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has it open in a shell, in the middle of a transaction."""
    monkeypatch.setattr(database, "_PATIENCE_AT_START_S", 0.05)
    path = tmp_path / "ledger.db"
    await filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert await refusal(path) == (
            "store …/ledger.db is locked by another process",
            "find out who has it open (`fuser FILE`); it goes on when that one is done",
        )


async def test_another_daemon_has_it(tmp_path: Path) -> None:
    """The message says which, by whatever name the file is called."""
    path = tmp_path / "ledger.db"
    (tmp_path / "link.db").symlink_to(path)
    async with opened(path, remember_s=1e9, clock=FakeClock(), watch=HeardWatch()):
        assert await refusal(tmp_path / "link.db") == (
            f"store …/ledger.db is in use by another spexporter: process {os.getpid()} on {socket.gethostname()}",
            "stop that one first, or give each a store of its own with store.url",
        )
    async with opened(path, remember_s=1e9, clock=FakeClock(), watch=HeardWatch()):
        pass


def test_the_lock_is_free_again_when_its_holder_was_killed(tmp_path: Path) -> None:
    """Nobody has to delete a lock file after a crash."""
    path = tmp_path / "ledger.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    ) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(StoreError, match=f"process {holder.pid} on "), sole_owner(path):
                pass
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.wait()
    with sole_owner(path):
        assert path.with_name("ledger.db.lock").read_text().startswith(f"process {os.getpid()} on ")


async def test_what_is_left_is_written_at_the_end_even_if_a_write_is_under_way(tmp_path: Path) -> None:
    """A change that comes while the store is busy with the one before is not left behind."""
    bench = SqliteBench(tmp_path, FakeClock())
    async with opened(bench.path, remember_s=1e9, clock=bench.clock, watch=HeardWatch()) as ledger:
        await ledger.restore([TERMS])
        await ledger.apply("acme", WATCH, fence=0)
        bench.clock.jump_to(bench.clock.monotonic() + 5.0)
        await ledger.apply("acme", Change(answered_s=NOW_S), fence=0)
        await settle()
        assert ledger.busy
        running = Change(observations=(seen(EXPORT, JobState.IN_PROGRESS, NOW_S),))
        await ledger.apply("acme", running, fence=0)
    state = (await bench.open(TERMS))["acme"]
    await bench.close()
    assert state.jobs[EXPORT].watched.key == EXPORT
    assert state.last_answer_s == NOW_S
    assert state.jobs[EXPORT].state is JobState.IN_PROGRESS


def test_a_start_that_fails_leaves_no_thread_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that outlives the event loop would write a traceback under the message."""
    complaints: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: complaints.append(repr(args.exc_value)))
    switched_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(100):
            with pytest.raises(StoreError):
                asyncio.run(Database(SqliteFile(tmp_path)).prepare())
    finally:
        sys.setswitchinterval(switched_s)
        for thread in workers():
            thread.join()
    assert complaints == []
