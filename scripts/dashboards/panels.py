"""Panels as our dashboards have them: what Grafana's builders leave open is decided here, once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, statetimeline, table, text, timeseries
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    GridPos,
    Panel,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

from scripts.dashboards.queries import NEVER, STATE_CODES

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
NOT_KNOWN = "not known"
NOTHING = "none, or not known"  # where a query leaves out what is 0
GREEN, YELLOW, ORANGE, RED, BLUE, GREY, PURPLE = "green", "yellow", "orange", "red", "blue", "#808080", "purple"

STATE_COLORS = {
    "NOT_STARTED": GREY,
    "IN_PROGRESS": BLUE,
    "COMPLETE": GREEN,
    "CANCELLED": ORANGE,
    "FAILED": RED,
    "NOT_FOUND": PURPLE,
    "UNKNOWN": YELLOW,
    "UNOBSERVED": "dark-purple",
}
OPERATION_COLORS = {
    "export": BLUE,
    "import": PURPLE,
    "backup": GREEN,
    "upload": "#5AB1BF",
    "draft": YELLOW,
    "deploy": "light-orange",
}
SEVERITY_COLORS = {"error": RED, "warning": ORANGE, "info": BLUE}

Steps = Sequence[tuple[float, str]]
NONE_IS_GOOD: Steps = ((0, GREEN), (1, RED))
NONE_IS_BEST: Steps = ((0, GREEN), (1, ORANGE))
PLAIN: Steps = ((0, BLUE),)
Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel, and how its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: the field it comes from, its title, and what else is said of it."""

    name: str
    title: str
    config: Config = field(default_factory=dict)


Builder = stat.Panel | timeseries.Panel | table.Panel | bargauge.Panel | statetimeline.Panel | text.Panel


@dataclass(frozen=True, slots=True)
class Box:
    """A panel and the room it takes, in 24ths of the width and units of height."""

    builder: Builder
    width: int
    height: int

    def build(self, number: int, x: int, y: int) -> Panel:
        """Return the panel at its place."""
        return self.builder.id(number).grid_pos(GridPos(h=self.height, w=self.width, x=x, y=y)).build()


def figure(
    title: str,
    description: str,
    expr: str,
    *,
    unit: str = "short",
    steps: Steps = PLAIN,
    texts: Mapping[str, tuple[str, str]] | None = None,
    no_value: str = NOT_KNOWN,
    width: int = 3,
    legend: str = "",
    decimals: int | None = None,
    quiet: bool = False,
) -> Box:
    """Return one number, large; with a `legend` its words instead. `texts` are words and colours for values.

    One whose values are neither good nor bad, and a `quiet` one, which is lower, is coloured by its digits alone.
    """
    loud = not quiet and (bool(texts) or steps is not PLAIN)
    panel = (
        stat.Panel()
        .graph_mode(options.BigValueGraphMode.NONE)
        .color_mode(options.BigValueColorMode.BACKGROUND_SOLID if loud else options.BigValueColorMode.VALUE)
        .text_mode(options.BigValueTextMode.NAME if legend else options.BigValueTextMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .mappings(_mappings(texts or {}))
    )
    _say(panel, title, description, unit=unit, steps=steps, no_value=no_value)
    if decimals is not None:
        panel.decimals(decimals)
    panel.targets(_targets([Query(expr, legend)], instant=True))
    return Box(panel, width, 3 if quiet else 4)


def chart(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    width: int = 12,
    height: int = 8,
    colors: Mapping[str, str] | None = None,
    steps: Steps | None = None,
    bars: bool = False,
    stacked: bool = False,
    centered: bool = False,
    at_least: float | None = None,
    no_value: str = NOT_KNOWN,
) -> Box:
    """Return lines over time, or bars of what happened in each step; `steps` are drawn as lines.

    The axis reaches up to `at_least`, or more where there is more.
    """
    legend = (
        common.VizLegendOptions()
        .show_legend(show_legend=True)
        .display_mode(options.LegendDisplayMode.LIST)
        .placement(options.LegendPlacement.BOTTOM)
    )
    panel = (
        timeseries.Panel()
        .legend(legend)
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING))
        .line_width(1 if stacked or bars else 2)
        .fill_opacity(80 if bars else 30 if stacked else 0)
        .show_points(options.VisibilityMode.NEVER)
    )
    if centered:
        panel.axis_centered_zero(axis_centered_zero=True)
    else:
        panel.min(0)
    if at_least is not None:
        panel.axis_soft_max(at_least)
    if bars:
        panel.draw_style(options.GraphDrawStyle.BARS).interval("1m")
    if stacked or bars:
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
    if steps:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(options.GraphThresholdsStyleMode.DASHED))
    _say(panel, title, description, unit=unit, steps=steps or PLAIN, no_value=no_value)
    for name, color in (colors or {}).items():
        panel.override_by_name(name, [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})])
    panel.targets(_targets(queries))
    return Box(panel, width, height)


