"""A look at a job that goes on running costs the same, however many others its tenant has."""

import math
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from statistics import median
from types import FrameType

from spexporter.board import LatestViews
from spexporter.domain.job import JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.ports import Terms
from spexporter.domain.schedule import Target, TargetKind
from spexporter.ledger.memory import MemoryLedger
from spexporter.poller import Care, TenantPolling
from spexporter.sailpoint.vitals import Vitals
from tests.support.clock import START_WALL_S, FakeClock
from tests.unit.poller.test_poller import GROUP, HeldBy, Lost, Scripted, no_result

FEW, MANY, LOOKS = 10, 2000, 60


class Tenant:
    """One tenant with so many jobs, all of which have been seen running, and are on a page."""

    def __init__(self, jobs: int) -> None:
        self._clock, self._board, self._ledger = FakeClock(), LatestViews(), MemoryLedger(math.inf)
        vitals = Vitals("http://x", "v1", self._clock)
        self._modified_s = count(START_WALL_S)
        self.keys = [JobKey("acme", Operation.EXPORT, f"job-{number}") for number in range(jobs)]
        self._polling = TenantPolling(
            "acme",
            GROUP,
            Scripted(vitals, self._runs, no_result),
            Care(),
            ledger=self._ledger,
            board=self._board,
            lease=HeldBy(),
            clock=self._clock,
            exchanges=Lost(),
        )

    async def _runs(self, key: JobKey) -> Observation:
        now_s = self._clock.wall()
        return Observation(key, JobState.IN_PROGRESS, "IN_PROGRESS", now_s, now_s - 60, next(self._modified_s))

    async def begin(self) -> None:
        states = await self._ledger.restore([Terms("acme")])
        await self._polling.restore(states["acme"])
        await self._polling.watch(tuple(map(WatchedJob, self.keys)), ())
        for key in self.keys:
            await self.look(key)
        self._board.served({view.tenant: view.version for view in self._board.begin_page()}, 0.0)
        await self._polling.tend()

    async def look(self, key: JobKey) -> None:
        await self._polling.look(Target("acme", TargetKind.STATUS, key))
        self._polling.show()


async def test_a_look_calls_no_more_where_there_are_more_jobs() -> None:
    """Nothing is done for each job, or for each counter."""
    few, many = [await _calls(jobs) for jobs in (FEW, MANY)]
    assert abs(many - few) <= 5, (few, many)


async def test_a_look_copies_no_more_where_there_are_more_jobs() -> None:
    """A copy of a dictionary of all jobs is no call: it is seen by what it takes."""
    few, many = [await _bytes(jobs) for jobs in (FEW, MANY)]
    assert many - few < 16 * MANY, (few, many)  # bytes; a dictionary takes about a hundred for each job


async def _calls(jobs: int) -> float:
    """Return how many functions one look calls, in the middle of many looks."""
    tenant, counts = Tenant(jobs), []
    await tenant.begin()
    for number in range(LOOKS):
        with _counted() as called:
            await tenant.look(tenant.keys[number % jobs])
        counts.append(called())
    return median(counts)


@contextmanager
def _counted() -> Iterator[Callable[[], int]]:
    calls = 0

    def heard(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(heard)
    try:
        yield lambda: calls
    finally:
        sys.setprofile(before)


async def _bytes(jobs: int) -> float:
    """Return how much memory one look takes on the way, in the middle of many looks."""
    tenant, peaks = Tenant(jobs), []
    await tenant.begin()
    tracemalloc.start()
    try:
        for number in range(LOOKS):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            await tenant.look(tenant.keys[number % jobs])
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return median(peaks)
