"""A month in minutes: the exporter's own parts, from poller to page, on a clock that jumps, with a tenant in-process.

The long form, with its figures for every tenth day: `python -m tests.support.month`.
"""

import argparse
import asyncio
import math
import os
import time
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families as parse_text

from spexporter.board import LatestViews
from spexporter.domain.errors import TenantNotFound
from spexporter.domain.hub import ListedJob
from spexporter.domain.job import JobKey, JobState, Observation, Operation, Source, WatchedJob
from spexporter.domain.liveness import Liveness
from spexporter.domain.ports import Group, Terms
from spexporter.domain.result import ImportResult, TypeCounts
from spexporter.domain.tenanttime import Moment
from spexporter.exposition.guard import Guard
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.exposition.page import BlockPage, Wanted
from spexporter.ledger.lease import SoleOwner
from spexporter.ledger.sql import SqlLedger, opened
from spexporter.logs import LogFormat, LogLevel, set_up_logs
from spexporter.poller import Care, Poller, TenantPolling
from spexporter.sailpoint.endpoints import LIST_ENDPOINT, STATUS_ENDPOINT, Endpoint
from spexporter.sailpoint.vitals import Vitals
from spexporter.telemetry import GroupPulse, Telemetry
from spexporter.watch.watchlist import Watchlist
from tests.support.clock import FakeClock, settle
from tests.support.world import Labels, Scrape

TENANT, GROUP = "acme", Group("acme")
TYPES = tuple(f"SYNTHETIC_TYPE_{number:02}" for number in range(12))
HOLD_S = 120.0
PREVIEWS, LOST_RESULTS, UNSUCCESSFUL = 0.1, 0.02, 0.15
SHORTEST_S, USUAL_S, LONGEST_S = 1.0, 15.0, 300.0
PINNED_EACH = 20  # one job of so many stays in the list until long after it has left the page
TOLERANCE_S = 0.001
SOON_S = 15.0
STEP_S = 5.0  # as often as the poller and the ledger wake with nothing to do
LAST_RESULTS_S = 3600.0  # the longest job, and all tries for a result that never comes


@dataclass(frozen=True, slots=True)
class Month:
    """What happens in it; a day may be shorter than a real one.

    A job is in the list for `listed_days` after its start, every twentieth one for `pinned_days`.
    """

    jobs_a_day: int = 2000
    days: int = 30
    day_s: float = 86400.0
    wave_s: float = 3600.0
    page_s: float = 3600.0
    listed_days: float = 1.0
    pinned_days: float = 8.0
    retention_days: float = 3.0
    remember_days: float = 5.0
    seed: int = 1


class SyntheticJob(NamedTuple):
    """One job as the tenant knows it from its first moment on; `types` is None where its result is lost."""

    key: JobKey
    created_s: float
    ended_s: float
    final: JobState
    preview: bool
    types: Mapping[str, TypeCounts] | None


class CoarseClock(FakeClock):
    """Moves in steps: what is due within one of them happens together, and differences of times are exact."""

    def jump_to(self, at_s: float) -> None:
        super().jump_to(math.ceil(at_s / STEP_S) * STEP_S)


def synthetic_jobs(seed: int) -> Iterator[SyntheticJob]:
    """Yield jobs without end; they begin at 0, and `later` says when."""
    dice = Random(seed)  # noqa: S311 - no secret
    number = 0
    while True:
        number += 1
        operation = dice.choice((Operation.EXPORT, Operation.IMPORT))
        took_s = min(LONGEST_S, SHORTEST_S + dice.expovariate(1 / USUAL_S))
        failed = dice.choice((JobState.FAILED, JobState.CANCELLED))
        final = failed if dice.random() < UNSUCCESSFUL else JobState.COMPLETE
        types = {
            object_type: TypeCounts(dice.randrange(4), dice.randrange(4), dice.randrange(4), dice.randrange(50))
            for object_type in dice.sample(TYPES, dice.randint(1, 3))
        }
        lost = dice.random() < LOST_RESULTS
        key = JobKey(TENANT, operation, f"synthetic-{number:06}")
        yield SyntheticJob(key, 0.0, took_s, final, dice.random() < PREVIEWS, None if lost else types)


def later(job: SyntheticJob, by_s: float) -> SyntheticJob:
    """Return the same job, begun `by_s` later, in whole milliseconds as the API tells them."""
    return job._replace(created_s=round(job.created_s + by_s, 3), ended_s=round(job.ended_s + by_s, 3))


