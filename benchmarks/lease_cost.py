"""What several replicas cost their database: with 1,000 and with 10,000 tenants, each with a client id of its own.

Three replicas, with leases of 15 s, in this process; tenants are not asked, as that does not concern the database. One
job of each tenant is seen to run every 5 s, which is what a ledger writes while nothing ends. Then one replica is gone,
and the others take its groups.
"""

# ruff: noqa: INP001, T201, SLF001 - a script that prints what it found

import argparse
import asyncio
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import event

from spexporter.clock import SystemClock
from spexporter.domain.job import JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.liveness import Liveness
from spexporter.domain.ports import Change, Group, Terms
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.ledger.health import StoreHealth
from spexporter.ledger.leases import LeaseTable
from spexporter.ledger.postgres import PostgresDatabase, PostgresServer
from spexporter.ledger.replica import Replica
from spexporter.ledger.sql import SqlLedger
from spexporter.share import Share
from spexporter.telemetry import Telemetry
from tests.support.postgres import Server, serving

LEASE_S = 15.0
REPLICAS = 3
SEEN_EVERY_S = 5.0
CLOCK = SystemClock()


class Counting:
    """Counts the statements of some engines; many rows that go in one piece are one."""

    def __init__(self) -> None:
        self.statements = 0
        self.began_s = time.monotonic()

    def engine(self, engine: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
        """Count those of one more."""
        event.listen(engine.sync_engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self.statements += 1

    def again(self) -> float:
        """Return the statements of a second since the last call."""
        rate = self.statements / (time.monotonic() - self.began_s)
        self.statements, self.began_s = 0, time.monotonic()
        return rate


class Fleet:
    """Stands for fleet and files: it reads what has become ours, and drops what is not any more."""

    def __init__(self, ledger: SqlLedger, tenants: int) -> None:
        self.groups = {f"t{number}": Group(f"g{number}") for number in range(tenants)}
        self.tenants: dict[str, int] = {}
        self.replica: Replica
        self._ledger = ledger

    def store_fails(self) -> bool:
        """Whether something is in memory alone."""
        return self._ledger.failing

    def costs(self) -> dict[Group, float]:
        """Return the same for each."""
        return {self.groups[tenant]: 10.0 for tenant in self.tenants}

    def halt(self) -> None:
        """Nothing is asked."""

    async def regroup(self, leaving: Collection[Group] = ()) -> None:
        """Read what has become ours, and let go of what is not."""
        held = {tenant: self.replica.held(group) for tenant, group in self.groups.items() if group not in leaving}
        for tenant in [tenant for tenant in self.tenants if held.get(tenant) is None]:
            del self.tenants[tenant]
            await self._ledger.release(tenant)
        new = {tenant: fence for tenant, fence in held.items() if fence is not None and tenant not in self.tenants}
        if new:
            await self._ledger.restore(
                [Terms(tenant, group=self.groups[tenant], fence=fence) for tenant, fence in new.items()]
            )
            self.tenants |= new
            fences = {self.groups[tenant]: fence for tenant, fence in new.items()}
            await self._ledger.open_windows(fences, CLOCK.wall())

    async def see(self) -> None:
        """See a running job of each tenant."""
        now_s = CLOCK.wall()
        for tenant, fence in list(self.tenants.items()):
            key = JobKey(tenant, Operation.EXPORT, "e")
            seen = Observation(key, JobState.IN_PROGRESS, "IN_PROGRESS", observed_s=now_s, created_s=now_s - 60)
            change = Change(observations=(seen,), at_s=now_s, answered_s=now_s)
            await self._ledger.apply(tenant, change, fence=fence)


class Member:
    """One replica, and what it costs."""

    def __init__(self, url: str, number: int, tenants: int) -> None:
        server = PostgresServer(url, "postgresql://bench", 5.0)
        self.database, self.table = PostgresDatabase(server), LeaseTable(server, LEASE_S)
        telemetry = Telemetry(OWN_FAMILIES)
        health = StoreHealth(telemetry, CLOCK)
        self.ledger = SqlLedger(self.database, remember_s=1e9, clock=CLOCK, health=health)
        self.fleet = Fleet(self.ledger, tenants)
        name = f"r{number}"
        self.replica = Replica(self.database, self.table, health=health, name=name, lease_s=LEASE_S, clock=CLOCK)
        self.fleet.replica = self.replica
        fleet = cast("Any", self.fleet)
        self.share = Share(self.replica, fleet, fleet, telemetry=telemetry, liveness=Liveness((), None), clock=CLOCK)
        self.leases, self.writes = Counting(), Counting()
        self.leases.engine(self.table._engine)
        self.writes.engine(self.database._engine)
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Share, and keep the ledger."""
        self.tasks = [asyncio.create_task(self.share.run()), asyncio.create_task(self.ledger.keep())]

    async def gone(self) -> None:
        """Be gone, without a last word."""
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


async def measure(server: Server, tenants: int, lasts_s: float) -> None:
    """Let replicas share, measure what that costs, and take one away."""
    members = [Member(server.fresh(), 0, tenants)]
    url = members[0].database._backend
    members += [Member(cast("PostgresServer", url)._dsn, number, tenants) for number in range(1, REPLICAS)]
    began_s = time.monotonic()
    for member in members:
        await member.start()
        await asyncio.sleep(0.5)
    await shared(members, tenants)
    print(f"{tenants} tenants: shared after {time.monotonic() - began_s:.1f} s")
    for member in members:
        for tenant in member.fleet.tenants:
            job = WatchedJob(JobKey(tenant, Operation.EXPORT, "e"))
            member.ledger._books[tenant].apply(Change(added=(job,), at_s=CLOCK.wall()))
    seeing = asyncio.create_task(see_for_ever(members))
    await asyncio.sleep(2 * SEEN_EVERY_S)
    of = [counting for member in members for counting in (member.leases, member.writes)]
    for counting in of:
        counting.again()
    commits = int(server.execute("SELECT sum(xact_commit) FROM pg_stat_database"))
    cpu_s = server.cpu_s()
    await asyncio.sleep(lasts_s)
    leases = sum(member.leases.again() for member in members)
    writes = sum(member.writes.again() for member in members)
    cpu = (server.cpu_s() - cpu_s) / lasts_s
    commits = int(server.execute("SELECT sum(xact_commit) FROM pg_stat_database")) - commits
    print(
        f"  leases: {leases:.1f} statements a second of {REPLICAS} replicas; ledger: {writes:.1f} a second for"
        f" {tenants / SEEN_EVERY_S:.0f} jobs that are seen; {commits / lasts_s:.1f} transactions a second in all;"
        f" {100 * cpu:.0f} % of one processor in the server"
    )
    lost, gone_s = len(members[0].fleet.tenants), time.monotonic()
    await members[0].gone()
    await shared(members[1:], tenants)
    print(f"  a replica with {lost} tenants is gone: all are watched again after {time.monotonic() - gone_s:.1f} s")
    seeing.cancel()
    for member in members[1:]:
        await member.gone()
    for member in members:
        await member.table.close()
        await member.database.close()


async def shared(members: list[Member], tenants: int) -> None:
    """Wait until all tenants are watched, and by all replicas."""
    async with asyncio.timeout(300):
        while True:
            of = [len(member.fleet.tenants) for member in members]
            if sum(of) == tenants and min(of) > 0.8 * tenants / len(members):
                return
            await asyncio.sleep(0.1)


async def see_for_ever(members: list[Member]) -> None:
    """See the jobs of all tenants again and again."""
    while True:
        for member in members:
            await member.fleet.see()
        await asyncio.sleep(SEEN_EVERY_S)


def main() -> None:
    """Measure with each number of tenants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    with serving() as server:
        for tenants in options.tenants:
            asyncio.run(measure(server, tenants, options.seconds))


if __name__ == "__main__":
    main()
