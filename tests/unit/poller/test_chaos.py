"""Any answers, pauses, outages and clock steps, on a clock that is moved: the budget holds, and every end is found.

The long run: `pytest tests/unit/poller/test_chaos.py --hypothesis-profile=long`.
"""

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from unittest.mock import Mock

from hypothesis import given, settings
from hypothesis import strategies as st

from spexporter.board import LatestViews
from spexporter.config import MaxAnswer
from spexporter.domain.budget import LONGEST_PAUSE_S, RateLimit
from spexporter.domain.errors import TenantTimeout
from spexporter.domain.job import JobKey, JobState, Operation, WatchedJob
from spexporter.domain.ports import Terms
from spexporter.domain.schedule import Pace
from spexporter.ledger.memory import MemoryLedger
from spexporter.poller import Care, Poller, TenantPolling
from spexporter.sailpoint.auth import Credential, TokenSource
from spexporter.sailpoint.client import TenantClient
from spexporter.sailpoint.endpoints import Endpoint
from spexporter.sailpoint.gate import Gate
from spexporter.sailpoint.transport import Answer, Route, Sink, Transport
from spexporter.sailpoint.vitals import Vitals
from tests.support.clock import START_WALL_S, FakeClock, HostClock, settle
from tests.unit.poller.test_poller import GROUP, Beats, HeldBy, Lost

LIMIT = RateLimit(requests=20, per_s=10.0, use=1.0)
PACE = Pace(fastest_s=2.0, slowest_s=60.0, probe_s=300.0)
TROUBLES_S = 900.0  # all of them begin before this, and last at most this long


@dataclass(frozen=True)
class Episode:
    """What comes instead of good answers for a while: 429 with or without `Retry-After`, 5xx, 401, 403, 404, junk."""

    from_s: float
    lasts_s: float
    status: int
    retry_after: str | None = None
    silent: bool = False

    def now(self, at_s: float) -> bool:
        return self.from_s <= at_s < self.from_s + self.lasts_s


@dataclass(frozen=True)
class Chaos:
    """One life: how long jobs take, what goes wrong when, and by how much our host's clock is set when."""

    durations_s: Sequence[float]
    episodes: Sequence[Episode]
    steps: Sequence[tuple[float, float]]
    latency_s: float