class Truth:
    """What the counters must say of all jobs, reckoned from what the tenant did, without any of our rules' code."""

    def __init__(self) -> None:
        self.jobs = 0
        self._totals: defaultdict[tuple[str, Labels], float] = defaultdict(float)
        self._runs_s: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self._successes: dict[str, float] = {}

    def add(self, job: SyntheticJob) -> None:
        self.jobs += 1
        operation = job.key.operation.value
        self._count("spconfig_jobs_finished_total", 1, operation=operation, state=job.final.value)
        if job.final is JobState.COMPLETE:
            self._runs_s[operation].append(job.ended_s - job.created_s)
            self._count("spconfig_job_run_seconds_count", 1, operation=operation)
        if operation == "import":
            self._add_result(job)
        elif job.final is JobState.COMPLETE:
            self._succeeded(job)

    def _add_result(self, job: SyntheticJob) -> None:
        if job.types is None or job.preview:
            self._count("spconfig_import_results_total", 1, outcome="missing" if job.types is None else "preview")
            return
        self._count("spconfig_import_results_total", 1, outcome="counted")
        for object_type, counts in job.types.items():
            self._count("spconfig_import_errors_total", counts.errors, object_type=object_type)
            self._count("spconfig_import_warnings_total", counts.warnings, object_type=object_type)
            self._count("spconfig_imported_objects_total", counts.objects, object_type=object_type)
        if job.final is JobState.COMPLETE and not any(counts.errors for counts in job.types.values()):
            self._succeeded(job)

    def _succeeded(self, job: SyntheticJob) -> None:
        operation = job.key.operation.value
        self._successes[operation] = max(job.ended_s, self._successes.get(operation, 0.0))

    def _count(self, name: str, by: float, **labels: str) -> None:
        self._totals[name, frozenset({"tenant": TENANT, **labels}.items())] += by

    def differences(self, page: Scrape) -> list[str]:
        """Return every way in which the counters of `page` differ from this, in words."""
        names = {name for name, _ in self._totals}
        shown = {(name, labels): value for name in names for labels, value in page.all(name).items() if value}
        expected = {key: value for key, value in self._totals.items() if value}
        keys = sorted(shown.keys() | expected.keys(), key=str)
        wrong = [key for key in keys if shown.get(key, 0.0) != expected.get(key, 0.0)]
        return [
            *(f"{key}: {shown.get(key)} instead of {expected.get(key)}" for key in wrong),
            *self._wrong_times(page),
        ]

    def _wrong_times(self, page: Scrape) -> Iterator[str]:
        for operation, runs_s in self._runs_s.items():
            total_s = page.value("spconfig_job_run_seconds_sum", operation=operation) or 0.0
            if abs(total_s - math.fsum(runs_s)) > TOLERANCE_S:
                yield f"{operation} ran {total_s} s instead of {math.fsum(runs_s)} s"
            for labels, below in page.all("spconfig_job_run_seconds_bucket", operation=operation).items():
                bound_s = float(dict(labels)["le"])
                # Times are differences of Unix seconds, so they are good to a microsecond only.
                if below != (expected := sum(round(run_s, 6) <= bound_s for run_s in runs_s)):
                    yield f"{operation} up to {bound_s} s: {below} instead of {expected}"
        for operation, ended_s in self._successes.items():
            found_s = page.value("spconfig_last_success_timestamp_seconds", operation=operation) or 0.0
            if abs(found_s - ended_s) > TOLERANCE_S:
                yield f"last success of {operation}: {found_s} instead of {ended_s}"