def rows(
    title: str,
    description: str,
    queries: Sequence[str],
    columns: Sequence[Column],
    *,
    width: int = 24,
    height: int = 8,
    sort: str = "",
    descending: bool = False,
    no_value: str = NOTHING,
    joined: str = "",
) -> Box:
    """Return a table: instant queries joined by the labels that they share; other fields than `columns` are left out.

    Queries that are `joined` by an operator of PromQL are one.
    """
    queries = [joined.join(queries)] if joined else queries
    panel = (
        table.Panel()
        .show_header(show_header=True)
        .cell_height(options.TableCellHeight.SM)
        .footer(common.TableFooterOptions().show(show=False).reducer([]))
    )
    _say(panel, title, description, unit="none", steps=((0, "text"),), no_value=no_value)
    if sort:
        panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(desc=descending)])
    if len(queries) > 1:
        panel.with_transformation(DataTransformerConfig("merge", options={}))
    names = [column.name for column in columns]
    panel.with_transformation(DataTransformerConfig("filterFieldsByName", options={"include": {"names": names}}))
    titles = {column.name: column.title for column in columns}
    order = {column.name: number for number, column in enumerate(columns)}
    organized = {"indexByName": order, "renameByName": titles, "excludeByName": {}}
    panel.with_transformation(DataTransformerConfig("organize", options=organized))
    for column in columns:
        config = {"noValue": "-"} | column.config
        panel.override_by_name(column.title, [DynamicConfigValue(key, it) for key, it in config.items()])
    panel.targets(_targets([Query(expr) for expr in queries], instant=True, as_table=True))
    return Box(panel, width, height)


def gauges(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    steps: Steps = PLAIN,
    width: int = 12,
    height: int = 8,
    no_value: str = NOT_KNOWN,
) -> Box:
    """Return one bar for each series, as it is at the end of the time shown."""
    panel = (
        bargauge.Panel()
        .orientation(options.VizOrientation.HORIZONTAL)
        .display_mode(options.BarGaugeDisplayMode.BASIC)
        .sizing(options.BarGaugeSizing.MANUAL)
        .min_viz_height(16)
        .max_viz_height(34)
        .text(common.VizTextDisplayOptions().title_size(12).value_size(16))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .min(0)
    )
    if unit == "short":
        panel.decimals(0)
    _say(panel, title, description, unit=unit, steps=steps, no_value=no_value)
    panel.targets(_targets(queries, instant=True))
    return Box(panel, width, height)


def timeline(
    title: str,
    description: str,
    *queries: Query,
    texts: Mapping[str, tuple[str, str]],
    width: int = 24,
    height: int = 6,
) -> Box:
    """Return a row for each series that shows from when to when it had which value."""
    panel = (
        statetimeline.Panel()
        .show_value(options.VisibilityMode.AUTO)
        .merge_values(merge_values=True)
        .row_height(0.85)
        .fill_opacity(80)
        .line_width(0)
        .legend(common.VizLegendOptions().show_legend(show_legend=False))
        .mappings(_mappings(texts))
    )
    _say(panel, title, description, unit="none", steps=((0, GREY),))
    panel.targets(_targets(queries))
    return Box(panel, width, height)


def words(title: str, description: str, content: str, *, width: int = 24, height: int = 3) -> Box:
    """Return text in Markdown."""
    panel = text.Panel().title(title).description(description).mode(TextMode.MARKDOWN).content(content)
    return Box(panel, width, height)


