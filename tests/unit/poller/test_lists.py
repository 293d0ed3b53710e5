"""What readings of a tenant's lists do on a bad day, against a scripted client."""

import asyncio
import math
from collections.abc import Iterable

import pytest
from structlog.testing import capture_logs

from spexporter.board import LatestViews
from spexporter.domain import counting
from spexporter.domain.counting import SeriesKey
from spexporter.domain.errors import StoreError
from spexporter.domain.hub import ListedJob
from spexporter.domain.job import HubFacts, JobKey, JobState, Observation, Operation
from spexporter.domain.ports import Change, Terms
from spexporter.domain.schedule import Target, TargetKind
from spexporter.domain.values import replace
from spexporter.domain.view import TenantState
from spexporter.ledger.memory import MemoryLedger
from spexporter.poller import Care, TenantPolling
from spexporter.sailpoint.vitals import Vitals
from tests.support.clock import FakeClock, settle
from tests.unit.poller.test_poller import GROUP, HeldBy, Lost, Scripted, no_result, running

COMPLETE, FAILED, RUNS = JobState.COMPLETE, JobState.FAILED, JobState.IN_PROGRESS


class Shaky(MemoryLedger):
    """Cannot tell of new jobs whether they were counted before while it is `broken`, and is slow where a test says so.

    A change waits for `gate` before it is applied, as for a disk.
    """

    def __init__(self) -> None:
        super().__init__(math.inf)
        self.broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def apply(self, tenant: str, change: Change, *, fence: int) -> TenantState:
        await self.gate.wait()
        if self.broken and change.added:
            raise StoreError("the disk is full", cure="make room")
        return await super().apply(tenant, change, fence=fence)


class Rig:
    """One tenant with lists that the test writes."""

    def __init__(self, max_jobs: int = 1000) -> None:
        self.clock, self.ledger = FakeClock(), Shaky()
        self.has: tuple[ListedJob, ...] = ()
        client = Scripted(Vitals("http://x", "v1", self.clock), running, no_result, on_list=self._listed)
        self.polling = TenantPolling(
            *("acme", GROUP, client, Care(discover=tuple(Operation)[2:], max_jobs=max_jobs)),
            ledger=self.ledger,
            board=LatestViews(),
            lease=HeldBy(),
            clock=self.clock,
            exchanges=Lost(),
        )

    async def _listed(self) -> tuple[ListedJob, ...]:
        return self.has

    async def start(self) -> "Rig":
        await self.polling.restore((await self.ledger.restore([Terms("acme")]))["acme"])
        return self

    async def read(self, has: Iterable[ListedJob], operation: Operation = Operation.BACKUP) -> None:
        """Let a list have these, and read it."""
        self.has = tuple(has)
        await self.polling.look(Target("acme", TargetKind.LIST, operation=operation))

    def entry(self, job_id: str, state: JobState, operation: Operation = Operation.BACKUP) -> ListedJob:
        """Return what a list says of a job that tells no end; synthetic."""
        now_s = self.clock.wall()
        return ListedJob(Observation(JobKey("acme", operation, job_id), state, state, now_s, now_s - 60.0))

    def counted(self, state: JobState) -> tuple[float, float]:
        """Return how many backups have ended so, and how many of them no page will show as an increase."""
        cell = self.ledger._books["acme"].state().totals[SeriesKey(counting.JOBS_FINISHED, ("backup", state))]  # noqa: SLF001
        return cell.value, cell.late

    def state(self, job_id: str, operation: Operation = Operation.BACKUP) -> JobState | None:
        job = self.polling.jobs.get(JobKey("acme", operation, job_id))
        return job.state if job else None


def untold(entry: ListedJob) -> ListedJob:
    """Return an entry whose status could not be read."""
    return replace(entry, observation=replace(entry.observation, state=JobState.UNKNOWN, raw_state=""))


async def test_a_job_whose_status_cannot_be_read_is_still_on_its_list() -> None:
    """It keeps the state that was seen, however often; a new one is watched as soon as it tells a state."""
    rig = await Rig().start()
    await rig.read([rig.entry("a", RUNS)])
    for _ in range(5):
        await rig.read([untold(rig.entry("a", RUNS)), untold(rig.entry("b", RUNS))])
    assert (rig.state("a"), rig.state("b")) == (RUNS, None)
    await rig.read([rig.entry("a", FAILED), rig.entry("b", COMPLETE)])
    assert (rig.state("a"), rig.state("b")) == (FAILED, COMPLETE)


