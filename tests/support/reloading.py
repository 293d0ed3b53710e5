"""A daemon whose files change all the time, in every way there is, while jobs begin and end and somebody scrapes it."""

import asyncio
import json
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from spexporter.clock import SystemClock
from spexporter.domain.values import replace
from spexporter.simulator import SimulatedJob, Simulator, TenantPlan, default_plans, result_of, serving
from spexporter.simulator.calls import TOKEN
from spexporter.simulator.jobs import CANCELLED, COMPLETE, FAILED
from tests.support.crashing import JobPage, lasting
from tests.support.eventually import eventually
from tests.support.program import LOOPBACK, Program, ready, spexporter
from tests.support.truth import differences

SCRAPES_PER_S = 20  # whole pages
READ_EVERY = 10  # pages of which every sample is compared with those before, which takes us longer than to be served
RUNS_S = 36_000.0  # longer than any test: the test ends jobs when it likes
ASKED_FOR = 0.9  # share of the changes
WITHIN_S = 20.0  # how long anything may take on a machine that has other things to do
SETTLES_WITHIN_S = 120.0
DEFAULTS = "{allow_http: true, poll: {fastest: 1s, slowest: 4s}, rate_limit: {requests: 1000, per: 1s}}"
NAMES = ("configured", "filed", "listed", "visited", "visitor", "changing")
CONFIGURED, FILED, LISTED, VISITED, VISITOR, CHANGING = NAMES
# Nothing of their own ever changes but jobs and secrets: each must live on its first token. The visitor has the client
# of the tenant that it visits.
UNCHANGED = (CONFIGURED, FILED, LISTED, VISITED)
SHARED = "shared-client"
EXPECTED_ERRORS = ("config_refused", "file_refused")
BAD_NEWS = re.compile(r"^.*(?:level=(?:warning|error|critical)|Traceback|_crashed|store_failed).*$", re.MULTILINE)
INFO = re.compile(r'^spconfig_job_info\{tenant="([^"]+)"', re.MULTILINE)
LAST_BYTES = 2000  # of a page: what it ends with is among them
LAST_LINE = re.compile(r"^spexporter_build_info\{.*\} 1\.0$", re.MULTILINE)
COUNTS = (
    {"SOURCE": {"errors": 3, "warnings": 5, "objects": 7}},
    {"ROLE": {"errors": 11}, "SOURCE": {"objects": 13}},
    {"RULE": {"infos": 2, "warnings": 17}},
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What the process holds at one moment."""

    descriptors: int
    threads: int
    rss_kib: int
    jobs: int

    def __str__(self) -> str:
        return (
            f"{self.descriptors} descriptors, {self.threads} threads, {self.rss_kib / 1024:.1f} MiB, {self.jobs} jobs"
        )


@dataclass
class Watcher:
    """Somebody who scrapes; each page must be whole, and nothing that belongs to tenants that stay may go or shrink."""

    url: str
    per_s: float = SCRAPES_PER_S
    pages: int = 0
    bytes: int = 0
    longest_s: float = 0.0
    text: str = ""
    broken: list[str] = field(default_factory=list)
    most: dict[str, float] = field(default_factory=dict)
    jobs: Counter[str] = field(default_factory=Counter)

    async def scrape_for_ever(self) -> None:
        async with aiohttp.ClientSession() as http:
            next_s = time.monotonic()
            while True:
                await asyncio.sleep(max(0.0, next_s - time.monotonic()))
                began_s = time.monotonic()
                next_s = max(next_s, began_s - 1.0) + 1 / self.per_s  # what was missed on a busy machine is made up
                try:
                    async with http.get(f"{self.url}/metrics", headers={"Accept-Encoding": "identity"}) as response:
                        self._take(response.status, await response.text())
                except (aiohttp.ClientError, OSError) as error:
                    self.broken.append(f"page {self.pages}: {error!r}")
                self.longest_s = max(self.longest_s, time.monotonic() - began_s)

    def _take(self, status: int, text: str) -> None:
        self.pages += 1
        self.bytes += len(text)
        if status != 200 or not text.endswith("\n") or not LAST_LINE.search(text, len(text) - LAST_BYTES):
            self.broken.append(f"page {self.pages}: status {status}, {len(text)} bytes")
            return
        jobs = Counter(INFO.findall(text))
        for tenant in (*UNCHANGED, CHANGING):
            if jobs[tenant] < self.jobs[tenant]:
                self.broken.append(f"page {self.pages}: {jobs[tenant]} jobs of {tenant} after {self.jobs[tenant]}")
        self.jobs = jobs
        self.text = text
        if self.pages % READ_EVERY == 0 or self.per_s < SCRAPES_PER_S:
            self._compare(lasting(text))

    def _compare(self, found: Mapping[str, float]) -> None:
        """Look for what has gone or shrunk."""
        for series, before in self.most.items():
            if found.get(series, -1.0) < before and f'tenant="{VISITOR}"' not in series:
                self.broken.append(f"page {self.pages}: {series} {found.get(series)} after {before}")
        self.most |= found


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of it all."""

    reloads: Counter[str]
    said: Counter[str]
    took_s: float
    figures: Sequence[Figures]
    jobs: int
    ended: int
    pages: int
    megabytes: float
    longest_s: float
    broken: Sequence[str]
    differences: Sequence[str]
    tokens: Mapping[str, int]
    expected_tokens: Mapping[str, int]
    bad_news: Sequence[str]

    def __str__(self) -> str:
        start, middle, end = self.figures
        return (
            f"{self.reloads.total()} reloads in {self.took_s:.0f} s: {dict(self.reloads)}; the log: {dict(self.said)}\n"
            f"{self.ended} of {self.jobs} jobs ended meanwhile; {len(self.differences)} differences from the truth\n"
            f"{self.pages} pages ({self.pages / self.took_s:.1f} a second,"
            f" {self.megabytes:.0f} MB), the longest"
            f" {self.longest_s:.2f} s, {len(self.broken)} broken\n"
            f"token requests {dict(self.tokens)}\nstart:  {start}\nmiddle: {middle}\nend:    {end}"
        )


async def ordeal(folder: Path, *, reloads: int, jobs: int, seed: int, tell: Callable[[str], None]) -> Findings:
    """Change the files of a daemon `reloads` times while `jobs` jobs run at any time."""
    async with running(folder, jobs=jobs, seed=seed) as run:
        began_s = time.monotonic()
        figures = []
        for number in range(reloads):
            if number in {reloads // 10, reloads // 2}:
                figures.append(run.figures())
            await run.reload(number)
            if number % 50 == 49:
                tell(f"{number + 1} reloads, {run.watcher.pages} pages, {run.figures()}")
        figures.append(run.figures())
        run.rest(time.monotonic() - began_s)
        return run.findings(await run.settle(), figures)


@asynccontextmanager
async def running(folder: Path, *, jobs: int, seed: int) -> AsyncIterator["Run"]:
    """Run the simulator, the daemon and who scrapes it."""
    simulator = Simulator(plans(), clock=SystemClock(), seed=seed, requests=1000, per_s=1.0)
    async with serving(simulator) as url:
        files = Files(folder, simulator, url)
        run = Run(files, simulator, jobs, Random(seed))  # noqa: S311 (repeatable, not a secret)
        run.plant()
        flags = ("--config.file", files.main, "--web.listen-address", LOOPBACK, "--web.enable-lifecycle")
        async with spexporter("run", *flags, folder=folder) as daemon:
            await run.begin(daemon)
            scraping = asyncio.create_task(run.watcher.scrape_for_ever(), name="scraper")
            try:
                yield run
            finally:
                scraping.cancel()
                with suppress(asyncio.CancelledError):
                    await scraping
            ended = await daemon.end(signal.SIGTERM)
            assert ended.status == 0, daemon.printed()


def plans() -> list[TenantPlan]:
    quiet = default_plans(len(NAMES))
    shared = {VISITED, VISITOR}
    return [
        replace(
            plan,
            name=name,
            jobs_at_start=0,
            starts_per_minute=0.0,
            client_id=SHARED if name in shared else plan.client_id,
            client_secret="planted-shared-secret" if name in shared else plan.client_secret,
        )
        for plan, name in zip(quiet, NAMES, strict=True)
    ]


class Files:
    """All files that the daemon reads, written from what the simulator knows; each in one step."""

    def __init__(self, folder: Path, simulator: Simulator, url: str) -> None:
        self.folder = folder
        self.main = folder / "spexporter.yaml"
        self._simulator = simulator
        self._url = url
        self._versions = 0
        for name in ("tenants.d", "jobs.d", "secrets"):
            (folder / name).mkdir()

    def write_all(self) -> None:
        for name in (CONFIGURED, CHANGING):
            self.secret(name)
        self.jobs()
        for name in (LISTED, VISITED, VISITOR, CHANGING):
            self.tenant(name)
        self.configuration()

    def configuration(self, more: str = "") -> None:
        """Write the main file, with two tenants: the jobs of one are in it, those of the other in files."""
        entries = [self._entry(CONFIGURED, jobs=True), f"{self._entry(FILED)}, job_files: [jobs.d/*.yaml]"]
        lines = "".join(f"  - {{{entry}}}\n" for entry in entries)
        store = f"sqlite:///{self.folder / 'reloaded.db'}"
        self._replace(
            self.main,
            f"defaults: {DEFAULTS}\nstore: {{url: '{store}'}}\ncounters: {{hold: 0s}}\n"
            f"tenant_files: [tenants.d/*.yaml]\ntenants:\n{lines}{more}",
        )

    def tenant(self, name: str, text: str | None = None, more: str = "") -> None:
        """Write a tenant's own file, with its jobs."""
        path = self.folder / "tenants.d" / f"{name}.yaml"
        self._replace(path, text or f"- {{{self._entry(name, jobs=True)}{more}}}\n")

    def remove(self, name: str) -> None:
        (self.folder / "tenants.d" / f"{name}.yaml").unlink()

    def jobs(self, text: str | None = None) -> None:
        """Exchange the folder of job files in one step, as Kubernetes does with what is mounted."""
        folder = self.folder / "jobs.d"
        self._versions += 1
        version = folder / f"..{self._versions}"
        version.mkdir()
        jobs = self._jobs(FILED)
        for number, some in enumerate((jobs[::2], jobs[1::2])):
            (version / f"{number}.yaml").write_text(text if text and number else "".join(f"- {it}\n" for it in some))
            link = folder / f"{number}.yaml"
            if not link.is_symlink():
                link.symlink_to(f"..data/{number}.yaml")
        (folder / "..next").symlink_to(version.name)
        (folder / "..next").replace(folder / "..data")

    def secret(self, name: str) -> None:
        """Write the secret that a tenant's credential has now."""
        self._replace(self.folder / "secrets" / name, self._plan(name).client_secret + "\n")

    def _replace(self, path: Path, text: str) -> None:
        new = path.with_suffix(".new")
        new.write_text(text)
        new.replace(path)

    def _entry(self, name: str, *, jobs: bool = False) -> str:
        plan = self._plan(name)
        secret = f"client_secret: {json.dumps(plan.client_secret)}"
        if name in {CONFIGURED, CHANGING}:
            secret = f"client_secret_file: {self.folder / 'secrets' / name}"
        listed = f", jobs: [{', '.join(self._jobs(name))}]" if jobs else ""
        return f"name: {name}, base_url: '{self._url}/{name}', client_id: {plan.client_id}, {secret}{listed}"

    def _jobs(self, name: str) -> list[str]:
        return [f"{{id: {job.id}, operation: {job.operation}}}" for job in self._simulator.jobs(name)]

    def _plan(self, name: str) -> TenantPlan:
        return next(plan for plan in self._simulator.plans if plan.name == name)


class Run:
    """One ordeal under way."""

    def __init__(self, files: Files, simulator: Simulator, jobs: int, rng: Random) -> None:
        self._files = files
        self._simulator = simulator
        self._most = jobs
        self._rng = rng
        self._running: list[SimulatedJob] = []
        self._begun = Counter(NAMES)
        self._visits = True
        self._ended = 0
        self.reloads: Counter[str] = Counter()
        self.watcher = Watcher("")
        self._steps: Sequence[tuple[str, Callable[[], Any]]] = (
            ("SIGHUP", self._signal),
            ("POST", self._post),
            ("configuration with another job", self._configuration),
            ("job files swapped", self._job_files),
            ("tenant file with another job", self._tenant_file),
            ("visitor comes or goes", self._visitor),
            ("bad configuration", self._bad_configuration),
            ("another rate_limit", self._rate_limit),
            ("rotated secret", self._secret),
            ("bad tenant file", self._bad_tenant_file),
            ("bad job file", self._bad_job_file),
        )

    async def begin(self, daemon: Program) -> None:
        """Wait for the daemon, whose files name all jobs by then."""
        self._daemon = daemon
        self.watcher.url = await daemon.url()
        await ready(self.watcher.url)
        await self._looked_at()

    def plant(self) -> None:
        """Let as many jobs run as there should be, and write all files."""
        for number in range(self._most):
            self._start(NAMES[number % len(NAMES)])
        self._files.write_all()

    async def reload(self, number: int) -> None:
        """Make the next change, and wait until it is taken over, or refused."""
        name, step = self._steps[number % len(self._steps)]
        await step()
        self.reloads[name] += 1
        for _ in range(self._rng.randint(0, 2)):
            self._end()

    def _start(self, tenant: str) -> None:
        operation = self._rng.choice(("import", "import", "export"))
        result = result_of(self._rng.choice(COUNTS)) if operation == "import" else None
        state = self._rng.choice((COMPLETE, COMPLETE, FAILED) if result else (COMPLETE, FAILED, CANCELLED))
        job = self._simulator.start(
            tenant, operation, final_state=state, result=result, preview=False, queue_s=0.0, duration_s=RUNS_S
        )
        self._running.append(job)

    def _end(self) -> None:
        """Let one job end now: the simulator knows each end beforehand, here it is the test that says when."""
        self._ended += 1
        job = self._running.pop(self._rng.randrange(len(self._running)))
        object.__setattr__(job, "ended_s", round(self._simulator.now_s(), 3))

    def _fill(self, tenant: str) -> None:
        """Let as many jobs run as there should be; new ones are the tenant's whose files are written next."""
        for _ in range(max(1, self._most - len(self._running))):
            self._start(tenant)

    async def _signal(self) -> None:
        async with self._one_more("config_reloaded"):
            self._daemon.process.send_signal(signal.SIGHUP)

    async def _post(self, *expected: int) -> None:
        async with aiohttp.ClientSession() as http, http.post(f"{self.watcher.url}/-/reload") as response:
            assert response.status in (expected or (200,)), await response.text()

    async def _configuration(self) -> None:
        self._fill(CONFIGURED)
        async with self._one_more("config_reloaded"):
            self._files.configuration()

    async def _job_files(self) -> None:
        self._fill(FILED)
        async with self._one_more("job_files_changed"):
            self._files.jobs()

    async def _tenant_file(self) -> None:
        self._fill(LISTED)
        async with self._one_more("config_reloaded"):
            self._files.tenant(LISTED)

    async def _visitor(self) -> None:
        """The tenant goes with its looks under way, and jobs that it has had end meanwhile."""
        async with self._one_more("config_reloaded"):
            if self._visits:
                self._files.remove(VISITOR)
            else:
                self._files.tenant(VISITOR)
                self._begun[VISITOR] += 1
        self._visits = not self._visits

    async def _bad_configuration(self) -> None:
        async with self._one_more("config_refused"):
            self._files.configuration("nonsense: 1\n")
        await self._post(500)
        self._files.configuration()
        await self._post()

    async def _bad_tenant_file(self) -> None:
        async with self._one_more("file_refused"):
            self._files.tenant(LISTED, "- {name: ")
        async with self._one_more("file_cured"):
            self._files.tenant(LISTED)

    async def _bad_job_file(self) -> None:
        async with self._one_more("file_refused"):
            self._files.jobs("- {id: x}\n")
        async with self._one_more("file_cured"):
            self._files.jobs()

    async def _rate_limit(self) -> None:
        """The tenant begins anew, and asks for a token with the secret that it has now."""
        self._begun[CHANGING] += 1
        limit = 900 + self._begun[CHANGING] % 100
        async with self._one_more("config_reloaded"):
            self._files.tenant(CHANGING, more=f", rate_limit: {{requests: {limit}, per: 1s}}")
        await self._looked_at()

    async def _secret(self) -> None:
        """Both tenants go on with their tokens; one of them needs the new secret for its next one."""
        for name in (CONFIGURED, CHANGING):
            async with self._one_more("config_reloaded"):
                self._simulator.rotate_secret(name, f"planted-secret-{self._rng.random()}")
                self._files.secret(name)

    @asynccontextmanager
    async def _one_more(self, event: str) -> AsyncIterator[None]:
        """Wait until the log has one more of `event` than before the block.

        Most changes are not left for the daemon to find: somebody asks it to look at once, and it finds them again.
        """
        before = self._said(event)
        yield
        if self._rng.random() < ASKED_FOR:
            await self._post(200, 500)

        async def look() -> bool:
            return self._said(event) > before

        await eventually(look, f"one more {event}", within_s=WITHIN_S, every_s=0.02)

    async def _looked_at(self) -> None:
        """Wait until every tenant that has begun has its token."""

        async def look() -> bool:
            return self.tokens() == self.expected_tokens()

        await eventually(look, f"tokens {self.expected_tokens()}, not {self.tokens()}", within_s=WITHIN_S)

    def _said(self, event: str) -> int:
        return self._daemon.stderr.read_bytes().count(f"event={event}".encode())

    def tokens(self) -> dict[str, int]:
        """Return how many token requests each client has made, by the tenants that it is of."""
        return {
            "+".join(plan.name for plan in self._simulator.plans if plan.client_id == client_id): sum(
                exchange.endpoint == TOKEN for exchange in self._simulator.record.exchanges[client_id]
            )
            for client_id in dict.fromkeys(plan.client_id for plan in self._simulator.plans)
        }

    def expected_tokens(self) -> dict[str, int]:
        begun = self._begun
        both = {f"{VISITED}+{VISITOR}": begun[VISITED] + begun[VISITOR]}
        return {name: begun[name] for name in (CONFIGURED, FILED, LISTED)} | both | {CHANGING: begun[CHANGING]}

    def figures(self) -> Figures:
        proc = Path(f"/proc/{self._daemon.process.pid}")
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        return Figures(
            descriptors=sum(1 for _ in (proc / "fd").iterdir()),
            threads=int(status["Threads"]),
            rss_kib=int(status["VmRSS"].split()[0]),
            jobs=self.watcher.jobs.total(),
        )

    def rest(self, took_s: float) -> None:
        """Take note of what came of it until now, after `took_s` seconds."""
        self._until_now = took_s, self.watcher.pages, self._ended

    async def settle(self) -> list[str]:
        """Let all tenants be there and all jobs end, and return what the page does not say of that in the end."""
        self.watcher.per_s = 1.0
        if not self._visits:
            await self._visitor()
        while self._running:
            self._end()
        found: list[str] = []

        async def look() -> bool:
            text = self.watcher.text
            page = JobPage(text, list(text_string_to_metric_families(text)))
            found[:] = differences(self._simulator.truth(), page)
            return not found

        with suppress(AssertionError):  # what is missing is told in full
            await eventually(look, "all counted", within_s=SETTLES_WITHIN_S, every_s=1.0)
        return found

    def findings(self, found: Sequence[str], figures: Sequence[Figures]) -> Findings:
        took_s, pages, ended = self._until_now
        said = self._daemon.printed()
        jobs: Sequence[Mapping[str, Any]] = self._simulator.truth()["jobs"]  # type: ignore[assignment]  # as described there
        events = ("config_reloaded", "config_refused", "file_refused", "file_cured", "job_files_changed")
        bad_news = [line for line in BAD_NEWS.findall(said) if not any(it in line for it in EXPECTED_ERRORS)]
        return Findings(
            reloads=self.reloads,
            said=Counter({event: self._said(event) for event in events}),
            took_s=took_s,
            figures=figures,
            jobs=len(jobs),
            ended=ended,
            pages=pages,
            megabytes=self.watcher.bytes / 1e6,
            longest_s=self.watcher.longest_s,
            broken=self.watcher.broken,
            differences=found,
            tokens=self.tokens(),
            expected_tokens=self.expected_tokens(),
            bad_news=bad_news,
        )
