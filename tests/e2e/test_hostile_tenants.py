"""Five tenants at their worst beside ten good ones, in real time: the good ones are watched as if they were alone."""

import asyncio
import math
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from spexporter.clock import SystemClock
from spexporter.domain.values import replace
from spexporter.simulator import Simulator, TenantPlan, default_plans, serving
from spexporter.simulator.faults import ENDLESS, ERROR, HANG, HANG_UP, TRICKLE, Fault
from tests.support.eventually import eventually
from tests.support.program import LOOPBACK, answer, spexporter
from tests.support.world import Scrape, config_text

MIB = 1024 * 1024
LASTS_S = 30.0
PACE_S = 1.0
STARTS_WITHIN_S = 15.0
DEFAULTS = "  poll: {fastest: 1s, slowest: 1s}\n  timeout: 5s"
GOOD_JOBS, BAD_JOBS = 5, 20
ALL_PLANS = [replace(plan, jobs_at_start=0, starts_per_minute=0.0) for plan in default_plans(15)]
GOOD, BAD = ALL_PLANS[:10], ALL_PLANS[10:]
FAULTS = (Fault(ERROR, status=502, html=True), Fault(HANG), Fault(TRICKLE), Fault(HANG_UP), Fault(ENDLESS))

# What is read of a page; to parse all of it would hold up the simulator, which lives in this process.
NEEDED = re.compile(
    r'^(?:spconfig_tenant_up\{|process_resident_memory_bytes |spconfig_job_state\{.*"IN_PROGRESS").*\n', re.MULTILINE
)
Bytes = bytes | bytearray | memoryview

MOST_LATER_S = 0.25
MOST_GROWTH = 60 * MIB
# max_answer is 1 MiB; what the kernel's buffers on both sides take in before the connection is closed comes on top.
MOST_SENT = 16 * MIB


