"""How a replica shares groups when something of one cannot be read, or others do not know it."""

from collections.abc import Collection, Iterable

import pytest

from spexporter.domain.errors import StoreError
from spexporter.domain.ports import NOTHING, Group, Queued
from spexporter.domain.schedule import Target, TargetKind
from spexporter.ledger import replica
from tests.support.clock import FakeClock
from tests.support.leasemodel import Ids, Store, Wire, sharing

LEASE_S = 15.0


class Fleet:
    """Runs what is its replica's, if all of it can be read."""

    def __init__(self, groups: Iterable[str]) -> None:
        self.groups = {group: Group(group) for group in groups}
        self.running: set[Group] = set()
        self.unreadable: set[Group] = set()
        self.unwritable = False
        self.replica: replica.Replica

    @property
    def tenants(self) -> Collection[str]:
        return self.running

    def costs(self) -> dict[Group, float]:
        return dict.fromkeys(self.running, 1.0)

    def store_fails(self) -> bool:
        return self.unwritable

    async def regroup(self, leaving: Collection[Group] = ()) -> None:
        held = {group for group in self.groups.values() if self.replica.held(group) is not None} - set(leaving)
        if self.unreadable & (held - self.running):
            raise StoreError("a row is damaged", cure="put back a backup")
        self.running = held


class Member:
    """One replica, whose every message arrives at once."""

    def __init__(self, store: Store, name: str, groups: Iterable[str]) -> None:
        self.fleet = Fleet(groups)
        self.replica, self.share = sharing(store, Wire(at_once=True), self.fleet, name)
        self.fleet.replica = self.replica

    async def goes_on(self) -> None:
        """Renew, and do all that is to be done now, as far as it can be."""
        if self.replica.alive():
            await self.replica.beat()
        more = True
        while more:
            try:
                more = await self.share._round()  # noqa: SLF001 - a round is what it does again and again
            except StoreError:
                return


@pytest.fixture(autouse=True)
def known_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "secrets", Ids)


async def pass_time(store: Store, *members: Member, by_s: float) -> None:
    """Let some time pass, half a second after another."""
    for _ in range(round(by_s / 0.5)):
        store.clock.jump_to(store.clock.monotonic() + 0.5)
        for member in members:
            await member.goes_on()


async def test_group_that_cannot_be_read_keeps_nobody_else_from_being_watched() -> None:
    """It is let go of, and tried again every minute: so it is watched once it can be read."""
    store = Store(FakeClock(), LEASE_S)
    member = Member(store, "one", (f"g{number:03}" for number in range(150)))
    bad = Group("g042")
    member.fleet.unreadable = {bad}
    await pass_time(store, member, by_s=30.0)
    assert set(member.fleet.groups.values()) - member.fleet.running == {bad}
    assert not store.leases[bad].owner
    member.fleet.unreadable.clear()
    await pass_time(store, member, by_s=65.0)
    assert bad in member.fleet.running


async def test_group_that_others_do_not_know_is_watched_by_who_does_and_does_not_go_to_and_fro() -> None:
    """The other replica has less to do, so that new ones are its part; but its configuration is older.

    What it leaves for a lease's time is taken back, and stays where it is for long.
    """
    store = Store(FakeClock(), LEASE_S)
    old = [f"old-{number}" for number in range(4)]
    one, two = Member(store, "one", old), Member(store, "two", old)
    await pass_time(store, one, two, by_s=20.0)
    one.fleet.groups |= {name: Group(name) for name in (f"new-{number}" for number in range(9))}
    await pass_time(store, one, two, by_s=8 * LEASE_S)
    new = {group for name, group in one.fleet.groups.items() if name.startswith("new-")}
    assert new <= one.fleet.running
    fences = {group: store.leases[group].fence for group in new}
    await pass_time(store, one, two, by_s=600.0)
    assert {group: store.leases[group].fence for group in new} == fences
    assert new <= one.fleet.running


