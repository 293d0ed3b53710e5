"""A daemon that is killed again and again while simulated jobs begin and end, and somebody who scrapes it all along."""

import asyncio
import math
import multiprocessing
import os
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from spexporter.clock import SystemClock
from spexporter.domain.values import replace
from spexporter.simulator import Simulator, TenantPlan, default_plans, serving
from tests.support.crashed_child import PRELOAD, SelfKill, When, live
from tests.support.eventually import eventually
from tests.support.program import answer, free_port, spexporter
from tests.support.truth import differences
from tests.support.world import Labels, Scrape, config_text

CLIENT_ID = "shared-client"
REQUESTS, PER_S = 40, 0.5
# Longer than a fork takes to start on a busy machine: what one process has spent counts for the next.
LONG_PER_S = 4.0
DEFAULTS = """\
  rate_limit: {{requests: {requests}, per: {per_ms:.0f}ms, use: 100%}}
  poll: {{fastest: 100ms, slowest: 300ms, probe: 30s}}
  retention: 30d"""
HOLD = "200ms"
SPEED = 6.0
ENDLESS_EACH = 6  # jobs that never end: they keep the budget under pressure
SCRAPE_EVERY_S = 0.1
READY_WITHIN_S = 20.0
LONGEST_LIFE_S = 2.0  # after its first page
ENDS_WITHIN_S = 10.0
STOP_EVERY = 8  # kills
SETTLES_WITHIN_S = 90.0
# What a page says of an ended job is stored before: it stays as it is.
LASTING = ("spconfig_job_end_seen_timestamp_seconds", "spconfig_import_result_read")
FROZEN = LASTING[0]
BAD_NEWS = re.compile(r"^.*(?:level=(?:error|critical)|Traceback|_crashed|store_failed).*$", re.MULTILINE)
RANDOM, RANDOM_FORK = "program, at a random moment", "fork, at a random moment"


@dataclass
class Watcher:
    """Somebody who scrapes, and remembers the most that each counter, and what is said of ended jobs, ever showed."""

    url: str
    most: dict[str, float] = field(default_factory=dict)
    pages: int = 0
    text: str = ""
    cut: int = 0
    broken: list[str] = field(default_factory=list)
    fresh: asyncio.Event = field(default_factory=asyncio.Event)

    async def scrape_for_ever(self) -> None:
        """Get page after page, whoever serves them."""
        while True:
            try:
                status, text = await answer(f"{self.url}/metrics")
            except aiohttp.ClientPayloadError:
                self.cut += 1  # killed in the middle of a page, of which Prometheus would keep nothing
            except (aiohttp.ClientError, OSError):
                pass  # nobody is there at the moment
            else:
                if status == HTTPStatus.OK:
                    self.take(text)
                else:
                    self.broken.append(f"after page {self.pages}: status {status}")
            await asyncio.sleep(SCRAPE_EVERY_S)  # as a real scraper does

    def take(self, text: str) -> None:
        """Compare a page with all pages before it."""
        self.pages += 1
        self.text = text
        found = lasting(text)
        for series, value in found.items():
            before = self.most.get(series, value)
            if value < before or (value > before and series.startswith(FROZEN)):
                self.broken.append(f"page {self.pages}: {series} {value:.15g} after {before:.15g}")
        self.broken += [f"page {self.pages}: {series} is gone" for series in self.most.keys() - found.keys()]
        self.most.update({series: max(value, self.most.get(series, value)) for series, value in found.items()})
        self.fresh.set()