class TimedSimulator(Simulator):
    """Notes when each job was asked for, and how many bytes of each endless answer were written."""

    def __init__(self, plans: Iterable[TenantPlan]) -> None:
        super().__init__(plans, clock=SystemClock())
        self.asked_s: defaultdict[str, list[float]] = defaultdict(list)
        self.endless: list[int] = []

    def app(self) -> web.Application:
        app = super().app()

        @web.middleware
        async def note(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            self.asked_s[request.path].append(time.monotonic())
            return await handler(request)

        async def begun(_: web.Request, response: web.StreamResponse) -> None:
            if response.chunked:  # only an endless answer is
                response.write = self._counting(response.write)  # type: ignore[assignment,method-assign]

        app.middlewares.append(note)
        app.on_response_prepare.append(begun)
        return app

    def _counting(self, write: Callable[[Bytes], Awaitable[None]]) -> Callable[[Bytes], Coroutine[None, None, None]]:
        place = len(self.endless)
        self.endless.append(0)

        async def counted(data: Bytes) -> None:
            await write(data)
            self.endless[place] += len(data)

        return counted

    def lateness_s(self, plans: Iterable[TenantPlan], from_s: float, until_s: float) -> list[float]:
        """Return how late each look at their jobs was, seconds, ascending; one that is overdue at the end counts."""
        ids = tuple(f"/{job.id}" for plan in plans for job in self.jobs(plan.name))
        late_s: list[float] = []
        for path, times_s in self.asked_s.items():
            if path.endswith(ids):
                within_s = [at_s for at_s in times_s if from_s <= at_s <= until_s] or [from_s]
                late_s += [later_s - at_s - PACE_S for at_s, later_s in pairwise(within_s)]
                late_s += [open_s] if (open_s := until_s - within_s[-1] - PACE_S) > 0 else []
        return sorted(late_s)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run showed: lateness in seconds, resident memory of the exporter in bytes, how far endless bodies got.

    `ups` are the bad tenants' `spconfig_tenant_up` after a while, in the order of `FAULTS`.
    """

    late_s: Sequence[float]
    before: float
    during: float
    after: float
    endless: Sequence[int]
    ups: Sequence[float | None]

    @property
    def p99_s(self) -> float:
        return self.late_s[math.ceil(0.99 * len(self.late_s)) - 1]

    def __str__(self) -> str:
        return (
            f"{len(self.late_s)} looks, lateness p99 {self.p99_s * 1000:.0f} ms (most {self.late_s[-1] * 1000:.0f}), "
            f"RSS before, during and after "
            f"{self.before / MIB:.1f}, {self.during / MIB:.1f} and {self.after / MIB:.1f} MiB"
        )


async def test_bad_tenants_neither_delay_good_ones_nor_fill_the_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """HTML 502, a hang, a trickle, a closed socket and an endless body: p99 lateness and memory stay what they were."""
    alone = await measured(tmp_path, GOOD, [])
    beside = await measured(tmp_path, GOOD, BAD)
    with capsys.disabled():
        print(  # noqa: T201 - figures for the record
            f"\nalone: {alone}; beside five bad tenants: {beside}, "
            f"{len(beside.endless)} endless bodies, at most {max(beside.endless) / MIB:.1f} MiB of one written; "
            f"the bad ones' up: {beside.ups}"
        )
    assert beside.p99_s <= alone.p99_s + MOST_LATER_S
    assert beside.during - beside.before <= MOST_GROWTH
    assert beside.after - beside.before <= MOST_GROWTH
    assert MIB <= max(beside.endless) <= MOST_SENT
    assert beside.ups == [0.0] * len(FAULTS)


async def measured(folder: Path, good: Sequence[TenantPlan], bad: Sequence[TenantPlan]) -> Measured:
    """Run the daemon with all tenants well, then for a while with the bad ones bad, then until all are well again."""
    simulator = TimedSimulator([*good, *bad])
    for plan in (*good, *bad):
        for number in range(BAD_JOBS if plan in bad else GOOD_JOBS):
            operation = ("export", "import")[number % 2]
            simulator.start(plan.name, operation, queue_s=0.0, duration_s=math.inf)
    config = folder / "spexporter.yaml"
    async with serving(simulator) as tenants_url:
        config.write_text(config_text(simulator, tenants_url, extra=DEFAULTS))
        async with spexporter(
            "run", "--config.file", config, "--web.listen-address", LOOPBACK, folder=folder
        ) as daemon:
            url = await daemon.url()

            async def well() -> Scrape | None:
                page = read(await metrics(url))
                return page if all_well(page, good, GOOD_JOBS) and all_well(page, bad, BAD_JOBS) else None

            before = rss(await eventually(well, "all jobs seen", within_s=STARTS_WITHIN_S, every_s=0.5))
            for plan, fault in zip(bad, FAULTS, strict=False):
                simulator.afflict(plan.name, fault)
            from_s = time.monotonic()
            texts: list[str] = []
            while time.monotonic() < from_s + LASTS_S:
                await asyncio.sleep(1.0)  # a measurement in real time: there is nothing to wait for but its end
                texts.append(await metrics(url))
            until_s = time.monotonic()
            pages = [read(text) for text in texts]
            assert all(all_well(page, good, GOOD_JOBS) for page in pages)
            during, page = max(map(rss, pages)), pages[-1]
            ups = [page.value("spconfig_tenant_up", tenant=plan.name) for plan in bad]
            for plan in bad:
                simulator.heal(plan.name)
            after = rss(await eventually(well, "all jobs seen again", within_s=STARTS_WITHIN_S, every_s=0.5))
    return Measured(simulator.lateness_s(good, from_s, until_s), before, during, after, simulator.endless, ups)


async def metrics(url: str) -> str:
    """Return the page of metrics, as it is."""
    status, text = await answer(f"{url}/metrics")
    assert status == 200, text
    return text


def read(text: str) -> Scrape:
    """Parse what this test needs of a page."""
    needed = "".join(NEEDED.findall(text))
    return Scrape(needed, list(text_string_to_metric_families(needed)))


def all_well(page: Scrape, plans: Iterable[TenantPlan], jobs: int) -> bool:
    """Tell whether all these tenants are up and all their jobs are seen to run."""
    return all(
        page.value("spconfig_tenant_up", tenant=plan.name) == 1
        and sum(page.all("spconfig_job_state", tenant=plan.name, state="IN_PROGRESS").values()) == jobs
        for plan in plans
    )


def rss(page: Scrape) -> float:
    """Return the exporter's resident memory in bytes."""
    found = page.value("process_resident_memory_bytes")
    assert found is not None
    return found
