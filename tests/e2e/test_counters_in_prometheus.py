"""What `increase()` sees of the counters when the exporter is restarted, moved or killed."""

import signal
import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from spexporter.app import Service, exporting, opened_ledger
from spexporter.cli.listen import parse_address
from spexporter.clock import SystemClock
from spexporter.config import load
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.sailpoint.connections import client_session
from spexporter.simulator import Simulator, TenantPlan, result_of, serving
from spexporter.telemetry import Telemetry
from tests.support.eventually import eventually
from tests.support.program import Program, free_port, json_lines, spexporter
from tests.support.prometheus import Prometheus, Series, prometheus
from tests.support.truth import TOTALS, watched
from tests.support.world import Scrape, scrape

WITHIN_S = 30.0
# The counters that are looked at, and the labels that tell their series apart.
LABELS: dict[str, tuple[str, ...]] = dict.fromkeys(TOTALS.values(), ("tenant", "object_type")) | {
    "spconfig_jobs_finished_total": ("tenant", "operation", "state"),
    "spconfig_import_results_total": ("tenant", "outcome"),
}
ERRORS = TOTALS["errors"]
PLANS = tuple(TenantPlan(name, f"id-of-{name}", f"secret-of-{name}", 0, 0.0) for name in ("acme", "globex"))

CONFIG = """
defaults:
  poll: {{fastest: 100ms, slowest: 500ms}}
  rate_limit: {{requests: {requests}, per: {per_s:g}s}}
store: {{url: "sqlite:///{store}"}}
counters: {{hold: {hold}}}
tenants:
"""
TENANT = """
  - name: {plan.name}
    base_url: "{tenants_url}/{plan.name}"
    client_id: {plan.client_id}
    client_secret: {plan.client_secret}
    jobs: [{jobs}]
"""
REQUESTS, PER_S = 200, 1.0  # after a kill nothing is asked for one window: a short one

Totals = Mapping[str, Counter[tuple[str, ...]]]


class Event(NamedTuple):
    """A synthetic job that is over as soon as it is there; `how` are arguments of `Simulator.start`."""

    tenant: str
    operation: str
    job_id: str
    how: Mapping[str, Any]


def an_import(tenant: str, job_id: str, counts: Mapping[str, Mapping[str, int]], *, preview: bool = False) -> Event:
    return Event(tenant, "import", job_id, {"result": result_of(counts, preview=preview), "preview": preview})


@dataclass(frozen=True, slots=True)
class Site:
    """The tenants, and the folder with the exporter's configuration and store."""

    folder: Path
    simulator: Simulator
    tenants_url: str
    hold: str

    def happen(self, *events: Event) -> None:
        """Let jobs be there, and over since a moment."""
        over: dict[str, Any] = {"created_s": self.simulator.now_s() - 1, "duration_s": 0.5, "queue_s": 0.0}
        for event in events:
            how = {**over, "backup": False, **event.how}
            self.simulator.start(event.tenant, event.operation, job_id=event.job_id, **how)

    @asynccontextmanager
    async def daemon(self, address: str, watched_jobs: Iterable[Event], life: str) -> AsyncIterator[Program]:
        """Run the exporter at `address` for as long as the block lasts; `life` names its output."""
        flags = ("--config.file", self._config(watched_jobs), "--web.listen-address", address, "--log.format", "json")
        async with spexporter("run", *flags, folder=self.folder, name=life) as program:
            await program.says('"event": "started"')
            yield program

    @asynccontextmanager
    async def exporter(self, address: str, watched_jobs: Iterable[Event]) -> AsyncIterator[None]:
        """Do the same in this process, which starts sooner; it ends cleanly."""
        config, clock, telemetry = load(self._config(watched_jobs), {}), SystemClock(), Telemetry(OWN_FAMILIES)
        listen = [parse_address(address, "address")]
        async with (
            opened_ledger(config.store, clock, telemetry) as ledger,
            client_session() as http,
            exporting(config, ledger=ledger, http=http, telemetry=telemetry, clock=clock, service=Service(listen)),
        ):
            yield

    def _config(self, watched_jobs: Iterable[Event]) -> Path:
        text = CONFIG.format(requests=REQUESTS, per_s=PER_S, store=self.store, hold=self.hold)
        entries = {plan.name: list[str]() for plan in PLANS}
        for job in watched_jobs:
            entries[job.tenant].append(f"{{id: {job.job_id}, operation: {job.operation}}}")
        for plan in PLANS:
            text += TENANT.format(plan=plan, tenants_url=self.tenants_url, jobs=", ".join(entries[plan.name]))
        path = self.folder / "spexporter.yaml"
        path.write_text(text)
        return path

    @property
    def store(self) -> Path:
        return self.folder / "counters.db"

    def stored(self, name: str, *labels: str) -> tuple[float, float]:
        """Return what the store says of a counter of acme's: what was counted, and what pages may show."""
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as store:
            found = store.execute(
                "SELECT value, published FROM counters WHERE tenant = 'acme' AND name = ? AND labels = json(?)",
                (name, str(list(labels)).replace("'", '"')),
            ).fetchone()
        return tuple(found) if found else (0.0, 0.0)

    @contextmanager
    def locked_store(self) -> Iterator[None]:
        """Let nobody write the store, as another program may."""
        with closing(sqlite3.connect(self.store, isolation_level=None)) as store:
            store.execute("BEGIN EXCLUSIVE")
            yield


