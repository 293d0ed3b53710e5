"""What the store does for leases: in PostgreSQL, and in the model that the protocol is tried with."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from spexporter.domain.ports import Group, Owner
from spexporter.ledger.leases import Lapsed, LeaseTable
from spexporter.ledger.postgres import PostgresDatabase, PostgresServer
from tests.support.clock import FakeClock
from tests.support.leasemodel import ModelTable, Store, Wire
from tests.support.postgres import Server

A, B = Group("a"), Group("b")
LEASE_S = 60.0


@dataclass
class Bench:
    """A table of leases; `ends` lets the time of a replica be over."""

    table: LeaseTable | ModelTable
    server: Server | None = None
    store: Store | None = None
    name: str = ""

    def ends(self, replica: str) -> None:
        if self.store:
            name, _ = self.store.replicas[replica]
            self.store.replicas[replica] = name, self.store.clock.monotonic() - 10.0
        elif self.server:
            past = "clock_timestamp() - interval '10 s'"
            self.server.execute(f"UPDATE replicas SET expires_at = {past} WHERE id = '{replica}'", self.name)  # noqa: S608


@pytest.fixture(params=["model", "postgresql"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "model":
        store = Store(FakeClock(), LEASE_S)
        yield Bench(ModelTable(store, Wire(at_once=True)), store=store)
        return
    server: Server = request.getfixturevalue("pg_server")
    url = server.fresh()
    backend = PostgresServer(url, "postgresql://bench", 5.0)
    database, table = PostgresDatabase(backend), LeaseTable(backend, LEASE_S)
    await database.prepare()
    yield Bench(table, server=server, name=url.rpartition("/")[2])
    await table.close()
    await database.close()


async def test_what_is_free_is_taken_once_and_by_a_higher_fence_each_time(bench: Bench) -> None:
    """A group is somebody's until it is let go."""
    table = bench.table
    await table.join("r1", "one", former="")
    await table.join("r2", "two", former="")
    await table.name([A, B])
    await table.name([A])
    assert (await table.look()).free == {A, B}
    first = await table.claim("r1", [A])
    assert (await table.held("r1"), await table.held("r2")) == ({A: first[A].fence}, {})
    assert await table.claim("r2", [A, Group("unknown")]) == {}
    assert (await table.look()).free == {B}
    await table.hand_over("r2", {A: "[]"})
    assert (await table.look()).free == {B}
    await table.hand_over("r1", {A: '["a look"]'})
    second = await table.claim("r2", [A])
    assert second[A].fence > first[A].fence
    assert (first[A].schedule, second[A].schedule) == (None, '["a look"]')
    assert second[A].free_for_s < LEASE_S


async def test_whose_time_is_over_loses_all_and_cannot_renew(bench: Bench) -> None:
    """It has to come back as somebody else; what it was about to look at is not known."""
    table = bench.table
    await table.join("r1", "one", former="")
    await table.join("r2", "two", former="")
    await table.name([A, B])
    await table.claim("r1", [A, B])
    await table.hand_over("r1", {B: "[]"})
    await table.claim("r1", [B])
    bench.ends("r1")
    with pytest.raises(Lapsed):
        await table.beat("r1")
    with pytest.raises(Lapsed):
        await table.claim("r1", [A])
    assert (await table.look()).free == {A, B}
    claimed = await table.claim("r2", [A, B])
    assert {group: each.schedule for group, each in claimed.items()} == {A: None, B: None}
    assert all(9.0 < each.free_for_s < LEASE_S for each in claimed.values())
    assert await table.owners() == {A: Owner("r2", "two"), B: Owner("r2", "two")}


async def test_a_replica_in_time_renews(bench: Bench) -> None:
    """Nobody takes anything from it meanwhile."""
    table = bench.table
    await table.join("r1", "one", former="")
    await table.name([A])
    await table.claim("r1", [A])
    await table.beat("r1")
    assert (await table.look()).free == frozenset()


async def test_coming_back_frees_what_was_held_under_the_former_id(bench: Bench) -> None:
    """Nobody has to wait for the end of its time."""
    table = bench.table
    await table.join("r1", "one", former="")
    await table.name([A])
    await table.claim("r1", [A])
    await table.join("r1b", "one", former="r1")
    assert (await table.look()).free == {A}
    await table.leave("r1b")
    assert await table.loads() == {}


async def test_loads_and_costs_are_seen_by_all(bench: Bench) -> None:
    """Only the owner says what a group costs."""
    table = bench.table
    await table.join("r1", "one", former="")
    await table.join("r2", "two", former="")
    await table.name([A, B])
    await table.claim("r1", [A])
    await table.weigh("r1", {A: 7.0})
    await table.weigh("r2", {A: 99.0})
    assert await table.loads() == {"r1": 7.0, "r2": 0.0}
    free = await table.free([A, B])
    assert {group: (each.cost, each.long) for group, each in free.items()} == {B: (1.0, False)}