@dataclass
class JobPage(Scrape):
    """A page of so many jobs that what is said of one must not be searched for among all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.of_job: dict[tuple[str, str], dict[Labels, float]] = {}
        for name, samples in self.samples.items():
            for labels, value in samples.items():
                self.of_job.setdefault((name, dict(labels).get("job_id", "")), {})[labels] = value

    def all(self, name: str, **labels: str) -> dict[Labels, float]:
        if "job_id" not in labels:
            return super().all(name, **labels)
        wanted = frozenset(labels.items())
        found = self.of_job.get((name, labels["job_id"]), {})
        return {each: value for each, value in found.items() if wanted <= each}


def lasting(text: str) -> dict[str, float]:
    """Return every sample of every counter and histogram about tenants, and what is said of ended jobs."""
    found: dict[str, float] = {}
    lasts = False
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            counts = name.startswith("spconfig_") and kind in {"counter", "histogram"}
            lasts = counts or name in LASTING
        elif lasts and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            found[series] = float(value)
    return found


@dataclass(frozen=True, slots=True)
class Spent:
    """What was asked of the simulator."""

    requests: int
    busiest: int
    throttled: int

    def __str__(self) -> str:
        return (
            f"{self.requests} requests, at most {self.busiest} of {REQUESTS} in any window, {self.throttled} throttled"
        )


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of it all."""

    kills: Counter[str]
    stops: int
    took_s: float
    imports: int
    exports: int
    final_states: Counter[str]
    pages: int
    cut_pages: int
    series: int
    broken: Sequence[str]
    differences: Sequence[str]
    downloads: int
    repeated: int
    spent: Spent
    bad_news: Sequence[str]

    def __str__(self) -> str:
        by_kind = "; ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills in {self.took_s:.0f} s ({by_kind}), {self.stops} stops between; "
            f"{self.imports} imports and {self.exports} exports ended ({dict(self.final_states)}); "
            f"{self.downloads} downloads of results, {self.repeated} of them repeated; "
            f"{self.pages} pages and {self.cut_pages} cut off, {self.series} lasting series, "
            f"{len(self.broken)} times taken back; "
            f"{self.spent}; {len(self.differences)} differences from the truth"
        )


async def ordeal(folder: Path, *, kills: int, imports: int, seed: int, tell: Callable[[str], None]) -> Findings:
    """Kill the daemon `kills` times while `imports` imports, and a third as many exports, begin and end."""
    began_s = time.monotonic()
    async with running(folder, seed=seed, per_s=PER_S) as run, asyncio.TaskGroup() as tasks:
        scraping = tasks.create_task(run.watcher.scrape_for_ever(), name="scraper")
        for number in range(kills):
            run.start_jobs(upto=math.ceil(imports * (number + 1) / kills))
            if number % STOP_EVERY == STOP_EVERY - 1:
                await run.live_and_stop()
            await run.live_and_die()
            assert not run.bad_news, "\n".join(run.bad_news)
            if number % 10 == 9:
                tell(f"{number + 1} kills, {len(run.started)} jobs, {run.watcher.pages} pages")
        found = await run.live_and_let_settle()
        scraping.cancel()
    return run.findings(found, time.monotonic() - began_s)


async def spend_and_die(folder: Path, ends: Iterable[signal.Signals]) -> Spent:
    """Let daemon after daemon spend all that a window holds, each ended at once by the next of `ends`."""
    async with running(folder, seed=1, per_s=LONG_PER_S) as run:
        for number in ends:
            await run.live_and_spend(number)
    assert not run.bad_news, "\n".join(run.bad_news)
    return run.spent()


@asynccontextmanager
async def running(folder: Path, *, seed: int, per_s: float) -> AsyncIterator["Run"]:
    """Serve a simulator whose rate limit is `REQUESTS` in `per_s` seconds."""
    simulator = Simulator(plans(), clock=SystemClock(), seed=seed, speed=SPEED, requests=REQUESTS, per_s=per_s)
    defaults = DEFAULTS.format(requests=REQUESTS, per_ms=1000 * per_s)
    async with serving(simulator) as tenants_url:
        yield Run(folder, simulator, tenants_url, defaults, Random(seed))  # noqa: S311 (repeatable, not a secret)


def plans() -> list[TenantPlan]:
    """Return two tenants of one client, without jobs of their own."""
    shared = {"client_id": CLIENT_ID, "client_secret": "shared-secret", "jobs_at_start": 0, "starts_per_minute": 0.0}
    return [replace(plan, **shared) for plan in default_plans(2)]


@dataclass(frozen=True, slots=True)
class Fork:
    """A daemon that was forked; `ended` is done when it has ended."""

    process: ForkServerProcess
    ended: "asyncio.Task[None]"