@asynccontextmanager
async def site(folder: Path, hold: str) -> AsyncIterator[Site]:
    """Run the tenants, in this process, in real time."""
    simulator = Simulator(PLANS, clock=SystemClock(), requests=REQUESTS, per_s=PER_S)
    async with serving(simulator) as tenants_url:
        yield Site(folder, simulator, tenants_url, hold)


async def counted(daemon: Program, *events: Event) -> None:
    """Wait until the exporter says that it has counted these."""
    wanted = {event.job_id for event in events}

    async def look() -> bool:
        whole = daemon.stderr.read_text().rpartition("\n")[0]
        seen = {str(line["job_id"]) for line in json_lines(whole) if _says_counted(line)}
        return wanted <= seen

    await eventually(look, f"{wanted} counted", within_s=WITHIN_S)


def _says_counted(line: Mapping[str, object]) -> bool:
    exported = line["event"] == "job_state_seen" and line["operation"] == "export" and line["state"] != "NOT_FOUND"
    return exported or line["event"] == "import_result_settled"


def truth(simulator: Simulator) -> Totals:
    """Return what each counter must have counted, by its labels."""
    told: dict[str, Any] = simulator.truth()
    found: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in LABELS}
    for tenant, types in told["totals"]["ended"].items():
        for object_type, counts in types.items():
            for kind, name in TOTALS.items():
                found[name][tenant, object_type] = counts[kind]
    for job in watched(told):
        found["spconfig_jobs_finished_total"][job["tenant"], job["operation"], job["final_state"]] += 1
        if job["operation"] == "import":
            outcome = "missing" if job["counts"] is None else "preview" if job["preview"] else "counted"
            found["spconfig_import_results_total"][job["tenant"], outcome] += 1
    return found


def rises(name: str, found: Iterable[Series]) -> Counter[tuple[str, ...]]:
    """Add up the steps between two samples of one series, by the counter's labels; none goes down."""
    total: Counter[tuple[str, ...]] = Counter()
    for series in found:
        steps = [after - before for before, after in pairwise(series.values)]
        assert all(step >= 0 for step in steps), f"{name} {series.labels} goes down: {series.values}"
        total[tuple(series.labels[label] for label in LABELS[name])] += int(sum(steps))
    return total


async def scraped(seen: Prometheus, instance: str, expected: Totals) -> None:
    """Wait until the newest samples of `instance` are what is `expected`."""

    async def is_scraped(name: str) -> bool:
        vector = await seen.vector(f'{name}{{instance="{instance}"}}')
        newest = Counter({tuple(labels[label] for label in LABELS[name]): int(value) for labels, value in vector})
        return bool(newest) and newest == expected[name]

    async def look() -> bool:
        return all([await is_scraped(name) for name in LABELS])

    await eventually(look, f"everything of {instance} scraped", within_s=WITHIN_S, every_s=0.25)


