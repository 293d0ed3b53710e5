"""PromQL as a tree: what selectors and windows a query has, and what stands around each."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import promql_parser as promql

from spexporter.exposition.families import TENANT_FAMILIES
from spexporter.exposition.ownfamilies import OWN_FAMILIES

FAMILIES = {family.name: family for family in (*TENANT_FAMILIES, *OWN_FAMILIES)}
_HISTOGRAM = ("_bucket", "_count", "_sum")
# Not ours: Prometheus's own, and those of its client library. Of these, what our dashboards and rules use.
FOREIGN = {
    "up": "gauge",
    "process_start_time_seconds": "gauge",
    "process_cpu_seconds_total": "counter",
    "process_resident_memory_bytes": "gauge",
    "process_open_fds": "gauge",
    "process_max_fds": "gauge",
}
TARGET_LABELS = {"job", "instance"}

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")


@dataclass(frozen=True, slots=True)
class Selector:
    """One selector of a query: its metric, its matchers by label, its window as written, and what is around it.

    `around` are the names of functions and operators from the inside out: those of aggregations with their labels.
    """

    metric: str
    matchers: Mapping[str, str]
    window_s: float | None
    around: tuple[str, ...]

    @property
    def family(self) -> str:
        """The family that the metric is a sample of, by the table's own name."""
        base = next((self.metric.removesuffix(end) for end in _HISTOGRAM if self.metric.endswith(end)), self.metric)
        histogram = base in FAMILIES and FAMILIES[base].type == "histogram"
        return base if histogram else self.metric

    @property
    def type(self) -> str | None:
        """The type of the family, None where there is no such family."""
        family = FAMILIES.get(self.family)
        if family is None:
            return FOREIGN.get(self.metric)
        return "counter" if family.type == "histogram" else family.type

    @property
    def labels(self) -> set[str]:
        """The labels that the metric has once it was scraped."""
        family = FAMILIES.get(self.family)
        own = set(family.labels) if family else set()
        return own | TARGET_LABELS | ({"le"} if self.metric.endswith("_bucket") else set())


def variables(text: str) -> set[str]:
    """Return the names of the variables of Grafana in a text."""
    return {braced or bare for braced, bare in _VARIABLE.findall(text)}


def filled(text: str, values: Mapping[str, str]) -> str:
    """Put values where the variables of Grafana are.

    Raises:
        KeyError: there is a variable that has no value.
    """
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], text)


def parse(query: str) -> promql.Expr:
    """Parse a query without variables.

    Raises:
        ValueError: it is no PromQL.
    """
    return promql.parse(query)


def selectors(query: str) -> Iterator[Selector]:
    """Yield every selector of a query without variables."""
    yield from _under(parse(query), ())


def selected(query: str) -> frozenset[str]:
    """Return the names of all metrics that a query without variables reads."""
    return frozenset(selector.metric for selector in selectors(query))


def _under(node: object, around: tuple[str, ...]) -> Iterator[Selector]:
    match node:
        case promql.VectorSelector():
            yield _selector(node, None, around)
        case promql.MatrixSelector():
            yield _selector(node.vector_selector, node.range.total_seconds(), around)
        case promql.Call():
            for argument in node.args:
                yield from _under(argument, (node.func.name, *around))
        case promql.BinaryExpr():
            for side in (node.lhs, node.rhs):
                yield from _under(side, (str(node.op), *around))
        case promql.AggregateExpr():
            yield from _under(node.expr, (_aggregation(node), *around))
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield from _under(node.expr, around)


def _aggregation(node: promql.AggregateExpr) -> str:
    if node.modifier is None:
        return str(node.op)
    kind = "by" if node.modifier.type == promql.AggModifierType.By else "without"
    return f"{node.op} {kind} ({', '.join(node.modifier.labels)})"


def _selector(node: promql.VectorSelector, window_s: float | None, around: tuple[str, ...]) -> Selector:
    matchers = {matcher.name: matcher.value for matcher in node.matchers.matchers}
    return Selector(node.name or matchers.get("__name__", ""), matchers, window_s, around)