async def test_what_cannot_be_stored_is_not_let_go_of() -> None:
    """Whoever takes it next would not know of it; nothing is ended for a hand-over that is none."""
    store = Store(FakeClock(), LEASE_S)
    one, two = (Member(store, name, (f"g{number}" for number in range(10))) for name in ("one", "two"))
    await pass_time(store, one, by_s=20.0)
    one.fleet.unwritable = True
    await pass_time(store, one, two, by_s=60.0)
    assert (len(one.fleet.running), len(two.fleet.running)) == (10, 0)
    one.fleet.unwritable = False
    await pass_time(store, one, two, by_s=10.0)
    assert (len(one.fleet.running), len(two.fleet.running)) == (5, 5)


async def test_group_that_the_store_has_forgotten_to_be_ours_is_begun_anew() -> None:
    """A standby that did not know of the claim took over: taken again at once, it would go on under its old fence."""
    store = Store(FakeClock(), LEASE_S)
    member = Member(store, "one", ["g1"])
    await pass_time(store, member, by_s=2.0)
    store.leases[Group("g1")].owner = ""
    begun = []
    regroup = member.fleet.regroup

    async def watched(leaving: Collection[Group] = ()) -> None:
        await regroup(leaving)
        begun.append(set(member.fleet.running))

    member.fleet.regroup = watched  # type: ignore[method-assign]
    await pass_time(store, member, by_s=10.0)
    assert begun == [set(), {Group("g1")}]
    assert member.replica.held(Group("g1")) == store.leases[Group("g1")].fence


async def test_after_all_were_away_for_long_the_load_is_shared_again() -> None:
    """What nobody had for long then was left by nobody."""
    store = Store(FakeClock(), LEASE_S)
    one, two = (Member(store, name, (f"g{number}" for number in range(50))) for name in ("one", "two"))
    await pass_time(store, one, two, by_s=30.0)
    store.clock.jump_to(store.clock.monotonic() + 120.0)
    await pass_time(store, one, two, by_s=30.0)
    assert (len(one.fleet.running), len(two.fleet.running)) == (25, 25)


async def test_each_replica_knows_who_watches_what() -> None:
    """Also where two have one name, as in containers of one host name; nobody is only who is free."""
    store = Store(FakeClock(), LEASE_S)
    one, two = (Member(store, "host/1", (f"g{number}" for number in range(4))) for _ in range(2))
    assert set(one.share.others().values()) == {""}
    await pass_time(store, one, two, by_s=30.0)
    for member in (one, two):
        theirs = {tenant for tenant, group in member.fleet.groups.items() if group not in member.fleet.running}
        assert len(theirs) == 2
        assert {tenant: member.share.others()[tenant] for tenant in theirs} == dict.fromkeys(theirs, "host/1")
    store.clock.jump_to(store.clock.monotonic() + LEASE_S)
    assert {one.share.others()[str(group)] for group in one.fleet.running} == {""}


async def test_what_the_last_owner_has_left_is_inherited_once() -> None:
    """A rate limit is free since then for who begins the group with it, not for who begins it anew an hour later."""
    store = Store(FakeClock(), LEASE_S)
    member = Member(store, "one", ["g1"])
    await pass_time(store, member, by_s=2.0)
    assert member.replica.inherit(Group("g1")).since_s is not None
    assert member.replica.inherit(Group("g1")) == NOTHING


async def test_looks_that_nobody_began_are_left_to_the_next_owner() -> None:
    """They were queued by the one before, and are due so much sooner."""
    store = Store(FakeClock(), LEASE_S)
    member, group = Member(store, "one", ["g1"]), Group("g1")
    await pass_time(store, member, by_s=2.0)
    look = Queued(Target("acme", TargetKind.PROBE), 40.0)
    member.replica.bequeath(group, [look])
    await member.replica.hand_over([group])
    await member.replica.take([group])
    store.clock.jump_to(store.clock.monotonic() + 10.0)
    await member.replica.hand_over([group])
    await member.replica.take([group])
    assert member.replica.inherit(group).queued == (look._replace(due_in_s=30.0),)
