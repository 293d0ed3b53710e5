"""The stack of deploy/compose, from the same configuration files; all on loopback."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import yaml

from tests.support.alerting import alertmanager
from tests.support.eventually import eventually
from tests.support.modules import ROOT
from tests.support.program import answer, free_port, spexporter, started
from tests.support.prometheus import promtool, tool

FOLDER = ROOT / "deploy" / "compose"
RULES = ROOT / "prometheus" / "spexporter.rules.yml"
WITHIN_S = 45.0
# Real alerts wait for minutes: this one tells at once that the way to the webhook is open.
TRIAL = {
    "groups": [
        {
            "name": "trial",
            "rules": [{"alert": "Trial", "expr": "spconfig_tenant_up == 1", "annotations": {"summary": "seen"}}],
        }
    ]
}


def text(name: str, hosts: Mapping[str, str]) -> str:
    """Return a configuration file with the addresses of this trial."""
    found = (FOLDER / name).read_text(encoding="utf-8")
    for host, address in hosts.items():
        assert host in found, name
        found = found.replace(host, address)
    return found


async def test_scrapes_and_rules_are_good(tmp_path: Path) -> None:
    """By Prometheus' own tool."""
    config = tmp_path / "prometheus.yml"
    config.write_text(text("prometheus.yml", {}))
    (tmp_path / "spexporter.rules.yml").write_text(RULES.read_text())
    status, said = await promtool("check", "config", config)
    assert (status, "SUCCESS" in said) == (0, True), said


def test_routes_are_good() -> None:
    """By Alertmanager's own tool."""
    command = [tool("amtool"), "check-config", str(FOLDER / "alertmanager.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_alert_goes_all_the_way(tmp_path: Path) -> None:
    """Exporter with simulated tenants, Prometheus, Alertmanager, webhook: the last prints what the first has seen."""
    exporter, simulated, prometheus, hook = (f"127.0.0.1:{free_port()}" for _ in range(4))
    flags = ("--web.listen-address", exporter, "--simulator.listen-address", simulated)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(spexporter("demo", *flags, folder=tmp_path))
        printed = await enter(started([sys.executable, "-u", FOLDER / "webhook.py", hook], tmp_path, name="webhook"))
        told = await enter(alertmanager(text("alertmanager.yml", {"webhook:9099": hook}), tmp_path))
        config = yaml.safe_load(text("prometheus.yml", {"alertmanager:9093": told, "exporter:9977": exporter}))
        config["rule_files"].append("trial.yml")
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        (tmp_path / "prometheus.yml").write_text(json.dumps(config))
        (tmp_path / "spexporter.rules.yml").write_text(RULES.read_text())
        (tmp_path / "trial.yml").write_text(json.dumps(TRIAL))
        command: list[str | Path] = [
            tool("prometheus"),
            "--config.file",
            tmp_path / "prometheus.yml",
            "--web.listen-address",
            prometheus,
        ]
        running = await enter(
            started([*command, "--storage.tsdb.path", tmp_path / "tsdb"], tmp_path, name="prometheus")
        )
        await printed.says("firing Trial acme-prod: seen", within_s=WITHIN_S)

        async def scraped() -> bool:
            status, page = await answer(f"http://{prometheus}/api/v1/query?query=up")
            return status == 200 and page.count('"1"') == 1

        await eventually(scraped, "the exporter is scraped", within_s=WITHIN_S)
        assert (await running.end(signal.SIGTERM)).status == 0
