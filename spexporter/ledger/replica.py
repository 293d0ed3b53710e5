"""This process as one of several replicas: which groups are its own, and until when."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec
import structlog

from spexporter.clock import Clock
from spexporter.domain.ports import NOTHING, Group, Inheritance, OrderBook, Owner, Queued
from spexporter.ledger.health import StoreHealth
from spexporter.ledger.leases import Claimed, Free, Lapsed, LeaseTable, Seen
from spexporter.ledger.postgres import PostgresDatabase

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_THEIR_CLOCK = 1.001  # the server's may run faster than ours
# A lease that is in order is never older than a third and the answer's time; from here on it may not be renewed any
# more, and its owner uses half of its rate limits, so that the next one knows that half of the places are free.
_WHOLE_LIMIT = 0.5
_MARGIN_S = 0.1  # a request that was let through in the moment before
_queued = msgspec.json.Decoder(tuple[Queued, ...])


@dataclass(slots=True)
class _Tenure:
    """A group that is ours: by which fence, and what its last owner left us."""

    fence: int
    inheritance: Inheritance


class Replica:
    """Satisfies `spexporter.domain.ports.Leases` for one of several processes.

    The leases of all its groups last equally long: `lease_s` seconds by the server's clock since they were renewed at
    last, and by our own a bit less since we began to ask for that. What has ended has ended: this process then comes
    back as another replica, and the store refuses what the former one still wants to write.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        table: LeaseTable,
        *,
        health: StoreHealth,
        orders: OrderBook | None = None,
        name: str,
        lease_s: float,
        clock: Clock,
    ) -> None:
        self.name = name
        self.health = health
        self.orders = orders
        self.lease_s = lease_s
        self._database = database
        self._table = table
        self._clock = clock
        self._id = ""
        self._tenures: dict[Group, _Tenure] = {}
        self._left: dict[Group, tuple[Queued, ...]] = {}
        self.ends_s = 0.0
        self.renewed_s = 0.0

    def alive(self) -> bool:
        """Whether our leases last."""
        return self._clock.monotonic() < self.ends_s

    @property
    def id(self) -> str:
        """What the store knows us by; another one after each lapse."""
        return self._id

    @property
    def groups(self) -> frozenset[Group]:
        """The groups that are ours as long as we are `alive`."""
        return frozenset(self._tenures)

    def ends_soon(self) -> bool:
        """Whether our leases are so old that only half of each rate limit is to be used."""
        return self._clock.monotonic() >= self.renewed_s + self.lease_s * _WHOLE_LIMIT

    def held(self, group: Group) -> int | None:
        """See `Lease.held`."""
        tenure = self._tenures.get(group)
        return tenure.fence if tenure and self.alive() else None

    def inherit(self, group: Group) -> Inheritance:
        """See `Leases.inherit`."""
        tenure = self._tenures.get(group)
        if tenure is None:
            return NOTHING
        left, tenure.inheritance = tenure.inheritance, NOTHING
        return left

    def bequeath(self, group: Group, queued: Collection[Queued]) -> None:
        """See `Leases.bequeath`."""
        self._left[group] = tuple(queued)

    def lapse(self) -> None:
        """Take note that nothing is ours any more."""
        self.ends_s = 0.0
        self._tenures.clear()
        self._left.clear()

    async def join(self) -> None:
        """Be a replica from now on, under a new id, with nothing that is ours.

        Raises:
            StoreError: the store cannot be opened now.
        """
        self.lapse()
        await self._database.prepare()
        former, self._id = self._id, secrets.token_hex(8)
        sent_s = self._clock.monotonic()
        await self._table.join(self._id, self.name, former=former)
        self._database.owner = self._id
        self._renewed(sent_s)
        log.info("replica_joined", replica=self.name, lease_s=self.lease_s)

    async def beat(self) -> None:
        """Renew our leases, unless they have ended.

        Raises:
            StoreError: the store did not answer; they last as long as before.
        """
        asked, sent_s = self._id, self._clock.monotonic()
        try:
            await self._table.beat(asked)
        except Lapsed:
            if self._id == asked:
                self.lapse()
            return
        if self._id == asked and self.alive():  # an answer that comes later brings nothing back: looks have ended
            self._renewed(sent_s)

    def _renewed(self, sent_s: float) -> None:
        self.renewed_s = sent_s
        self.ends_s = sent_s + self.lease_s / _THEIR_CLOCK

    async def name_groups(self, groups: Collection[Group]) -> None:
        """Let there be leases of `groups`."""
        await self._table.name(groups)

    async def look(self) -> Seen:
        """Return what there is to do for anybody."""
        return await self._table.look()

    async def free(self, groups: Collection[Group]) -> Mapping[Group, Free]:
        """Return those of `groups` that are nobody's, with their costs."""
        return await self._table.free(groups)

    async def loads(self) -> Mapping[str, float]:
        """Return what it costs what each living replica looks after, by its id."""
        return await self._table.loads()

    async def weigh(self, costs: Mapping[Group, float]) -> None:
        """Say what our groups cost."""
        await self._table.weigh(self._id, costs)

    async def owners(self) -> Mapping[Group, Owner]:
        """Return the replica that looks after each group."""
        return await self._table.owners()

    async def take(self, groups: Collection[Group]) -> None:
        """Make those of `groups` ours that are nobody's.

        Raises:
            StoreError: the store did not answer; what it may have given us is ours only after a lapse.
        """
        sent_s = self._clock.monotonic()
        try:
            claimed = await self._table.claim(self._id, groups)
        except Lapsed:
            self.lapse()
            return
        if not self.alive():  # meanwhile
            return
        self._renewed(sent_s)
        answered_s = self._clock.monotonic()
        self._database.begin(claimed)
        for group, claim in claimed.items():
            # The server has reckoned before its answer came: nobody has asked since then at the latest.
            self._tenures[group] = _Tenure(claim.fence, self._inheritance(claim, answered_s - claim.free_for_s))

    def _inheritance(self, claim: Claimed, since_s: float) -> Inheritance:
        """Say what the last owner has left; only one whose lease ran out has halved its rate limit before."""
        if claim.schedule is None:
            return Inheritance(since_s, since_s - self.lease_s * (1 - _WHOLE_LIMIT) + _MARGIN_S)
        try:
            return Inheritance(since_s, queued=_queued.decode(claim.schedule))
        except msgspec.DecodeError:  # of another version: then all is asked at first
            return Inheritance(since_s)

    async def reconcile(self) -> bool:
        """Hold what we believe against the store, and tell whether something was not ours.

        An answer can get lost: then the store has given us what we do not know of, or still counts as ours what we have
        let go. That is let go, or nobody would ever watch it.
        """
        stored = await self._table.held(self._id)
        lost = [group for group, tenure in self._tenures.items() if stored.get(group) != tenure.fence]
        for group in lost:
            del self._tenures[group]
        if unknown := stored.keys() - self._tenures.keys():
            log.info("groups_let_go", groups=len(unknown))
            await self._table.hand_over(self._id, {group: self._will(group) for group in unknown})
        return bool(lost)

    async def hand_over(self, groups: Collection[Group]) -> None:
        """Let go of `groups`, of which everything is stored, with the looks that were `bequeathed`."""
        for group in groups:
            tenure = self._tenures.pop(group, None)
            if tenure and tenure.inheritance.queued:  # never begun: the looks of the owner before
                self._left.setdefault(group, self._still_queued(tenure.inheritance))
        await self._table.hand_over(self._id, {group: self._will(group) for group in groups})

    def _still_queued(self, inheritance: Inheritance) -> tuple[Queued, ...]:
        passed_s = self._clock.monotonic() - (inheritance.since_s or 0.0)
        return tuple(queued._replace(due_in_s=queued.due_in_s - passed_s) for queued in inheritance.queued)

    async def leave(self) -> None:
        """Let go of everything, and be no replica any more."""
        if self.alive():
            groups = self.groups
            self.ends_s = 0.0
            await self.hand_over(groups)
            await self._table.leave(self._id)
            log.info("replica_left", replica=self.name, groups=len(groups))

    def _will(self, group: Group) -> str:
        return msgspec.json.encode(self._left.pop(group, ())).decode()
