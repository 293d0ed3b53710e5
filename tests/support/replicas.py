"""Several daemons that share a real PostgreSQL, and are killed, paused and cut off from it while jobs begin and end.

Each daemon reaches the simulated tenants at a port of its own, so that it is known who asked, and the database by a
cable of its own, which can be cut. The database itself writes down whose each group was, and when.
"""

import asyncio
import math
import re
import signal
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple
from urllib.parse import urlsplit

from aiohttp import web

from spexporter.clock import SystemClock
from spexporter.connect import group_name
from spexporter.domain.values import replace
from spexporter.simulator import Simulator, TenantPlan, default_plans
from tests.support.eventually import eventually
from tests.support.postgres import Server
from tests.support.program import Program, answer, free_port, spexporter
from tests.support.prometheus import Prometheus, prometheus
from tests.support.scraped import COUNTERS, Alert, Scraped, differing, has_seen, scraped
from tests.support.truth import TOTALS
from tests.support.world import config_text

REQUESTS, PER_S = 100, 10.0
DEFAULTS = """\
  rate_limit: {requests: 100, per: 10s, use: 80%}
  poll: {fastest: 500ms, slowest: 2s, probe: 30s}
  retention: 30d"""
SCRAPES_HELD = 5  # for so many a counter shows where it stood, as few as with what people set
FIRST_END_S = 20.0  # everything is there by then
LATE_S = 0.25  # a request is seen when the simulator comes to it, which is busy with all tenants
_ABOUT_RESULTS = {"errors": "SPConfigImportErrors", "warnings": "SPConfigImportWarnings"}
_ABOUT_ENDS = {"FAILED": "SPConfigJobFailed", "CANCELLED": "SPConfigJobCancelled"}
BAD_NEWS = re.compile(r"level=critical|Traceback|_crashed")
AUDIT = (
    "CREATE TABLE audit (number SERIAL, at DOUBLE PRECISION, client_group TEXT, owner TEXT)",
    """CREATE FUNCTION note() RETURNS trigger AS $$ BEGIN
        INSERT INTO audit (at, client_group, owner) VALUES (
            extract(epoch FROM CASE WHEN NEW.owner IS NULL THEN NEW.freed_at ELSE clock_timestamp() END),
            NEW.client_group, (SELECT name FROM replicas WHERE id = NEW.owner));
        RETURN NULL;
    END $$ LANGUAGE plpgsql""",
    """CREATE TRIGGER note AFTER UPDATE OF owner ON leases FOR EACH ROW
        WHEN (OLD.owner IS DISTINCT FROM NEW.owner) EXECUTE FUNCTION note()""",
)


class Asked(NamedTuple):
    """One request: when it was received (Unix seconds), by which daemon, for which tenant."""

    at_s: float
    replica: int
    tenant: str


class Held(NamedTuple):
    """A group was a process's from `since_s` until `until_s` (Unix seconds)."""

    pid: int
    since_s: float
    until_s: float


@dataclass
class Cable:
    """Carries connections to the database, until it is cut."""

    host: str
    port: int
    listen: int = 0
    whole: bool = True
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Break every connection, and let none through any more."""
        self.whole = False
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self.whole = True

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        if not self.whole:
            writer.transport.abort()
            return
        with closing(writer), suppress(OSError):
            others = await asyncio.open_connection(self.host, self.port)
            ends = {writer, others[1]}
            self._writers |= ends
            try:
                async with asyncio.TaskGroup() as ways:
                    ways.create_task(_pour(reader, others[1]))
                    ways.create_task(_pour(others[0], writer))
            finally:
                self._writers -= ends


async def _pour(source: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await source.read(1 << 16):
            into.write(chunk)
            await into.drain()
    into.close()


def _line_at(text: str, position: int) -> str:
    return text[text.rfind("\n", 0, position) + 1 :].partition("\n")[0]


def counters(text: str) -> dict[str, float]:
    """Return every sample of the counters of what was counted."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith(COUNTERS):
            series, _, value = line.rpartition(" ")
            found[series] = float(value)
    return found