def by_text(colors: Mapping[str, str]) -> Config:
    """Return what colours a column's words, all else plain."""
    mapped = {
        word: {"text": word, "color": color, "index": index} for index, (word, color) in enumerate(colors.items())
    }
    return {
        "mappings": [{"type": "value", "options": mapped}],
        "custom.cellOptions": {"type": "color-text"},
    }


def by_value(texts: Mapping[str, tuple[str, str]]) -> Config:
    """Return what shows a column's numbers as words in colour."""
    mapped = {
        value: {"text": word, "color": color, "index": index}
        for index, (value, (word, color)) in enumerate(texts.items())
    }
    return {
        "mappings": [{"type": "value", "options": mapped}],
        "custom.cellOptions": {"type": "color-text"},
    }


def by_step(steps: Steps, unit: str = "none", decimals: int | None = None) -> Config:
    """Return what colours a column's numbers by thresholds; what is not there is plain, whatever the lowest means."""
    found = [{"value": None if not number else at, "color": color} for number, (at, color) in enumerate(steps)]
    absent = {"match": "null+nan", "result": {"text": "-", "color": "text", "index": 0}}
    return {
        "unit": unit,
        "thresholds": {"mode": "absolute", "steps": found},
        "custom.cellOptions": {"type": "color-text"},
        "mappings": [{"type": "special", "options": absent}],
    } | ({} if decimals is None else {"decimals": decimals})


def by_share() -> Config:
    """Return what colours an age as a share of what is expected; `NEVER` is put into words."""
    shown = by_step(((0, GREEN), (0.8, ORANGE), (1, RED)), "percentunit", 0)
    never = {"from": NEVER, "to": None, "result": {"text": "never seen", "color": RED, "index": 1}}
    return shown | {"mappings": [*shown["mappings"], {"type": "range", "options": never}]}


def wide(pixels: int) -> Config:
    """Return what makes a column so wide."""
    return {"custom.width": pixels}


def link(title: str, dashboard: str, **variables: str) -> Config:
    """Return what makes a column's cells links to another dashboard, which keep the time range."""
    chosen = "".join(f"&var-{name}={value}" for name, value in variables.items())
    url = f"/d/{dashboard}/{dashboard}?${{__url_time_range}}&${{datasource:queryparam}}{chosen}"
    return {"links": [{"title": title, "url": url, "targetBlank": False}]}


STATE_TEXTS = {str(code): (state, STATE_COLORS[state]) for code, state in enumerate(STATE_CODES, 1)}
YES_NO = {"1": ("yes", GREEN), "0": ("no", RED)}


def _say(panel: Any, title: str, description: str, *, unit: str, steps: Steps, no_value: str = NOT_KNOWN) -> None:  # noqa: ANN401 (builders have no common base)
    """Give a panel what every panel has; only charts have colours that are not those of thresholds."""
    found = [Threshold(None if not number else at, color) for number, (at, color) in enumerate(steps)]
    thresholds = ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)
    panel.title(title).description(description).datasource(SOURCE).unit(unit).thresholds(thresholds).no_value(no_value)
    charted = isinstance(panel, timeseries.Panel)
    mode = FieldColorModeId.PALETTE_CLASSIC if charted else FieldColorModeId.THRESHOLDS
    panel.color_scheme(FieldColor().mode(mode))


def _mappings(texts: Mapping[str, tuple[str, str]]) -> list[Any]:
    results = {
        value: ValueMappingResult(text=word, color=color, index=index)
        for index, (value, (word, color)) in enumerate(texts.items())
    }
    return [ValueMap(options=results)] if results else []


def _targets(queries: Iterable[Query], *, instant: bool = False, as_table: bool = False) -> list[Any]:
    """Number the queries: the builders leave `refId` empty, and Grafana then shows the first alone."""
    made = []
    for number, query in enumerate(queries):
        target = prometheus.Dataquery().ref_id(chr(ord("A") + number)).datasource(SOURCE).expr(query.expr)
        target = target.instant() if instant else target.range()
        target.format(PromQueryFormat.TABLE if as_table else PromQueryFormat.TIME_SERIES)
        made.append(target.legend_format(query.legend or "__auto"))
    return made
