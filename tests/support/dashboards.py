"""The committed dashboards as data: their panels, and everything that they ask Prometheus."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.modules import ROOT
from tests.support.promql import filled, selectors

Json = dict[str, Any]
FOLDER = ROOT / "grafana" / "dashboards"
# Any values will do to parse a query; windows tell each other apart by their lengths.
RATE_INTERVAL_S, RANGE_S = 61.0, 1801.0
WINDOWS = {
    "__rate_interval": f"{RATE_INTERVAL_S:.0f}s",
    "__range": f"{RANGE_S:.0f}s",
    "__from": "1800000000000",
}
TO_PARSE = WINDOWS | dict.fromkeys(("tenant", "operation", "job_id", "job", "instance"), "x")
_LABEL_VALUES = re.compile(r"^label_values\((?:(?P<selector>.+), )?(?P<label>\w+)\)$")


@dataclass(frozen=True, slots=True)
class Asked:
    """One query, with its variables: where it stands, and how it is asked."""

    dashboard: str
    place: str
    expr: str
    kind: str  # instant, range or annotation

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.place}"


@dataclass(frozen=True, slots=True)
class Choice:
    """The query of a variable: the values of a label in the series of a selector."""

    dashboard: str
    variable: str
    selector: str
    label: str


def read(path: Path) -> Json:
    """Return a dashboard as Grafana reads it."""
    found: Json = json.loads(path.read_text(encoding="utf-8"))
    return found


def committed() -> dict[str, Json]:
    """Return all dashboards by their uid."""
    return {path.stem: read(path) for path in sorted(FOLDER.glob("*.json"))}


def panels(dashboard: Json) -> Iterator[Json]:
    """Yield the panels of a dashboard, those of folded rows, too, but not the titles of rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels") or ()
        else:
            yield panel


def asked(dashboard: Json) -> Iterator[Asked]:
    """Yield the queries of all panels and annotations."""
    uid = dashboard["uid"]
    for panel in panels(dashboard):
        for target in panel.get("targets") or ():
            kind = "instant" if target.get("instant") else "range"
            yield Asked(uid, f"{panel['title']} {target['refId']}", target["expr"], kind)
    for annotation in dashboard["annotations"]["list"]:
        yield Asked(uid, f"annotation {annotation['name']}", annotation["expr"], "annotation")


def choices(dashboard: Json) -> Iterator[Choice]:
    """Yield the queries of all variables; what is no `label_values` fails."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found = _LABEL_VALUES.match(variable["query"]["query"])
            assert found, variable
            yield Choice(dashboard["uid"], variable["name"], found["selector"] or "", found["label"])


def queries(dashboard: Json) -> list[str]:
    """Return what panels, annotations and variables ask for, with any values for the variables."""
    found = [each.expr for each in asked(dashboard)] + [choice.selector for choice in choices(dashboard)]
    return [filled(expr, TO_PARSE) for expr in found]


def metrics(dashboard: Json) -> set[str]:
    """Return the families that a dashboard uses in any query, by the names of the table of families."""
    return {each.family for query in queries(dashboard) for each in selectors(query)}