class SyntheticTenant:
    """Satisfies `Asks` in-process: knows the jobs in the list, and answers at once."""

    def __init__(self, clock: FakeClock, telemetry: Telemetry) -> None:
        self.vitals = Vitals("http://127.0.0.1:1", "v1", clock)
        self.jobs: dict[JobKey, SyntheticJob] = {}
        self.asked: Counter[Endpoint] = Counter()
        self._clock = clock
        self._telemetry = telemetry

    def opens_s(self, looks: int) -> float:
        assert looks >= 0
        return -math.inf

    def secret_changed(self) -> bool:
        return False

    async def object_types(self) -> frozenset[str]:
        self._answered(Endpoint.CONFIG_OBJECTS)
        return frozenset(TYPES)

    async def status(self, key: JobKey) -> Observation:
        self._answered(STATUS_ENDPOINT[key.operation])
        job, now_s = self.jobs[key], self._clock.wall()
        state = job.final if now_s >= job.ended_s else JobState.IN_PROGRESS
        ended_s = job.ended_s if state.ended else None
        return Observation(
            key,
            state,
            raw_state=state.value,
            observed_s=now_s,
            created_s=job.created_s,
            modified_s=ended_s or now_s,
            completed_s=ended_s,
            expires_s=job.created_s + 7 * 86400.0,
            description="synthetic",
        )

    async def result(self, key: JobKey) -> ImportResult:
        job = self.jobs[key]
        self._answered(Endpoint.IMPORT_RESULT, "404" if job.types is None else "200")
        if job.types is None:
            raise TenantNotFound("synthetic", endpoint=Endpoint.IMPORT_RESULT)
        return ImportResult(job.types, preview=job.preview)

    async def listed(self, operation: Operation) -> tuple[ListedJob, ...]:
        self._answered(LIST_ENDPOINT[operation])
        return ()

    async def credential_expires(self) -> float | None:
        self._answered(Endpoint.PERSONAL_ACCESS_TOKENS)
        return None

    def _answered(self, endpoint: Endpoint, code: str = "200") -> None:
        self.asked[endpoint] += 1
        self._telemetry.ended(TENANT, endpoint, code, 0.1, deprecated=False)
        now_s = self._clock.monotonic()
        self.vitals.dated(math.floor(self._clock.wall()), sent_s=now_s, received_s=now_s)
        self.vitals.answered(endpoint)


class Figures(NamedTuple):
    """What the exporter needs at the end of a day, in bytes but for the first two; `jobs` are those on the page."""

    day: int
    jobs: int
    file: int
    page: int
    resident: int

    def __str__(self) -> str:
        sizes = (f"{name} {size / 1e6:.2f} MB" for name, size in zip(self._fields[2:], self[2:], strict=True))
        return f"day {self.day}: {self.jobs} jobs on the page, {', '.join(sizes)}"


class Life:
    """The exporter, but for its web server, with its tenant and the list of jobs that somebody keeps for it."""

    def __init__(self, month: Month, path: Path, ledger: SqlLedger, clock: FakeClock, telemetry: Telemetry) -> None:
        self.truth = Truth()
        self.tenant = SyntheticTenant(clock, telemetry)
        self.board = LatestViews(self._served)
        self._month, self._path, self._ledger, self._clock = month, path, ledger, clock
        lease = SoleOwner()
        self.polling = TenantPolling(
            TENANT,
            GROUP,
            self.tenant,
            Care(hold_s=HOLD_S),
            ledger=ledger,
            board=self.board,
            lease=lease,
            clock=clock,
            exchanges=telemetry,
        )
        pulse = GroupPulse(GROUP, telemetry, Liveness([TENANT], clock.monotonic()), clock)
        self.poller = Poller(GROUP, lease=lease, clock=clock, pulse=pulse)
        guard = Guard(limit=1_000_000)
        self._renderer = BlockPage(telemetry.registry, telemetry.meters, guard=guard, watch=telemetry)
        self._watchlist = Watchlist()
        self._coming = synthetic_jobs(month.seed)
        self._listed: deque[SyntheticJob] = deque()
        self._pinned: deque[SyntheticJob] = deque()
        self._published: dict[tuple[str, tuple[str, ...]], float] = {}

    async def day(self, number: int) -> Figures:
        """Live through one day and return what the exporter needs at its end."""
        month = self._month
        waves, waves_to_a_page = round(month.day_s / month.wave_s), round(month.page_s / month.wave_s)
        for wave in range(waves):
            due = month.jobs_a_day * (wave + 1) // waves - month.jobs_a_day * wave // waves
            await self._hand_over(due)
            await self.advance(SOON_S)  # so that the page shows jobs that run
            if wave % waves_to_a_page == 0:
                await self.scrape()
            await self.advance(month.wave_s - SOON_S)
        page = await self.scrape()
        await self.settle()
        (view,) = self.board.snapshot()
        return Figures(number, len(view.state.jobs), self._path.stat().st_size, len(page), _resident())

    async def scrape(self) -> bytes:
        """Render a page as Prometheus would get it; no counter on it may be lower than on the one before."""
        now = Moment(self._clock.wall(), self._clock.monotonic())
        rendered = await self._renderer.render(self.board.snapshot, now, Wanted())
        page, views = b"".join(rendered.parts), rendered.views
        for key, cell in views[0].state.totals.items():
            assert cell.published >= self._published.get(key, 0.0), f"{key} fell"
            self._published[key] = cell.published
        self.board.served({view.tenant: view.version for view in views}, self._clock.wall())
        return page

    def _served(self) -> None:
        self.poller.wake()

    async def advance(self, by_s: float) -> None:
        """Move time on, from one sleeper to the next, and let each do its work."""
        end_s = self._clock.monotonic() + by_s
        await self.settle()
        while (wake_s := self._clock.next_wake()) is not None and wake_s <= end_s:
            self._clock.jump_to(wake_s)
            await self.settle()
        self._clock.jump_to(end_s)
        await self.settle()

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        await settle()
        while self._ledger.busy:
            await asyncio.sleep(0.0001)  # the disk works in a thread
            await settle()

    async def _hand_over(self, count: int) -> None:
        """Start `count` jobs and name them in the list, as pipelines do, without those that are old by now."""
        now_s, day_s = self._clock.wall(), self._month.day_s
        for number in range(count):
            job = later(next(self._coming), now_s - number / count)
            self.tenant.jobs[job.key] = job
            self.truth.add(job)
            pinned = self.truth.jobs % PINNED_EACH == 0
            (self._pinned if pinned else self._listed).append(job)
        self._take_out(self._listed, now_s - self._month.listed_days * day_s)
        self._take_out(self._pinned, now_s - self._month.pinned_days * day_s)
        named = [WatchedJob(key, name=f"synthetic {key.job_id}") for key in self.tenant.jobs]
        delta = self._watchlist.replace(Source.CONFIG, TENANT, named)
        await self.poller.watch(TENANT, delta.added, delta.removed)

    def _take_out(self, jobs: deque[SyntheticJob], begun_before_s: float) -> None:
        while jobs and jobs[0].created_s < begun_before_s:
            del self.tenant.jobs[jobs.popleft().key]


