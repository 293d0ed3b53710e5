import asyncio
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from spexporter import __version__
from tests.support.program import LOOPBACK, START_S, answer, ran, ready, spexporter
from tests.support.slow import half_a_request, silent_tenant, stalled_scraper
from tests.support.world import scrape

ENDS_WITHIN_S = 2.0
JOBS, STALLED_SCRAPES = 500, 100  # so many that their pages do not fit into the buffers of a connection

TENANT = """
tenants:
  - {name: acme, base_url: "%s", client_id: some-client, client_secret: some-secret, jobs: [%s]}
"""


def write_config(folder: Path, base_url: str, jobs: int = 1) -> Path:
    path = folder / "spexporter.yaml"
    name = "n" * 120
    entries = ", ".join(f"{{id: job-{number}, operation: import, name: {name}}}" for number in range(jobs))
    path.write_text(TENANT % (base_url, entries))
    return path


async def test_daemon_watches_the_tenants_of_a_simulator_in_another_process(tmp_path: Path) -> None:
    """The configuration that `simulate` serves makes `run` ready with all tenants up, and SIGTERM ends both."""
    async with spexporter("simulate", "--listen", LOOPBACK, folder=tmp_path, name="simulate") as simulator:
        tenants_url = await simulator.url("What was asked and sent")
        config = tmp_path / "try.yaml"
        config.write_text((await answer(f"{tenants_url}/-/config.yaml"))[1])
        async with spexporter(
            "run", "--config.file", config, "--web.listen-address", LOOPBACK, folder=tmp_path
        ) as daemon:
            url = await daemon.url()
            await ready(url)
            page = await scrape(url)
            assert list(page.all("spconfig_tenant_up").values()) == [1, 1, 1]
            assert (await answer(f"{url}/-/healthy"))[0] == 200
            assert await ran("healthcheck", "--url", url, folder=tmp_path) == (0, "", "")
            ended = await daemon.end(signal.SIGTERM)
            assert (ended.status, ended.took_s < ENDS_WITHIN_S) == (0, True), ended
        assert (await simulator.end(signal.SIGTERM)).status == 0


async def test_jobs_are_handed_in_where_the_flag_allows_it(tmp_path: Path) -> None:
    """A job that was handed in to one process is watched by the next, which takes no more without the flag."""
    order = {"tenant": "acme", "operation": "export", "id": "handed-in"}
    config, statuses = write_config(tmp_path, "http://127.0.0.1:1"), []
    for flags in (["--web.enable-lifecycle"], []):
        run = ("run", "--config.file", str(config), "--web.listen-address", LOOPBACK, *flags)
        async with spexporter(*run, folder=tmp_path) as daemon, aiohttp.ClientSession() as http:
            url = f"{await daemon.url()}/api/v1/jobs"
            async with http.post(url, json=order) as response:
                statuses.append(response.status)
            assert (await answer(f"{url}/acme/export/handed-in"))[0] == 200
            assert (await daemon.end(signal.SIGTERM)).status == 0
    assert statuses == [201, 403]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_signal_ends_the_daemon_whatever_is_under_way(number: signal.Signals, tmp_path: Path) -> None:
    """Neither a tenant that does not answer nor scrapers that do not read on, or not finish asking, delay the end."""
    async with silent_tenant() as tenant:
        config = write_config(tmp_path, tenant.url, jobs=JOBS)
        async with (
            spexporter("run", "--config.file", config, "--web.listen-address", LOOPBACK, folder=tmp_path) as daemon,
            stalled_scraper(await daemon.url(), STALLED_SCRAPES) as scraper,
            half_a_request(await daemon.url()),
        ):
            async with asyncio.timeout(START_S):
                await tenant.asked.wait()
            ended = await daemon.end(number)
            assert await scraper.answers() < STALLED_SCRAPES, "no page was under way any more"
        assert (ended.status, ended.took_s < ENDS_WITHIN_S) == (0, True), f"{ended}\n{daemon.printed()}"
        assert "Traceback" not in daemon.printed()


async def test_healthcheck_fails_until_every_tenant_was_tried(tmp_path: Path) -> None:
    """Status 1 and the exporter's own words while it is not ready."""
    async with silent_tenant() as tenant:
        config = write_config(tmp_path, tenant.url)
        async with spexporter(
            "run", "--config.file", config, "--web.listen-address", LOOPBACK, folder=tmp_path
        ) as daemon:
            url = await daemon.url()
            status, _, said = await ran("healthcheck", "--url", url, folder=tmp_path)
            await daemon.end(signal.SIGTERM)
    assert (status, said) == (1, f"{url}/-/ready answered 503: Not every tenant was tried yet.\n")


async def test_healthcheck_fails_where_nothing_listens(tmp_path: Path) -> None:
    """Status 1, with the address that was asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    status, _, said = await ran("healthcheck", "--url", url, folder=tmp_path)
    assert (status, said.startswith(f"{url}/-/ready cannot be asked: ")) == (1, True), said


async def test_port_in_use_is_explained(tmp_path: Path) -> None:
    """Status 1, the address, and the flag to change it; no traceback."""
    config = write_config(tmp_path, "http://127.0.0.1:1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        status, _, said = await ran("run", "--config.file", config, "--web.listen-address", listen, folder=tmp_path)
    assert status == 1
    assert f"cannot listen on {listen}: Address already in use;" in said
    assert "--web.listen-address" in said
    assert "Traceback" not in said


async def test_every_mistake_of_a_bad_configuration_is_named(tmp_path: Path) -> None:
    """Status 2, and a line on standard error for each mistake."""
    config = tmp_path / "bad.yaml"
    config.write_text("tenants:\n  - {name: acme, orgg: acme, client_id: a, poll: {fastest: 1ms}, client_secret: s}\n")
    status, printed, said = await ran("run", "--config.file", config, folder=tmp_path)
    assert (status, printed) == (2, "")
    assert [part in said for part in ("orgg", "poll.fastest", "tenants[0].org")] == [True, True, True], said
    assert len(said.splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["run", "--config.file", "absent.yaml"], "absent.yaml: the file cannot be read", id="no file"),
        pytest.param(["run", "--config.fil", "x.yaml"], "No such option: --config.fil", id="unknown flag"),
    ],
)
async def test_wrong_usage_is_status_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    """What is wrong is named on standard error."""
    status, printed, told = await ran(*arguments, folder=tmp_path)
    assert (status, printed, said in told) == (2, "", True), told


async def test_version_is_printed(tmp_path: Path) -> None:
    """Name and version on one line."""
    assert await ran("--version", folder=tmp_path) == (0, f"spexporter {__version__}\n", "")


async def test_health_check_does_not_load_what_the_daemon_needs() -> None:
    """It runs every few seconds beside it, in a container that has little of a processor."""
    command = (sys.executable, "-X", "importtime", "-m", "spexporter", "healthcheck", "--help")
    out = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL, stderr=out)
    loaded = set((await process.communicate())[1].decode().split())
    assert "spexporter.cli.exporters" in loaded
    heavy = {"sqlalchemy", "prometheus_client", "jinja2", "aiohttp.web", "spexporter.app", "spexporter.simulator"}
    assert loaded & heavy == set()