class Run:
    """One ordeal under way: the simulator, the store, and whoever is killed next."""

    def __init__(self, folder: Path, simulator: Simulator, tenants_url: str, defaults: str, rng: Random) -> None:
        self.started: list[str] = []
        self.kills: Counter[str] = Counter()
        self.stops = 0
        self.bad_news: list[str] = []
        self._folder = folder
        self._simulator = simulator
        self._tenants_url = tenants_url
        self._defaults = defaults
        self._rng = rng
        self._listen = f"127.0.0.1:{free_port()}"
        self.watcher = Watcher(f"http://{self._listen}")
        self._config = folder / "spexporter.yaml"
        self._fork_log = folder / "fork.log"
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload([*PRELOAD])
        self._imports = 0
        for plan in simulator.plans:
            for number in range(ENDLESS_EACH):
                operation = ("export", "import")[number % 2]
                simulator.start(plan.name, operation, queue_s=0.0, duration_s=math.inf)

    def start_jobs(self, *, upto: int) -> None:
        """Start imports until there are `upto`, with an export beside every third."""
        while self._imports < upto:
            self._imports += 1
            self._start("import", preview=self._rng.random() < 0.15)
            if self._imports % 3 == 0:
                self._start("export")

    def _start(self, operation: str, *, preview: bool = False) -> None:
        plan = self._rng.choice(self._simulator.plans)
        job = self._simulator.start(plan.name, operation, preview=preview, final_state=None)
        self.started.append(job.id)

    def _write_config(self) -> None:
        """Name every job that was started so far, as pipelines do today."""
        text = config_text(self._simulator, self._tenants_url, extra=self._defaults)
        ours = {"url": f"sqlite:///{self._folder / 'crashed.db'}", "hold": HOLD}
        for key, value in ours.items():
            text, found = re.subn(rf"^  {key}: .*$", f"  {key}: {value}", text, flags=re.MULTILINE)
            assert found == 1, f"{key} is there {found} times"
        self._config.write_text(text)

    async def live_and_die(self) -> None:
        """Run a daemon in one of several ways until it is killed."""
        self._write_config()
        self.watcher.fresh.clear()
        dice = self._rng.random()
        if (number := self.kills.total()) < len(When):  # the file itself is only just being made
            await self._fork(SelfKill(list(When)[number], 1, changes_only=False), LONGEST_LIFE_S)
        elif dice < 0.2:
            await self._program()
        elif dice < 0.4:
            await self._fork(None, self._rng.uniform(0, LONGEST_LIFE_S))
        else:
            await self._fork(self._self_kill(), LONGEST_LIFE_S)

    def _self_kill(self) -> SelfKill:
        changes_only = self._rng.random() < 0.75
        return SelfKill(
            when=self._rng.choice(list(When)),
            commit=self._rng.randint(1, 10),
            changes_only=changes_only,
            delay_s=self._rng.uniform(0, 0.003),
        )

    async def _program(self) -> None:
        arguments = ("run", "--config.file", self._config, "--web.listen-address", self._listen)
        async with spexporter(*arguments, folder=self._folder, name="daemon") as daemon:
            ended = asyncio.create_task(daemon.process.wait(), name="end of the daemon")
            if await self._lives_out(ended, self._rng.uniform(0, LONGEST_LIFE_S)):
                self.bad_news.append(f"ended by itself with status {daemon.process.returncode}")
            else:
                await daemon.end(signal.SIGKILL)
            await ended
            self._died(RANDOM, daemon.printed())

    async def _fork(self, kill: SelfKill | None, lasts_s: float) -> None:
        async with self._forked(kill) as fork:
            kind = kill.when.value if await self._lives_out(fork.ended, lasts_s) and kill else RANDOM_FORK
            await self._end(fork, signal.SIGKILL)
        self._died(kind, self._fork_log.read_text() if self._fork_log.exists() else "")

    async def _lives_out(self, ended: "asyncio.Task[Any]", lasts_s: float) -> bool:
        """Let a daemon live until `lasts_s` seconds after its first page, and tell whether it ended before.

        One in five has not even so much time from its start: it may never come to show a page.
        """
        if self._rng.random() < 0.8:
            await self._first_page(ended)
        await asyncio.wait([ended], timeout=lasts_s)
        return ended.done()

    async def _first_page(self, ended: "asyncio.Task[Any]") -> None:
        page = asyncio.create_task(self.watcher.fresh.wait(), name="first page")
        await asyncio.wait([ended, page], timeout=READY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        page.cancel()

    async def live_and_stop(self) -> None:
        """Run a daemon that is stopped as it should be: what it leaves is all that it spent."""
        self._write_config()
        self.watcher.fresh.clear()
        async with self._forked(None) as fork:
            await self._first_page(fork.ended)
            await asyncio.wait([fork.ended], timeout=self._rng.uniform(0.5, LONGEST_LIFE_S))
            await self._end(fork, signal.SIGTERM)
        self.stops += 1
        self.bad_news += BAD_NEWS.findall(self._fork_log.read_text())

    async def live_and_spend(self, number: signal.Signals) -> None:
        """Run a daemon until it has spent a whole window."""
        self._write_config()
        begun = self.spent().requests

        async def enough() -> bool:
            return self.spent().requests >= begun + REQUESTS

        async with self._forked(None) as fork:
            await eventually(enough, "a window spent", within_s=READY_WITHIN_S + LONG_PER_S)
            await self._end(fork, number)
        self.bad_news += BAD_NEWS.findall(self._fork_log.read_text())

    async def _end(self, fork: Fork, number: signal.Signals) -> None:
        """End a fork, unless it has ended already, and see to it that it did so in the way that was meant."""
        if fork.process.exitcode is None and fork.process.pid:
            with suppress(ProcessLookupError):
                os.kill(fork.process.pid, number)
        await asyncio.wait([fork.ended], timeout=ENDS_WITHIN_S)
        meant = 0 if number == signal.SIGTERM else -number
        if fork.process.exitcode != meant:
            self.bad_news.append(f"ended with status {fork.process.exitcode} instead of {meant}")

    @asynccontextmanager
    async def _forked(self, kill: SelfKill | None) -> AsyncIterator[Fork]:
        arguments = (self._config, self._listen, self._fork_log, kill)
        self._fork_log.unlink(missing_ok=True)
        process = self._forks.Process(target=live, args=arguments, daemon=True)
        process.start()
        fork = Fork(process, asyncio.create_task(_end_of(process), name="end of the fork"))
        try:
            yield fork
        finally:
            process.kill()
            await fork.ended
            process.join()
            process.close()

    def _died(self, kind: str, said: str) -> None:
        self.kills[kind] += 1
        self.bad_news += BAD_NEWS.findall(said)

    async def live_and_let_settle(self) -> list[str]:
        """Run the program until its page says what is true, and return what it does not say in the end."""
        self._write_config()
        arguments = ("run", "--config.file", self._config, "--web.listen-address", self._listen)
        async with spexporter(*arguments, folder=self._folder, name="daemon") as daemon:
            self.watcher.fresh.clear()
            async with asyncio.timeout(READY_WITHIN_S):
                await self.watcher.fresh.wait()
            with suppress(AssertionError):  # what is missing is told in full below
                await eventually(self._all_counted, "all counted", within_s=SETTLES_WITHIN_S, every_s=0.5)
            text = self.watcher.text
            ended = await daemon.end(signal.SIGTERM)
            if ended.status:
                self.bad_news.append(f"ended with status {ended.status}")
            self.bad_news += BAD_NEWS.findall(daemon.printed())
        page = JobPage(text, list(text_string_to_metric_families(text)))
        return differences(self._simulator.truth(), page)

    async def _all_counted(self) -> bool:
        """Tell whether the newest page shows as many ends, and results of imports, as there will ever be."""
        shown = lasting(self.watcher.text)
        ends = sum(value for series, value in shown.items() if series.startswith("spconfig_jobs_finished_total"))
        results = sum(value for series, value in shown.items() if series.startswith("spconfig_import_results_total"))
        return (ends, results) == (len(self.started), self._imports)

    def findings(self, found: Sequence[str], took_s: float) -> Findings:
        """Read the simulator's record."""
        truth: Mapping[str, Any] = self._simulator.truth()
        ended = [job for job in truth["jobs"] if job["id"] in set(self.started) and job["ended_s"] is not None]
        sent = [job["results_sent"] for job in truth["jobs"] if job["operation"] == "import"]
        return Findings(
            kills=self.kills,
            stops=self.stops,
            took_s=took_s,
            imports=sum(job["operation"] == "import" for job in ended),
            exports=sum(job["operation"] == "export" for job in ended),
            final_states=Counter(job["final_state"] for job in ended),
            pages=self.watcher.pages,
            cut_pages=self.watcher.cut,
            series=len(self.watcher.most),
            broken=self.watcher.broken,
            differences=found,
            downloads=sum(sent),
            repeated=sum(sent) - sum(map(bool, sent)),
            spent=self.spent(),
            bad_news=self.bad_news,
        )

    def spent(self) -> Spent:
        """Read the simulator's record of requests, whoever made them."""
        exchanges = [exchange for found in self._simulator.record.exchanges.values() for exchange in found]
        busiest = self._simulator.busiest_windows().values()
        return Spent(
            requests=len(exchanges),
            busiest=max((most for versions in busiest for most in versions.values()), default=0),
            throttled=sum(exchange.status == HTTPStatus.TOO_MANY_REQUESTS for exchange in exchanges),
        )


async def _end_of(process: ForkServerProcess) -> None:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(process.sentinel, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process.sentinel)
