"""The first page for people with ever more jobs: chosen and rendered in turns, as the product does, or in one piece.

Time to the whole page, and how long everything else in the process had to wait meanwhile; in interleaved rounds.
"""

# ruff: noqa: INP001, T201 - a script that prints what it found
import argparse
import asyncio
import time
from functools import partial
from statistics import median
from typing import NamedTuple

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from spexporter.app import spare_collections
from spexporter.board import LatestViews
from spexporter.clock import Pace, SystemClock
from spexporter.domain.chronicle import Chronicle
from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.ports import BudgetUse
from spexporter.domain.result import ImportResult, Outcome, TypeCounts
from spexporter.domain.view import TenantHealth, TenantState, TenantView
from spexporter.web import joblist, pages, render
from spexporter.web.known import Known
from spexporter.web.notices import Notices
from spexporter.web.pages import Pages

TENANTS = 20
NEVER = 1_000_000_000_000
RESULT = ImportResult({"SOURCE": TypeCounts(3, 1, 0, 4), "ROLE": TypeCounts(0, 2, 0, 9)})
ADDRESSES = ("/", "/?sort=-duration", "/?text=nightly+import&state=FAILED")


class Quiet:
    """Satisfies `Prospects`."""

    def next_look_s(self, key: JobKey) -> float | None:
        """Say that a look at each job is due at once."""
        return float(len(key.job_id))

    def budget(self, tenant: str) -> BudgetUse:
        """Say that a bit of each budget is used."""
        return BudgetUse(len(tenant), 80)


class Shown(NamedTuple):
    """One page: milliseconds to the whole, its bytes, and the longest wait of anything else."""

    took_ms: float
    size: int
    wait_ms: float


def known(jobs: int) -> Known:
    """Return what an exporter with so many jobs knows, half of which have ended."""
    clock, board = SystemClock(), LatestViews()
    now_s = clock.wall()
    for number in range(TENANTS):
        tenant = f"tenant-{number:02}"
        made = [_job(tenant, index, now_s) for index in range(jobs // TENANTS)]
        state = TenantState(jobs={job.key: job for job in made})
        board.put(TenantView(tenant, 1, state, TenantHealth("https://example.com", api_version="v1", up=True)))
    return Known(board, Quiet(), Chronicle(), clock)


def _job(tenant: str, index: int, now_s: float) -> Job:
    key = JobKey(tenant, Operation.IMPORT, f"ef38f943-47e9-4562-b5bb-{index:012}")
    watched = WatchedJob(key, name=f"nightly promotion {index % 97}")
    state = (JobState.IN_PROGRESS, JobState.COMPLETE, JobState.IN_PROGRESS, JobState.FAILED)[index % 4]
    seen_s = now_s - index % 1000
    latest = Observation(
        key, state, state.value, seen_s, created_s=seen_s - 60, message="Import halted because of errors."
    )
    if not state.ended:
        return Job(watched, latest=latest)
    return Job(watched, latest=latest, ended_s=seen_s, end_seen_s=seen_s, outcome=Outcome.COUNTED, result=RESULT)


async def show(page: Pages, address: str) -> Shown:
    """Render one page, with a heart that beats as fast as it can."""
    longest_s, is_done = 0.0, False

    async def beat() -> None:
        nonlocal longest_s
        last_s = time.perf_counter()
        while not is_done:
            await asyncio.sleep(0)
            now_s = time.perf_counter()
            longest_s, last_s = max(longest_s, now_s - last_s), now_s

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(beat(), name="heart")
        await asyncio.sleep(0)
        began_s = time.perf_counter()
        answer = await page._overview(make_mocked_request("GET", address))  # noqa: SLF001 (without a socket)
        took_s = time.perf_counter() - began_s
        await asyncio.sleep(0)
        is_done = True
    assert isinstance(answer, web.Response)  # noqa: S101 (for types)
    return Shown(took_s * 1000, len(answer.text or ""), longest_s * 1000)


async def compare(jobs: int, rounds: int) -> None:
    """Print a table for one number of jobs."""
    page = Pages(known(jobs), Notices())
    spare_collections()  # as the product does
    print(f"\n{jobs} jobs of {TENANTS} tenants, median of {rounds} rounds, worst wait of all\n")
    print("| address | kB | in turns, ms | in one piece, ms | x | wait in turns, ms | in one piece, ms | x shorter |")
    print("|---|---|---|---|---|---|---|---|")
    for address in ADDRESSES:
        turns: list[Shown] = []
        whole: list[Shown] = []
        for _ in range(rounds):
            _pace(Pace)
            turns.append(await show(page, address))
            _pace(partial(Pace, NEVER))
            whole.append(await show(page, address))
        took = [median(shown.took_ms for shown in way) for way in (turns, whole)]
        waits = [max(shown.wait_ms for shown in way) for way in (turns, whole)]
        print(
            f"| `{address}` | {turns[0].size / 1000:.0f} | {took[0]:.1f} | {took[1]:.1f} | {took[0] / took[1]:.2f}"
            f" | {waits[0]:.1f} | {waits[1]:.1f} | {waits[1] / waits[0]:.1f} |"
        )


def _pace(kind: object) -> None:
    for room in (joblist, pages, render):
        room.Pace = kind  # type: ignore[attr-defined]


def main() -> None:
    """Read the command line and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    for jobs in asked.jobs:
        asyncio.run(compare(jobs, asked.rounds))


if __name__ == "__main__":
    main()
