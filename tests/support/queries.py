"""What dashboards and rules ask Prometheus for, read from the files that are shipped."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser
import yaml

from tests.support.modules import ROOT

DASHBOARDS = ROOT / "grafana"
RULES = ROOT / "prometheus" / "spexporter.rules.yml"
_LABEL_VALUES = re.compile(r"label_values\((?P<inner>.+),\s*\w+\s*\)", re.DOTALL)
_QUERY_RESULT = re.compile(r"query_result\((?P<inner>.+)\)", re.DOTALL)
_NUMBER = re.compile(r"\$\{?__(?:(?:range|interval)_(?:s|ms)|from|to)\}?")
_DURATION = re.compile(r"\$\{?__(?:rate_interval|interval|range)\}?")


class Query(NamedTuple):
    """An expression in PromQL, with the file in which it stands."""

    file: Path
    expression: str


def dashboard_queries(folder: Path = DASHBOARDS) -> Iterator[Query]:
    """Return what panels, annotations and variables ask for, with Grafana's own variables filled in."""
    for path in sorted(folder.rglob("*.json")):
        for text in _asked(json.loads(path.read_text(encoding="utf-8"))):
            yield Query(path, _filled_in(text))


def rule_queries(file: Path = RULES) -> Iterator[Query]:
    """Return the expressions of all recording and alert rules."""
    return (Query(file, rule["expr"]) for rule in rules(file))


def recorded_names(file: Path = RULES) -> frozenset[str]:
    """Return the names that recording rules give to what they record."""
    return frozenset(rule["record"] for rule in rules(file) if "record" in rule)


def rules(file: Path = RULES) -> Iterator[dict[str, Any]]:
    """Return all rules of a rule file, in their order."""
    return (rule for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"] for rule in group["rules"])


def selected(expression: str) -> frozenset[str]:
    """Return the metric names that an expression selects.

    Raises:
        ValueError: it is no PromQL.
    """
    found: set[str] = set()

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            named = [matcher.value for matcher in node.matchers.matchers if matcher.name == "__name__"]
            found.update([node.name] if node.name else named)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return frozenset(found)


def _asked(node: Any) -> Iterator[str]:  # noqa: ANN401 - decoded JSON
    if isinstance(node, list):
        for each in node:
            yield from _asked(each)
    if not isinstance(node, dict):
        return
    if isinstance(expression := node.get("expr"), str):
        yield expression
    if isinstance(query := node.get("query"), str):
        for pattern in (_LABEL_VALUES, _QUERY_RESULT):
            if found := pattern.fullmatch(query.strip()):
                yield found["inner"]
    for each in node.values():
        yield from _asked(each)


def _filled_in(expression: str) -> str:
    return _DURATION.sub("5m", _NUMBER.sub("300", expression))
