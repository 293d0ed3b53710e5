"""The shipped rules and routing with all their times divided, so that an hour passes in a minute."""

import json
import re
from collections.abc import Collection
from datetime import timedelta
from typing import Any

import promql_parser
import yaml

FACTOR = 60
# Rules write every number of seconds as a product that ends so; texts in quotes are left alone.
_TIMES = re.compile(
    r"""(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    r"""|(?<![\w.])(?P<duration>(?:\d+(?:ms|[smhdwy]))+)\b"""
    r"""|(?<=\* )(?P<seconds>60|3600|86400)\b"""
)
_NAMES = frozenset(
    {"for", "keep_firing_for", "interval", "group_wait", "group_interval", "repeat_interval", "resolve_timeout"}
)


def hurried_rules(text: str, *, but: Collection[str] = ()) -> str:
    """Return a file of rules in which `for`, intervals, ranges, offsets and numbers of seconds are smaller.

    Alerts named in `but` keep theirs.
    """
    read = yaml.safe_load(text)
    for group in read["groups"]:
        group["rules"] = [rule if rule.get("alert") in but else _hurried_rule(rule) for rule in group["rules"]]
        group |= {name: shorter(value) for name, value in group.items() if name == "interval"}
    return json.dumps(read)  # which is YAML, too


def hurried_alertmanager(text: str) -> str:
    """Return a configuration of Alertmanager in which it waits less."""
    return json.dumps(_hurried(yaml.safe_load(text)))


def hurried_expression(expression: str) -> str:
    """Return an expression with shorter ranges and offsets, and with smaller numbers of seconds."""
    return _TIMES.sub(_divided, expression)


def shorter(duration: str) -> str:
    """Return a duration as Prometheus writes it, in whole milliseconds."""
    return f"{promql_parser.parse_duration(duration) / timedelta(milliseconds=FACTOR):.0f}ms"


def _hurried_rule(rule: dict[str, Any]) -> dict[str, Any]:
    return {**_hurried(rule), "expr": hurried_expression(rule["expr"])}


def _divided(match: re.Match[str]) -> str:
    if match["seconds"]:
        return str(int(match["seconds"]) // FACTOR)
    return match["quoted"] or shorter(match["duration"])


def _hurried(node: Any) -> Any:  # noqa: ANN401 - decoded YAML
    if isinstance(node, list):
        return [_hurried(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        name: shorter(value) if name in _NAMES and isinstance(value, str) else _hurried(value)
        for name, value in node.items()
    }
