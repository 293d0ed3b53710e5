"""`run` under a supervisor that listens as systemd does."""

import signal
from pathlib import Path

from tests.support.eventually import eventually
from tests.support.notify import listening
from tests.support.program import LOOPBACK, spexporter

CONFIG = """
store: {url: "sqlite://"}
tenants:
  - {name: acme, base_url: "http://127.0.0.1:1", client_id: c, client_secret: s}
"""
WITHIN_S = 15.0
STAGES = ("READY=1", "RELOADING=1", "READY=1", "STOPPING=1")


async def test_supervisor_hears_of_every_stage(tmp_path: Path) -> None:
    """Up when it serves, signs of life, a reload with its end, and the end; SIGABRT then says where it stood."""
    config, told = tmp_path / "config.yaml", list[str]()
    config.write_text(CONFIG)
    with listening(tmp_path) as ear:

        async def hear(message: str, after: int = 0) -> None:
            async def look() -> bool:
                told.extend(ear.heard())
                return any(line.startswith(message) for line in told[after:])

            await eventually(look, message, within_s=WITHIN_S)

        env = {"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": "4000000"}
        flags = ("--config.file", config, "--web.listen-address", LOOPBACK)
        async with spexporter("run", *flags, folder=tmp_path, env=env) as daemon:
            await hear("READY=1 STATUS=serving http://127.0.0.1:")
            await hear("WATCHDOG=1")
            before = len(told)
            daemon.process.send_signal(signal.SIGHUP)
            await hear("RELOADING=1")
            await hear("READY=1", after=before)
            assert (await daemon.end(signal.SIGTERM)).status == 0
        told.extend(ear.heard())
    stages = [line.split()[0] for line in told if not line.startswith("WATCHDOG")]
    assert tuple(stages) == STAGES


async def test_watchdogs_signal_says_where_every_thread_stood(tmp_path: Path) -> None:
    """What systemd sends to a process that is stuck."""
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    async with spexporter("run", "--config.file", config, "--web.listen-address", LOOPBACK, folder=tmp_path) as daemon:
        await daemon.url()
        assert (await daemon.end(signal.SIGABRT)).status == -signal.SIGABRT
        assert "most recent call first" in daemon.printed()
        assert "spexporter/cli/run.py" in daemon.printed()