NEW = "NEVER_MET"  # no object type that the tenants name
FIRST = (
    an_import("acme", "new-type", {NEW: {"errors": 3, "warnings": 1}, "SOURCE": {"objects": 2}}),
    Event("globex", "export", "full-export", {}),
)
JUST_BEFORE_THE_RESTART = (an_import("acme", "just-before", {"SOURCE": {"errors": 2}}),)
DURING_THE_RESTART = (
    an_import("globex", "new-type-while-down", {NEW: {"errors": 4}}),
    an_import("acme", "dry-run", {"SOURCE": {"errors": 7, "infos": 1}}, preview=True),
)
BEFORE_THE_MOVE = (an_import("acme", "before-move", {"SOURCE": {"errors": 1}, "TRANSFORM": {"warnings": 2}}),)
DURING_THE_MOVE = (
    an_import("acme", "while-moving", {NEW: {"errors": 5}}),
    Event("globex", "import", "without-result", {"final_state": "FAILED", "has_result": False}),
)
# Its id is given to the exporter only with the move, after its end.
GIVEN_WITH_THE_MOVE = (an_import("acme", "given-late", {"ALSO_NEVER_MET": {"errors": 2}}),)
AFTER_THE_MOVE = (
    an_import("globex", "after-move", {"SOURCE": {"errors": 1, "objects": 1}}),
    Event("acme", "export", "cancelled-export", {"final_state": "CANCELLED"}),
)
WATCHED = (*FIRST, *JUST_BEFORE_THE_RESTART, *DURING_THE_RESTART, *BEFORE_THE_MOVE, *DURING_THE_MOVE, *AFTER_THE_MOVE)


async def test_increase_is_what_happened_over_a_restart_and_a_move(tmp_path: Path) -> None:
    """Prometheus sees each import of old and new object types, whenever it ends, as an increase, and nothing else."""
    here, there = (f"127.0.0.1:{free_port()}" for _ in range(2))
    async with site(tmp_path, "3s") as tenants, prometheus(here, tmp_path, there) as seen:
        async with tenants.daemon(here, WATCHED, "first") as daemon:
            await scraped(seen, here, truth(tenants.simulator))
            tenants.happen(*FIRST)
            await scraped(seen, here, truth(tenants.simulator))
            tenants.happen(*JUST_BEFORE_THE_RESTART)
            await counted(daemon, *JUST_BEFORE_THE_RESTART)
            assert (await daemon.end(signal.SIGTERM)).status == 0
        tenants.happen(*DURING_THE_RESTART)
        async with tenants.daemon(here, WATCHED, "restarted") as daemon:
            tenants.happen(*BEFORE_THE_MOVE)
            await scraped(seen, here, truth(tenants.simulator))
            assert (await daemon.end(signal.SIGTERM)).status == 0
        tenants.happen(*DURING_THE_MOVE, *GIVEN_WITH_THE_MOVE)
        async with tenants.daemon(there, (*WATCHED, *GIVEN_WITH_THE_MOVE), "moved") as daemon:
            tenants.happen(*AFTER_THE_MOVE)
            await counted(daemon, *DURING_THE_MOVE, *GIVEN_WITH_THE_MOVE, *AFTER_THE_MOVE)
            await scraped(seen, there, truth(tenants.simulator))
            await increases_are(seen, truth(tenants.simulator))
            assert (await daemon.end(signal.SIGTERM)).status == 0


async def increases_are(seen: Prometheus, expected: Totals) -> None:
    """Compare with the truth what can be seen of each counter's steps, and where `increase()` is above 0."""
    for name, labels in LABELS.items():
        assert rises(name, await seen.raw(f"{name}[10m]")) == expected[name], name
        found = await seen.vector(f"sum by ({', '.join(labels)}) (increase({name}[10m]))")
        increase = {tuple(of[label] for label in labels): value for of, value in found}
        above_0 = {of: value for of, value in increase.items() if value > 0}
        assert set(above_0) == set(+expected[name]), name
        assert len(increase) > len(above_0), f"{name} has nothing to tell apart"
        for of, value in sorted(above_0.items()):
            print(f"{name} {' '.join(of)}: increase() {value:.3f}, truth {expected[name][of]}")  # noqa: T201 - -s


@dataclass(frozen=True, slots=True)
class Scraper:
    """Does what Prometheus does, but only when the test says so."""

    samples: dict[tuple[str, str, frozenset[tuple[str, str]]], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )

    async def scrape(self, address: str) -> Scrape:
        page = await scrape(f"http://{address}")
        for name in LABELS:
            for labels, value in page.all(name).items():
                self.samples[address, name, labels].append(value)
        return page

    async def until(self, address: str, expected: Totals) -> None:
        """Scrape until pages show what is `expected`."""

        async def look() -> bool:
            page = await self.scrape(address)
            return all(_values(page, name) == expected[name] for name in LABELS)

        await eventually(look, f"{expected} at {address}", within_s=WITHIN_S)

    def rises(self) -> Totals:
        """Return what was seen to increase, as `increase()` sees it."""
        series: defaultdict[str, list[Series]] = defaultdict(list)
        for (_, name, labels), values in self.samples.items():
            series[name].append(Series(dict(labels), values))
        return {name: rises(name, series[name]) for name in LABELS}


