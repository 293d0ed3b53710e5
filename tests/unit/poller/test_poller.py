"""The poller against a scripted client: what cannot be had from a real tenant at will."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from spexporter.board import LatestViews
from spexporter.domain.breaker import BreakerState
from spexporter.domain.errors import (
    AnswerTooLarge,
    LeaseEnded,
    TenantError,
    TenantForbidden,
    TenantMalformed,
    TenantNotFound,
    TenantTimeout,
    TenantUnauthorized,
)
from spexporter.domain.hub import ListedJob
from spexporter.domain.job import JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.ports import Group, Terms
from spexporter.domain.result import ImportResult, Outcome
from spexporter.domain.view import TenantState
from spexporter.ledger.memory import MemoryLedger
from spexporter.poller import Care, Poller, TenantPolling
from spexporter.sailpoint.vitals import Vitals
from tests.support.clients import Heard
from tests.support.clock import START_WALL_S, FakeClock, settle

GROUP = Group("g")
EXPIRES_S = START_WALL_S + 1000.0


@dataclass
class Scripted:
    """Satisfies `Asks`: what it is asked runs the test's own functions."""

    vitals: Vitals
    on_status: Callable[[JobKey], Awaitable[Observation]]
    on_result: Callable[[JobKey], Awaitable[ImportResult]]
    changed: bool = False
    asked: Counter[str] = field(default_factory=Counter)
    on_list: Callable[[], Awaitable[tuple[ListedJob, ...]]] | None = None

    def opens_s(self, looks: int) -> float:
        assert looks >= 0
        return -math.inf

    def secret_changed(self) -> bool:
        return self.changed

    async def object_types(self) -> frozenset[str]:
        self.asked["config-objects"] += 1
        return frozenset({"SOURCE"})

    async def status(self, key: JobKey) -> Observation:
        self.asked[key.job_id] += 1
        return await self.on_status(key)

    async def result(self, key: JobKey) -> ImportResult:
        self.asked[f"{key.job_id} result"] += 1
        return await self.on_result(key)

    async def listed(self, operation: Operation) -> tuple[ListedJob, ...]:
        self.asked[operation] += 1
        return await self.on_list() if self.on_list else ()

    async def credential_expires(self) -> float | None:
        self.asked["credential"] += 1
        return None


