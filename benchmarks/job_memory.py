"""Weighs running jobs, as the daemon holds them, by part: `python benchmarks/job_memory.py`.

Each part is built by the product's own code and weighed by what it adds, once as Python counts what it allocates
(tracemalloc) and once as the system counts the process's memory, in a process of its own each. All data is synthetic.
"""

# ruff: noqa: INP001, T201 - a script that prints what it found
import argparse
import asyncio
import gc
import json
import math
import os
import time
import tracemalloc
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

from spexporter.board import LatestViews
from spexporter.clock import SystemClock
from spexporter.domain.chronicle import Chronicle
from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.domain.patience import Patience
from spexporter.domain.ports import Change, Group, Terms
from spexporter.domain.schedule import Pace, Schedule, Target, TargetKind
from spexporter.ledger.lease import SoleOwner
from spexporter.ledger.memory import MemoryLedger
from spexporter.poller.care import Care
from spexporter.poller.publishing import Publisher
from spexporter.sailpoint.vitals import Vitals
from spexporter.sailpoint.wire import decode_status
from spexporter.watch.watchlist import Watchlist

TENANTS, NAMED, LEDGER, SEEN, QUEUED, BEHIND = (
    "tenants without jobs",
    "names, and the list of what is watched",
    "in the ledger and on the board, not seen yet",
    "what the tenant says of it",
    "in the due queue",
    "until the next page: what the last page showed, where every job was seen anew",
)
GROUP = Group("synthetic")
GC_ROUNDS = 5


class Fleet:
    """Tenants with running jobs, wired as the daemon wires them, without HTTP."""

    def __init__(self, tenants: int, jobs: int) -> None:
        self._rng = Random(1)  # noqa: S311 - repeatable, not a secret
        self._clock = SystemClock()
        self._board = LatestViews()
        self._ledger = MemoryLedger(math.inf)
        self._watchlist = Watchlist()
        self._schedule = Schedule()
        self._chronicle = Chronicle()
        self._publishers: dict[str, Publisher] = {}
        self._tenants = [f"tenant-{number:05}" for number in range(tenants)]
        self._jobs = jobs

    async def parts(self) -> AsyncIterator[str]:
        """Build one part after another and yield its name, first that of what there is without any job."""
        await self._begin()
        self._page()
        for publisher in self._publishers.values():
            await publisher.apply(Change())
            publisher.show()
        self._page()
        yield TENANTS
        added = {tenant: self._name(tenant) for tenant in self._tenants}
        yield NAMED
        for tenant in self._tenants:
            await self._publishers[tenant].apply(Change(added=added.pop(tenant)))
            self._publishers[tenant].show()
        self._page()
        yield LEDGER
        await self._look()
        self._page()
        yield SEEN
        self._queue()
        yield QUEUED
        await self._look()
        yield BEHIND

    async def _begin(self) -> None:
        for tenant in self._tenants:
            vitals = Vitals(f"https://{tenant}.api.identitynow.com", "v1", self._clock)
            publisher = self._publishers[tenant] = Publisher(
                tenant,
                GROUP,
                Care(),
                vitals=vitals,
                patience=Patience(Pace(), self._rng),
                ledger=self._ledger,
                board=self._board,
                lease=SoleOwner(),
                clock=self._clock,
                chronicle=self._chronicle,
            )
            states = await self._ledger.restore([Terms(tenant)])
            publisher.restore(states[tenant])
            await publisher.apply(Change(operations=frozenset({Operation.EXPORT, Operation.IMPORT})))
            publisher.show()

    def _name(self, tenant: str) -> tuple[WatchedJob, ...]:
        operations = (Operation.EXPORT, Operation.IMPORT)
        keys = [JobKey(tenant, operations[number % 2], self._id()) for number in range(self._jobs)]
        return self._watchlist.replace(Source.CONFIG, tenant, [WatchedJob(key) for key in keys]).added

    def _id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    async def _look(self) -> None:
        """See every job once, in turns as the tenants' queues would, with an answer as the API specification has it."""
        for publisher in self._publishers.values():
            for key, job in publisher.jobs.items():
                created_s = job.latest.created_s if job.latest else None
                body = self._answer(key, created_s or self._clock.wall() - self._rng.random() * 600)
                seen = decode_status(body, key, observed_s=self._clock.wall(), unknown=print)
                await publisher.apply(Change(observations=(seen,)))
            publisher.show()

    def _answer(self, key: JobKey, created_s: float) -> bytes:
        now_s = self._clock.wall()
        times = {"created": created_s, "modified": now_s, "expiration": created_s + 7 * 86_400}
        told = {name: datetime.fromtimestamp(at_s, UTC).isoformat() for name, at_s in times.items()}
        told |= {"jobId": key.job_id, "status": "IN_PROGRESS", "type": key.operation.upper()}
        return json.dumps(told).encode()

    def _queue(self) -> None:
        now_s = self._clock.monotonic()
        for publisher in self._publishers.values():
            for key, job in publisher.jobs.items():
                target = Target(key.tenant, TargetKind.STATUS, key)
                self._schedule.look_again(target, [publisher.outlook(job)], now_s)

    def _page(self) -> None:
        versions = {view.tenant: view.version for view in self._board.begin_page()}
        self._board.served(versions, self._clock.wall())


