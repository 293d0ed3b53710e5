"""The real program while its store fails, in every way that a disk, another process or an operator can bring about."""

import asyncio
import os
import signal
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from spexporter.app import opened_ledger
from spexporter.clock import SystemClock
from spexporter.config.values import Store
from spexporter.domain.values import replace
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.ledger.schema import VERSION
from spexporter.simulator import SimulatedJob, Simulator, TenantPlan, default_plans, result_of, serving
from spexporter.simulator.jobs import CANCELLED, COMPLETE, FAILED
from spexporter.telemetry import Telemetry
from tests.support import disks
from tests.support.eventually import eventually
from tests.support.program import LOOPBACK, Ended, Program, json_lines, spexporter
from tests.support.truth import differences
from tests.support.world import Labels, Scrape, config_text, scrape

Fault = Callable[[Path], AbstractContextManager[None]]
Counters = Mapping[tuple[str, Labels], float]

LOCKED_S = float(os.environ.get("LOCKED_S", "12"))  # 60 in the full form
SCRAPES_EVERY_S = 0.25
WITHIN_S = 60.0  # how long anything may take on a machine that has other things to do
STARTED = '"event": "started"'
STORE_EVENTS = ("store_failed", "store_recovered", "store_crashed", "store_left_behind")
ENDS_WITHIN_S = 5.0
PACE = "  poll: {fastest: 100ms, slowest: 500ms}\n  rate_limit: {requests: 1000, per: 1s}"
PLANS = [replace(plan, jobs_at_start=0, starts_per_minute=0.0) for plan in default_plans(12)]
RUNS_S = 3600.0


@dataclass(frozen=True, slots=True)
class Order:
    """A job to start; `counts` is what its result says, by object type."""

    operation: str
    final_state: str
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    preview: bool = False


# One batch of jobs for each tenant; all numbers differ, so that none can stand for another.
BATCH = (
    Order("import", COMPLETE, {"SOURCE": {"errors": 3, "warnings": 5, "objects": 7}}),
    Order("import", FAILED, {"ROLE": {"errors": 11}, "SOURCE": {"objects": 13}}),
    Order("import", COMPLETE, {"RULE": {"infos": 2, "errors": 17}}, preview=True),
    Order("export", CANCELLED),
    Order("export", COMPLETE),
)


@dataclass
class Tenants:
    """A simulator whose jobs run until the test ends them, and a configuration for it with a store."""

    simulator: Simulator
    folder: Path
    store: Path
    running: deque[list[SimulatedJob]]

    def end_batch(self) -> None:
        """Let one batch of jobs end now; the last one runs on."""
        assert len(self.running) > 1
        now_s = round(self.simulator.now_s(), 3)
        for job in self.running.popleft():
            # The simulator knows each end beforehand; here it is the test that says when.
            object.__setattr__(job, "ended_s", now_s)

    @property
    def arguments(self) -> list[str | Path]:
        """What the program is called with."""
        config = self.folder / "spexporter.yaml"
        return ["run", "--config.file", config, "--web.listen-address", LOOPBACK, "--log.format", "json"]

    async def refused(self, name: str = "refused") -> tuple[int, str]:
        """Run the program to its end, and return its status and what it said."""
        async with spexporter(*self.arguments, folder=self.folder, name=name) as program:
            async with asyncio.timeout(WITHIN_S):
                status = await program.process.wait()
            return status, program.printed()

    @asynccontextmanager
    async def daemon(self, name: str) -> AsyncIterator["Daemon"]:
        """Run the program; its page is scraped all the time until it is ended."""
        async with spexporter(*self.arguments, folder=self.folder, name=name) as program:
            await program.says(STARTED, within_s=WITHIN_S)
            running = Daemon(program, await program.url(STARTED), self.simulator)
            async with asyncio.TaskGroup() as tasks:
                running.scraping = tasks.create_task(running.scrape_on(), name="scraping")
                try:
                    yield running
                finally:
                    running.stop.set()