@dataclass
class Record:
    """When requests began and ended, and of which job they asked."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    asked_s: dict[str, float] = field(default_factory=dict)  # when a job was asked about last, in good times
    longest_s: float = 0.0  # without a question about a job that had not ended


class Tenant(Transport):
    """Answers in-process, behind the real gate, after a while."""

    def live(self, chaos: Chaos, clock: FakeClock) -> None:
        self._chaos = chaos
        self._began_s = clock.monotonic()
        self._now_s = clock.monotonic
        self._until = clock.sleep_until
        self.record = Record()

    async def ask(
        self,
        endpoint: Endpoint,
        url: str,
        versions: Sequence[str],
        *,
        max_bytes: int,
        token: str | None = None,
        form: Mapping[str, str] | None = None,
        sink: Sink | None = None,
    ) -> Answer:
        """See `Transport.ask`."""
        del max_bytes, token, form, sink
        async with self.gate.place(versions, lambda _: None):
            began_s = self._now_s()
            age_s = began_s - self._began_s
            await self._until(began_s + self._chaos.latency_s)
            self.record.spans.append((began_s, self._now_s()))
            episode = next((it for it in self._chaos.episodes if it.now(age_s)), None)
            if episode is None:
                return Answer(200, {}, self._good(endpoint, url, age_s))
            if episode.silent:
                raise TenantTimeout("no answer", endpoint=endpoint)
            headers = {"Retry-After": episode.retry_after} if episode.retry_after else {}
            return Answer(episode.status, headers, b"junk")

    def _good(self, endpoint: Endpoint, url: str, age_s: float) -> bytes:
        if endpoint is Endpoint.TOKEN:
            return json.dumps({"access_token": "planted-access-token", "expires_in": 300}).encode()
        if endpoint is Endpoint.CONFIG_OBJECTS:
            return b"[]"
        job_id = url.rsplit("/", 1)[1]
        took_s = self._chaos.durations_s[int(job_id)]
        if age_s - self._chaos.latency_s < took_s:
            self._see(job_id, age_s)
        body = {"jobId": job_id, "status": "IN_PROGRESS", "created": _iso(0.0)}
        if age_s >= took_s:
            body |= {"status": "COMPLETE", "completed": _iso(took_s)}
        return json.dumps(body).encode()

    def _see(self, job_id: str, age_s: float) -> None:
        quiet_from_s = max([TROUBLES_S * 2, self.record.asked_s.get(job_id, 0.0)])
        self.record.longest_s = max(self.record.longest_s, age_s - quiet_from_s)
        self.record.asked_s[job_id] = age_s


def _iso(age_s: float) -> str:
    return datetime.fromtimestamp(START_WALL_S + age_s, UTC).isoformat()


def episodes() -> st.SearchStrategy[Episode]:
    times = {"from_s": st.floats(0, TROUBLES_S), "lasts_s": st.floats(0.1, TROUBLES_S)}
    pauses = st.none() | st.integers(0, 120).map(str)
    return st.one_of(
        st.builds(Episode, status=st.just(429), retry_after=pauses, **times),
        st.builds(Episode, status=st.sampled_from([200, 302, 401, 403, 404, 418, 500, 503]), **times),
        st.builds(Episode, status=st.just(0), silent=st.just(value=True), **times),
    )


LIVES = st.builds(
    Chaos,
    durations_s=st.lists(st.one_of(st.floats(0.1, 100), st.floats(1, 5000)), min_size=1, max_size=40),
    episodes=st.lists(episodes(), max_size=4),
    steps=st.lists(st.tuples(st.floats(0, TROUBLES_S), st.floats(-1e5, 1e5)), max_size=3),
    latency_s=st.floats(0, 8),
)


def bound_s(chaos: Chaos) -> float:
    """Return within which time any job is asked about in good times, whatever came before.

    The longest wait between two looks, a turn of all the others, a window, and where they came the wait of a credential
    or an endpoint that was refused, and the longest pause after a 429.
    """
    turns_s = len(chaos.durations_s) * max(LIMIT.per_s / LIMIT.allowed, chaos.latency_s / 4)
    refused = any(episode.status in {401, 403, 404} for episode in chaos.episodes)
    paused = any(episode.status == 429 for episode in chaos.episodes)
    waits_s = PACE.probe_s * refused + LONGEST_PAUSE_S * paused
    return PACE.slowest_s + 2 * turns_s + 2 * LIMIT.per_s + waits_s


async def lived(chaos: Chaos) -> tuple[Record, Mapping[str, JobState | None]]:
    """Poll until the last job has ended and a while has passed; return what the tenant saw, and what we believe."""
    true = FakeClock(START_WALL_S)
    clock, board, lease, heard, ledger = HostClock(true), LatestViews(), HeldBy(), Lost(), MemoryLedger(math.inf)
    vitals = Vitals("http://x", "v1", clock)
    tenant = Tenant("acme", Mock(), Route(), gate=Gate(LIMIT, clock), vitals=vitals, exchanges=heard, clock=clock)
    tenant.live(chaos, true)
    tokens = TokenSource(Credential("http://x/oauth/token", "id", lambda: "planted-client-secret"), tenant, clock)
    client = TenantClient("http://x", "v1", tokens=tokens, transport=tenant, limits=MaxAnswer(1, 1), clock=clock)
    polling = TenantPolling(
        "acme", GROUP, client, Care(PACE), ledger=ledger, board=board, lease=lease, clock=clock, exchanges=heard
    )
    poller = Poller(GROUP, lease=lease, clock=clock, pulse=Beats())
    await poller.add("acme", polling, (await ledger.restore([Terms("acme")]))["acme"])
    keys = [JobKey("acme", Operation.EXPORT, str(number)) for number in range(len(chaos.durations_s))]
    await poller.watch("acme", tuple(WatchedJob(key) for key in keys), ())
    task = asyncio.create_task(poller.run())
    steps = sorted(chaos.steps)
    start_s = true.monotonic()
    end_s = start_s + max(2 * TROUBLES_S, *chaos.durations_s) + bound_s(chaos)
    await settle()
    while (wake_s := true.next_wake()) is not None and wake_s <= end_s and not task.done():
        if steps and start_s + steps[0][0] <= wake_s:
            clock.step_wall(steps.pop(0)[1])
        true.jump_to(wake_s)
        await settle()
    assert not task.done()
    task.cancel()
    (view,) = board.snapshot()
    return tenant.record, {key.job_id: job.state for key, job in view.state.jobs.items()}


def fullest(spans: Sequence[tuple[float, float]]) -> int:
    """Return the most requests that a tenant can have counted in one window, wherever it counts each of them."""
    held = [edge for began_s, ended_s in spans for edge in ((began_s, 1), (ended_s + LIMIT.per_s, -1))]
    most = now = 0
    for _, change in sorted(held):
        now += change
        most = max(most, now)
    return most


@settings(deadline=None, max_examples=60)  # an hour of polling each
@given(chaos=LIVES)
def test_the_budget_holds_nobody_starves_and_every_end_is_found(chaos: Chaos) -> None:
    """In any life."""
    record, states = asyncio.run(lived(chaos))
    assert fullest(record.spans) <= LIMIT.allowed
    assert record.longest_s <= bound_s(chaos)
    assert states == {str(number): JobState.COMPLETE for number in range(len(chaos.durations_s))}
