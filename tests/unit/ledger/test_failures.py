"""A store that fails while the exporter runs: what is known stays known, and is written once the store works again."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from spexporter.domain.budget import BudgetState
from spexporter.domain.errors import StoreError
from spexporter.domain.job import JobState, WatchedJob
from spexporter.domain.ports import Change, Group, StoredWindow
from spexporter.ledger import database
from tests.support.clock import START_WALL_S as NOW_S
from tests.support.clock import FakeClock
from tests.support.ledgers import (
    ERRORS,
    EXPORT,
    EXPORTED,
    IMPORT,
    RESULT,
    TERMS,
    WATCH,
    WRITTEN_AFTER_S,
    SqliteBench,
    durable,
    ends_of,
    export,
    seen,
    values,
    visible,
)

GROUP = Group("synthetic-group")
WINDOWS = {"v2025": BudgetState((1.0,))}


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteBench]:
    """A store that works, with a running import and an export that has been counted and shown."""
    monkeypatch.setattr(database, "_PATIENCE_S", 0.02)
    bench = SqliteBench(tmp_path, FakeClock())
    await bench.open(TERMS)
    await bench.apply(WATCH)
    await bench.apply(ends_of(EXPORT))
    await bench.publish()
    yield bench
    await bench.close()


async def go_on(store: SqliteBench) -> None:
    """Let things happen while the store fails: a job ends, its result is counted, one leaves and one is seen."""
    await store.move(WRITTEN_AFTER_S)
    await store.apply(Change(observations=(seen(IMPORT, JobState.IN_PROGRESS, NOW_S),), answered_s=NOW_S))
    await store.move(WRITTEN_AFTER_S)
    await store.apply(ends_of(IMPORT))
    await store.apply(RESULT)
    await store.move(WRITTEN_AFTER_S)


async def agrees(store: SqliteBench) -> None:
    """Check that nothing was lost or doubled: in memory, on disk, and in what the next process makes of it."""
    await store.publish()
    await store.move(WRITTEN_AFTER_S)
    state = await store.publish()
    assert (values(state)[EXPORTED], values(state)[ERRORS]) == (1, 2)
    assert visible(state) == values(state)
    assert durable((await store.on_disk(TERMS))["acme"]) == durable(state)
    await store.apply(WATCH)
    await store.apply(ends_of(EXPORT, IMPORT))
    assert values(await store.apply(RESULT)) == values(state)
    await store.close()
    again = (await store.open(TERMS))["acme"]
    assert (values(again), visible(again)) == (values(state), visible(state))


@contextmanager
def told_once(store: SqliteBench) -> Iterator[None]:
    """Check that the log hears once of each way in which the store fails, and once of the end of it."""
    with capture_logs() as entries:
        yield
    *failures, recovered = (entry for entry in entries if entry["event"].startswith("store_"))
    assert {(entry["event"], entry["log_level"]) for entry in failures} == {("store_failed", "error")}
    messages = [entry["error"] for entry in failures]
    assert len(messages) == len(set(messages))
    assert all(message.startswith(("store ", "the store ")) for message in messages)
    assert all(entry["cure"] for entry in failures)
    assert recovered["event"] == "store_recovered"
    assert recovered["lasted_s"] >= 0
    assert store.watch.up
    assert store.watch.failures["write"] >= 1


async def test_locked_by_another_program_for_a_while(store: SqliteBench) -> None:
    """Polling goes on, no page shows what is not stored, and all of it is written in the end."""
    with told_once(store):
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            await go_on(store)
            assert store.watch.up is False
            assert ERRORS not in visible(await store.publish())
            other.execute("ROLLBACK")
        await store.move(WRITTEN_AFTER_S)
    assert store.watch.failures["write"] >= 2
    await agrees(store)


async def test_a_store_works_when_it_does_for_all_that_use_it(store: SqliteBench) -> None:
    """Leases are renewed in the same database: what the ledger writes well meanwhile tells nothing of that."""
    with told_once(store):
        store.health.failed("renewal", "write", StoreError("store cannot be reached", cure="look at it"))
        await go_on(store)
        assert (store.watch.up, store.health.failing("renewal")) == (False, True)
        store.health.works("renewal")
    await agrees(store)


def delete(store: SqliteBench) -> None:
    store.path.unlink()


def empty(store: SqliteBench) -> None:
    store.path.write_bytes(b"")


def scribble(store: SqliteBench) -> None:
    store.path.write_bytes(b"synthetic garbage\n" * 500)


def exchange(store: SqliteBench) -> None:
    other = store.path.with_name("other")
    other.write_bytes(b"synthetic garbage\n" * 500)
    other.replace(store.path)


def other_program(store: SqliteBench) -> None:
    store.path.unlink()
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("CREATE TABLE dashboard (id INTEGER)")


async def test_the_file_is_deleted(store: SqliteBench) -> None:
    """It is written anew from memory, at once, though nothing had changed."""
    await store.move(WRITTEN_AFTER_S)
    with told_once(store):
        delete(store)
        await store.move(WRITTEN_AFTER_S)
    await go_on(store)
    await agrees(store)


@pytest.mark.parametrize("spoil", [scribble, exchange, other_program])
async def test_something_else_takes_the_files_place_until_it_is_deleted(
    store: SqliteBench, spoil: Callable[[SqliteBench], None]
) -> None:
    """What is there is not ours to overwrite; once an operator has deleted it, the store is written anew."""
    with told_once(store):
        spoil(store)
        theirs = store.path.read_bytes()
        await go_on(store)
        assert store.watch.up is False
        assert store.path.read_bytes() == theirs
        delete(store)
        await store.move(WRITTEN_AFTER_S)
    await agrees(store)


async def test_the_file_is_emptied(store: SqliteBench) -> None:
    """An empty file is nobody's: it is written anew, as one that was deleted is."""
    with told_once(store):
        empty(store)
        await go_on(store)
        await store.move(WRITTEN_AFTER_S)
    await agrees(store)


