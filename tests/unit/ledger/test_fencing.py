"""A process that has lost a group writes nothing about it, whatever it wants to write."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from spexporter.domain.budget import BudgetState
from spexporter.domain.errors import LeaseEnded
from spexporter.domain.job import JobState
from spexporter.domain.ports import Change, Group
from spexporter.ledger.backend import LeaseLost, StoreReplaced
from spexporter.ledger.book import Facts, Rows
from spexporter.ledger.postgres import PostgresDatabase
from tests.support.clock import START_WALL_S as NOW_S
from tests.support.clock import FakeClock
from tests.support.ledgers import (
    EXPORT,
    EXPORTED,
    IMPORT,
    TERMS,
    WATCH,
    WRITTEN_AFTER_S,
    PostgresBench,
    durable,
    ends_of,
    seen,
)
from tests.support.postgres import Server

GROUP = Group("synthetic-group")
ROWS = {"acme": Rows(facts=Facts(last_answer_s=1.0))}
HELD = {Group(""): 0, GROUP: 0}
Write = Callable[[PostgresDatabase], Awaitable[object]]

WRITES: Mapping[str, Write] = {
    "what has changed": lambda database: database.write(ROWS, NOW_S, HELD),
    "as a tenant is read": lambda database: database.load(["acme"], NOW_S, HELD),
    "a former name": lambda database: database.rename("acme", "acme-prod", HELD),
    "what nobody wants any more": lambda database: database.prune([], NOW_S + 1e9, 1.0, HELD),
    "a window that is taken": lambda database: database.take_windows(NOW_S, HELD),
    "a window that is left": lambda database: database.put_windows({GROUP: {"v1": BudgetState()}}, NOW_S, HELD),
}
MOVED = (
    "UPDATE leases SET owner = 'other', fence = 7",
    "UPDATE leases SET owner = 'other'",  # by the same fence: a server that knew less has given it twice
    "UPDATE leases SET fence = 7",  # away and back
    "UPDATE leases SET owner = NULL",
    "DELETE FROM leases",
)


@pytest.fixture
async def bench(pg_server: Server, tmp_path: Path) -> AsyncIterator[PostgresBench]:
    del pg_server
    made = PostgresBench(tmp_path, FakeClock())
    await made.open(TERMS)
    await made.apply(WATCH)
    await made.move(WRITTEN_AFTER_S)
    yield made
    await made.close()


def everything(bench: PostgresBench) -> list[str]:
    """Return all rows of all tables but those of leases."""
    return [bench.look(f"TABLE {table}") for table in ("tenants", "jobs", "counters", "windows")]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_a_stale_owner_writes_nothing(bench: PostgresBench, write: Write) -> None:
    """Each way to write is refused, wherever the groups have gone, and the store is as it was."""
    leases = bench.look(
        "SELECT string_agg(format('(%L, %L, %s, %s, %s)', client_group, owner, fence, generation, cost),"
        " ',') FROM leases"
    )
    before = everything(bench)
    for moved in MOVED:
        await bench.tamper(moved)
        with pytest.raises(LeaseLost):
            await write(bench.flaky)
        await bench.tamper(
            f"DELETE FROM leases; INSERT INTO leases (client_group, owner, fence, generation, cost) VALUES {leases}"  # noqa: S608 - its own
        )
    assert everything(bench) == before


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_the_owner_writes(bench: PostgresBench, write: Write) -> None:
    """The same is no trouble while the groups are ours, so that it is the fence that refuses above."""
    await write(bench.flaky)


async def test_what_a_stale_owner_has_counted_is_dropped_and_shown_by_nobody(bench: PostgresBench) -> None:
    """It goes on with all that is still its own, and says what it has lost."""
    await bench.tamper("UPDATE leases SET owner = 'other', fence = 7")
    with capture_logs() as logs:
        state = await bench.apply(ends_of(EXPORT, IMPORT))
        with pytest.raises(LeaseEnded):
            await bench.ledger.publish("acme", {EXPORTED: 1.0}, fence=0)
    assert state.totals[EXPORTED].published == 0
    assert [line["event"] for line in logs] == ["lease_lost"]
    assert EXPORTED not in {key for key, cell in (await bench.on_disk(TERMS))["acme"].totals.items() if cell.value}


async def test_what_is_known_under_one_fence_is_not_written_under_another(bench: PostgresBench) -> None:
    """The group was lost and has come back: what memory holds is of the time before."""
    before = (await bench.on_disk(TERMS))["acme"]
    for refused in (bench.ledger.apply("acme", ends_of(EXPORT), fence=9), bench.ledger.withdraw("acme", {}, fence=9)):
        with pytest.raises(LeaseEnded):
            await refused
    await bench.move(WRITTEN_AFTER_S)
    assert durable((await bench.on_disk(TERMS))["acme"]) == durable(before)


@pytest.mark.parametrize("lost", [False, True], ids=["nothing-lost", "a-group-lost"])
async def test_a_server_that_has_gone_back_is_told_again_what_it_has_forgotten(
    bench: PostgresBench, *, lost: bool
) -> None:
    """A standby that knew less may take over: its marks are older than those that this process has left.

    A group that is another's meanwhile does not keep the others from being told.
    """
    await bench.ledger.open_windows({GROUP: 0}, NOW_S)
    await bench.tamper("UPDATE leases SET generation = generation - 1")
    await bench.tamper("DELETE FROM jobs")
    if lost:
        await bench.tamper(f"UPDATE leases SET owner = 'other', fence = 7 WHERE client_group = '{GROUP}'")  # noqa: S608 - its own
    with pytest.raises(StoreReplaced):
        await bench.flaky.write(ROWS, NOW_S, {Group(""): 0})
    running = Change(observations=(seen(IMPORT, JobState.IN_PROGRESS, NOW_S),), answered_s=NOW_S)
    state = await bench.apply(running)
    await bench.move(WRITTEN_AFTER_S)
    await bench.move(WRITTEN_AFTER_S)
    assert bench.watch.up
    assert durable((await bench.on_disk(TERMS))["acme"]) == durable(state)


async def test_what_is_forgotten_leaves_out_a_group_that_is_lost(bench: PostgresBench) -> None:
    """That another replica has it is no failure of the store."""
    await bench.tamper("UPDATE leases SET owner = 'other', fence = 7")
    with capture_logs() as logs:
        await bench.move(3700.0)
    assert [line["event"] for line in logs] == ["lease_lost"]
    assert (bench.watch.up, bench.watch.failures.total()) == (True, 0)


async def test_windows_are_kept_by_the_servers_time(pg_server: Server, tmp_path: Path) -> None:
    """Clocks of two hosts may differ: what one has left is half spent for the other after half of its time."""
    del pg_server
    bench = PostgresBench(tmp_path, FakeClock())
    await bench.open(TERMS)
    database = PostgresDatabase(bench.server_backend())
    database.owner = "bench"
    try:
        await database.put_windows({GROUP: {"v1": BudgetState(free_in_s=(100.0,))}}, NOW_S, {GROUP: 0})
        found = (await database.take_windows(NOW_S - 5000.0, {GROUP: 0}))[GROUP]
        assert found.clean
        assert 90.0 < found.windows["v1"].free_in_s[0] <= 100.0
    finally:
        await database.close()
        await bench.close()