@dataclass
class Daemon:
    """One place for a replica: its port, its cable, and who runs there now."""

    number: int
    listen: str
    cable: Cable
    config: Path
    program: Program | None = None
    lives: int = 0
    pids: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.listen}"


@dataclass
class Findings:
    """What came of it all; times in seconds."""

    took_s: float
    tenants: int
    jobs: int
    requests: int
    events: Counter[str]
    differences: list[str]
    busiest: int
    throttled: int
    stragglers: int
    straggled_after_s: float
    connections_paused: int
    after_kill_s: list[float]
    after_stop_s: list[float]
    moves: int
    bad_news: list[str]
    scraped: Scraped
    scraped_differences: list[str]
    wrong_alerts: list[Alert]

    def __str__(self) -> str:
        return (
            f"{self.tenants} tenants, {self.jobs} jobs, {self.took_s:.0f} s, {dict(self.events)}; {self.moves} moves of"
            f" groups; {self.requests} requests, at most {self.busiest} of {REQUESTS} in any window of a client id,"
            f" {self.throttled} refused; {self.stragglers} requests after the end of the lease (the latest"
            f" {self.straggled_after_s:.2f} s after), with {self.connections_paused} connections open at pauses;"
            f" from kill to first poll by the next {_spread(self.after_kill_s)}; from a graceful stop"
            f" {_spread(self.after_stop_s)}; {len(self.differences)} differences from the truth;"
            f" {len(self.bad_news)} bad lines of log. {self.scraped}; {len(self.scraped_differences)} differences of"
            f" that from the truth, {len(self.wrong_alerts)} alerts without a reason"
        )


def _spread(took_s: Sequence[float]) -> str:
    if not took_s:
        return "none"
    ordered = sorted(took_s)
    p99_s = ordered[min(len(ordered) - 1, math.ceil(0.99 * len(ordered)) - 1)]
    return f"median {statistics.median(ordered):.2f} s, p99 {p99_s:.2f} s, worst {ordered[-1]:.2f} s of {len(ordered)}"


@asynccontextmanager
async def replicas(
    folder: Path,
    server: Server,
    *,
    count: int = 3,
    tenants: int = 30,
    lease_s: float = 3.0,
    lasts_s: float = 60.0,
    jobs_each: int = 4,
    seed: int = 1,
    scrape_every_s: float = 1.0,
) -> AsyncIterator["Replicas"]:
    """Serve tenants whose jobs end within `lasts_s`, and have `count` places for daemons that share a database."""
    rng = Random(seed)  # noqa: S311 (repeatable, not a secret)
    plans = [replace(plan, jobs_at_start=0, starts_per_minute=0.0) for plan in default_plans(tenants)]
    simulator = Simulator(plans, clock=SystemClock(), seed=seed, requests=REQUESTS, per_s=PER_S)
    for plan in plans:
        simulator.start(plan.name, "export", queue_s=0.0, duration_s=math.inf)  # so that there is always something due
        for number in range(jobs_each):
            duration_s = rng.uniform(FIRST_END_S, max(FIRST_END_S, lasts_s) + 5.0)
            simulator.start(
                plan.name, ("import", "export")[number % 2], queue_s=0.0, duration_s=duration_s, final_state=None
            )
    async with AsyncExitStack() as stack:
        run = Replicas(folder, server, simulator, plans, lease_s=lease_s, scrape_every_s=scrape_every_s, rng=rng)
        for number in range(count):
            await run.add_place(stack, number)
        yield run