async def test_a_first_reading_that_could_not_be_stored_is_still_to_come() -> None:
    """What had ended before it is no increase when the store is back."""
    rig = await Rig().start()
    rig.ledger.broken = True
    old = [rig.entry(str(number), FAILED) for number in range(300)]
    await rig.read(old)
    rig.ledger.broken = False
    # A page has shown the counter at 0.
    await rig.ledger.apply("acme", Change(operations=frozenset({Operation.BACKUP})), fence=0)
    await rig.read(old)
    assert rig.counted(FAILED) == (300, 300)


async def test_a_first_reading_is_one_line_in_the_log() -> None:
    """So is any other that brings many jobs; what happens to a few is told of each."""
    rig = await Rig().start()
    with capture_logs() as lines:
        await rig.read([rig.entry(str(number), FAILED if number % 3 else RUNS) for number in range(300)])
    assert [(line["event"], line["jobs"], line["states"]) for line in lines] == [
        ("jobs_listed", 300, "FAILED 200, IN_PROGRESS 100")
    ]
    with capture_logs() as lines:
        await rig.read([rig.entry(str(number), FAILED if number else RUNS) for number in range(9)])
        await rig.read([rig.entry(str(number), FAILED) for number in range(9)])
    assert [(line["event"], line["state"]) for line in lines] == [("job_state_seen", "FAILED")] * 3


async def test_that_jobs_are_left_out_is_said_once() -> None:
    """However often their number changes, and whatever the other lists have; and once that there is room again."""
    rig = await Rig(max_jobs=1).start()
    with capture_logs() as lines:
        for number in range(4):
            await rig.read([rig.entry(str(it), RUNS) for it in range(3 + number)])
            await rig.read([], Operation.DRAFT)
        await rig.read([rig.entry("0", COMPLETE)])
    said = [(line["log_level"], line["operation"], line["jobs"]) for line in lines if line["event"] == "jobs_left_out"]
    assert said == [("warning", "backup", 2), ("info", "backup", 0)]


async def test_what_is_seen_while_the_store_fails_is_logged() -> None:
    """A job that fails then is news as at any other time, and so is one that cannot be found."""
    rig = await Rig().start()
    await rig.read([rig.entry("a", RUNS), rig.entry("lost", RUNS)])
    rig.ledger.broken = True
    with capture_logs() as lines:
        for _ in range(3):
            await rig.read([rig.entry("a", FAILED), rig.entry("b", RUNS)])
    assert [(line["event"], line["state"]) for line in lines] == [
        ("job_state_seen", "FAILED"),
        ("job_state_seen", "NOT_FOUND"),
    ]


async def test_lists_that_are_read_at_once_share_the_room() -> None:
    """While the store takes its time for one of them, another list takes no more than is left."""
    rig = await Rig(max_jobs=3).start()
    rig.ledger.gate.clear()
    looks = []
    for operation in (Operation.DRAFT, Operation.DEPLOY):
        has = [rig.entry(f"{operation}{number}", RUNS, operation) for number in range(3)]
        looks.append(asyncio.create_task(rig.read(has, operation), name=f"read {operation}"))
        await settle()
    rig.ledger.gate.set()
    await asyncio.gather(*looks)
    assert len(rig.polling.jobs) == 3


async def test_that_nobody_can_say_whose_backups_these_are_is_said_once() -> None:
    """Without the tenant's own name no backup is ever a success: the log says why, and what helps."""
    rig = await Rig().start()
    whose = replace(rig.entry("a", COMPLETE), facts=HubFacts(of_other_tenant=None))
    with capture_logs() as lines:
        for _ in range(3):
            await rig.read([whose])
    warnings = [line for line in lines if line["event"] == "own_name_unknown"]
    assert [(line["log_level"], "base_url" in line["cure"]) for line in warnings] == [("warning", True)]


@pytest.mark.parametrize("restarts", [False, True])
async def test_jobs_of_a_list_that_is_read_no_more_leave_though_they_came_late(*, restarts: bool) -> None:
    """A reading may end between the moment when the ledger was asked and the one when polling begins anew."""
    rig = await Rig().start()
    known = (await rig.ledger.restore([Terms("acme")]))["acme"]
    await rig.read([rig.entry("a", RUNS)])
    anew = TenantPolling(
        *("acme", GROUP, Scripted(Vitals("http://x", "v1", rig.clock), running, no_result), Care()),
        ledger=rig.ledger,
        board=LatestViews(),
        lease=HeldBy(),
        clock=rig.clock,
        exchanges=Lost(),
    )
    await anew.restore((await rig.ledger.restore([Terms("acme")]))["acme"] if restarts else known)
    assert anew.jobs == {}
