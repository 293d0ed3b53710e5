"""This replica's share of the groups: takes what is nobody's, lets go of what is too much, and of what has ended."""

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import structlog

from spexporter.clock import Clock
from spexporter.domain.errors import StoreError
from spexporter.domain.liveness import Liveness
from spexporter.domain.ports import Group, Owner
from spexporter.domain.sharing import dealt, surplus
from spexporter.files import Files
from spexporter.fleet import Fleet
from spexporter.orders import carry_out
from spexporter.telemetry import Telemetry

if TYPE_CHECKING:
    from spexporter.ledger.replica import Replica  # its driver is an extra

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_RENEWAL, _SHARING = "renewal of leases", "sharing"
_LOOK_EVERY_S = 0.5
_GROUPS_AT_A_TIME = 100  # so that the first ones need not wait until the last ones are read
_UNREADABLE_S = 15.0  # until a group is tried again of which something cannot be read
_STRANGE_LEASES = 60  # for so long what others leave to us is no surplus: they do not know it, and it would come back
_SOMEBODY = "it is not known yet which"
_SAID_AGAIN = 0.1  # costs are told when they have changed by this part


class Share:
    """Keeps this replica's leases while it runs, and the fleet as they say.

    Three tasks, so that none waits for another's business: one renews, one sees to it that nothing is asked after the
    end, and one takes and lets go.
    """

    def __init__(
        self, replica: "Replica", fleet: Fleet, files: Files, *, telemetry: Telemetry, liveness: Liveness, clock: Clock
    ) -> None:
        self._replica = replica
        self._fleet = fleet
        self._files = files
        self._telemetry = telemetry
        self._liveness = liveness
        self._clock = clock
        self._wake = asyncio.Event()
        self._named: frozenset[Group] = frozenset()
        self._told: dict[Group, float] = {}
        self._balance_at_s = 0.0
        self._ended = False
        self._behind = False
        self._at_a_time = _GROUPS_AT_A_TIME
        self._unreadable: dict[Group, float] = {}  # until when (monotonic seconds)
        self._left_to_us: dict[Group, float] = {}
        self._joined_s = 0.0
        self._free: Collection[Group] = ()
        self._owners: Mapping[Group, Owner] = {}

    async def run(self) -> None:
        """Share until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew(), name="lease renewal")
            tasks.create_task(self._end_in_time(), name="lease end")
            tasks.create_task(self._share(), name="sharing")

    async def _renew(self) -> None:
        """Renew at a third of the lease; where that fails, soon again, until the end."""
        while True:
            due_s = self._replica.renewed_s + self._replica.lease_s / 3
            retry_s = self._clock.monotonic() + self._replica.lease_s / 30
            await self._clock.sleep_until(max(due_s, retry_s))
            if not self._replica.alive():
                continue
            try:
                await self._replica.beat()
                self._replica.health.works(_RENEWAL)
            except StoreError as error:
                self._replica.health.failed(_RENEWAL, "write", error)
            if not self._replica.alive():
                self._wake.set()

    async def _end_in_time(self) -> None:
        """End all requests under way as our leases end, whatever the store and the fleet are waiting for."""
        while True:
            await self._clock.sleep_until(max(self._replica.ends_s, self._clock.monotonic() + _LOOK_EVERY_S))
            if not self._replica.alive() and self._fleet.tenants and not self._ended:
                self._ended = True
                self._fleet.halt()
                log.error(
                    "lease_ended",
                    tenants=len(self._fleet.tenants),
                    cure="none needed if replica_joined follows; another replica may watch the tenants now",
                )
                self._wake.set()

    async def _share(self) -> None:
        while True:
            more = False
            try:
                more = await self._round()
                self._replica.health.works(_SHARING)
            except StoreError as error:
                self._replica.health.failed(_SHARING, "read", error)
            if not more:
                await self._clock.wait(self._wake, self._clock.monotonic() + _LOOK_EVERY_S)
            self._wake.clear()

    async def _round(self) -> bool:
        """Do what is to be done now, and tell whether there is more.

        Raises:
            StoreError: the store does not answer.
        """
        replica = self._replica
        if not replica.alive():
            await self._begin_anew()
        configured = frozenset(self._fleet.groups.values())
        if not configured <= self._named:
            await replica.name_groups(configured - self._named)
            self._named = configured
        if self._behind:
            await self._catch_up()
        seen = await replica.look()
        self._free = seen.free
        more = await self._take(seen.free & configured)
        if seen.orders and replica.orders:
            await carry_out(replica.orders, self._fleet)
        self._liveness.opened(self._fleet.tenants, self._clock.monotonic())
        if not more and self._clock.monotonic() >= self._balance_at_s:
            await self._balance(configured)
        return more

    async def _begin_anew(self) -> None:
        self._replica.lapse()
        await self._regroup()
        await self._replica.join()
        self._joined_s = self._clock.monotonic()
        self._left_to_us.clear()
        self._ended = False
        self._named = frozenset()
        self._told.clear()

    async def _regroup(self, leaving: Collection[Group] = ()) -> None:
        """Let the fleet be as our leases say; where the store fails meanwhile, the next round does it."""
        self._behind = True
        await self._files.regroup(leaving)
        self._behind = False

    async def _catch_up(self) -> None:
        """Do what the last round could not; what cannot be read now is let go of, so that others are watched.

        Raises:
            StoreError: the store does not answer, or something of a group cannot be read.
        """
        try:
            await self._regroup()
        except StoreError:
            await self._replica.reconcile()
            if self._fleet.store_fails():  # what could not be stored stays with us
                raise
            if unread := self._replica.groups - self._fleet.costs().keys():
                await self._replica.hand_over(unread)
                if len(unread) == 1:
                    self._unreadable |= dict.fromkeys(unread, self._clock.monotonic() + _UNREADABLE_S)
                self._at_a_time = max(1, len(unread) // 2)
            raise

    async def _take(self, free: Collection[Group]) -> bool:
        """Take our part of the groups that are nobody's."""
        now_s = self._clock.monotonic()
        self._unreadable = {group: until_s for group, until_s in self._unreadable.items() if until_s > now_s}
        # What we believe to be ours and is not must first be dropped, see `reconcile`: its fence is another one now.
        free = set(free) - self._unreadable.keys() - self._replica.groups
        if not free:
            return False
        found = await self._replica.free(free)
        loads = await self._replica.loads()
        mine = dealt(loads, {group: each.cost for group, each in found.items()}, self._replica.id)
        # What nobody takes, because its configuration does not name it, or it cannot, is anybody's.
        long_here = now_s - self._joined_s > self._replica.lease_s
        left = {group for group, each in found.items() if each.long and group not in mine} if long_here else set()
        some = [*mine, *left][: self._at_a_time]
        if not some:
            return False
        await self._replica.take(some)
        await self._regroup()
        self._at_a_time = min(2 * self._at_a_time, _GROUPS_AT_A_TIME)
        strange_s = now_s + _STRANGE_LEASES * self._replica.lease_s
        self._left_to_us |= dict.fromkeys(left & self._replica.groups, strange_s)
        return len(mine) > len(some)

    async def _balance(self, configured: Collection[Group]) -> None:
        """Let go of what is more than our part, or not configured any more; then others must have time to take it."""
        self._balance_at_s = self._clock.monotonic() + self._replica.lease_s / 3
        if await self._replica.reconcile():
            await self._regroup()
        costs = self._costs()
        await self._tell(costs)
        loads = await self._replica.loads()
        self._telemetry.replicas(len(loads))
        self._owners = await self._replica.owners()
        strange = [group for group in costs if group not in configured]
        now_s = self._clock.monotonic()
        self._left_to_us = {group: until_s for group, until_s in self._left_to_us.items() if until_s > now_s}
        let_go = [*strange, *surplus(loads, costs, self._replica.id, stay=self._left_to_us)]
        if self._fleet.store_fails():
            return
        for first in range(0, len(let_go), _GROUPS_AT_A_TIME):
            some = let_go[first : first + _GROUPS_AT_A_TIME]
            await self._regroup(some)
            if self._fleet.store_fails():  # what could not be stored stays with us
                self._behind = True
                return
            await self._replica.hand_over(some)
            log.info("groups_handed_over", groups=len(some))

    def others(self) -> Mapping[str, str]:
        """Return which other replica watches each tenant that is configured, as was seen at last; empty where none."""
        return {tenant: self._other(group) for tenant, group in self._fleet.groups.items()}

    def _other(self, group: Group) -> str:
        if group in self._free:
            return ""
        owner = self._owners.get(group)
        if owner is None or owner.id == self._replica.id:  # as it was before the last move
            return _SOMEBODY if self._replica.alive() else ""
        return owner.name

    def _costs(self) -> Mapping[Group, float]:
        running = self._fleet.costs()
        return {group: running.get(group, 1.0) for group in self._replica.groups}

    async def _tell(self, costs: Mapping[Group, float]) -> None:
        new = {group: cost for group, cost in costs.items() if self._differs(group, cost)}
        if new:
            await self._replica.weigh(new)
            self._told |= new

    def _differs(self, group: Group, cost: float) -> bool:
        told = self._told.get(group)
        return told is None or abs(cost - told) > _SAID_AGAIN * told
