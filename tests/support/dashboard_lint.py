"""Rules for dashboards: those of Grafana's own dashboard-linter that apply to ours, by its names, and some of our own.

Each takes a dashboard and yields what is wrong, in words; `RULES` has them all by name.
"""

import re
from collections.abc import Callable, Iterator
from itertools import combinations

from tests.support.dashboards import RANGE_S, RATE_INTERVAL_S, TO_PARSE, Json, asked, choices, panels
from tests.support.promql import FOREIGN, TARGET_LABELS, Selector, filled, parse, selectors, variables

UIDS = {f"spexporter-{name}" for name in ("overview", "tenant", "job", "exporter")}
CORE = {"bargauge", "row", "stat", "state-timeline", "table", "text", "timeseries"}
# Of Grafana's units those that our dashboards may need.
UNITS = {"none", "short", "percentunit", "s", "dthms", "dateTimeAsIso", "bytes", "reqps", "ops", "hex"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
ON_TIME_RANGE_CHANGE = 2
_AGGREGATED = re.compile(r"^(?:sum|max|min|avg|count)\b(?: by \((.*)\))?$")


def template_datasource(dashboard: Json) -> Iterator[str]:
    """The data source is the first variable, so that the dashboard can be imported anywhere."""
    first = dashboard["templating"]["list"][0]
    if (first["name"], first["type"], first["query"]) != ("datasource", "datasource", "prometheus"):
        yield "the first variable is not the data source"


def template_on_time_change_reload(dashboard: Json) -> Iterator[str]:
    """Variables look for their values in the time shown, not in that of the first load."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query" and variable.get("refresh") != ON_TIME_RANGE_CHANGE:
            yield f"{variable['name']} does not follow the time shown"


def template_label_promql(dashboard: Json) -> Iterator[str]:
    """The query of a variable is PromQL, and the series have that label."""
    for choice in choices(dashboard):
        found = next(iter(_selectors(choice.selector)), None)
        if found is None:
            yield f"{choice.variable} asks for no series"
        elif choice.label not in found.labels:
            yield f"{choice.variable}: {found.metric} has no label {choice.label}"


def panel_datasource(dashboard: Json) -> Iterator[str]:
    """Whatever asks, asks the data source that was chosen."""
    for panel in panels(dashboard):
        for asking in (panel, *panel.get("targets", ())) if panel["type"] != "text" else ():
            if asking.get("datasource") != SOURCE:
                yield f"{panel['title']} has a data source of its own"
    for other in (*dashboard["templating"]["list"], *dashboard["annotations"]["list"]):
        if other.get("type") != "datasource" and other.get("datasource") != SOURCE:
            yield f"{other['name']} has a data source of its own"


def panel_title_description(dashboard: Json) -> Iterator[str]:
    """Each panel says what it is, and what to make of it."""
    for panel in panels(dashboard):
        if not panel.get("title", "").strip() or not panel.get("description", "").strip():
            yield f"panel {panel['id']} ({panel.get('title')}) lacks a title or a description"
    for variable in dashboard["templating"]["list"][1:]:
        if not variable.get("label") or not variable.get("description"):
            yield f"{variable['name']} lacks a label or a description"


def panel_units(dashboard: Json) -> Iterator[str]:
    """Each number has a unit that Grafana knows."""
    for panel in panels(dashboard):
        if panel["type"] != "text":
            config = panel.get("fieldConfig", {})
            units = [config.get("defaults", {}).get("unit")]
            properties = (it for override in config.get("overrides", ()) for it in override["properties"])
            units += [it["value"] for it in properties if it["id"] == "unit"]
            yield from (f"{panel['title']}: no such unit: {unit}" for unit in units if unit not in UNITS)


def panel_no_targets(dashboard: Json) -> Iterator[str]:
    """Each panel but a text asks something."""
    for panel in panels(dashboard):
        if panel["type"] != "text" and not any(target.get("expr") for target in panel.get("targets", ())):
            yield f"{panel['title']} asks nothing"


def panel_core(dashboard: Json) -> Iterator[str]:
    """No panel needs a plugin that Grafana does not bring along."""
    for panel in (*dashboard["panels"], *panels(dashboard)):
        if panel["type"] not in CORE:
            yield f"{panel.get('title')} is a {panel['type']}"


def panel_places(dashboard: Json) -> Iterator[str]:
    """No panel has another's number, lies on it or hangs over the edge."""
    found = list(dashboard["panels"])
    for panel in found:
        if panel["gridPos"]["x"] + panel["gridPos"]["w"] > WIDTH:
            yield f"{panel['title']} hangs over the edge"
    for first, second in combinations(found, 2):
        if first["id"] == second["id"]:
            yield f"{first['title']} and {second['title']} have one number"
        one, other = first["gridPos"], second["gridPos"]
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        if not beside and not below:
            yield f"{first['title']} lies on {second['title']}"


def panel_thresholds(dashboard: Json) -> Iterator[str]:
    """Where a threshold colours a figure, the description says from when on."""
    for panel in panels(dashboard):
        steps = panel.get("fieldConfig", {}).get("defaults", {}).get("thresholds", {}).get("steps", ())
        bad = {step["color"] for step in steps} & {"red", "orange"}
        words = panel.get("description", "").lower()
        if (
            panel["type"] in {"stat", "bargauge"}
            and len(steps) > 1
            and not any(color in words for color in bad or {""})
        ):
            yield f"{panel['title']}: the description says nothing of {' and '.join(sorted(bad))}"


def panel_no_value(dashboard: Json) -> Iterator[str]:
    """An empty panel says what that means: nobody knows; or that there may be none, where its query leaves out 0."""
    for panel in panels(dashboard):
        said = panel.get("fieldConfig", {}).get("defaults", {}).get("noValue")
        if panel["type"] != "text" and said in {None, "", "No data"}:
            yield f"{panel['title']} does not say what it means to be empty"
        elif any(re.search(r"> 0\)?$", target["expr"]) for target in panel.get("targets", ())) and "none" not in said:
            yield f"{panel['title']} leaves out what is 0, and then says: {said}"


def target_ref_ids(dashboard: Json) -> Iterator[str]:
    """Each query of a panel has a letter of its own: Grafana shows only one of those that share it."""
    for panel in panels(dashboard):
        letters = [target.get("refId") for target in panel.get("targets", ())]
        if not all(letters) or len(set(letters)) < len(letters):
            yield f"{panel['title']}: {letters}"


def target_promql(dashboard: Json) -> Iterator[str]:
    """Each query is PromQL, with no variable that the dashboard does not have."""
    known = {variable["name"] for variable in dashboard["templating"]["list"]} | {
        "__rate_interval",
        "__range",
        "__from",
    }
    for query in asked(dashboard):
        if unknown := variables(query.expr) - known:
            yield f"{query}: no such variable: {', '.join(sorted(unknown))}"
            continue
        try:
            parse(filled(query.expr, TO_PARSE))
        except ValueError as error:
            yield f"{query}: {error}"


def target_rate_interval(dashboard: Json) -> Iterator[str]:
    """Windows are as wide as Grafana finds right for what is shown: `$__rate_interval`, or `$__range` for a total."""
    for place, selector in _everything(dashboard):
        inner = selector.around[0] if selector.around else ""
        allowed = {RATE_INTERVAL_S} if inner == "rate" else {RATE_INTERVAL_S, RANGE_S}
        if selector.window_s is not None and selector.window_s not in allowed:
            yield f"{place}: {inner}({selector.metric}[{selector.window_s:g}s])"


def target_no_irate(dashboard: Json) -> Iterator[str]:
    """`irate` leaves out all but the last two scrapes of each step."""
    for place, selector in _everything(dashboard):
        if {"irate", "idelta"} & set(selector.around):
            yield f"{place}: irate of {selector.metric}"


def target_counter_agg(dashboard: Json) -> Iterator[str]:
    """A counter is shown as what it grew by, and summed only after that: so a restart takes nothing away."""
    for place, selector in _everything(dashboard):
        if selector.type == "counter" and (not selector.around or selector.around[0] not in {"rate", "increase"}):
            yield f"{place}: {selector.metric} is not in rate or increase"
        if selector.type == "gauge" and {"rate", "increase"} & set(selector.around[:1]):
            yield f"{place}: {selector.metric} is no counter"


def target_replicas(dashboard: Json) -> Iterator[str]:
    """What is told of a tenant does not depend on which replica tells it, also while two do."""
    for place, selector in _everything(dashboard):
        if "instance" in selector.matchers or "tenant" not in selector.labels:
            continue
        first = next((it for it in selector.around if it not in {"rate", "increase"}), "")
        found = _AGGREGATED.match(first)
        if not found or TARGET_LABELS & set((found[1] or "").split(", ")):
            yield f"{place}: {selector.metric} is not aggregated over replicas"
        elif selector.window_s is None and not first.startswith("max"):
            yield f"{place}: {selector.metric} counts twice what two replicas show"


def target_required_matchers(dashboard: Json) -> Iterator[str]:
    """Each selector asks only for what was chosen, as far as its series have that label."""
    names = {variable["name"] for variable in dashboard["templating"]["list"]} - {"datasource"}
    for place, selector in _everything(dashboard):
        wanted = names & selector.labels - ({"job_id"} if "usual" in selector.metric else set())
        for name in sorted(wanted - selector.matchers.keys()):
            yield f"{place}: {selector.metric} is not limited to the chosen {name}"


def target_names(dashboard: Json) -> Iterator[str]:
    """Metrics, and the labels of matchers, exist."""
    for place, selector in _everything(dashboard):
        if selector.type is None:
            yield f"{place}: no such metric: {selector.metric}"
        elif unknown := selector.matchers.keys() - selector.labels - {"__name__"}:
            yield f"{place}: {selector.metric} has no label {', '.join(sorted(unknown))}"
        elif selector.metric in FOREIGN and "job" not in selector.matchers:
            yield f"{place}: {selector.metric} of any program"


def links(dashboard: Json) -> Iterator[str]:
    """Links lead to our dashboards, keep the time shown and the data source, and take along what they name."""
    if not any(link["keepTime"] and link["includeVars"] and link["tags"] for link in dashboard["links"]):
        yield "no link to the other dashboards that keeps time and variables"
    for panel in panels(dashboard):
        titles = {override["matcher"]["options"] for override in panel["fieldConfig"].get("overrides", ())}
        organized = (it["options"] for it in panel.get("transformations", ()) if it["id"] == "organize")
        fields = {name for options in organized for name in options["renameByName"]}
        for url in _urls(panel):
            uid = url.split("/")[2]
            if uid not in UIDS or "${__url_time_range}" not in url or "${datasource:queryparam}" not in url:
                yield f"{panel['title']}: {url}"
            for name in re.findall(r"__data\.fields\.(\w+)", url):
                if name not in fields | titles:
                    yield f"{panel['title']}: there is no column {name} for {url}"


def uneditable(dashboard: Json) -> Iterator[str]:
    """Who changes a dashboard changes the code that makes it."""
    if dashboard.get("editable", True):
        yield "the dashboard can be edited in place"


def _urls(panel: Json) -> Iterator[str]:
    for override in panel["fieldConfig"].get("overrides", ()):
        for found in override["properties"]:
            if found["id"] == "links":
                yield from (link["url"] for link in found["value"])


def _everything(dashboard: Json) -> Iterator[tuple[str, Selector]]:
    """Yield each selector of all queries that can be read; what cannot is the business of `target_promql`."""
    for query in asked(dashboard):
        yield from ((str(query), selector) for selector in _selectors(query.expr))


def _selectors(expr: str) -> list[Selector]:
    try:
        return list(selectors(filled(expr, TO_PARSE)))
    except (KeyError, ValueError):
        return []


Rule = Callable[[Json], Iterator[str]]
RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        template_datasource,
        template_on_time_change_reload,
        template_label_promql,
        panel_datasource,
        panel_title_description,
        panel_units,
        panel_no_targets,
        panel_core,
        panel_places,
        panel_thresholds,
        panel_no_value,
        target_ref_ids,
        target_promql,
        target_rate_interval,
        target_no_irate,
        target_counter_agg,
        target_replicas,
        target_required_matchers,
        target_names,
        links,
        uneditable,
    )
}
