"""Another client with our credential burns half the budget: we step aside, lose nothing, and come back after it."""

import math
from collections import Counter, deque
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp
import pytest

from spexporter.domain.values import replace
from spexporter.simulator import Simulator, default_plans
from spexporter.simulator.faults import RIVAL, Fault
from tests.support import world as support
from tests.support.clock import FakeClock
from tests.support.truth import differences
from tests.support.world import CountedTelemetry, world

LIMIT, WINDOW_S, USE = 100, 10.0, 0.8
ALLOWED = int(LIMIT * USE)
RIVAL_TAKES = 50
RIVAL_LASTS_S = 20 * 60.0
RECOVERED_AFTER_S = 10 * 60.0
MINUTE_S = 60.0
RIVAL_MINUTES = round(RIVAL_LASTS_S / MINUTE_S)
ENDING_JOBS, ENDLESS_JOBS = 300, 40
RUN_S = (60.0, 900.0)
# 40 jobs that never end ask for twice our budget on their own, so that what we take is always all that we may.
DEFAULTS = "  poll: {fastest: 500ms, slowest: 2s}"
PLAN = replace(
    default_plans(1)[0],
    jobs_at_start=0,
    starts_per_minute=0.0,
    faults=(Fault(RIVAL, count=RIVAL_TAKES, until_s=RIVAL_LASTS_S),),
)


@dataclass(frozen=True, slots=True)
class Pause:
    """What one 429 asked for (monotonic seconds), and how many other requests were in flight when it was read."""

    from_s: float
    until_s: float
    beside: int


class NotingTelemetry(CountedTelemetry):
    """Notes, in the order in which it happened, which requests started and which were told to pause."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.pauses: list[Pause] = []
        self.started_s: list[float] = []
        self.inside: list[float] = []
        self._clock = clock
        self._asked_s: deque[float] = deque()

    def trace(self) -> aiohttp.TraceConfig:
        trace = super().trace()

        async def started(_session: object, _context: SimpleNamespace, _params: object) -> None:
            now_s = self._clock.monotonic()
            self.started_s.append(now_s)
            if any(now_s < pause.until_s for pause in self.pauses):
                self.inside.append(now_s)

        async def answered(_session: object, _context: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
            if params.response.status == 429:
                self._asked_s.append(float(params.response.headers["Retry-After"]))

        trace.on_request_start.append(started)
        trace.on_request_end.append(answered)
        return trace

    def ended(self, tenant: str, endpoint: str, code: str, took_s: float, *, deprecated: bool) -> None:
        super().ended(tenant, endpoint, code, took_s, deprecated=deprecated)
        if code == "429":
            now_s = self._clock.monotonic()
            self.pauses.append(Pause(now_s, now_s + self._asked_s.popleft(), self.in_flight))


def jobs() -> list[dict[str, object]]:
    """Return arguments of `Simulator.start`: jobs whose ends are spread, and jobs that never end."""
    first_s, last_s = RUN_S
    step_s = (last_s - first_s) / (ENDING_JOBS - 1)
    ends_s = [*(first_s + number * step_s for number in range(ENDING_JOBS)), *[math.inf] * ENDLESS_JOBS]
    return [
        {
            "tenant": PLAN.name,
            "operation": ("export", "import")[number % 2],
            "queue_s": 0.0,
            "duration_s": end_s,
            "final_state": None,
        }
        for number, end_s in enumerate(ends_s)
    ]


def requests(simulator: Simulator) -> list[tuple[float, int | None]]:
    """Return when each of our requests was received (monotonic seconds), and the status that it got."""
    return [(exchange.received_s, exchange.status) for exchange in simulator.record.exchanges[PLAN.client_id]]


def shares(simulator: Simulator, from_s: float, until_s: float) -> list[float]:
    """Return, minute by minute, which share of the published limit we asked for."""
    minutes = Counter(int((received_s - from_s) // MINUTE_S) for received_s, _ in requests(simulator))
    limit = LIMIT * MINUTE_S / WINDOW_S
    return [minutes[minute] / limit for minute in range(round((until_s - from_s) / MINUTE_S))]


async def test_another_user_of_the_client_is_left_its_part_and_no_job_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing starts inside a pause, few are refused, every job ends up right, and our share comes back afterwards."""
    clock = FakeClock()
    noting = NotingTelemetry(clock)
    monkeypatch.setattr(support, "CountedTelemetry", lambda: noting)
    async with world([PLAN], plant=jobs(), defaults=DEFAULTS, clock=clock, requests=LIMIT, per_s=WINDOW_S) as running:
        begun_s = clock.monotonic()
        await running.advance(RIVAL_LASTS_S)
        during = requests(running.simulator)
        found = differences(running.simulator.truth(), await running.scrape())
        await running.advance(RECOVERED_AFTER_S)
        share = shares(running.simulator, begun_s, clock.monotonic())
        busiest = running.simulator.busiest_windows()[PLAN.client_id]
    refused = sum(status == 429 for _, status in during)
    lengths_s = [pause.until_s - pause.from_s for pause in noting.pauses]
    with capsys.disabled():
        print(  # noqa: T201 - figures for the record
            f"\n{len(during)} requests beside the rival, {refused} of them refused ({refused / len(during):.2%}), "
            f"pauses of {min(lengths_s):g} to {max(lengths_s):g} s, {len(noting.inside)} requests started inside one, "
            f"{sum(pause.beside for pause in noting.pauses)} in flight as one began; our busiest window {busiest}; "
            f"our share of the limit by minute: {' '.join(f'{part:.0%}' for part in share)}"
        )
    assert not found, "\n".join(found)
    assert noting.started_s == [received_s for received_s, _ in requests(running.simulator)]
    assert refused, "nobody was in our way"
    assert refused <= 0.01 * len(during)
    assert not noting.inside
    assert max(busiest.values()) <= ALLOWED
    # We step aside for the rival without giving up, and are back at `use` once it has gone.
    assert all(0.25 <= part <= 0.5 for part in share[:RIVAL_MINUTES]), share
    assert share[-1] >= 0.99 * USE, share