@asynccontextmanager
async def tenants(
    folder: Path,
    store: Path,
    *,
    plans: Sequence[TenantPlan] = PLANS[:1],
    batches: int = 4,
    batch: Sequence[Order] = BATCH,
) -> AsyncIterator[Tenants]:
    """Run a simulator with so many batches of jobs that will end, and one that will not."""
    simulator = Simulator(plans, clock=SystemClock(), requests=1000, per_s=1.0)
    running = deque(
        [start(simulator, plan.name, order) for plan in plans for order in batch] for _ in range(batches + 1)
    )
    async with serving(simulator) as url:
        text = config_text(simulator, url, extra=PACE)
        assert '"sqlite://"' in text
        (folder / "spexporter.yaml").write_text(text.replace('"sqlite://"', f'"sqlite:///{store}"'))
        yield Tenants(simulator, folder, store, running)


def start(simulator: Simulator, tenant: str, order: Order) -> SimulatedJob:
    """Start a job that runs for longer than any test."""
    result = result_of(order.counts, preview=order.preview) if order.counts else None
    return simulator.start(
        tenant,
        order.operation,
        final_state=order.final_state,
        preview=order.preview,
        result=result,
        queue_s=0.0,
        duration_s=RUNS_S,
    )


@dataclass
class Daemon:
    """The running program and every page it has served, oldest first."""

    program: Program
    url: str
    simulator: Simulator
    pages: list[Scrape] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    scraping: asyncio.Task[None] | None = None

    async def scrape_on(self) -> None:
        """Scrape until `stop`; any answer but 200 fails the test."""
        while not self.stop.is_set():
            self.pages.append(await scrape(self.url))
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), SCRAPES_EVERY_S)

    async def shows(self, what: str, seen: Callable[[Scrape], bool]) -> Scrape:
        """Wait for a page, newer than those there are, on which `seen` is true."""
        before = len(self.pages)

        async def look() -> Scrape | None:
            return self.pages[-1] if len(self.pages) > before and seen(self.pages[-1]) else None

        return await eventually(look, what, within_s=WITHIN_S, every_s=SCRAPES_EVERY_S)

    async def agrees(self) -> Scrape:
        """Wait until the page says what the tenants have really sent."""
        found: list[str] = []

        def seen(page: Scrape) -> bool:
            found[:] = differences(self.simulator.truth(), page)
            return not found

        try:
            return await self.shows("counters that equal the truth", seen)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *found])) from error

    async def end(self, number: signal.Signals) -> Ended:
        """Scrape no more, send a signal, and wait for the end."""
        assert self.scraping is not None
        self.stop.set()
        await self.scraping
        return await self.program.end(number)

    def events(self, *names: str) -> list[dict[str, object]]:
        """Return the log's lines of these names, without their times."""
        whole, _, _ = self.program.stderr.read_text().rpartition("\n")
        lines = json_lines(whole)
        return [{key: line[key] for key in line if key != "ts"} for line in lines if line["event"] in names]


def counters(page: Scrape) -> Counters:
    """Return every counter about jobs."""
    return {
        (name, labels): value
        for name, samples in page.samples.items()
        if name.startswith("spconfig_") and name.endswith(("_total", "_bucket", "_sum", "_count"))
        for labels, value in samples.items()
    }


def store_up(page: Scrape) -> float | None:
    return page.value("spexporter_store_up")


def errors(page: Scrape) -> dict[str, float]:
    found = page.all("spexporter_store_errors_total")
    return {dict(labels)["op"]: value for labels, value in found.items()}


def states_seen(simulator: Simulator) -> Callable[[Scrape], bool]:
    """Return what tells whether a page has every job's present state, and every result."""
    told: Any = simulator.truth()["jobs"]

    def seen(page: Scrape) -> bool:
        return all(page.state(job["id"]) == job["state"] and _result_seen(job, page) for job in told)

    return seen


def _result_seen(job: Mapping[str, Any], page: Scrape) -> bool:
    if job["operation"] != "import" or job["ended_s"] is None:
        return True
    return page.value("spconfig_import_result_read", job_id=job["id"]) == 1