@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "by rename"])
async def test_an_older_copy_takes_the_files_place(store: SqliteBench, *, in_place: bool) -> None:
    """Somebody has restored a backup under the running exporter: memory knows better."""
    backup = store.path.with_name("backup")
    shutil.copyfile(store.path, backup)
    await store.apply(Change(added=(WatchedJob(export("since")),), at_s=NOW_S))
    await go_on(store)
    with told_once(store):
        if in_place:
            shutil.copyfile(backup, store.path)
        else:
            backup.replace(store.path)
        await store.move(WRITTEN_AFTER_S)
    assert export("since") in (await store.on_disk(TERMS))["acme"].jobs
    await agrees(store)


async def test_a_change_on_the_way_finds_the_file_exchanged(store: SqliteBench) -> None:
    """What was to be written then is written to the new file, and shown only after that."""
    delete(store)
    await store.apply(ends_of(IMPORT))
    state = await store.apply(RESULT)
    assert durable((await store.on_disk(TERMS))["acme"]) == durable(state)
    await agrees(store)


async def test_a_transaction_whose_answer_is_lost_counts_once(store: SqliteBench) -> None:
    """It is in the store, and nobody knows: what is written again is the same."""
    store.database.unheard = True
    with told_once(store):
        await go_on(store)
        store.database.unheard = False
        await store.move(WRITTEN_AFTER_S)
    await agrees(store)


async def test_a_crash_after_a_transaction_whose_answer_was_lost_counts_once(store: SqliteBench) -> None:
    """The next process finds it done."""
    store.database.unheard = True
    await go_on(store)
    await store.crash()
    await store.open(TERMS)
    await agrees(store)