def resident_bytes() -> int:
    """Return how much memory this process has now, as the system counts it."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Collection(NamedTuple):
    """What a full collection of garbage is: how long it takes, in seconds, and how many objects it looks at."""

    took_s: float
    objects: int


def weighed(tenants: int, jobs: int, *, traced: bool) -> tuple[dict[str, int], dict[str, Collection]]:
    """Return the bytes that each part adds, and what a full collection then is."""
    if traced:
        tracemalloc.start()

    def weigh() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0] if traced else resident_bytes()

    async def build() -> tuple[dict[str, int], dict[str, Collection]]:
        before, found, collections = weigh(), {}, {}
        fleet = Fleet(tenants, jobs)
        async for part in fleet.parts():
            now = weigh()
            found[part], before = now - before, now
            took_s = median(collection_s() for _ in range(GC_ROUNDS))
            collections[part] = Collection(took_s, len(gc.get_objects()))
        return found, collections

    return asyncio.run(build())


def collection_s() -> float:
    """Return how long one full collection takes, in seconds."""
    began_s = time.perf_counter()
    gc.collect()
    return time.perf_counter() - began_s


def main() -> None:
    """Weigh and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=100, help="of each tenant")
    wanted = parser.parse_args()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        traced, _ = processes.submit(weighed, wanted.tenants, wanted.jobs, traced=True).result()
        resident, collections = processes.submit(weighed, wanted.tenants, wanted.jobs, traced=False).result()
    count = wanted.tenants * wanted.jobs
    print(f"{count:,} running jobs of {wanted.tenants:,} tenants, bytes for each job\n")
    print("| part | as Python counts | as the system counts |\n|---|---|---|")
    at_rest = (NAMED, LEDGER, SEEN, QUEUED)
    for part in at_rest:
        print(f"| {part} | {traced[part] / count:.0f} | {resident[part] / count:.0f} |")
    totals = [sum(found[part] for part in at_rest) / count for found in (traced, resident)]
    print(f"| **a job** | **{totals[0]:.0f}** | **{totals[1]:.0f}** |")
    print(f"| {BEHIND} | {traced[BEHIND] / count:.0f} more | {resident[BEHIND] / count:.0f} more |")
    without = [found[TENANTS] / wanted.tenants for found in (traced, resident)]
    print(f"\nA tenant without jobs: {without[0]:,.0f} and {without[1]:,.0f} bytes.")
    without_jobs, with_jobs = collections[TENANTS], collections[QUEUED]
    print(
        f"A full gc.collect() looks at {(with_jobs.objects - without_jobs.objects) / count:.2f} objects for each job;"
    )
    print(f"it takes {without_jobs.took_s * 1000:.0f} ms without jobs and {with_jobs.took_s * 1000:.0f} with them.")


if __name__ == "__main__":
    main()