def never_less(pages: Sequence[Scrape]) -> None:
    """Assert that no counter goes down or away from one page to the next."""
    for earlier, later in pairwise(map(counters, pages)):
        assert {key: value for key, value in earlier.items() if later.get(key, -1.0) < value} == {}


@dataclass(frozen=True, slots=True)
class Case:
    """A way to fail while the daemon runs, and what it is to say then; `{store}` is the file."""

    fault: Fault
    error: str
    cure: str
    lasts_s: float = 0.0

    def failed(self, store: Path) -> dict[str, object]:
        """Return the line of the log."""
        return {
            "event": "store_failed",
            "level": "error",
            "error": self.error.format(store=store),
            "cure": self.cure,
        }


FULL = Case(
    disks.full, "store {store} has no room: the disk is full", "make room on its disk, without deleting the store"
)
LOCKED = Case(
    disks.locked,
    "store {store} is locked by another process",
    "find out who has it open (`fuser FILE`); it goes on when that one is done",
    LOCKED_S,
)
GARBAGE = "store {store} is not a store: its file holds something else"
PUT_BACK = (
    "put a copy of the right file in its place; if you delete it, a running exporter writes it anew from memory, and"
    " one that starts begins anew"
)
READ_ONLY = Case(
    disks.read_only,
    "store {store} is read-only",
    "let this user write the file and its folder, or mount its disk writable",
)
CASES = {
    "the disk gets full": FULL,
    "another process locks it": LOCKED,
    "garbage is written into it, and it is removed": Case(disks.overwritten, GARBAGE, PUT_BACK),
    "garbage takes its place, and a copy comes back": Case(disks.exchanged, GARBAGE, PUT_BACK),
    "its disk gets read-only": READ_ONLY,
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    with disks.small_disk(tmp_path / "disk") as folder:
        yield folder


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print what was seen, for the record."""

    def told(text: str) -> None:
        with capsys.disabled():
            print(f"\n{request.node.name}: {text}")  # noqa: T201 (figures for the record)

    return told


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_nothing_is_lost_or_doubled_while_the_store_fails(
    case: Case, tmp_path: Path, disk: Path, tell: Callable[[str], None]
) -> None:
    """Polling and pages go on and counters stand still; then, and after a stop and a kill, they equal the truth."""
    async with tenants(tmp_path, disk / "store.db") as scene:
        async with scene.daemon("first") as daemon:
            disks.back_up(scene.store)
            before = await fails_for_a_while(case, scene, daemon)
            after = await daemon.agrees()
            during = [page for page in daemon.pages if store_up(page) == 0]
            log = daemon.events(*STORE_EVENTS)
            await daemon.end(signal.SIGTERM)
        tell(f"{len(during)} pages without the store, {errors(after)}, {log}")
        assert all(counters(page) == counters(before) for page in during)
        assert observed(during[0]) < observed(during[-1]) < observed(after)
        assert (store_up(after), errors(after)["write"] >= 1, errors(after)["read"]) == (1, True, 0)
        first, *others, last = log
        assert (first, last.pop("lasted_s", None) is not None) == (case.failed(scene.store), True)
        assert last == {"event": "store_recovered", "level": "info"}
        # What takes the place of garbage may be told of, too.
        assert {line.get("cure") for line in others} <= {"none needed if store_recovered follows: it is written anew"}
        pages = await counts_on(scene, daemon.pages, "second", signal.SIGKILL)
        await counts_on(scene, pages, "third", signal.SIGTERM)


async def fails_for_a_while(case: Case, scene: Tenants, daemon: "Daemon") -> Scrape:
    """Let the store fail for as long as the case says, and return a page from before; the log must say so at once."""
    from_s = time.monotonic()
    async with failing(case.fault, scene, daemon) as before:
        await asyncio.sleep(max(0.0, from_s + case.lasts_s - time.monotonic()))  # as long as the lock is to be held
        await daemon.shows("a page to the end", lambda page: store_up(page) == 0)
        assert daemon.events(*STORE_EVENTS) == [case.failed(scene.store)]
    return before


@asynccontextmanager
async def failing(fault: Fault, scene: Tenants, daemon: "Daemon") -> AsyncIterator[Scrape]:
    """Let the store fail, and jobs end that are seen to end all the same; the block gets a page from before."""
    scene.end_batch()
    before = await daemon.agrees()
    assert (store_up(before), errors(before)) == (1, {"read": 0, "write": 0})
    with fault(scene.store):
        scene.end_batch()
        await daemon.shows("store_up 0", lambda page: store_up(page) == 0)
        await daemon.shows("the new states", states_seen(scene.simulator))
        yield before


async def counts_on(
    scene: Tenants, pages: Sequence[Scrape], name: str = "next", number: signal.Signals = signal.SIGTERM
) -> Sequence[Scrape]:
    """Start again after `pages`: all was counted once, and more is. Return all pages until the end."""
    async with scene.daemon(name) as daemon:
        await daemon.agrees()
        scene.end_batch()
        await daemon.agrees()
        await daemon.end(number)
        assert daemon.events(*STORE_EVENTS) == []
    every = [*pages, *daemon.pages]
    never_less(every)
    return every


def observed(page: Scrape) -> float:
    """Return when the jobs that still run were last asked for."""
    return max(page.all("spconfig_job_last_observed_timestamp_seconds").values())


@pytest.mark.parametrize("fault", [disks.full, disks.locked], ids=["full", "locked"])
async def test_kill_while_the_store_fails_loses_nothing(fault: Fault, tmp_path: Path, disk: Path) -> None:
    """What could not be stored before `kill -9` is asked for and counted after the restart."""
    async with tenants(tmp_path, disk / "store.db") as scene:
        async with scene.daemon("first") as daemon, failing(fault, scene, daemon):
            await daemon.end(signal.SIGKILL)
        await counts_on(scene, daemon.pages)


@pytest.mark.parametrize("fault", [disks.full, disks.locked], ids=["full", "locked"])
async def test_stop_while_the_store_fails_is_quick_and_says_what_is_left(
    fault: Fault, tmp_path: Path, disk: Path, tell: Callable[[str], None]
) -> None:
    """SIGTERM ends it with status 0 within seconds; the log names the tenants, and the next start counts them."""
    async with tenants(tmp_path, disk / "store.db") as scene:
        async with scene.daemon("first") as daemon, failing(fault, scene, daemon):
            ended = await daemon.end(signal.SIGTERM)
            tell(f"{ended}, {daemon.events('store_left_behind')}")
            assert (ended.status, ended.took_s < ENDS_WITHIN_S) == (0, True), ended
            assert [line["tenants"] for line in daemon.events("store_left_behind")] == [[PLANS[0].name]]
        await counts_on(scene, daemon.pages)


async def test_stop_waits_for_a_locked_store_once_and_not_for_each_client(tmp_path: Path) -> None:
    """With many client ids, each with a rate limit of its own to store, SIGTERM is answered as quickly."""
    async with (
        tenants(tmp_path, tmp_path / "store.db", plans=PLANS, batches=2, batch=BATCH[:1]) as scene,
        scene.daemon("first") as daemon,
        failing(disks.locked, scene, daemon),
    ):
        ended = await daemon.end(signal.SIGTERM)
    assert (ended.status, ended.took_s < ENDS_WITHIN_S) == (0, True), ended


@pytest.mark.parametrize("lose", [Path.unlink, disks.empty], ids=["removed", "emptied"])
async def test_file_that_is_lost_is_written_anew(lose: Callable[[Path], None], tmp_path: Path) -> None:
    """What memory holds is in the new file at once: a kill right after it loses nothing."""
    async with tenants(tmp_path, tmp_path / "store.db") as scene:
        async with scene.daemon("first") as daemon:
            scene.end_batch()
            await daemon.agrees()
            lose(scene.store)
            scene.end_batch()
            await daemon.agrees()
            assert [line["event"] for line in daemon.events(*STORE_EVENTS)] == ["store_failed", "store_recovered"]
            await daemon.end(signal.SIGKILL)
        await counts_on(scene, daemon.pages)


async def test_file_that_is_removed_from_a_full_disk_is_written_when_there_is_room(tmp_path: Path, disk: Path) -> None:
    """The log does not stop at the file that is gone, but tells of the disk, too; room is all that is needed."""
    async with tenants(tmp_path, disk / "store.db") as scene:
        async with scene.daemon("first") as daemon:
            async with failing(removed_and_full, scene, daemon):
                await daemon.program.says("has no room: the disk is full", within_s=WITHIN_S)
            await daemon.agrees()
            await daemon.end(signal.SIGKILL)
        await counts_on(scene, daemon.pages)


@contextmanager
def removed_and_full(store: Path) -> Iterator[None]:
    """Remove the file, and leave no room for another one."""
    with disks.full(store):
        store.unlink()
        disks.fill(store)
        yield


@pytest.fixture
async def kept(disk: Path) -> Path:
    """A store that a daemon has left."""
    store = disk / "store.db"
    async with opened_ledger(Store(store, 1.0), SystemClock(), Telemetry(OWN_FAMILIES)):
        return store


@contextmanager
def newer(store: Path) -> Iterator[None]:
    """Let the store be that of a version to come."""
    disks.set_version(store, 1000)
    yield


NOT_WRITABLE = (
    "store {store}: cannot write {store}.lock: Read-only file system; "
    "let store.url name a file in a folder that exists and that this user may write"
)
NEWER = (
    f"store {{store}} was written by a newer spexporter (schema 1000, known up to {VERSION}); "
    "run that version again, or let store.url name another store"
)
REFUSALS: Mapping[str, tuple[Fault, str]] = {
    "full": (disks.full, f"{FULL.error}; {FULL.cure}"),
    "locked": (disks.locked, f"{LOCKED.error}; {LOCKED.cure}"),
    "garbage": (disks.overwritten, f"{GARBAGE}; {PUT_BACK}"),
    "read-only": (disks.read_only, NOT_WRITABLE),
    "newer": (newer, NEWER),
}


@pytest.mark.parametrize(("fault", "said"), REFUSALS.values(), ids=REFUSALS)
async def test_store_that_fails_at_the_start_is_a_plain_message(
    fault: Fault, said: str, tmp_path: Path, kept: Path
) -> None:
    """Status 1, and one line with the file, what is wrong with it, and what to do."""
    async with tenants(tmp_path, kept) as scene:
        with fault(kept):
            assert await scene.refused() == (1, f"spexporter: {said.format(store=kept)}\n")


async def test_first_start_on_a_full_disk_is_a_plain_message(tmp_path: Path, disk: Path) -> None:
    """The same where there is no file yet, nor any room for one."""
    store = disk / "store.db"
    async with tenants(tmp_path, store) as scene:
        with disks.full(store):
            status, said = await scene.refused()
    assert (status, said.startswith(f"spexporter: store {store}"), said.count("\n")) == (1, True, 1), said
    assert "No space left on device" in said or "the disk is full" in said


async def test_second_daemon_is_told_who_has_the_store(tmp_path: Path) -> None:
    """Status 1 and the process and host of the first, which does not notice."""
    store = tmp_path / "store.db"
    async with tenants(tmp_path, store) as scene, scene.daemon("first") as daemon:
        scene.end_batch()
        await daemon.agrees()
        status, said = await scene.refused("second")
        scene.end_batch()
        await daemon.agrees()
        assert daemon.events(*STORE_EVENTS) == []
    first = f"process {daemon.program.process.pid} on {socket.gethostname()}"
    who = f"spexporter: store {store} is in use by another spexporter: {first}"
    assert (status, said) == (1, f"{who}; stop that one first, or give each a store of its own with store.url\n")