async def test_while_the_store_fails_an_id_it_may_know_is_not_taken(store: SqliteBench) -> None:
    """Its job may have been counted: nothing of the change is applied, and it is taken once the store can tell."""
    await store.apply(Change(removed=(EXPORT,), at_s=NOW_S))
    before = await store.apply(Change())
    store.database.broken = True
    again = Change(added=(WatchedJob(EXPORT),), removed=(IMPORT,), at_s=NOW_S)
    with pytest.raises(StoreError):
        await store.apply(again)
    assert store.watch.failures == {"read": 1}
    assert (await store.apply(Change())).jobs == before.jobs
    store.database.broken = False
    await store.move(WRITTEN_AFTER_S)
    assert (await store.apply(again)).jobs[EXPORT].settled
    assert store.watch.up


async def test_nothing_may_be_shown_while_the_store_fails(store: SqliteBench) -> None:
    """What was asked for then is not shown later by itself, and a page keeps what it had."""
    before = visible(await store.apply(Change()))
    store.database.broken = True
    await store.apply(ends_of(IMPORT))
    assert visible(await store.publish()) == before
    store.database.broken = False
    await store.move(WRITTEN_AFTER_S)
    assert visible(await store.apply(Change())) == before
    assert visible(await store.publish()).keys() > before.keys()


async def test_a_crash_while_the_store_fails_costs_what_came_since_and_no_page_has_shown_it(store: SqliteBench) -> None:
    """It is asked for and counted again by the next process: once."""
    before = await store.publish()
    store.database.broken = True
    await go_on(store)
    await store.crash()
    assert durable((await store.open(TERMS))["acme"]) == durable(before)
    await go_on(store)
    await agrees(store)


@pytest.mark.parametrize("spoil", [None, delete], ids=["whole", "deleted"])
async def test_windows_in_use_are_as_good_as_spent_after_a_crash(
    store: SqliteBench, spoil: Callable[[SqliteBench], None] | None
) -> None:
    """Also where the file was written anew in the meantime."""
    (await store.ledger.open_windows({GROUP: 0}, NOW_S)).get(GROUP)
    if spoil:
        spoil(store)
        await store.move(WRITTEN_AFTER_S)
        assert store.watch.up
    await store.crash()
    await store.open(TERMS)
    assert (await store.ledger.open_windows({GROUP: 0}, NOW_S)).get(GROUP) == StoredWindow(clean=False)


async def test_windows_that_cannot_be_left_are_as_good_as_spent(store: SqliteBench) -> None:
    """A stop without a store is like a crash."""
    (await store.ledger.open_windows({GROUP: 0}, NOW_S)).get(GROUP)
    store.database.broken = True
    await store.ledger.close_windows({GROUP: WINDOWS}, NOW_S)
    assert store.watch.failures["write"] == 1
    await store.crash()
    await store.open(TERMS)
    assert (await store.ledger.open_windows({GROUP: 0}, NOW_S)).get(GROUP) == StoredWindow(clean=False)


async def test_a_disk_without_room(store: SqliteBench) -> None:
    """SQLite is told that its file may not grow: the same error as that of a full disk."""
    many = tuple(WatchedJob(export(f"synthetic-{number}"), name="x" * 120) for number in range(300))
    store.database.pragma = "max_page_count = 1"
    with capture_logs() as entries:
        await store.apply(Change(added=many, at_s=NOW_S))
    assert entries[0]["error"] == f"store {store.path} has no room: the disk is full"
    assert entries[0]["cure"] == "make room on its disk, without deleting the store"
    assert store.watch.up is False
    store.database.pragma = ""
    await store.move(WRITTEN_AFTER_S)
    assert len((await store.on_disk(TERMS))["acme"].jobs) == 302


async def test_a_file_that_may_not_be_written(store: SqliteBench) -> None:
    """SQLite is told to write nothing: the same error as that of a disk mounted read-only."""
    store.database.pragma = "query_only = ON"
    with capture_logs() as entries:
        await store.apply(ends_of(IMPORT))
    assert entries[0]["error"] == f"store {store.path} is read-only"
    store.database.pragma = ""
    await store.move(WRITTEN_AFTER_S)
    await store.apply(RESULT)
    await agrees(store)