class Replicas:
    """A run under way."""

    def __init__(
        self,
        folder: Path,
        server: Server,
        simulator: Simulator,
        plans: Sequence[TenantPlan],
        *,
        lease_s: float,
        scrape_every_s: float,
        rng: Random,
    ) -> None:
        self.asked: list[Asked] = []
        self.daemons: list[Daemon] = []
        self.kills: list[tuple[float, int]] = []  # when (Unix seconds), and the process that was killed
        self.stops: list[tuple[float, int]] = []
        self.events: Counter[str] = Counter()
        self.bad_news: list[str] = []
        self.connections_paused = 0
        self.lease_s = lease_s
        self.scrape_every_s = scrape_every_s
        self.server = server
        self.simulator = simulator
        self.rng = rng
        self._folder = folder
        self._plans = plans
        self._url = server.fresh()
        self._database = self._url.rpartition("/")[2]
        self.stack = AsyncExitStack()
        self._runners: list[web.AppRunner] = []
        self._audited = False

    async def add_place(self, stack: AsyncExitStack, number: int) -> None:
        """Make room for a daemon: a port of the tenants, a cable to the database, and a configuration."""
        parts = urlsplit(self._url)
        cable = Cable(parts.hostname or "", parts.port or 0)
        wire = await asyncio.start_server(cable.handle, "127.0.0.1", 0)
        await stack.enter_async_context(wire)
        cable.listen = wire.sockets[0].getsockname()[1]
        tenants_url = await self._serve(stack, number)
        text = config_text(self.simulator, tenants_url, extra=DEFAULTS)
        url = self._url.replace(f":{parts.port}/", f":{cable.listen}/")
        for key, value in {
            "url": f"{url}\n  lease: {self.lease_s:g}s",
            "hold": f"{SCRAPES_HELD * self.scrape_every_s:g}s",
        }.items():
            text, found = re.subn(rf"^  {key}: .*$", f"  {key}: {value}", text, flags=re.MULTILINE)
            assert found == 1, f"{key} is there {found} times"
        config = self._folder / f"replica-{number}.yaml"
        config.write_text(text)
        self.daemons.append(Daemon(number, f"127.0.0.1:{free_port()}", cable, config))

    async def _serve(self, stack: AsyncExitStack, number: int) -> str:
        """Serve the tenants at a port of its own, and return its URL."""

        @web.middleware
        async def note(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            self.asked.append(Asked(time.time(), number, request.path.split("/")[1]))
            return await handler(request)

        app = self.simulator.app()
        app.middlewares.insert(0, note)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """End all that runs as the block ends."""
        async with self.stack:
            yield

    async def start(self, daemon: Daemon) -> None:
        """Run a daemon at its place."""
        daemon.lives += 1
        arguments = ("run", "--config.file", daemon.config, "--web.listen-address", daemon.listen)
        name = f"replica-{daemon.number}-{daemon.lives}"
        running = spexporter(*arguments, "--web.enable-lifecycle", folder=self._folder, name=name)
        daemon.program = await self.stack.enter_async_context(running)
        daemon.pids.append(daemon.program.process.pid)
        await daemon.program.says("event=started", within_s=60.0)

    async def audit(self) -> None:
        """Let the database write down who holds what; once there are tables."""

        async def has_tables() -> bool:
            return await self._ask("SELECT to_regclass('fences')") != ""

        await eventually(has_tables, "tables of leases", within_s=30.0)
        for statement in AUDIT:
            await self._ask(statement)
        await self._ask(
            "INSERT INTO audit (at, client_group, owner)"
            " SELECT extract(epoch FROM clock_timestamp()), client_group, name FROM leases JOIN replicas ON owner = id"
        )

    async def _ask(self, statement: str) -> str:
        """Execute a statement; this loop goes on meanwhile, as it carries what the daemons say to the database."""
        return await asyncio.to_thread(self.server.execute, statement, self._database)

    async def settled(self, within_s: float) -> None:
        """Wait until each group is somebody's."""

        async def all_held() -> bool:
            return await self._ask("SELECT count(*) FROM leases WHERE owner IS NOT NULL") == str(len(self._plans))

        await eventually(all_held, "each group is somebody's", within_s=within_s, every_s=0.2)

    async def shares(self) -> dict[str, int]:
        """Return how many groups each replica has."""
        rows = await self._ask(
            "SELECT name, count(client_group) FROM replicas LEFT JOIN leases ON owner = id GROUP BY name"
        )
        return {name: int(count) for name, count in (row.split("|") for row in rows.splitlines())}

    async def kill(self, daemon: Daemon, back_after_s: float) -> None:
        """Kill a daemon, and start another one at its place."""
        assert daemon.program is not None
        self.events["kills"] += 1
        self.kills.append((time.time(), daemon.program.process.pid))
        await daemon.program.end(signal.SIGKILL)
        self._read(daemon)
        await asyncio.sleep(back_after_s)
        await self.start(daemon)

    async def stop(self, daemon: Daemon, back_after_s: float) -> None:
        """Stop a daemon as an operator does, and start another one at its place."""
        assert daemon.program is not None
        self.events["stops"] += 1
        self.stops.append((time.time(), daemon.program.process.pid))
        ended = await daemon.program.end(signal.SIGTERM)
        if ended.status:
            self.bad_news.append(f"replica {daemon.number} ended with status {ended.status}")
        self._read(daemon)
        await asyncio.sleep(back_after_s)
        await self.start(daemon)

    async def pause(self, daemon: Daemon, lasts_s: float) -> None:
        """Let a daemon stand still for a while."""
        assert daemon.program is not None
        self.events["pauses"] += 1
        self.connections_paused += len(self._runners[daemon.number].server.connections)  # type: ignore[union-attr]
        daemon.program.process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(lasts_s)
        finally:
            daemon.program.process.send_signal(signal.SIGCONT)

    async def cut(self, daemon: Daemon, lasts_s: float) -> None:
        """Cut a daemon off from the database for a while."""
        self.events["cuts"] += 1
        daemon.cable.cut()
        await asyncio.sleep(lasts_s)
        daemon.cable.mend()

    async def restart_database(self, *, fast: bool, away_s: float) -> None:
        """Stop the server, and start it again."""
        self.events["database restarts"] += 1
        await asyncio.to_thread(self.server.stop, fast=fast)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(self.server.start)

    async def anything(self) -> None:
        """Do something bad to somebody."""
        daemon = self.rng.choice(self.daemons)
        match self.rng.choice(["kill", "kill", "pause", "pause", "cut", "database", "stop"]):
            case "kill":
                await self.kill(daemon, self.rng.uniform(0.0, 5.0))
            case "stop":
                await self.stop(daemon, self.rng.uniform(0.0, 5.0))
            case "pause":
                await self.pause(daemon, self.rng.uniform(5.0, 30.0) * min(1.0, self.lease_s / 3.0))
            case "cut":
                await self.cut(daemon, self.rng.uniform(0.1, 3.0 * self.lease_s))
            case "database":
                away_s = self.rng.uniform(0.0, self.lease_s)
                await self.restart_database(fast=self.rng.random() < 0.5, away_s=away_s)

    def _read(self, daemon: Daemon) -> None:
        assert daemon.program is not None
        printed = daemon.program.printed()
        self.bad_news += [_line_at(printed, found.start()) for found in BAD_NEWS.finditer(printed)]

    async def pages(self) -> dict[str, float]:
        """Return the sum over all daemons of every counter now."""
        total: Counter[str] = Counter()
        for daemon in self.daemons:
            status, text = await answer(f"{daemon.url}/metrics")
            assert status == 200, text
            for series, value in counters(text).items():
                total[series] += value  # type: ignore[assignment]  # a float, which adds up all the same
        return dict(total)

    async def true(self, seen: Prometheus, within_s: float) -> None:
        """Wait until Prometheus has seen what is true; nobody else asks for pages, as who does has seen baselines."""

        async def look() -> bool:
            return await has_seen(seen, self.truth())

        async def look_at_pages() -> bool:
            return not list(differing(self.truth(), await self.pages()))

        with suppress(AssertionError):  # what is missing is told in full below
            await eventually(look, "the truth in Prometheus", within_s=within_s, every_s=5.0)
            await eventually(look_at_pages, "the truth on all pages", within_s=30.0, every_s=3.0)

    async def findings(self, seen: Prometheus, began_s: float) -> Findings:
        """Hold what was shown, asked and held against the records."""
        # First: while the rest is worked out, nothing goes through the cables, and leases may end.
        shown, true = await self.pages(), self.truth()
        requests = tuple(self.asked)
        held = await self._held()
        for daemon in self.daemons:
            self._read(daemon)
        stragglers = [late_s for asked in requests if (late_s := self._late_s(asked, held)) > LATE_S]
        clients = self.simulator.busiest_windows().values()
        exchanges = [exchange for found in self.simulator.record.exchanges.values() for exchange in found]
        # The last thing of all: it takes so long that leases end, and the simulator notes requests late.
        watched = await scraped(seen, time.time() - (time.monotonic() - began_s))
        return Findings(
            took_s=time.monotonic() - began_s,
            tenants=len(self._plans),
            jobs=sum(len(list(self.simulator.jobs(plan.name))) for plan in self._plans),
            requests=len(requests),
            events=self.events,
            differences=list(differing(true, shown)),
            busiest=max((most for versions in clients for most in versions.values()), default=0),
            throttled=sum(exchange.status == 429 for exchange in exchanges),
            stragglers=len(stragglers),
            straggled_after_s=max(stragglers, default=0.0),
            connections_paused=self.connections_paused,
            after_kill_s=list(self._takeovers(self.kills, held)),
            after_stop_s=list(self._takeovers(self.stops, held)),
            moves=sum(len(of_group) for of_group in held.values()) - len(held),
            bad_news=self.bad_news,
            scraped=watched,
            scraped_differences=watched.differences(true),
            wrong_alerts=sorted(set(watched.alerts) - self.right_alerts()),
        )

    def truth(self) -> dict[str, float]:
        """Return what each counter must have counted, by its series."""
        found: Counter[str] = Counter()
        told: Mapping[str, object] = self.simulator.truth_of_jobs()
        totals = told["totals"]["ended"]  # type: ignore[index]  # JSON
        for tenant, types in totals.items():
            for object_type, counts in types.items():
                for kind, name in TOTALS.items():
                    if counts[kind]:
                        found[f'{name}{{tenant="{tenant}",object_type="{object_type}"}}'] = counts[kind]
        for job in told["jobs"]:  # type: ignore[attr-defined]  # JSON
            if job["ended_s"] is None:
                continue
            of = f'tenant="{job["tenant"]}",operation="{job["operation"]}",state="{job["final_state"]}"'
            found[f"spconfig_jobs_finished_total{{{of}}}"] += 1
            if job["operation"] == "import":
                outcome = "missing" if job["counts"] is None else "preview" if job["preview"] else "counted"
                found[f'spconfig_import_results_total{{tenant="{job["tenant"]}",outcome="{outcome}"}}'] += 1
        return {series: float(value) for series, value in found.items()}

    def right_alerts(self) -> set[Alert]:
        """Return the alerts that must, or may, fire: about what has failed, been cancelled or been lost."""
        told: Mapping[str, object] = self.simulator.truth_of_jobs()
        right = {Alert("SPExporterReplicasDiffer", "")}  # each has ports of its own
        for tenant, types in told["totals"]["ended"].items():  # type: ignore[index]  # JSON
            for counts in types.values():
                right |= {Alert(name, tenant) for kind, name in _ABOUT_RESULTS.items() if counts[kind]}
        for job in told["jobs"]:  # type: ignore[attr-defined]  # JSON
            if job["final_state"] in _ABOUT_ENDS and job["ended_s"] is not None:
                right.add(Alert(_ABOUT_ENDS[job["final_state"]], job["tenant"]))
        return right

    async def _held(self) -> Mapping[str, list[Held]]:
        """Return by tenant whose it was, from the beginning to the end."""
        rows = await self._ask("SELECT at, client_group, owner FROM audit ORDER BY number")
        tenant_of = {str(group_name(plan.client_id)): plan.name for plan in self._plans}
        held: defaultdict[str, list[Held]] = defaultdict(list)
        for at, group, owner in (row.split("|") for row in rows.splitlines()):
            of_tenant = held[tenant_of[group]]
            if of_tenant and of_tenant[-1].until_s == math.inf:
                of_tenant[-1] = of_tenant[-1]._replace(until_s=float(at))
            if owner:
                of_tenant.append(Held(int(owner.rpartition("/")[2]), float(at), math.inf))
        return held

    def _late_s(self, asked: Asked, held: Mapping[str, list[Held]]) -> float:
        """Return how long after the end of its lease a daemon has asked; 0 within one."""
        pids = set(self.daemons[asked.replica].pids)
        theirs = [each for each in held[asked.tenant] if each.pid in pids]
        if any(each.since_s - LATE_S <= asked.at_s <= each.until_s for each in theirs) or not theirs:
            return 0.0
        return min((asked.at_s - each.until_s for each in theirs if each.until_s <= asked.at_s), default=0.0)

    def _takeovers(self, ends: Iterable[tuple[float, int]], held: Mapping[str, list[Held]]) -> Iterable[float]:
        """Yield for each tenant of a process that ended how long it took until another asked for it."""
        times: defaultdict[str, list[Asked]] = defaultdict(list)
        for asked in self.asked:
            times[asked.tenant].append(asked)
        for ended_s, pid in ends:
            for tenant, of_tenant in held.items():
                if any(each.pid == pid and each.since_s < ended_s <= each.until_s for each in of_tenant):
                    later = [asked.at_s - ended_s for asked in times[tenant] if asked.at_s > ended_s + LATE_S]
                    if later:
                        yield min(later)


@asynccontextmanager
async def _watching(run: Replicas, folder: Path, rules: Path) -> AsyncIterator[Prometheus]:
    first, *others = (daemon.listen for daemon in run.daemons)
    async with prometheus(first, folder, *others, every=f"{run.scrape_every_s:g}s", rules=[rules]) as seen:
        yield seen


async def ordeal(
    folder: Path,
    server: Server,
    *,
    tenants: int,
    lease_s: float,
    lasts_s: float,
    seed: int,
    jobs_each: int = 4,
    scrape_every_s: float = 1.0,
    rules: Path,
    tell: Callable[[str], None] = print,
) -> Findings:
    """Let anything happen to three daemons for `lasts_s` seconds, and see what is true in the end.

    A real Prometheus with `rules` watches all that.
    """
    began_s = time.monotonic()
    async with (
        replicas(
            folder,
            server,
            tenants=tenants,
            lease_s=lease_s,
            lasts_s=lasts_s,
            seed=seed,
            jobs_each=jobs_each,
            scrape_every_s=scrape_every_s,
        ) as run,
        _watching(run, folder, rules) as seen,
        run.living(),
    ):
        await run.start(run.daemons[0])
        await run.audit()
        for daemon in run.daemons[1:]:
            await run.start(daemon)
        await run.settled(within_s=30.0 + 3 * lease_s)
        while time.monotonic() < began_s + lasts_s:
            await asyncio.sleep(run.rng.uniform(0.5, 2.0) * lease_s)
            await run.anything()
            tell(f"{time.monotonic() - began_s:.0f} s: {dict(run.events)}, {await run.shares()}")
        await run.settled(within_s=30.0 + 3 * lease_s)
        await run.true(seen, within_s=120.0)
        return await run.findings(seen, began_s)