class Lost(Heard):
    """Hears of failures, which only the poller tells."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: Counter[str] = Counter()

    def failed(self, tenant: str, reason: str) -> None:
        assert tenant
        self.reasons[reason] += 1


@dataclass
class Beats:
    """Satisfies `Pulse`."""

    skips: Counter[str] = field(default_factory=Counter)
    late_s: list[float] = field(default_factory=list)
    beats: int = 0

    def beat(self) -> None:
        self.beats += 1

    def started(self, late_s: float) -> None:
        self.late_s.append(late_s)

    def skipped(self, reason: str) -> None:
        self.skips[reason] += 1

    def attempted(self, tenant: str) -> None:
        assert tenant


@dataclass
class HeldBy:
    """Satisfies `Lease`; the test says whose it is."""

    fence: int | None = 0

    def held(self, group: Group) -> int | None:
        assert group == GROUP
        return self.fence


@dataclass
class Rig:
    """A running poller and all that it talks to."""

    clock: FakeClock
    clients: dict[str, Scripted]
    poller: Poller
    board: LatestViews
    pulse: Beats
    lease: HeldBy
    heard: Lost

    async def advance(self, by_s: float) -> None:
        end_s = self.clock.monotonic() + by_s
        await settle()
        while (wake_s := self.clock.next_wake()) is not None and wake_s <= end_s:
            self.clock.jump_to(wake_s)
            await settle()
        self.clock.jump_to(end_s)
        await settle()

    def outcome(self, job_id: str) -> Outcome | None:
        return next(
            job.outcome
            for view in self.board.snapshot()
            for job in view.state.jobs.values()
            if job.key.job_id == job_id
        )


async def running(key: JobKey) -> Observation:
    return Observation(key, JobState.IN_PROGRESS, "IN_PROGRESS", observed_s=START_WALL_S, created_s=START_WALL_S)


async def complete(key: JobKey) -> Observation:
    return Observation(
        key,
        JobState.COMPLETE,
        "COMPLETE",
        START_WALL_S,
        START_WALL_S,
        completed_s=START_WALL_S + 1,
        expires_s=EXPIRES_S,
    )


async def never(_key: JobKey) -> Observation:
    await asyncio.Event().wait()
    raise AssertionError


def raising(kind: type[TenantError], endpoint: str) -> Callable[[JobKey], Awaitable[ImportResult]]:
    """Return a result look that always fails, each time with an error of its own."""

    async def result(_key: JobKey) -> ImportResult:
        raise kind("planted", endpoint=endpoint)

    return result


async def no_result(_key: JobKey) -> ImportResult:
    return ImportResult({})


@asynccontextmanager
async def rig(
    *tenants: str,
    on_status: Callable[[JobKey], Awaitable[Observation]] = running,
    on_result: Callable[[JobKey], Awaitable[ImportResult]] = no_result,
    jobs: int = 1,
    operation: Operation = Operation.IMPORT,
) -> AsyncIterator[Rig]:
    """Poll `tenants` with `jobs` jobs each, named `<tenant>-<number>`."""
    clock, board, pulse, lease, heard, ledger = (
        FakeClock(),
        LatestViews(),
        Beats(),
        HeldBy(),
        Lost(),
        MemoryLedger(math.inf),
    )
    clients = {name: Scripted(Vitals("http://x", "v1", clock), on_status, on_result) for name in tenants}
    polling = {
        name: TenantPolling(
            name, GROUP, client, Care(), ledger=ledger, board=board, lease=lease, clock=clock, exchanges=heard
        )
        for name, client in clients.items()
    }
    poller = Poller(GROUP, lease=lease, clock=clock, pulse=pulse)
    states = await ledger.restore(map(Terms, tenants))
    for name in tenants:
        await poller.add(name, polling[name], states[name])
    for name in tenants:
        await poller.watch(name, tuple(WatchedJob(JobKey(name, operation, f"{name}-{n}")) for n in range(jobs)), ())
    task = asyncio.create_task(poller.run())
    yield Rig(clock, clients, poller, board, pulse, lease, heard)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_bug_in_one_look_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    """It is logged with its traceback, tried again rarely, and everything else goes on."""

    async def status(key: JobKey) -> Observation:
        if key.job_id == "acme-0":
            raise KeyError("planted bug")
        return await running(key)

    async with rig("acme", on_status=status, jobs=2) as polled:
        await polled.advance(300)
        assert 4 <= polled.clients["acme"].asked["acme-0"] <= 6
        assert polled.clients["acme"].asked["acme-1"] > 10
    assert "event=look_crashed" in capsys.readouterr().err


async def test_a_tenant_that_hangs_holds_no_more_than_its_share() -> None:
    """Four looks in flight hang; the other tenant of the group is polled as ever."""

    async def status(key: JobKey) -> Observation:
        return await (never(key) if key.tenant == "hung" else running(key))

    async with rig("hung", "fine", on_status=status, jobs=20) as polled:
        await polled.advance(60)
        assert sum(count for name, count in polled.clients["hung"].asked.items() if name != "config-objects") == 4
        assert all(polled.clients["fine"].asked[f"fine-{n}"] > 5 for n in range(20))


async def test_a_group_has_a_bounded_number_of_looks_in_flight() -> None:
    """Thirty-two at once at the most, whatever the number of tenants, and the heart beats on."""
    names = [f"t{n}" for n in range(12)]
    async with rig(*names, on_status=never, jobs=4) as polled:
        await polled.advance(60)
        looks = sum(client.asked[job] for client in polled.clients.values() for job in client.asked if job[0] == "t")
        assert looks == 32
        assert polled.pulse.beats >= 12


async def test_without_the_lease_nothing_is_asked_or_written() -> None:
    """A group that is another replica's is put off and counted, and goes on once it is ours."""
    async with rig("acme") as polled:
        polled.lease.fence = None
        await polled.advance(60)
        assert not polled.clients["acme"].asked
        assert polled.pulse.skips["lease"] > 5
        polled.lease.fence = 7
        await polled.advance(10)
        assert polled.clients["acme"].asked["acme-0"] > 0


