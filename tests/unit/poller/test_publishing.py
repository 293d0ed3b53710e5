"""What pages show of counters while the ledger is being written."""

import asyncio
import math

import pytest

from spexporter.board import LatestViews
from spexporter.domain import counting
from spexporter.domain.counting import SeriesKey
from spexporter.domain.job import JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.ports import Change, Terms
from spexporter.domain.schedule import Target, TargetKind
from spexporter.domain.values import replace
from spexporter.domain.view import TenantState
from spexporter.ledger.memory import MemoryLedger
from spexporter.poller import Care, TenantPolling
from spexporter.sailpoint.vitals import Vitals
from tests.support.clock import START_WALL_S, FakeClock, settle
from tests.unit.poller.test_poller import GROUP, HeldBy, Lost, Scripted, no_result

KEY = JobKey("acme", Operation.EXPORT, "synthetic")
OTHER = JobKey("acme", Operation.EXPORT, "synthetic-2")
FINISHED = SeriesKey(counting.JOBS_FINISHED, ("export", "COMPLETE"))


class SlowLedger(MemoryLedger):
    """Writes observations only when it is let."""

    def __init__(self) -> None:
        super().__init__(math.inf)
        self.may_write = asyncio.Event()

    async def apply(self, tenant: str, change: Change, *, fence: int) -> TenantState:
        if change.observations:
            await self.may_write.wait()
        return await super().apply(tenant, change, fence=fence)


class Pages:
    """Serves pages and remembers what each showed of a counter, None where it did not show it."""

    def __init__(self, board: LatestViews) -> None:
        self._board = board
        self.shown: list[float | None] = []

    def serve(self) -> None:
        (view,) = self._board.begin_page()
        cell = view.state.totals.get(FINISHED)
        self.shown.append(cell.published if cell else None)
        self._board.served({view.tenant: view.version}, 0.0)


async def begun(board: LatestViews, ledger: SlowLedger, key: JobKey, ended_ago_s: float = 0.0) -> TenantPolling:
    """Begin to look after a tenant of one job, which has ended."""
    clock, ended_s = FakeClock(), START_WALL_S - ended_ago_s

    async def ended(key: JobKey) -> Observation:
        return Observation(key, JobState.COMPLETE, "COMPLETE", START_WALL_S, ended_s - 1, completed_s=ended_s)

    client = Scripted(Vitals("http://x", "v1", clock), ended, no_result)
    polling = TenantPolling(
        "acme", GROUP, client, Care(), ledger=ledger, board=board, lease=HeldBy(), clock=clock, exchanges=Lost()
    )
    states = await ledger.restore([replace(Terms("acme"), count_new_within_s=3600.0)])
    await polling.restore(states["acme"])
    await polling.watch((WatchedJob(key),), ())
    return polling


@pytest.mark.parametrize(
    ("ended_ago_s", "expected"),
    [pytest.param(0.0, [None, 0.0, 1.0], id="new"), pytest.param(7200.0, [None, 1.0, 1.0], id="late")],
)
async def test_page_in_the_middle_of_a_first_write_shows_no_counter_that_may_change(
    ended_ago_s: float, expected: list[float | None]
) -> None:
    """It would be the baseline: what is new must rise after it, and what is late must not."""
    board, ledger = LatestViews(), SlowLedger()
    polling = await begun(board, ledger, KEY, ended_ago_s)
    pages = Pages(board)
    look = asyncio.create_task(polling.look(Target("acme", TargetKind.STATUS, KEY)))
    await settle()
    pages.serve()
    await polling.tend()
    ledger.may_write.set()
    await look
    polling.show()
    pages.serve()
    await polling.tend()
    pages.serve()
    assert pages.shown == expected


async def test_page_that_began_before_its_tenant_left_and_came_back_shows_no_baseline() -> None:
    """It ends when the tenant is here anew, and is of counters as they stood before: others may have counted since."""
    board, ledger = LatestViews(), SlowLedger()
    ledger.may_write.set()
    polling, pages = await begun(board, ledger, KEY), Pages(board)
    await polling.look(Target("acme", TargetKind.STATUS, KEY))
    for _ in range(3):
        polling.show()
        pages.serve()
        await polling.tend()
    polling.show()
    under_way = {view.tenant: view.version for view in board.begin_page()}
    board.drop("acme")

    polling = await begun(board, ledger, OTHER)
    polling.show()
    board.served(under_way, 0.0)
    await polling.look(Target("acme", TargetKind.STATUS, OTHER))
    await polling.tend()
    polling.show()
    pages.serve()
    await polling.tend()
    polling.show()
    pages.serve()
    assert pages.shown[-3:] == [1.0, 1.0, 2.0]
