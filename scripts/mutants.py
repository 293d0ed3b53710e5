"""What can be wrong with a rule: every mutant of an alert or recording rule, each with one change."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from scripts.promql import Aggregation, Binary, Call, Clause, Node, Number, Ranged, Selector, Word, read

Rule = Mapping[str, Any]

_OPERATORS = {
    ">": (">=", "<"),
    ">=": (">", "<"),
    "<": ("<=", ">"),
    "<=": ("<", ">"),
    "==": ("!=",),
    "!=": ("==",),
    "and": ("or", "unless"),
    "or": ("and", "unless"),
    "unless": ("and", "or"),
    "+": ("-",),
    "-": ("+",),
    "*": ("/",),
    "/": ("*",),
}
_AGGREGATIONS = {"max": ("min", "sum"), "min": ("max", "sum"), "sum": ("max", "min"), "group": ()}
_FUNCTIONS = {
    "increase": ("rate",),
    "rate": ("increase",),
    "last_over_time": ("max_over_time", "min_over_time"),
    "max_over_time": ("min_over_time", "last_over_time"),
    "min_over_time": ("max_over_time", "last_over_time"),
    "count_over_time": ("sum_over_time", "present_over_time"),
    "clamp_max": ("clamp_min",),
    "present_over_time": (),
    "quantile_over_time": (),
    "absent": (),
    "time": (),
}
_KEYWORDS = {"by": "without", "without": "by", "on": "ignoring", "ignoring": "on"}
_NEGATIONS = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
_UNITS = ("60", "3600", "86400")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Edit(NamedTuple):
    """Another text for what stands from `start` to `end`."""

    start: int
    end: int
    text: str


class Mutant(NamedTuple):
    """A rule with one change; `was` and `now` are what has changed, in the lines around it."""

    name: str
    rule: Rule
    was: str
    now: str


def mutants(rule: Rule) -> Iterator[Mutant]:
    """Yield every mutant of a rule, no two alike."""
    name = rule.get("alert") or rule["record"]
    expression = rule["expr"]
    seen = {expression}
    for edit in edits(expression):
        text = expression[: edit.start] + edit.text + expression[edit.end :]
        if text not in seen:
            seen.add(text)
            yield Mutant(name, {**rule, "expr": text}, *_lines(expression, edit))
    if "for" in rule:
        for other_s in (seconds(rule["for"]) - 60, seconds(rule["for"]) + 60):
            yield Mutant(name, {**rule, "for": f"{other_s}s"}, f"for: {rule['for']}", f"for: {duration(other_s)}")
    for label, value in rule.get("labels", {}).items():
        labels = {**rule["labels"], label: f"{value}-other"}
        yield Mutant(name, {**rule, "labels": labels}, f"{label}: {value}", f"{label}: {value}-other")


def edits(expression: str) -> Iterator[Edit]:
    """Yield every change of an expression."""
    tree = read(expression)
    units = set(_units(tree))
    for node in tree.walk():
        if isinstance(node, Number):
            yield from _of_number(node, is_unit=node in units)
        elif isinstance(node, Selector):
            yield from _of_selector(node)
        elif isinstance(node, Ranged):
            yield from _of_range(node)
        elif isinstance(node, Call):
            yield from _instead(node.function, _FUNCTIONS[node.function.text])
        elif isinstance(node, Aggregation):
            yield from _instead(node.operator, _AGGREGATIONS[node.operator.text])
            yield from _of_clause(node.clause)
        elif isinstance(node, Binary):
            yield from _of_binary(node)


def seconds(text: str) -> int:
    """Return how long a duration of one unit is."""
    return int(text[:-1]) * _SECONDS[text[-1]]


def duration(total_s: int) -> str:
    """Return a duration in the largest unit that tells it whole."""
    unit = next(unit for unit in "dhms" if total_s % _SECONDS[unit] == 0)
    return f"{total_s // _SECONDS[unit]}{unit}"


def _instead(word: Word, others: Sequence[str]) -> Iterator[Edit]:
    for other in others:
        yield Edit(word.start, word.end, other)


def _of_number(number: Number, *, is_unit: bool) -> Iterator[Edit]:
    """A tenth more and less, of 0 and 1 one more and less; the unit of a time that is a product stays."""
    if is_unit and number.text in _UNITS:
        return
    value = float(number.text)
    others = (value + 1, value - 1) if value in {0, 1} else (value * 1.1, value * 0.9)
    for other in others:
        yield Edit(number.start, number.end, f"{other:.6g}")


def _units(tree: Node) -> Iterator[Number]:
    """Yield the units of times that are written as `number * unit`."""
    for node in tree.walk():
        if isinstance(node, Binary) and node.operator.text == "*" and isinstance(node.right, Number):
            factor = node.left.right if isinstance(node.left, Binary) else node.left
            if isinstance(factor, Number):
                yield node.right


def _of_selector(selector: Selector) -> Iterator[Edit]:
    for at, matcher in enumerate(selector.matchers):
        yield Edit(matcher.operator.start, matcher.operator.end, _NEGATIONS[matcher.operator.text])
        words = matcher.value.text.strip('"').split("|")
        if len(words) > 1:
            for word in words:
                rest = "|".join(other for other in words if other != word)
                yield Edit(matcher.value.start, matcher.value.end, f'"{rest}"')
        else:
            yield Edit(matcher.value.start, matcher.value.end, f'"{words[0]}x"')
        if len(selector.matchers) == 1:
            yield Edit(selector.start, selector.end, selector.name)
        elif at == 0:
            yield Edit(matcher.label.start, selector.matchers[1].label.start, "")
        else:
            yield Edit(selector.matchers[at - 1].value.end, matcher.value.end, "")


def _of_range(ranged: Ranged) -> Iterator[Edit]:
    """Half and twice each of its durations; an offset gone."""
    for word in ranged.durations:
        for total_s in (seconds(word.text) // 2, seconds(word.text) * 2):
            yield Edit(word.start, word.end, duration(total_s))
    if ranged.is_offset:
        yield Edit(ranged.inner.end, ranged.end, "")


def _of_clause(clause: Clause) -> Iterator[Edit]:
    """Its opposite, and each label left out."""
    if clause.keyword.text in _KEYWORDS:
        yield Edit(clause.keyword.start, clause.keyword.end, _KEYWORDS[clause.keyword.text])
    labels = clause.labels
    if len(labels) == 1:
        yield Edit(labels[0].start, labels[0].end, "")
    else:
        for label, following in pairwise(labels):
            yield Edit(label.start, following.start, "")
        if labels:
            yield Edit(labels[-2].end, labels[-1].end, "")


def _of_binary(node: Binary) -> Iterator[Edit]:
    """Other operators, other labels to match on, and one side alone."""
    yield from _instead(node.operator, _OPERATORS[node.operator.text])
    for clause in node.clauses:
        yield from _of_clause(clause)
    ends = (node.operator.end, *(clause.end for clause in node.clauses))
    for end, following in pairwise(ends):
        yield Edit(end, following, "")
    yield Edit(node.left.end, node.end, "")
    if node.operator.text in {"or", "+", "-", "*", "/"}:
        yield Edit(node.start, node.right.start, "")


def _lines(expression: str, edit: Edit) -> tuple[str, str]:
    """Return the lines that an edit touches, as they were and as they are, each in one line."""
    start = expression.rfind("\n", 0, edit.start) + 1
    end = expression.find("\n", edit.end)
    end = len(expression) if end == -1 else end
    was = expression[start:end]
    now = expression[start : edit.start] + edit.text + expression[edit.end : end]
    return _joined(was), _joined(now)


def _joined(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
