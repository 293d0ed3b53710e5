import signal
import socket
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.program import LOOPBACK, START_S, answer, ran, spexporter
from tests.support.world import Scrape, scrape

FLAGS = ("--web.listen-address", "--simulator.listen-address")


async def test_demo_shows_living_tenants_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    """It prints addresses that answer, three tenants are up with jobs in several states, and SIGINT is no error."""
    async with spexporter("demo", FLAGS[0], LOOPBACK, FLAGS[1], LOOPBACK, folder=tmp_path) as demo:
        urls = [await demo.url(text) for text in ("status page", "metrics", "the tenants")]
        assert await demo.says("what was sent")
        for url in urls:
            assert (await answer(f"{url}/"))[0] == 200
        page = await eventually(lambda: _lively(urls[0]), "jobs in four states of three tenants", within_s=START_S)
        assert list(page.all("spconfig_tenant_up").values()) == [1, 1, 1]
        ended = await demo.end(signal.SIGINT)
    assert (ended.status, ended.took_s < 2.0) == (0, True), ended
    assert not demo.stderr.read_text()


async def _lively(url: str) -> Scrape | None:
    page = await scrape(url)
    states = {dict(labels)["state"] for labels, value in page.all("spconfig_job_state").items() if value}
    return page if len(states) >= 4 and len(page.all("spconfig_tenant_up")) == 3 else None


@pytest.mark.parametrize("flag", FLAGS)
async def test_demo_with_a_port_in_use_names_the_flag_to_change(flag: str, tmp_path: Path) -> None:
    """Status 1, the address that is taken, and the one flag that moves it."""
    (other,) = set(FLAGS) - {flag}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        status, _, said = await ran("demo", flag, listen, other, LOOPBACK, folder=tmp_path)
    assert (status, f"cannot listen on {listen}: Address already in use;" in said, "Traceback" in said) == (
        1,
        True,
        False,
    ), said
    assert flag in said
    assert other not in said
