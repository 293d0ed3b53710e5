import signal
import ssl
from pathlib import Path

import aiohttp
import pytest

from tests.support.program import LOOPBACK, Program, ready, spexporter
from tests.support.world import scrape

BLOCKED = 'raise ImportError("not on this platform")\n'


@pytest.fixture(params=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Let the program find uvloop, or none."""
    if request.param == "asyncio":
        (tmp_path / "uvloop.py").write_text(BLOCKED)
    return str(request.param)


async def config_of(simulator: Program) -> str:
    """Return the configuration that a simulator with a certificate of its own hands out."""
    url = await simulator.url("What was asked and sent")
    ca_file = (await simulator.says("Certificate authority")).split()[-1]
    context = ssl.create_default_context(cafile=ca_file)
    async with aiohttp.ClientSession() as http, http.get(f"{url}/-/config.yaml", ssl=context) as answer:
        return await answer.text()


async def test_program_runs_with_and_without_uvloop(loop: str, tmp_path: Path) -> None:
    """Tenants are watched over TLS, SIGHUP reloads and SIGTERM ends it, whichever loop there is; the log names it."""
    env, config = {"PYTHONPATH": str(tmp_path)}, tmp_path / "try.yaml"
    async with spexporter("simulate", "--tls", "--listen", LOOPBACK, folder=tmp_path, name="simulate", env=env) as sim:
        config.write_text(await config_of(sim))
        flags = ("--config.file", config, "--web.listen-address", LOOPBACK)
        async with spexporter("run", *flags, folder=tmp_path, env=env) as daemon:
            url = await daemon.url()
            assert f"event_loop={loop}" in await daemon.says("event=started")
            await ready(url)
            assert list((await scrape(url)).all("spconfig_tenant_up").values()) == [1, 1, 1]
            config.write_text(config.read_text().replace("hold: 0s", "hold: 1s"))
            daemon.process.send_signal(signal.SIGHUP)
            assert await daemon.says("event=config_reloaded")
            assert (await daemon.end(signal.SIGTERM)).status == 0
        assert (await sim.end(signal.SIGTERM)).status == 0
