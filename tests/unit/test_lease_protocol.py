"""The protocol by which replicas share groups: real replicas, and a store in memory whose messages can go astray.

Two owners at once, a lost count and a tenant that nobody watches are found without one of the rules, not as built.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from spexporter.domain.errors import StoreError
from spexporter.domain.ports import Group
from spexporter.ledger import replica
from spexporter.ledger.replica import Replica
from tests.support.clock import FakeClock, settle
from tests.support.leasemodel import Counted, Ids, Rules, Store, Wire, sharing

LEASE_S = 3.0
GROUPS = tuple(Group(name) for name in ("a", "b", "c"))
COUNT = 3
numbers = st.integers(0, COUNT - 1)


@pytest.fixture(autouse=True)
def known_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "secrets", Ids)


class TrustingReplica(Replica):
    """One that believes in its leases until the store says otherwise."""

    def alive(self) -> bool:
        return self.ends_s > 0


class ReturningReplica(Replica):
    """One that believes whatever answer comes, however late."""

    async def beat(self) -> None:
        sent_s = self._clock.monotonic()
        await self._table.beat(self._id)
        self._renewed(sent_s)


@dataclass
class Book:
    """What a replica has in memory of a group, and under which fence it was read."""

    owner: str
    fence: int
    counted: Counted


class Fleet:
    """Stands for fleet and files: it reads what has become ours, and drops what is not any more."""

    def __init__(self, store: Store, wire: Wire) -> None:
        self.groups = {str(group): group for group in GROUPS}
        self.books: dict[Group, Book] = {}
        self.replica: Replica
        self._store = store
        self._wire = wire

    @property
    def tenants(self) -> Collection[str]:
        return [str(group) for group in self.books]

    def costs(self) -> dict[Group, float]:
        return dict.fromkeys(self.books, 1.0)

    def store_fails(self) -> bool:
        return False

    def halt(self) -> None:
        """Nothing is under way for longer than a rule lasts."""

    async def regroup(self, leaving: Collection[Group] = ()) -> None:
        for group in leaving:  # stored before it is let go
            if book := self.books.get(group):
                await self.write(group, book)
        for group in GROUPS:
            fence = None if group in leaving else self.replica.held(group)
            if fence is None:
                self.books.pop(group, None)
            elif group not in self.books:
                stored = await self._wire.carry(lambda group=group: self._store.counted.get(group, Counted()))  # type: ignore[misc]  # bound now
                self.books[group] = Book(self.replica.id, fence, stored)

    async def write(self, group: Group, book: Book) -> None:
        """Write what is in memory now, whenever that arrives."""
        rows = book.counted
        await self._wire.carry(lambda: self._store.write(book.owner, book.fence, group, rows))


class Member:
    """One replica, with what it is doing."""

    def __init__(self, store: Store, number: int, life: int) -> None:
        self.wire = Wire()
        self.fleet = Fleet(store, self.wire)
        rules = store.rules
        kind = TrustingReplica if not rules.own_clock else Replica if rules.no_return else ReturningReplica
        name = f"replica-{number}-{life}"
        self.replica, self.share = sharing(store, self.wire, self.fleet, name, kind)
        self.fleet.replica = self.replica
        self.tasks: dict[str, asyncio.Task[object]] = {}
        self.paused = False
        self.lived: set[str] = set()
        self.ended: set[str] = set()


class Protocol(RuleBasedStateMachine):
    """Three replicas and a store; whatever is asked for waits until it is delivered."""

    rules_kept: ClassVar[Rules] = Rules()

    def __init__(self) -> None:
        super().__init__()
        Ids.given = 0
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.store = Store(self.clock, LEASE_S, self.rules_kept)
        self.lives = 0
        self.happened = 0
        self.events: dict[Group, set[int]] = {group: set() for group in GROUPS}
        self.members = [self._member(number) for number in range(COUNT)]

    def teardown(self) -> None:
        try:
            self._heal()
        finally:
            self.runner.run(self._end())
            self.runner.close()

    def _member(self, number: int) -> Member:
        self.lives += 1
        return Member(self.store, number, self.lives)

    @rule(by_s=st.sampled_from([0.1, 0.5, 1.0, 2.0, 4.0]))
    def time_passes(self, by_s: float) -> None:
        self.clock.jump_to(self.clock.monotonic() + by_s)

    @rule(number=numbers)
    def renews(self, number: int) -> None:
        member = self.members[number]
        if member.replica.alive():
            self._begin(member, "beat", member.replica.beat())

    @rule(number=numbers)
    def shares(self, number: int) -> None:
        member = self.members[number]
        self._begin(member, "round", member.share._round())  # noqa: SLF001 - a round is what it does again and again

    @rule(number=numbers, messages=st.integers(1, 12))
    def messages_arrive(self, number: int, messages: int) -> None:
        member = self.members[number]
        for _ in range(messages):
            if not member.paused and member.wire.deliver():
                self.runner.run(settle())

    @rule(number=numbers)
    def a_message_is_lost(self, number: int) -> None:
        self.members[number].wire.lose()
        self.runner.run(settle())

    @rule(number=numbers)
    def stands_still_or_goes_on(self, number: int) -> None:
        self.members[number].paused ^= True

    @rule(number=numbers)
    def is_killed(self, number: int) -> None:
        self.runner.run(_cancel(self.members[number]))
        self.members[number] = self._member(number)

    @rule(group=st.sampled_from(GROUPS))
    def something_happens(self, group: Group) -> None:
        self.happened += 1
        self.events[group].add(self.happened)

    @rule(number=numbers, group=st.sampled_from(GROUPS))
    def looks_and_counts(self, number: int, group: Group) -> None:
        """See what has happened, if it may look, and begin to write it."""
        member, book = self.members[number], self.members[number].fleet.books.get(group)
        if member.paused or book is None or member.replica.held(group) != book.fence:
            return
        new = self.events[group] - book.counted.events
        book.counted = Counted(book.counted.events | new, book.counted.counter + len(new))
        self._begin(member, f"write {group}", member.fleet.write(group, book))

    @rule(number=numbers, group=st.sampled_from(GROUPS))
    def mostly_well(self, number: int, group: Group) -> None:
        """Do what mostly happens: share, with all messages, and count."""
        self.shares(number)
        self.messages_arrive(number, 40)
        self.something_happens(group)
        self.looks_and_counts(number, group)

    @rule(number=numbers, other=numbers, before_s=st.sampled_from([0.0, 2.9]), on_the_way_s=st.sampled_from([0.2, 2.0]))
    def renews_by_a_slow_way(self, number: int, other: int, before_s: float, on_the_way_s: float) -> None:
        """Ask for another lease, perhaps in the last moment, which is on its way while another replica shares."""
        self.time_passes(before_s)
        self.renews(number)
        self.time_passes(on_the_way_s)
        self.shares(other)
        self.messages_arrive(other, 40)
        self.no_group_has_two_owners()
        self.messages_arrive(number, 2)

    @rule(number=numbers, before_s=st.sampled_from([0.0, 2.9]), on_the_way_s=st.sampled_from([0.2, 2.0]))
    def hears_late_that_it_has_renewed(self, number: int, before_s: float, on_the_way_s: float) -> None:
        """Ask for another lease, and get it in time; but the answer is on its way for long."""
        self.time_passes(before_s)
        self.renews(number)
        self.messages_arrive(number, 1)
        self.time_passes(on_the_way_s)
        self.what_has_ended_has_ended()
        self.messages_arrive(number, 1)

    @rule(number=numbers, arrive=st.integers(0, 16))
    def shares_and_one_message_is_lost(self, number: int, arrive: int) -> None:
        """Not hear whether something was done, or ask for it in vain."""
        self.shares(number)
        for _ in range(arrive):
            self.messages_arrive(number, 1)
        self.a_message_is_lost(number)
        self.messages_arrive(number, 40)

    @invariant()
    def no_group_has_two_owners(self) -> None:
        for group in GROUPS:
            owners = [member.replica.name for member in self.members if member.replica.held(group) is not None]
            assert len(owners) <= 1, f"two owners at once: {group} is watched by {owners}"

    @invariant()
    def what_has_ended_has_ended(self) -> None:
        """Looks were ended with it, and only who begins anew queues them again."""
        for member in self.members:
            if member.replica.alive():
                member.lived.add(member.replica.id)
                assert member.replica.id not in member.ended, "a lease that had ended lasts"
            else:
                member.ended |= member.lived

    @invariant()
    def no_count_is_lost(self) -> None:
        for group, counted in self.store.counted.items():
            assert counted.counter == len(counted.events), f"lost count: {group} has {counted}"

    def _begin(self, member: Member, what: str, work: Any) -> None:  # noqa: ANN401 - a coroutine
        """Begin something, unless it is under way."""
        before = member.tasks.get(what)
        if member.paused or (before and not before.done()):
            work.close()
            return

        async def begin() -> None:
            member.tasks[what] = asyncio.create_task(_tolerant(work))
            await settle()

        self.runner.run(begin())

    def _heal(self) -> None:
        """Let everything work again, for as long as it may take: then somebody watches each group, and has counted."""
        for member in self.members:
            member.paused = False
        for _ in range(40):
            self.time_passes(0.5)
            for number in range(COUNT):
                self.renews(number)
                self.shares(number)
                self.messages_arrive(number, 40)
                self.no_group_has_two_owners()
        for number in range(COUNT):
            for group in GROUPS:
                self.looks_and_counts(number, group)
            self.messages_arrive(number, 40)
        for group in GROUPS:
            watched = [
                member
                for member in self.members
                if member.replica.held(group) is not None and group in member.fleet.books
            ]
            assert watched, f"starved: nobody watches {group}"
            stored = self.store.counted.get(group, Counted())
            assert stored.events == self.events[group], f"lost count: {group} has {stored}"
            assert stored.counter == len(self.events[group]), f"lost count: {group} has {stored}"

    async def _end(self) -> None:
        for member in self.members:
            await _cancel(member)


async def _tolerant(work: Any) -> None:  # noqa: ANN401 - a coroutine
    try:
        await work
    except StoreError:
        return


async def _cancel(member: Member) -> None:
    for task in member.tasks.values():
        task.cancel()
    if member.tasks:
        await asyncio.wait(member.tasks.values())


def run(rules: Rules, examples: int) -> None:
    """Try the protocol with these rules."""

    class Tried(Protocol):
        rules_kept = rules

    run_state_machine_as_test(
        Tried,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            phases=[Phase.generate],
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_as_built_there_is_one_owner_no_lost_count_and_no_starved_tenant() -> None:
    """Whatever is delayed, lost, paused or killed."""
    run(Rules(), max(150, settings().max_examples // 5))


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        pytest.param(Rules(own_clock=False), "two owners at once", id="own-clock"),
        pytest.param(Rules(no_return=False), "a lease that had ended lasts", id="no-return"),
        pytest.param(Rules(fence=False), "lost count", id="fence"),
        pytest.param(Rules(server_clock=False), "starved", id="server-clock"),
    ],
)
def test_what_each_rule_is_for_is_found_without_it(rules: Rules, found: str) -> None:
    """So that the model would notice if one of them were not kept."""
    with pytest.raises((AssertionError, ExceptionGroup)) as raised:
        run(rules, 1_500)
    assert found in "".join(str(error) for error in [raised.value, *getattr(raised.value, "exceptions", ())])