async def test_a_lease_lost_during_a_look_keeps_its_answer_out() -> None:
    """What comes back after the lease has gone belongs to the new owner."""
    go = asyncio.Event()

    async def status(key: JobKey) -> Observation:
        await go.wait()
        return await complete(key)

    async with rig("acme", on_status=status) as polled:
        await polled.advance(1)
        polled.lease.fence = None
        go.set()
        await polled.advance(1)
        (view,) = polled.board.snapshot()
        assert [job.state for job in view.state.jobs.values()] == [None]


async def test_a_job_that_leaves_during_a_look_is_not_queued_again() -> None:
    """Neither after a good answer nor after a failure."""
    go = asyncio.Event()

    async def status(key: JobKey) -> Observation:
        await go.wait()
        if key.job_id == "acme-0":
            raise TenantMalformed("planted", endpoint="import-status")
        return await running(key)

    async with rig("acme", on_status=status, jobs=2) as polled:
        await polled.advance(4)
        await polled.poller.watch("acme", (), tuple(JobKey("acme", Operation.IMPORT, f"acme-{n}") for n in range(2)))
        go.set()
        await polled.advance(600)
        asked = polled.clients["acme"].asked
        assert (asked["acme-0"], asked["acme-1"]) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "outcome", "tries"),
    [
        (AnswerTooLarge, Outcome.TOO_LARGE, 1),
        (TenantMalformed, Outcome.MALFORMED, 12),
        (TenantForbidden, Outcome.FORBIDDEN, 7),
    ],
    ids=["too large", "malformed", "forbidden until it has expired"],
)
async def test_a_result_that_will_never_be_read_is_given_up(
    kind: type[TenantError], outcome: Outcome, tries: int
) -> None:
    """With an outcome that says why, after as many tries as make sense, and no trouble left on the page."""
    async with rig("acme", on_status=complete, on_result=raising(kind, "import-result")) as polled:
        await polled.advance(2000)
        assert polled.outcome("acme-0") is outcome
        assert polled.clients["acme"].asked["acme-0 result"] == tries
        assert polled.heard.reasons == {kind.reason: tries}


async def test_a_result_malformed_once_is_read_the_next_time() -> None:
    """A gateway's bad moment costs nothing."""

    async def result(_key: JobKey) -> ImportResult:
        if polled.clients["acme"].asked["acme-0 result"] == 1:
            raise TenantMalformed("planted", endpoint="import-result")
        return ImportResult({})

    async with rig("acme", on_status=complete, on_result=result) as polled:
        await polled.advance(60)
        assert polled.outcome("acme-0") is Outcome.COUNTED
        (view,) = polled.board.snapshot()
        assert view.health.troubles == {}


async def test_a_token_failure_during_a_download_says_nothing_about_the_result() -> None:
    """A refused credential or an outage is put right later; the result is still there then."""
    failures = [TenantTimeout("planted", endpoint="token")] * 10

    async def result(_key: JobKey) -> ImportResult:
        if failures:
            raise failures.pop()
        return ImportResult({})

    async with rig("acme", on_status=complete, on_result=result) as polled:
        await polled.advance(900)
        assert polled.outcome("acme-0") is Outcome.COUNTED


async def test_a_tenant_that_times_out_is_asked_by_one_look_at_a_time() -> None:
    """Once its breaker has opened, a hundred jobs cost one try a minute."""

    async def status(_key: JobKey) -> Observation:
        raise TenantTimeout("planted", endpoint="import-status")

    async with rig("acme", on_status=status, jobs=100) as polled:
        await polled.advance(600)
        before = polled.clients["acme"].asked.total()
        await polled.advance(3600)
        assert 60 <= polled.clients["acme"].asked.total() - before <= 130
        (view,) = polled.board.snapshot()
        assert view.breaker is not BreakerState.CLOSED


