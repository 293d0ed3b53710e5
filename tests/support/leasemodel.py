"""The store's part of the lease protocol in memory, with messages that a test delivers, delays or loses.

It does what the transactions of `spexporter.ledger.leases` do; tests/unit/ledger/test_leases.py holds both against the
same expectations. `Rules` takes rules of the protocol away, so that tests can show what they are for.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from spexporter.domain.errors import StoreError
from spexporter.domain.liveness import Liveness
from spexporter.domain.ports import Group, Owner
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.ledger.health import StoreHealth
from spexporter.ledger.leases import Claimed, Free, Lapsed, Seen
from spexporter.ledger.replica import Replica
from spexporter.share import Share
from spexporter.telemetry import Telemetry
from tests.support.clock import FakeClock

T = TypeVar("T")


class Ids:
    """What replicas are known by, the same in each run of the same steps: what is shared out depends on their order."""

    given = 0

    @classmethod
    def token_hex(cls, _: int) -> str:
        """See `secrets.token_hex`."""
        cls.given += 1
        return f"{cls.given:016x}"


@dataclass(frozen=True)
class Rules:
    """What the store and its replicas keep to."""

    fence: bool = True  # a write by another owner or fence is refused
    own_clock: bool = True  # a replica believes in its lease no longer than by its own clock
    server_clock: bool = True  # whose time is over by the server's clock loses its groups
    no_return: bool = True  # whose time is over, by either clock, cannot renew


@dataclass
class Lease:
    """One group."""

    owner: str = ""
    fence: int = 0
    cost: float = 1.0
    freed_s: float = 0.0
    schedule: str | None = None


@dataclass
class Counted:
    """What is stored of a group: which events were counted, and the counter, which is written as it is."""

    events: frozenset[int] = frozenset()
    counter: int = 0


@dataclass
class Store:
    """The tables, and the server's clock."""

    clock: FakeClock
    lease_s: float
    rules: Rules = Rules()
    replicas: dict[str, tuple[str, float]] = field(default_factory=dict)  # name, and until when
    leases: dict[Group, Lease] = field(default_factory=dict)
    counted: dict[Group, Counted] = field(default_factory=dict)
    fences: int = 0

    def bury(self, former: str = "") -> None:
        """Take away the rows of replicas whose time is over, and free their groups."""
        now_s = self.clock.monotonic()
        dead = {name for name, (_, until_s) in self.replicas.items() if until_s < now_s and self.rules.server_clock}
        for replica in dead | ({former} & self.replicas.keys()):
            _, until_s = self.replicas.pop(replica)
            for lease in self.leases.values():
                if lease.owner == replica:
                    lease.owner, lease.freed_s, lease.schedule = "", min(until_s, now_s), None

    def renew(self, replica: str) -> None:
        """Renew a row, unless it comes too late."""
        if self.rules.no_return and (
            replica not in self.replicas or self.replicas[replica][1] <= self.clock.monotonic()
        ):
            raise Lapsed
        name = self.replicas.get(replica, (replica, 0.0))[0]
        self.replicas[replica] = name, self.clock.monotonic() + self.lease_s

    def write(self, replica: str, fence: int, group: Group, counted: Counted) -> bool:
        """Store what was counted of a group, unless it is another's; tell whether that is so."""
        lease = self.leases[group]
        if self.rules.fence and (lease.owner, lease.fence) != (replica, fence):
            return False
        before = self.counted.get(group, Counted())
        self.counted[group] = Counted(before.events | counted.events, counted.counter)
        return True


class Wire:
    """The way between one replica and the store: each message waits until it is delivered."""

    def __init__(self, *, at_once: bool = False) -> None:
        self._at_once = at_once
        self._waiting: list[asyncio.Future[None]] = []

    async def carry(self, act: Callable[[], T]) -> T:
        """Ask the store for something, and bring back its answer."""
        await self._pass()
        answer = act()
        await self._pass()
        return answer

    async def _pass(self) -> None:
        if not self._at_once:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def deliver(self) -> bool:
        """Let the oldest message arrive, and tell whether there was one."""
        while self._waiting:
            waiter = self._waiting.pop(0)
            if not waiter.done():
                waiter.set_result(None)
                return True
        return False

    def lose(self) -> None:
        """Lose the oldest message: whoever waits for the answer hears that the store did not answer."""
        while self._waiting:
            waiter = self._waiting.pop(0)
            if not waiter.done():
                waiter.set_exception(StoreError("it did not answer in time", cure="none"))
                return


