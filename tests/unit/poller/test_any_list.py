"""Whatever a list says from one reading to the next, and whenever the process starts anew."""

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from spexporter.board import LatestViews
from spexporter.domain import counting
from spexporter.domain.counting import SeriesKey
from spexporter.domain.hub import ListedJob
from spexporter.domain.job import ENDED_STATES, JobKey, JobState, Observation, Operation
from spexporter.domain.ports import Terms
from spexporter.domain.schedule import Target, TargetKind
from spexporter.ledger.memory import MemoryLedger
from spexporter.poller import Care, TenantPolling
from spexporter.sailpoint.vitals import Vitals
from tests.support.clock import START_WALL_S, FakeClock
from tests.unit.poller.test_poller import GROUP, HeldBy, Lost, Scripted, no_result

IDS = ("a", "b", "c", "d")
STATES = (JobState.NOT_STARTED, JobState.IN_PROGRESS, JobState.UNKNOWN, *ENDED_STATES)
BACKUPS = Target("acme", TargetKind.LIST, operation=Operation.BACKUP)
RETENTION_S = 3600.0
MAX_JOBS = 2


class Step(NamedTuple):
    """What the list has, by id, after `pause_s` seconds; before it is read the process may start anew."""

    has: dict[str, JobState]
    pause_s: float
    restart: bool
    serves: bool


STEPS = st.lists(
    st.builds(
        Step,
        st.dictionaries(st.sampled_from(IDS), st.sampled_from(STATES), max_size=4),
        st.sampled_from([1.0, 60.0, RETENTION_S + 1.0]),
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


async def no_status(key: JobKey) -> Observation:
    raise AssertionError(key)  # the list alone tells


class Life:
    """A tenant with one list, the exporter that reads it, and what must be counted in the end."""

    def __init__(self) -> None:
        self.clock, self.board, self.ledger = FakeClock(), LatestViews(), MemoryLedger(math.inf)
        self.listed: tuple[ListedJob, ...] = ()
        self.ended: dict[str, JobState] = {}
        self.in_first: Counter[JobState] = Counter()
        self.shown: list[Counter[JobState]] = []
        self.readings = 0

    async def start(self) -> None:
        """Begin, or begin anew, from what the ledger knows."""
        client = Scripted(Vitals("http://x", "v1", self.clock), no_status, no_result, on_list=self.read)
        self.polling = TenantPolling(
            *("acme", GROUP, client, Care(discover=(Operation.BACKUP,), max_jobs=MAX_JOBS)),
            ledger=self.ledger,
            board=self.board,
            lease=HeldBy(),
            clock=self.clock,
            exchanges=Lost(),
        )
        states = await self.ledger.restore([Terms("acme", retention_s=RETENTION_S)])
        await self.polling.restore(states["acme"])

    async def read(self) -> tuple[ListedJob, ...]:
        return self.listed

    async def step(self, step: Step) -> None:
        if step.restart:
            await self.start()
        self.clock.jump_to(self.clock.monotonic() + step.pause_s)
        # What has ended never changes again.
        now = {job_id: self.ended.get(job_id, state) for job_id, state in step.has.items()}
        self.listed = tuple(self._entry(job_id, state) for job_id, state in now.items())
        await self.polling.look(BACKUPS)
        self.readings += 1
        for job_id, state in now.items():
            if state.ended and job_id not in self.ended:
                self.ended[job_id] = state
                self.in_first[state] += self.readings == 1
        if self.polling.needs_care():
            await self.polling.tend()
        self.polling.show()
        if step.serves:
            self.serve()

    def serve(self) -> None:
        (view,) = self.board.begin_page()
        self.shown.append(Counter({state: int(self._cell(view.state.totals, state)) for state in ENDED_STATES}))
        self.board.served({view.tenant: view.version}, 0.0)

    def _cell(self, totals: object, state: JobState) -> float:
        assert isinstance(totals, dict)
        cell = totals.get(SeriesKey(counting.JOBS_FINISHED, ("backup", state)))
        return cell.published if cell else 0.0

    def _entry(self, job_id: str, state: JobState) -> ListedJob:
        ended_s = self.clock.wall() if state.ended else None
        key = JobKey("acme", Operation.BACKUP, job_id)
        return ListedJob(Observation(key, state, state, self.clock.wall(), START_WALL_S - 60.0, completed_s=ended_s))

    def unfinished(self) -> int:
        return sum(job.end_seen_s is None and not job.left for job in self.polling.jobs.values())


async def lived(steps: Sequence[Step]) -> Life:
    life = Life()
    await life.start()
    for step in steps:
        await life.step(step)
        assert life.unfinished() <= MAX_JOBS
    life.polling.show()
    life.serve()
    await life.polling.tend()
    life.polling.show()
    life.serve()
    return life


def reading(*unfinished: str, pause_s: float = 1.0) -> Step:
    """Return a step with a list of jobs that have not ended."""
    return Step(dict.fromkeys(unfinished, JobState.NOT_STARTED), pause_s, restart=False, serves=False)


# A job that was not found for so long that it has left comes back, beside others or where there is no room for it.
LEFT = [reading("a"), reading(), reading(), reading(), reading(pause_s=RETENTION_S + 1.0)]


@example([*LEFT, reading("a", "b", "c")])
@example([*LEFT, reading("b", "c"), reading("a", "b", "c")])
@given(STEPS)
def test_each_end_is_counted_once_and_pages_never_step_back(steps: Sequence[Step]) -> None:
    """Through restarts, lists that come short, jobs that come back and jobs that have left the pages."""
    life = asyncio.run(lived(steps))
    assert life.shown[-1] == Counter(life.ended.values())
    for before, after in zip(life.shown, life.shown[1:], strict=False):
        assert all(after[state] >= before[state] for state in ENDED_STATES)


@given(STEPS)
def test_the_first_reading_is_never_an_increase(steps: Sequence[Step]) -> None:
    """What had ended before it is in the very first value that a page shows of a counter."""
    life = asyncio.run(lived([steps[0]._replace(serves=True), *steps[1:]]))
    assert all(life.shown[0][state] >= life.in_first[state] for state in ENDED_STATES)