async def test_a_refused_credential_is_tried_at_once_when_its_secret_changes() -> None:
    """Rarely before, within seconds after; every job is asked about then."""
    refused = True

    async def status(key: JobKey) -> Observation:
        if refused:
            raise TenantUnauthorized("planted", endpoint="token")
        return await running(key)

    async with rig("acme", on_status=status, jobs=3) as polled:
        await polled.advance(250)
        asked = polled.clients["acme"].asked.total()
        assert asked <= 12
        refused = False
        await polled.advance(20)
        assert polled.clients["acme"].asked.total() == asked
        polled.clients["acme"].changed = True
        await polled.advance(8)
        assert {job.state for job in polled.board.snapshot()[0].state.jobs.values()} == {JobState.IN_PROGRESS}


async def test_a_404_must_be_confirmed_twice() -> None:
    """A gateway's bad moment makes no job NOT_FOUND."""
    misses = 0

    async def status(key: JobKey) -> Observation:
        nonlocal misses
        if misses:
            misses -= 1
            raise TenantNotFound("planted", endpoint="import-status")
        return await running(key)

    async with rig("acme", on_status=status) as polled:
        seen = set()
        for count in (0, 1, 2):
            misses = count
            await polled.advance(600)
            seen |= {job.state for job in polled.board.snapshot()[0].state.jobs.values()}
        assert seen == {JobState.IN_PROGRESS}
        misses = 10**6
        await polled.advance(80)
        assert [job.state for job in polled.board.snapshot()[0].state.jobs.values()] == [JobState.NOT_FOUND]


async def test_dropped_views_are_gone() -> None:
    """A tenant that is not ours to show any more leaves the board."""
    async with rig("acme", "globex") as polled:
        polled.board.served({"acme": 1}, 0.0)
        polled.board.drop("acme")
        assert [view.tenant for view in polled.board.snapshot()] == ["globex"]
        assert polled.board.served_version("acme") == 0


async def test_a_look_that_ends_by_itself_as_its_tenant_leaves_ends_nothing_else() -> None:
    """A time-out and the end of the look can come in one moment: then the failure wins."""

    async def status(key: JobKey) -> Observation:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise TenantTimeout("planted", endpoint="import-status") from None
        return await running(key)

    async with rig("acme", "other", on_status=status) as polled:
        await polled.advance(5)
        await polled.poller.remove("acme")
        before = polled.pulse.beats
        await polled.advance(30)
        assert polled.pulse.beats > before
        assert polled.clients["acme"].asked["acme-0"] == 1


async def test_a_look_that_the_lease_has_ended_is_put_off() -> None:
    """It is no failure of the tenant."""

    async def status(_key: JobKey) -> Observation:
        raise LeaseEnded("planted")

    async with rig("acme", on_status=status) as polled:
        await polled.advance(30)
        assert polled.pulse.skips["lease"] >= 3
        (view,) = polled.board.snapshot()
        assert not view.health.troubles


async def test_looks_that_another_process_had_queued_are_made_when_they_were_due() -> None:
    """What was due long ago is asked at once, and what is not due yet is not asked before."""
    async with rig("acme", jobs=2) as polled:
        await polled.advance(30)
        moved = {each.target: polled.clock.monotonic() + each.due_in_s for each in polled.poller.queued()}
        assert len(moved) == 3
        due_s = max(moved.values())
        tenant = await polled.poller.remove("acme")
        before = dict(polled.clients["acme"].asked)
        state = TenantState(jobs=tenant.jobs)
        dues = {target: due_s if target.key else math.inf for target in moved}
        await polled.poller.add("acme", tenant, state, dues)
        await polled.advance(due_s - polled.clock.monotonic() - 0.1)
        assert dict(polled.clients["acme"].asked) == before
        await polled.advance(1.0)
        assert polled.clients["acme"].asked["acme-0"] == before["acme-0"] + 1
