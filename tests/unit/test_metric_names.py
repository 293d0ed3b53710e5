"""Dashboards, rules, documents and the table of families speak of the same metrics."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from spexporter.domain.family import Family
from spexporter.exposition.families import TENANT_FAMILIES
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.telemetry import Telemetry
from tests.support.dashboards import committed, queries
from tests.support.modules import ROOT
from tests.support.promql import selected
from tests.support.rules import RULES, rules

# Prometheus adds these itself, to what it scrapes and to alerts.
OF_PROMETHEUS = frozenset(
    {"up", "ALERTS", "ALERTS_FOR_STATE", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added"}
)
# Families that neither a dashboard nor a rule asks for, each with the reason why it is there all the same.
FOR_OTHERS: Mapping[str, str] = {}
TEXTS = sorted(
    path
    for folder, pattern in (
        (ROOT, "*.md"),
        (ROOT / "docs", "*.md"),
        (ROOT / "grafana", "**/*.json"),
        (ROOT / "grafana", "**/*.y*ml"),
        (ROOT / "prometheus", "**/*.y*ml"),
    )
    for path in folder.glob(pattern)
)


def samples_of(family: Family) -> frozenset[str]:
    """The names that its samples have, which is what queries can name."""
    if family.type != "histogram":
        return frozenset({family.name})
    return frozenset(f"{family.name}{suffix}" for suffix in ("_bucket", "_count", "_sum"))


FAMILIES = {family.name: samples_of(family) for family in (*TENANT_FAMILIES, *OWN_FAMILIES)}
SAMPLES = frozenset[str]().union(*FAMILIES.values())
OF_THE_LIBRARY = frozenset(
    sample.name for metric in Telemetry(OWN_FAMILIES).registry.collect() for sample in metric.samples
)
RECORDED = frozenset(rule["record"] for rule in rules("record"))
# What is asked, by where it stands.
QUERIES = (
    *((uid, query) for uid, dashboard in committed().items() for query in queries(dashboard)),
    *((RULES.name, rule["expr"]) for kind in ("record", "alert") for rule in rules(kind)),
)


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_mentioned_metric_exists(text: Path) -> None:
    """Each metric of ours that a document, a dashboard, a rule or a test of rules names is in the table."""
    names = set(re.findall(r"(?<![\w:])(?:spconfig|spexporter)_\w+", text.read_text(encoding="utf-8")))
    assert names <= SAMPLES | FAMILIES.keys()


def test_every_query_asks_for_what_exists() -> None:
    """No panel, variable, annotation or rule asks for a metric that nobody has."""
    known = SAMPLES | OF_THE_LIBRARY | OF_PROMETHEUS | RECORDED
    unknown = {(place, name) for place, query in QUERIES for name in selected(query) if name not in known}
    assert unknown == set()


def test_every_recorded_metric_is_asked_for() -> None:
    """No rule records what neither a dashboard nor another rule needs."""
    assert asked_for() >= RECORDED


def test_every_family_is_used_or_has_its_reason() -> None:
    """A family is on a dashboard or in a rule, or is listed above: no other is only there because it can be."""
    asked = asked_for()
    unused = {name for name, samples in FAMILIES.items() if not samples & asked}
    assert unused == FOR_OTHERS.keys()


def asked_for() -> frozenset[str]:
    return frozenset[str]().union(*(selected(query) for _, query in QUERIES))
