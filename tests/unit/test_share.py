"""How a replica shares groups when something of one cannot be read, or others do not know it."""

from collections.abc import Collection, Iterable
from types import SimpleNamespace
from typing import Any, cast

from spexporter.domain.errors import StoreError
from spexporter.domain.liveness import Liveness
from spexporter.domain.ports import Group
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.ledger.health import StoreHealth
from spexporter.ledger.replica import Replica
from spexporter.share import Share
from spexporter.telemetry import Telemetry
from tests.support.clock import FakeClock
from tests.support.leasemodel import ModelTable, Store, Wire

LEASE_S = 15.0


class Fleet:
    """Runs what is its replica's, if all of it can be read."""

    def __init__(self, groups: Iterable[str]) -> None:
        self.groups = {group: Group(group) for group in groups}
        self.running: set[Group] = set()
        self.unreadable: set[Group] = set()
        self.replica: Replica

    store_fails = False

    @property
    def tenants(self) -> Collection[str]:
        return self.running

    def costs(self) -> dict[Group, float]:
        return dict.fromkeys(self.running, 1.0)

    async def regroup(self, leaving: Collection[Group] = ()) -> None:
        held = {group for group in self.groups.values() if self.replica.held(group) is not None} - set(leaving)
        if self.unreadable & (held - self.running):
            raise StoreError("a row is damaged", cure="put back a backup")
        self.running = held


class Member:
    """One replica, whose every message arrives at once."""

    def __init__(self, store: Store, name: str, groups: Iterable[str]) -> None:
        self.fleet = Fleet(groups)
        telemetry = Telemetry(OWN_FAMILIES)
        database = SimpleNamespace(owner="", prepare=_nothing, begin=lambda _: None)
        self.replica = Replica(
            cast("Any", database),
            cast("Any", ModelTable(store, Wire(at_once=True))),
            health=StoreHealth(telemetry, store.clock),
            name=name,
            lease_s=LEASE_S,
            clock=store.clock,
        )
        self.fleet.replica = self.replica
        self.share = Share(
            self.replica,
            cast("Any", self.fleet),
            cast("Any", self.fleet),
            telemetry=telemetry,
            liveness=Liveness((), None),
            clock=store.clock,
        )

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


async def _nothing() -> None:
    return


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