class Lived(NamedTuple):
    """What came of a month: `jobs` ended in it, `wrong` is where the last page differs from what they did."""

    jobs: int
    looks: int
    figures: Sequence[Figures]
    wrong: Sequence[str]


async def lived(month: Month, path: Path, tell: Callable[[Figures], object] = lambda _: None) -> Lived:
    """Live through a month with the ledger in the file `path`, and tell of the end of each day."""
    clock, telemetry = CoarseClock(), Telemetry(OWN_FAMILIES)
    set_up_logs(LogLevel.ERROR, LogFormat.LOGFMT, telemetry.count_log_line)
    remember_s = month.remember_days * month.day_s
    terms = Terms(TENANT, retention_s=month.retention_days * month.day_s)
    figures = []
    async with opened(path, remember_s=remember_s, clock=clock, watch=telemetry) as ledger:
        life = Life(month, path, ledger, clock, telemetry)
        await life.poller.add(TENANT, life.polling, (await ledger.restore([terms]))[TENANT])
        polling = asyncio.create_task(life.poller.run())
        for number in range(1, month.days + 1):
            figures.append(await life.day(number))
            tell(figures[-1])
        await life.advance(LAST_RESULTS_S)
        page = read(await life.scrape())
        polling.cancel()
    return Lived(life.truth.jobs, life.tenant.asked.total(), figures, [*life.truth.differences(page), *_errors(page)])


def read(page: bytes) -> Scrape:
    """Parse a page."""
    return Scrape(page.decode(), list(parse_text(page.decode())))


def _errors(page: Scrape) -> Iterator[str]:
    """Tell of errors in the log and of the store: there must be none."""
    for name, labels in (
        ("spexporter_log_messages_total", {"level": "error"}),
        ("spexporter_store_errors_total", {"op": "read"}),
        ("spexporter_store_errors_total", {"op": "write"}),
    ):
        if found := page.value(name, **labels):
            yield f"{name}{labels}: {found}"


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Live through a month and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=2000, help="a day")
    parser.add_argument("--hours", type=float, default=24.0, help="how long a day is; less is a month at a higher rate")
    options = parser.parse_args()
    began_s = time.monotonic()

    def tell(figures: Figures) -> None:
        print(f"{figures} ({time.monotonic() - began_s:.0f} s)", flush=True)  # noqa: T201 - what it is for

    with TemporaryDirectory() as folder:
        month = Month(days=options.days, jobs_a_day=options.jobs, day_s=3600.0 * options.hours)
        found = asyncio.run(lived(month, Path(folder) / "ledger.db", tell))
    print(f"{found.jobs} jobs, {found.looks} looks, {time.monotonic() - began_s:.0f} s; wrong: {found.wrong}")  # noqa: T201


if __name__ == "__main__":
    main()
