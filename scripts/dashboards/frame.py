"""What all dashboards have in common: variables, links to each other, annotations, and how panels are laid out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    Panel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from scripts.dashboards.panels import SOURCE, Box

TAG = "spexporter"
WIDTH = 24


@dataclass(frozen=True, slots=True)
class Row:
    """A titled row of panels, which flow from left to right and then down."""

    title: str
    boxes: Sequence[Box]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable whose values are those that a label has in the time shown."""

    name: str
    label: str
    query: str
    many: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks in all charts, at the moments that the series have as their values, in milliseconds."""

    name: str
    color: str
    expr: str
    title: str
    text: str
    tags: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Variable]
    marks: Sequence[Marks]
    since: str = "now-24h"
    tags: Sequence[str] = field(default=(TAG,))

    def json(self) -> str:
        """Write it as Grafana imports and provisions it."""
        built = json.loads(JSONEncoder().encode(self._built()))
        built["annotations"]["list"] += [_annotation(marks) for marks in self.marks]
        return json.dumps(built, indent=2, ensure_ascii=False, sort_keys=True) + "\n"

    def _built(self) -> object:
        board = (
            builders.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags(list(self.tags))
            .readonly()
            .timezone("browser")
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .time(self.since, "now")
            .refresh("1m")
            .link(_links())
            .annotations([])
            .with_variable(builders.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        )
        for variable in self.variables:
            board.with_variable(_variable(variable))
        number, y = 0, 0
        for row in self.rows:
            number += 1
            board.with_row(builders.Row(row.title).id(number))
            x, tallest, y = 0, 0, y + 1
            for box in row.boxes:
                if x + box.width > WIDTH:
                    x, y, tallest = 0, y + tallest, 0
                number += 1
                board.with_panel(_Placed(box, number, x, y))
                x, tallest = x + box.width, max(tallest, box.height)
            y += tallest
        return _rows_in_place(board.build())


class _Placed(Builder[Panel]):
    """Hands out a panel that knows its place."""

    def __init__(self, box: Box, number: int, x: int, y: int) -> None:
        self._place = box, number, x, y

    def build(self) -> Panel:
        box, number, x, y = self._place
        return box.build(number, x, y)


def _rows_in_place(board: Any) -> Any:  # noqa: ANN401 (the library's own dashboard)
    """Put each row's title right above its first panel: the builder reckons with places of its own."""
    panels = board.panels
    for title, first in pairwise(panels):
        if title.type_val == "row":
            title.grid_pos.y = first.grid_pos.y - 1
    return board


def _links() -> builders.DashboardLink:
    """Link all dashboards of ours to each other: Grafana finds them by their tag, wherever it is served."""
    return (
        builders.DashboardLink("spexporter")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .tooltip("The other dashboards of spexporter, for the same time and the same tenant")
        .keep_time(keep_time=True)
        .include_vars(include_vars=True)
    )


def _variable(variable: Variable) -> builders.QueryVariable:
    built = (
        builders.QueryVariable(variable.name)
        .label(variable.label)
        .description(variable.description)
        .datasource(SOURCE)
        .query({"qryType": 1, "query": variable.query, "refId": f"variable-{variable.name}"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(variable.many)
        .include_all(variable.many)
    )
    if variable.many:
        built.current(VariableOption(selected=True, text=["All"], value=["$__all"])).all_value(".+")
    return built


def _annotation(marks: Marks) -> dict[str, object]:
    """Write marks as Grafana's Prometheus data source reads them: the builders know only some of these keys."""
    return {
        "datasource": SOURCE.to_json(),
        "enable": marks.enabled,
        "expr": marks.expr,
        "hide": False,
        "iconColor": marks.color,
        "name": marks.name,
        "step": "30s",
        "tagKeys": marks.tags,
        "textFormat": marks.text,
        "titleFormat": marks.title,
        "useValueForTime": True,
    }