def _values(page: Scrape, name: str) -> Counter[tuple[str, ...]]:
    samples = ((dict(labels), value) for labels, value in page.all(name).items())
    return Counter({tuple(of[label] for label in LABELS[name]): int(value) for of, value in samples})


OLD = an_import("acme", "old", {"SOURCE": {"errors": 1, "warnings": 1, "objects": 1}})
LAST = an_import("acme", "last", {"SOURCE": {"errors": 2, "warnings": 3, "objects": 4}})


@dataclass(frozen=True, slots=True)
class End:
    """How the exporter ended after it had counted `LAST`."""

    published: bool = True
    scraped: bool = False
    number: signal.Signals = signal.SIGKILL
    moved: bool = True


async def lived_before(tenants: Site, address: str) -> Scraper:
    """Let an exporter count `OLD`, be scraped and end; nothing of that is ever lost."""
    scraper = Scraper()
    async with tenants.exporter(address, (OLD, LAST)):
        await scraper.scrape(address)
        tenants.happen(OLD)
        await scraper.until(address, truth(tenants.simulator))
    assert scraper.rises() == truth(tenants.simulator)
    return scraper


async def last_counted(tenants: Site, scraper: Scraper, address: str, end: End) -> None:
    """Let an exporter count `LAST`, and end as `end` says."""
    async with tenants.daemon(address, (OLD, LAST), "killed") as daemon:
        if end.published:
            await scraper.scrape(address)  # the baseline, after which it publishes what it counts
        tenants.happen(LAST)
        await counted(daemon, LAST)
        if end.published:
            await published(tenants)
        assert tenants.stored(ERRORS, "SOURCE") == (3, 3 if end.published else 1)
        if end.scraped:
            await scraper.scrape(address)
        await daemon.end(end.number)


async def published(tenants: Site) -> None:
    """Wait until pages may show all that was counted; nobody looks at one."""

    async def look() -> bool:
        return tenants.stored(ERRORS, "SOURCE") == (3, 3)

    await eventually(look, "published", within_s=WITHIN_S)


async def seen_after(tenants: Site, scraper: Scraper, address: str) -> Totals:
    """Start the exporter once more, scrape until it shows the truth, and return all that was seen to increase."""
    async with tenants.exporter(address, (OLD, LAST)):
        await scraper.until(address, truth(tenants.simulator))
    return scraper.rises()


async def test_only_loss_is_what_was_published_unscraped_killed_and_moved(tmp_path: Path) -> None:
    """It is missing from what a new address is seen to increase by; the counters themselves have it."""
    here, there = (f"127.0.0.1:{free_port()}" for _ in range(2))
    async with site(tmp_path, "0s") as tenants:
        scraper = await lived_before(tenants, here)
        before = truth(tenants.simulator)
        await last_counted(tenants, scraper, here, End())
        assert await seen_after(tenants, scraper, there) == before
        assert truth(tenants.simulator) != before


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(End(published=False), id="not yet published"),
        pytest.param(End(scraped=True), id="scraped"),
        pytest.param(End(number=signal.SIGTERM), id="stopped cleanly"),
        pytest.param(End(moved=False), id="same address"),
    ],
)
async def test_nothing_is_lost_where_one_condition_of_the_loss_is_missing(end: End, tmp_path: Path) -> None:
    """What was counted is seen to increase, exactly once."""
    here, there = (f"127.0.0.1:{free_port()}" for _ in range(2))
    async with site(tmp_path, "0s") as tenants:
        scraper = await lived_before(tenants, here)
        await last_counted(tenants, scraper, here, end)
        assert await seen_after(tenants, scraper, there if end.moved else here) == truth(tenants.simulator)


async def test_nothing_is_lost_of_what_a_failing_store_never_held(tmp_path: Path) -> None:
    """What was counted in memory alone is asked for and counted again at a new address after a kill."""
    here, there = (f"127.0.0.1:{free_port()}" for _ in range(2))
    async with site(tmp_path, "0s") as tenants:
        scraper = await lived_before(tenants, here)
        async with tenants.daemon(here, (OLD, LAST), "killed") as daemon:
            await scraper.scrape(here)
            with tenants.locked_store():
                tenants.happen(LAST)
                await counted(daemon, LAST)
                await scraper.scrape(here)
                await daemon.end(signal.SIGKILL)
        assert tenants.stored(ERRORS, "SOURCE") == (1, 1)
        assert await seen_after(tenants, scraper, there) == truth(tenants.simulator)
