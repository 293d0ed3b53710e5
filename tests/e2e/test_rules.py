"""The rules, their tests and the examples beside them in the real tools.

Further versions of promtool than that on the PATH are named in `SPEXPORTER_PROMTOOLS`, with `:` between them.
`SPEXPORTER_MUTANTS=1` tries every mutant of the rules (`make mutants` shows them); else it is some of them.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from tests.support.modules import ROOT
from tests.support.prometheus import tool
from tests.support.rules import PROMETHEUS, RULES, TESTS, rules

FURTHER = [path for path in os.environ.get("SPEXPORTER_PROMTOOLS", "").split(":") if path]
MUTANTS_STEP = os.environ.get("SPEXPORTER_MUTANTS", "40")
ALERTMANAGER = PROMETHEUS / "alertmanager.example.yml"
WITHIN_S = 110
MUTANTS_WITHIN_S = 3600

every_promtool = pytest.mark.parametrize("promtool", ["promtool", *FURTHER])


def said(*command: str | Path, folder: Path = ROOT, within_s: float = WITHIN_S) -> str:
    """Return what a command says; the test fails with it where the command fails."""
    done = subprocess.run(  # names of tools and of our own files
        [*map(str, command)], capture_output=True, text=True, cwd=folder, timeout=within_s, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@every_promtool
def test_rules_are_valid(promtool: str) -> None:
    """And promtool's own lint has nothing to say."""
    count = len(rules("record")) + len(rules("alert"))
    assert f"{count} rules found" in said(tool(promtool), "check", "rules", "--lint=all", "--lint-fatal", RULES)


@every_promtool
def test_rules_pass_their_tests(promtool: str) -> None:
    """Every alert where it fires, where it does not, and across a restart."""
    files = sorted(path.name for path in TESTS.glob("SP*.yml"))
    assert said(tool(promtool), "test", "rules", *files, folder=TESTS).count("SUCCESS") == len(files)


@every_promtool
@pytest.mark.parametrize("name", ["prometheus.example.yml", "scrape.example.yml"])
def test_examples_for_prometheus_are_valid(promtool: str, name: str) -> None:
    """With the rules that they name."""
    assert "SUCCESS" in said(tool(promtool), "check", "config", PROMETHEUS / name)


def test_example_for_alertmanager_is_valid() -> None:
    """Amtool reads it and finds its receivers and inhibitions."""
    assert "SUCCESS" in said(tool("amtool"), "check-config", ALERTMANAGER)


def documented_routes() -> dict[tuple[str, str], str]:
    """Return the table of docs/operations.md: by severity and tenant, who is told."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(critical|warning|info)` \| (.+?) \| `(.+?)` \|$", text, re.MULTILINE)
    return {(severity, tenant.strip("`")): receiver for severity, tenant, receiver in rows}


def alerts() -> Iterator[tuple[str, str]]:
    """Yield name and severity of every alert."""
    for rule in rules("alert"):
        yield rule["alert"], rule["labels"]["severity"]


@pytest.mark.parametrize(("name", "severity"), sorted(set(alerts())))
def test_alert_goes_where_the_documentation_says(name: str, severity: str) -> None:
    """Of the tenant that has an on-call of its own, of any other, and of none."""
    routes = documented_routes()
    own = routes.get((severity, "acme-prod"))
    other = next(receiver for (of, tenant), receiver in routes.items() if of == severity and tenant.startswith("any"))
    labels = [f"alertname={name}", f"severity={severity}"]
    assert _route(labels) == other
    assert _route([*labels, "tenant=globex"]) == other
    assert _route([*labels, "tenant=acme-prod"]) == (own or other)


def _route(labels: Sequence[str]) -> str:
    return said(tool("amtool"), "config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels).strip()


def test_documented_inhibitions_are_those_of_the_example() -> None:
    """Each row of the table is one, in its order, and the other way round."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = text.partition("while this alert fires")[2].partition("\n\n")[0]
    rows = [row.strip("| ").split(" | ") for row in table.splitlines()[2:]]
    inhibitions = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))["inhibit_rules"]
    assert len(rows) == len(inhibitions)
    for (source, target, equal), inhibition in zip(rows, inhibitions, strict=True):
        assert re.findall(r"`(\w+)`", equal) == inhibition["equal"]
        for words, matchers in ((source, inhibition["source_matchers"]), (target, inhibition["target_matchers"])):
            named = set(re.findall(r"SP\w+", words))
            assert named <= set(re.findall(r"SP\w+", " ".join(matchers))), (words, matchers)


def test_mutants_of_the_rules_are_noticed() -> None:
    """Each changes a threshold, comparison, time, grouping or matcher: a test fails, or a reason is listed."""
    script = ROOT / "scripts" / "mutate_rules.py"
    print(said(sys.executable, script, f"--step={MUTANTS_STEP}", "--workers=1", within_s=MUTANTS_WITHIN_S))  # noqa: T201
