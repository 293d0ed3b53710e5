"""What systemd is told."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from spexporter.domain.liveness import Liveness
from spexporter.supervisor import Supervisor
from tests.support.clock import FakeClock, settle
from tests.support.notify import Ear, listening

WATCHDOG_S = 40.0
EVERY_S = WATCHDOG_S / 4


@pytest.mark.parametrize("address", [None, f"@spexporter-{os.getpid()}"], ids=["path", "no folder"])
def test_up_reloading_and_stopping_are_told(address: str | None, tmp_path: Path) -> None:
    """In the words of sd_notify; after the end nothing is told any more."""
    clock = FakeClock(monotonic_s=12.5)
    with listening(tmp_path, address) as ear:
        supervisor = Supervisor.named_by({"NOTIFY_SOCKET": ear.address}, clock)
        supervisor.up("serving http://x")
        with supervisor.reloading():
            assert ear.heard() == [
                "READY=1 STATUS=serving http://x",
                "RELOADING=1 MONOTONIC_USEC=12500000 STATUS=reloading",
            ]
        assert ear.heard() == ["READY=1 STATUS=serving http://x"]
        supervisor.stopping()
        with supervisor.reloading():
            assert ear.heard() == ["STOPPING=1 STATUS=stopping"]
        assert ear.heard() == []


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
def test_reload_that_fails_ends_too(error: type[BaseException], tmp_path: Path) -> None:
    """We are up as before, and the status line says that the configuration was refused."""
    with listening(tmp_path) as ear:
        supervisor = Supervisor.named_by({"NOTIFY_SOCKET": ear.address}, FakeClock())
        supervisor.up("serving")
        with pytest.raises(error), supervisor.reloading():
            raise error
        *_, last = ear.heard()
    assert last == "READY=1 STATUS=serving; the last configuration was refused, the one before goes on"


async def passes(clock: FakeClock, by_s: float) -> None:
    clock.jump_to(clock.monotonic() + by_s)
    await settle()


@asynccontextmanager
async def watched(ear: Ear, clock: FakeClock, liveness: Liveness, **environ: str) -> AsyncIterator[asyncio.Task[None]]:
    supervisor = Supervisor.named_by({"NOTIFY_SOCKET": ear.address, **environ}, clock)
    watching = asyncio.create_task(supervisor.watch(liveness.silence_s))
    await settle()
    try:
        yield watching
    finally:
        watching.cancel()


async def test_watchdog_hears_of_us_while_every_scheduler_beats(tmp_path: Path) -> None:
    """Four signs in its time; none from the moment on in which one of two is stuck, until that goes on."""
    clock, beating = FakeClock(), {"a", "b"}
    liveness, signs = Liveness([], clock.monotonic()), []
    with listening(tmp_path) as ear:
        for name in beating:
            liveness.beat(name, clock.monotonic())
        async with watched(ear, clock, liveness, WATCHDOG_USEC=str(int(WATCHDOG_S * 1e6))):
            for stuck in (set(), {"a"}, {"a"}, set()):
                for _ in range(2):
                    await passes(clock, EVERY_S / 2)
                    for name in beating - stuck:
                        liveness.beat(name, clock.monotonic())
                    await passes(clock, EVERY_S / 2)
                signs.append(ear.heard())
    assert signs == [["WATCHDOG=1"] * 3, [], [], ["WATCHDOG=1"] * 2]


async def test_watchdog_hears_of_us_without_any_scheduler(tmp_path: Path) -> None:
    """Where no tenant is configured yet there is nobody who could be stuck."""
    clock = FakeClock()
    with listening(tmp_path) as ear:
        async with watched(ear, clock, Liveness([], clock.monotonic()), WATCHDOG_USEC="40000000"):
            await passes(clock, EVERY_S)
        assert ear.heard() == ["WATCHDOG=1"] * 2


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="none"),
        pytest.param({"WATCHDOG_USEC": "0"}, id="zero"),
        pytest.param({"WATCHDOG_USEC": "soon"}, id="no number"),
        pytest.param({"WATCHDOG_USEC": "40000000", "WATCHDOG_PID": "1"}, id="another process's"),
    ],
)
async def test_no_watchdog_no_signs(environ: dict[str, str], tmp_path: Path) -> None:
    """What is not asked for is not told."""
    clock = FakeClock()
    with listening(tmp_path) as ear:
        async with watched(ear, clock, Liveness([], clock.monotonic()), **environ) as watching:
            assert watching.done()
        assert ear.heard() == []


async def test_own_process_id_is_ours(tmp_path: Path) -> None:
    """As systemd sets it."""
    clock = FakeClock()
    with listening(tmp_path) as ear:
        watchdog = {"WATCHDOG_USEC": "40000000", "WATCHDOG_PID": str(os.getpid())}
        async with watched(ear, clock, Liveness([], clock.monotonic()), **watchdog):
            assert ear.heard() == ["WATCHDOG=1"]


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:9"}], ids=str)
def test_nobody_listens(environ: dict[str, str]) -> None:
    """Without an address that we know nothing is told, nor is that worth a line."""
    with capture_logs() as lines:
        Supervisor.named_by(environ, FakeClock()).up("serving")
    assert lines == []


def test_who_is_deaf_is_logged(tmp_path: Path) -> None:
    """We go on all the same."""
    with capture_logs() as lines:
        Supervisor.named_by({"NOTIFY_SOCKET": str(tmp_path / "gone")}, FakeClock()).up("serving")
    assert lines == [{"event": "supervisor_unheard", "log_level": "warning", "error": "No such file or directory"}]