class ModelTable:
    """Does what `spexporter.ledger.leases.LeaseTable` does."""

    def __init__(self, store: Store, wire: Wire) -> None:
        self._store = store
        self._wire = wire

    async def join(self, replica: str, name: str, *, former: str) -> None:
        def act() -> None:
            self._store.bury(former)
            self._store.replicas[replica] = name, self._store.clock.monotonic() + self._store.lease_s

        await self._wire.carry(act)

    async def beat(self, replica: str) -> None:
        await self._wire.carry(lambda: self._renewed(replica))
        if not self._store.rules.no_return:
            return
        if self._lapsed:
            raise Lapsed

    def _renewed(self, replica: str) -> None:
        self._lapsed = False
        try:
            self._store.renew(replica)
        except Lapsed:
            self._lapsed = True

    async def name(self, groups: Collection[Group]) -> None:
        def act() -> None:
            for group in groups:
                self._store.leases.setdefault(group, Lease(freed_s=self._store.clock.monotonic()))

        await self._wire.carry(act)

    async def look(self) -> Seen:
        def act() -> Seen:
            self._store.bury()
            return Seen(frozenset(group for group, lease in self._store.leases.items() if not lease.owner))

        return await self._wire.carry(act)

    async def loads(self) -> dict[str, float]:
        def act() -> dict[str, float]:
            costs = dict.fromkeys(self._store.replicas, 0.0)
            for lease in self._store.leases.values():
                if lease.owner in costs:
                    costs[lease.owner] += lease.cost
            return costs

        return await self._wire.carry(act)

    async def free(self, groups: Collection[Group]) -> dict[Group, Free]:
        def act() -> dict[Group, Free]:
            now_s = self._store.clock.monotonic()
            return {
                group: Free(lease.cost, now_s - lease.freed_s > self._store.lease_s)
                for group, lease in self._store.leases.items()
                if group in groups and not lease.owner
            }

        return await self._wire.carry(act)

    async def claim(self, replica: str, groups: Collection[Group]) -> dict[Group, Claimed]:
        def act() -> dict[Group, Claimed] | None:
            try:
                self._store.renew(replica)
            except Lapsed:
                return None
            claimed = {}
            for group, lease in self._store.leases.items():
                if group in groups and not lease.owner:
                    self._store.fences += 1
                    lease.owner, lease.fence = replica, self._store.fences
                    free_for_s = self._store.clock.monotonic() - lease.freed_s
                    claimed[group] = Claimed(lease.fence, free_for_s, lease.schedule)
            return claimed

        found = await self._wire.carry(act)
        if found is None:
            raise Lapsed
        return found

    async def held(self, replica: str) -> dict[Group, int]:
        def act() -> dict[Group, int]:
            return {group: lease.fence for group, lease in self._store.leases.items() if lease.owner == replica}

        return await self._wire.carry(act)

    async def hand_over(self, replica: str, schedules: Mapping[Group, str]) -> None:
        def act() -> None:
            for group, schedule in schedules.items():
                lease = self._store.leases[group]
                if lease.owner == replica:
                    lease.owner, lease.freed_s, lease.schedule = "", self._store.clock.monotonic(), schedule

        await self._wire.carry(act)

    async def leave(self, replica: str) -> None:
        await self._wire.carry(lambda: self._store.bury(replica))

    async def weigh(self, replica: str, costs: Mapping[Group, float]) -> None:
        def act() -> None:
            for group, cost in costs.items():
                if self._store.leases[group].owner == replica:
                    self._store.leases[group].cost = cost

        await self._wire.carry(act)

    async def owners(self) -> dict[Group, Owner]:
        def act() -> dict[Group, Owner]:
            return {
                group: Owner(lease.owner, self._store.replicas[lease.owner][0])
                for group, lease in self._store.leases.items()
                if lease.owner in self._store.replicas
            }

        return await self._wire.carry(act)


def sharing(
    store: Store,
    wire: Wire,
    fleet: Any,  # noqa: ANN401 - stands for fleet and files
    name: str,
    kind: type[Replica] = Replica,
) -> tuple[Replica, Share]:
    """Return a replica of that kind which asks the store by `wire`, and what shares for it with `fleet`."""
    telemetry = Telemetry(OWN_FAMILIES)
    replica = kind(
        cast("Any", SimpleNamespace(owner="", prepare=lambda: wire.carry(lambda: None), begin=lambda _: None)),
        cast("Any", ModelTable(store, wire)),
        health=StoreHealth(telemetry, store.clock),
        name=name,
        lease_s=store.lease_s,
        clock=store.clock,
    )
    liveness = Liveness((), None)
    return replica, Share(replica, fleet, fleet, telemetry=telemetry, liveness=liveness, clock=store.clock)
