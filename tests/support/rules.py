"""The rules for Prometheus: what they say, what they read, and the same at many times the speed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import promql_parser
import yaml

from scripts.mutants import seconds
from spexporter.exposition.families import OWN_FAMILIES, TENANT_FAMILIES
from tests.support.modules import ROOT

PROMETHEUS = ROOT / "prometheus"
RULES = PROMETHEUS / "spexporter.rules.yml"
TESTS = PROMETHEUS / "tests"

Rule = Mapping[str, Any]
Group = Mapping[str, Any]

# The guard of the page's size.
_GUARD = {"spexporter_series", "spexporter_series_limit", "spexporter_series_dropped_total"}


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


def metrics(expression: str) -> set[str]:
    """The names of the series that an expression reads; an error where it is no PromQL."""
    found: set[str] = set()
    waiting: list[Any] = [promql_parser.parse(expression)]
    while waiting:
        part = waiting.pop()
        if isinstance(part, promql_parser.VectorSelector):
            found.add(part.name or "")
        else:
            fields = ("lhs", "rhs", "expr", "vector_selector", "selector", "args")
            below = [getattr(part, field) for field in fields if hasattr(part, field)]
            waiting += [each for item in below for each in (item if isinstance(item, list) else [item])]
    return found


def known_metrics() -> set[str]:
    """The names of all series there are: those of the families, of the rules, and of Prometheus itself."""
    names = {"up", "ALERTS"} | _GUARD | {rule["record"] for rule in rules("record")}
    for family in (*TENANT_FAMILIES, *OWN_FAMILIES):
        ends = ("_bucket", "_count", "_sum") if family.type == "histogram" else ("",)
        names |= {f"{family.name}{end}" for end in ends}
    return names


def hurried(text: str, times: int = 60) -> str:
    """Return a file of rules with every duration divided: ranges, steps, offsets, `for`, and numbers of seconds."""

    def faster(match: re.Match[str]) -> str:
        return f"{seconds(match[0]) * 1000 // times}ms"

    file = yaml.safe_load(text)
    for group in file["groups"]:
        for rule in group["rules"]:
            expression = re.sub(r"\b\d+[smhd]\b", faster, rule["expr"])
            rule["expr"] = re.sub(r"\* (60|3600|86400)\b", lambda unit: f"* {int(unit[1]) / times:g}", expression)
            if "for" in rule:
                rule["for"] = f"{seconds(rule['for']) * 1000 // times}ms"
    return yaml.safe_dump(file, sort_keys=False, width=1000)
