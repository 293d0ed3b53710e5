"""The dashboards keep the rules for dashboards, and each rule finds what breaks it."""

from collections.abc import Callable
from copy import deepcopy

import pytest

from tests.support.dashboard_lint import RULES
from tests.support.dashboards import Json, committed, panels

DASHBOARDS = committed()
Break = Callable[[Json], object]


def panel(dashboard: Json, kind: str = "stat") -> Json:
    """Return the first panel of a kind."""
    return next(found for found in panels(dashboard) if found["type"] == kind)


def asking(expr: str, kind: str = "stat") -> Break:
    """Return what lets the first panel of a kind ask something else."""
    return lambda dashboard: panel(dashboard, kind)["targets"][0].update(expr=expr)


def variable(dashboard: Json, name: str) -> Json:
    return next(found for found in dashboard["templating"]["list"] if found["name"] == name)


def relinked(old: str, new: str) -> Break:
    """Return what changes the first link of a table's cells."""

    def change(dashboard: Json) -> None:
        overrides = panel(dashboard, "table")["fieldConfig"]["overrides"]
        (link,) = next(it["value"] for found in overrides for it in found["properties"] if it["id"] == "links")
        assert old in link["url"]
        link["url"] = link["url"].replace(old, new)

    return change


UP = 'max by (tenant) (spconfig_tenant_up{tenant=~"$tenant"})'
# For each rule what breaks it in the overview, and a part of what is then said.
BREAKS: list[tuple[str, str, Break, str]] = [
    ("template_datasource", "fixed", lambda it: it["templating"]["list"].pop(0), "not the data source"),
    (
        "template_on_time_change_reload",
        "once",
        lambda it: variable(it, "tenant").update(refresh=1),
        "tenant does not follow",
    ),
    (
        "template_label_promql",
        "no such label",
        lambda it: variable(it, "tenant")["query"].update(query="label_values(spconfig_tenant_info, org)"),
        "spconfig_tenant_info has no label org",
    ),
    (
        "template_label_promql",
        "no PromQL",
        lambda it: variable(it, "tenant")["query"].update(query="label_values(a b, tenant)"),
        "asks for no series",
    ),
    (
        "panel_datasource",
        "panel",
        lambda it: panel(it).update(datasource={"type": "prometheus", "uid": "abc"}),
        "a data source of its own",
    ),
    (
        "panel_datasource",
        "annotation",
        lambda it: it["annotations"]["list"][0].pop("datasource"),
        "a data source of its own",
    ),
    ("panel_title_description", "no description", lambda it: panel(it).update(description=" "), "lacks a title"),
    ("panel_title_description", "no label", lambda it: variable(it, "tenant").pop("label"), "lacks a label"),
    ("panel_units", "none", lambda it: panel(it)["fieldConfig"]["defaults"].pop("unit"), "no such unit: None"),
    (
        "panel_units",
        "unknown in a column",
        lambda it: panel(it, "table")["fieldConfig"]["overrides"][0]["properties"].append(
            {"id": "unit", "value": "seconds"}
        ),
        "no such unit: seconds",
    ),
    ("panel_no_targets", "empty", lambda it: panel(it).update(targets=[]), "asks nothing"),
    ("panel_core", "plugin", lambda it: panel(it).update(type="grafana-polystat-panel"), "polystat"),
    ("panel_places", "number", lambda it: panel(it, "table").update(id=panel(it)["id"]), "have one number"),
    ("panel_places", "over", lambda it: panel(it, "table")["gridPos"].update(y=0), "lies on"),
    ("panel_places", "edge", lambda it: panel(it, "table")["gridPos"].update(x=1), "hangs over the edge"),
    ("panel_thresholds", "unsaid", lambda it: panel(it).update(description="Tenants."), "says nothing of red"),
    (
        "panel_no_value",
        "unsaid",
        lambda it: panel(it)["fieldConfig"]["defaults"].pop("noValue"),
        "does not say what it means to be empty",
    ),
    (
        "panel_no_value",
        "0 is not known",
        asking(f"{UP} > 0", "timeseries"),
        "leaves out what is 0, and then says: not known",
    ),
    ("target_ref_ids", "empty", lambda it: panel(it)["targets"][0].update(refId=""), "['']"),
    (
        "target_ref_ids",
        "twice",
        lambda it: [target.update(refId="A") for target in panel(it, "table")["targets"]],
        "'A', 'A'",
    ),
    ("target_promql", "broken", asking("sum by (tenant (up)"), "Tenants down A"),
    ("target_promql", "variable", asking('up{job="$cluster"}'), "no such variable: cluster"),
    (
        "target_rate_interval",
        "fixed",
        asking('sum(rate(spconfig_import_errors_total{tenant=~"$tenant"}[5m]))'),
        "rate(spconfig_import_errors_total[300s])",
    ),
    (
        "target_rate_interval",
        "a rate over all",
        asking('sum(rate(spconfig_import_errors_total{tenant=~"$tenant"}[$__range]))'),
        "rate(spconfig_import_errors_total[1801s])",
    ),
    (
        "target_no_irate",
        "irate",
        asking('sum(irate(spconfig_import_errors_total{tenant=~"$tenant"}[$__rate_interval]))'),
        "irate of spconfig_import_errors_total",
    ),
    (
        "target_counter_agg",
        "bare counter",
        asking('sum(spconfig_import_errors_total{tenant=~"$tenant"})'),
        "is not in rate or increase",
    ),
    (
        "target_counter_agg",
        "rate of a sum",
        asking('rate(sum(spconfig_import_errors_total{tenant=~"$tenant"})[$__rate_interval:])'),
        "is not in rate or increase",
    ),
    (
        "target_counter_agg",
        "rate of a gauge",
        asking('sum(rate(spconfig_jobs{tenant=~"$tenant"}[$__rate_interval]))'),
        "spconfig_jobs is no counter",
    ),
    ("target_replicas", "bare gauge", asking('spconfig_tenant_up{tenant=~"$tenant"}'), "not aggregated over replicas"),
    (
        "target_replicas",
        "by instance",
        asking(UP.replace("(tenant)", "(tenant, instance)")),
        "not aggregated over replicas",
    ),
    ("target_replicas", "summed", asking(UP.replace("max", "sum")), "counts twice what two replicas show"),
    (
        "target_replicas",
        "bare rate",
        asking('rate(spconfig_import_errors_total{tenant=~"$tenant"}[$__rate_interval])'),
        "not aggregated over replicas",
    ),
    (
        "target_required_matchers",
        "all tenants",
        asking("max by (tenant) (spconfig_tenant_up)"),
        "not limited to the chosen tenant",
    ),
    ("target_names", "metric", asking(UP.replace("_up", "_alive")), "no such metric: spconfig_tenant_alive"),
    ("target_names", "label", asking(UP.replace("{", '{org="x", ')), "has no label org"),
    ("target_names", "anybody's", asking("up"), "up of any program"),
    ("links", "none between", lambda it: it.update(links=[]), "no link to the other dashboards"),
    ("links", "forgets the time", relinked("${__url_time_range}", "from=now-1h"), "from=now-1h"),
    ("links", "to nowhere", relinked("/d/spexporter-tenant/", "/d/spexporter-tenants/"), "/d/spexporter-tenants/"),
    ("links", "no such column", relinked("fields.tenant", "fields.org"), "there is no column org"),
    ("uneditable", "editable", lambda it: it.update(editable=True), "can be edited"),
]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("uid", DASHBOARDS)
def test_dashboard_keeps_the_rule(uid: str, rule: str) -> None:
    """Nothing is found in what is committed."""
    assert list(RULES[rule](DASHBOARDS[uid])) == []


@pytest.mark.parametrize(
    ("rule", "change", "said"),
    [pytest.param(rule, change, said, id=f"{rule}-{how}") for rule, how, change, said in BREAKS],
)
def test_broken_rule_is_found(rule: str, change: Break, said: str) -> None:
    """A violation that is planted in a good dashboard is named."""
    dashboard = deepcopy(DASHBOARDS["spexporter-overview"])
    change(dashboard)
    assert [found for found in RULES[rule](dashboard) if said in found], list(RULES[rule](dashboard))


def test_each_rule_is_broken_once_at_least() -> None:
    """No rule is there that nobody has seen to find something."""
    assert {rule for rule, *_ in BREAKS} == RULES.keys()
