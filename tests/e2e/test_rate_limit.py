import signal
import time
from pathlib import Path

from spexporter.clock import SystemClock
from spexporter.simulator import Simulator, serving
from tests.support import pressure
from tests.support.eventually import eventually
from tests.support.program import LOOPBACK, spexporter
from tests.support.world import config_text

LASTS_S = 35.0


async def test_no_window_holds_more_than_the_published_limit(tmp_path: Path) -> None:
    """The daemon under permanent pressure, in real time: at most 100 requests in any 10 s, no 429, little left over."""
    simulator = Simulator(pressure.plans(), clock=SystemClock())
    for job in pressure.endless_jobs():
        simulator.start(**job)  # type: ignore[call-overload]
    config = tmp_path / "spexporter.yaml"

    async def long_enough() -> bool:
        requests = pressure.traffic(simulator).requests
        return bool(requests) and time.monotonic() - requests[0][0] >= LASTS_S

    async with serving(simulator) as tenants_url:
        config.write_text(config_text(simulator, tenants_url, extra=pressure.DEFAULTS))
        async with spexporter(
            "run", "--config.file", config, "--web.listen-address", LOOPBACK, folder=tmp_path
        ) as daemon:
            await eventually(long_enough, f"{LASTS_S:g} s of requests", within_s=3 * LASTS_S, every_s=0.5)
            assert (await daemon.end(signal.SIGTERM)).status == 0
    seen = pressure.traffic(simulator)
    print(seen)  # noqa: T201 - shown with -s
    assert seen.throttled == 0, seen
    assert 95 <= seen.busiest <= pressure.LIMIT, seen
    assert len(seen.requests) >= 300, seen
