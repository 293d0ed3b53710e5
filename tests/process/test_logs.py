import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from spexporter.clock import SystemClock
from spexporter.domain.values import replace
from spexporter.simulator import Simulator, default_plans, serving
from tests.support.eventually import eventually
from tests.support.program import LOOPBACK, START_S, Program, answer, json_lines, ready, started
from tests.support.secrets import CLIENT_SECRET, PROXY_PASSWORD, leaks

FACT = r'[a-z_.]+(?:=(?:"(?:[^"\\]|\\.)*"|[^\s"=]*))?'  # a lone key is a fact that is true
LOGFMT = re.compile(rf"ts=\S+ level=[a-z]+ event=[a-z_]+(?: {FACT})*")

# A good tenant is added to these: a refused secret, an address where nothing listens, a proxy that is not there.
TROUBLED = """
  - {{name: refused, base_url: "{url}/acme-prod", client_id: "{client_id}", client_secret: wrong-{secret}}}
  - {{name: gone, base_url: "http://127.0.0.1:1", client_id: gone, client_secret: "{secret}"}}
  - name: proxied
    base_url: "{url}/acme-prod"
    client_id: proxied
    client_secret: "{secret}"
    proxy: "http://someone:{password}@127.0.0.1:1"
"""

# The program with a bug that strikes once, at a place where the secret, the form and a token are at hand.
WITH_A_BUG = """
import spexporter.sailpoint.auth as module
sound = module.decode_token
def broken(body):
    module.decode_token = sound
    raise RuntimeError("a planted bug")
module.decode_token = broken
from spexporter.cli.main import entry
entry()
"""
SAID = (
    "unauthorized",
    "unreachable",
    "request_ended",
    "import_result_settled",
    "look_crashed",
    "a planted bug",
    "auth.py",
)


@asynccontextmanager
async def tenants(folder: Path) -> AsyncIterator[Path]:
    """Serve a tenant with the planted secret and yield a configuration with it and the troubled ones."""
    plan = replace(default_plans(1)[0], client_secret=CLIENT_SECRET)
    simulator = Simulator([plan], clock=SystemClock())
    async with serving(simulator) as url:
        config = folder / "spexporter.yaml"
        troubled = TROUBLED.format(url=url, client_id=plan.client_id, secret=CLIENT_SECRET, password=PROXY_PASSWORD)
        config.write_text(simulator.config_yaml(url, named_jobs_alone=True) + troubled)
        yield config


@pytest.mark.parametrize("form", ["logfmt", "json", "console"])
async def test_log_is_well_formed_and_keeps_secrets_whatever_happens(form: str, tmp_path: Path) -> None:
    """One event a line, of good and refused exchanges and of a bug of ours; no secret or token is in it or on a page.

    A traceback names files and lines: what the variables held is nobody's business.
    """
    listen = ("--web.listen-address", LOOPBACK, "--log.level", "debug", "--log.format", form)
    async with (
        tenants(tmp_path) as config,
        started((sys.executable, "-c", WITH_A_BUG, "run", "--config.file", config, *listen), tmp_path) as daemon,
    ):
        url = await daemon.url("started")
        await ready(url)
        await all_said(daemon, *SAID)
        pages = "".join([(await answer(f"{url}{path}"))[1] for path in ("/", "/metrics")])
        assert (await daemon.end(signal.SIGTERM)).status == 0
    log = daemon.stderr.read_text()
    assert not daemon.stdout.read_text()
    assert not leaks(log + pages)
    if form == "json":
        assert all({"event", "level", "ts"} <= line.keys() for line in json_lines(log))
    elif form == "logfmt":
        assert [line for line in log.splitlines() if not LOGFMT.fullmatch(line)] == []


async def all_said(daemon: Program, *texts: str) -> None:
    """Wait until each of `texts` is in what the program wrote."""

    async def look() -> bool:
        return all(text in daemon.printed() for text in texts)

    await eventually(look, f"{texts} in the log", within_s=START_S)
