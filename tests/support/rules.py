"""The rules for Prometheus: what they say, and what there is for them to read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from spexporter.exposition.families import TENANT_FAMILIES
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from tests.support.modules import ROOT

PROMETHEUS = ROOT / "prometheus"
RULES = PROMETHEUS / "spexporter.rules.yml"
TESTS = PROMETHEUS / "tests"

Rule = Mapping[str, Any]
Group = Mapping[str, Any]


def groups() -> Sequence[Group]:
    """The groups of rules, in their order."""
    found: Sequence[Group] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return found


def rules(kind: str) -> Sequence[Rule]:
    """All rules of a kind, `alert` or `record`, in their order."""
    return [rule for group in groups() for rule in group["rules"] if kind in rule]


def alert_names() -> Sequence[str]:
    """The names of all alerts, each once."""
    return list(dict.fromkeys(rule["alert"] for rule in rules("alert")))


def template_queries(rule: Rule) -> Iterator[str]:
    """The queries in an alert's annotations, with x for what they are filled with."""
    for text in rule.get("annotations", {}).values():
        for query, rest in re.findall(r'printf "([^"]*)"([^}]*)', text):
            if "| query" in rest:
                yield query.replace("%s", "x")


def known_metrics() -> set[str]:
    """The names of all series there are: those of the families, of the rules, and of Prometheus itself."""
    names = {"up", "ALERTS"} | {rule["record"] for rule in rules("record")}
    for family in (*TENANT_FAMILIES, *OWN_FAMILIES):
        ends = ("_bucket", "_count", "_sum") if family.type == "histogram" else ("",)
        names |= {f"{family.name}{end}" for end in ends}
    return names
