"""The rules for Prometheus hold what their head promises, and all beside them fits: tests, runbooks, manifest."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import promql_parser
import pytest
import yaml

from scripts.promql import Aggregation, Binary, Node, Selector, read
from tests.support.modules import ROOT
from tests.support.promql import selected
from tests.support.rules import (
    TESTS,
    Rule,
    alert_names,
    groups,
    known_metrics,
    rules,
    template_queries,
)

RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
# What each dashboard takes from an address.
DASHBOARDS = {
    "spexporter-tenant": {"tenant"},
    "spexporter-job": {"tenant", "operation", "job_id"},
    "spexporter-exporter": {"instance"},
}
OF_ONE_PROCESS = {
    "SPExporterDown",
    "SPExporterSchedulerStalled",
    "SPExporterReloadFailed",
    "SPExporterWatchedFileBad",
    "SPExporterStoreFailing",
    "SPExporterSeriesDropped",
}
PARTS = ("**Means.**", "**Look.**", "**Do.**")

every_alert = pytest.mark.parametrize("name", alert_names())
every_rule = pytest.mark.parametrize(
    "rule",
    [rule for kind in ("record", "alert") for rule in rules(kind)],
    ids=lambda rule: "-".join(
        filter(None, (rule.get("record") or rule["alert"], rule.get("labels", {}).get("severity")))
    ),
)


def chapters() -> dict[str, str]:
    """The runbooks by alert."""
    parts = re.split(r"^## (\w+)\n", RUNBOOKS, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def is_known(metric: str) -> bool:
    """Whether there are such series; those of the process come from the client library."""
    return metric in known_metrics() or metric.startswith(("process_", "python_"))


@every_rule
def test_rule_reads_series_that_exist(rule: Rule) -> None:
    """So do the queries in the texts of alerts; all are PromQL."""
    for query in (rule["expr"], *template_queries(rule)):
        assert {metric for metric in selected(query) if not is_known(metric)} == set()


def test_recorded_series_are_read_in_their_own_group_only() -> None:
    """Groups run beside each other in any order, in Prometheus and in promtool; within one, rules run in theirs."""
    recorded = {rule["record"] for rule in rules("record")}
    read_anywhere: set[str] = set()
    for group in groups():
        so_far: set[str] = set()
        for rule in group["rules"]:
            for query in (rule["expr"], *template_queries(rule)):
                assert selected(query) & recorded <= so_far, rule
                read_anywhere |= selected(query) & recorded
            so_far |= {rule["record"]} if "record" in rule else set()
    assert read_anywhere == recorded  # none is recorded for nothing


@every_rule
def test_comparison_keeps_all_labels(rule: Rule) -> None:
    """`a > on (tenant) b` drops every other label of the alert."""
    for part in read(rule["expr"]).walk():
        if isinstance(part, Binary) and part.operator.text not in {"and", "or", "unless"}:
            assert [clause.keyword.text for clause in part.clauses] in ([], ["on", "group_left"])


@every_rule
def test_only_what_belongs_to_one_process_keeps_its_instance(rule: Rule) -> None:
    """All else is aggregated without `instance` and `pod`, wherever it gives an alert its labels."""
    alone = rule.get("alert") in OF_ONE_PROCESS
    for part in labelling(read(rule["expr"])):
        aggregated = isinstance(part, Aggregation)
        assert aggregated is not alone, (rule, part)
        if isinstance(part, Aggregation):
            assert part.clause.keyword.text == "without"
            assert {"instance", "pod"} <= {label.text for label in part.clause.labels}


def labelling(part: Node) -> Iterator[Node]:
    """Yield what gives a result its labels: the innermost aggregations, and series that none stands around."""
    if isinstance(part, Aggregation):
        deeper = list(labelling(part.inner)) if ":" not in _names(part) else []
        yield from [it for it in deeper if isinstance(it, Aggregation)] or [part]
    elif isinstance(part, Selector):
        if ":" not in part.name:  # a recorded one has been aggregated
            yield part
    elif isinstance(part, Binary) and part.operator.text != "or":
        yield from labelling(next(side for side in part.parts() if _names(side)))
    else:
        for inner in part.parts():
            yield from labelling(inner)


def _names(part: Node) -> str:
    """The names of all series in a part; empty for numbers and time()."""
    return " ".join(it.name for it in part.walk() if isinstance(it, Selector))


@every_rule
def test_alert_says_what_to_do(rule: Rule) -> None:
    """Severity, `for`, texts, a link to its runbook and one to a dashboard, with no variables but that dashboard's."""
    if "record" in rule:
        assert re.fullmatch(r"spconfig:\w+:\w+", rule["record"])
        assert rule.keys() == {"record", "expr"}
        return
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
    texts = rule["annotations"]
    assert texts.keys() == {"summary", "description", "runbook_url", "dashboard_url"}
    assert "$labels" in texts["description"]
    assert texts["runbook_url"] == f"https://docs.example.com/runbooks.md#{rule['alert'].lower()}"
    assert texts["dashboard_url"].startswith("https://grafana.example.com/d/")
    named = set(re.findall(r"spexporter-\w+", texts["dashboard_url"]))
    assert named <= DASHBOARDS.keys()
    assert set(re.findall(r"var-(\w+)=", texts["dashboard_url"])) <= set().union(*(DASHBOARDS[uid] for uid in named))


@every_alert
def test_alert_has_a_runbook(name: str) -> None:
    """With what it means, how to look and what to do, in this order, and a query or command that is not empty."""
    chapter = chapters()[name]
    places = [chapter.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)
    assert re.search(r"^```(promql|sh)\n.+?^```", chapter, re.DOTALL | re.MULTILINE)


def test_every_runbook_is_of_an_alert() -> None:
    """None is left of an alert that is gone."""
    assert sorted(chapters()) == sorted(alert_names())


@pytest.mark.parametrize("name", ["runbooks.md", "operations.md"])
def test_queries_in_documents_are_promql_on_series_that_exist(name: str) -> None:
    """Each block of them is one query."""
    queries = re.findall(
        r"^```promql\n(.*?)^```", (ROOT / "docs" / name).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(queries) > 5
    for query in queries:
        promql_parser.parse(query)
        assert {metric for metric in selected(query) if not is_known(metric)} == set(), query


@every_alert
def test_alert_is_tested_where_it_fires_and_where_it_does_not(name: str) -> None:
    """With its whole texts where it fires; and across a restart at another address where it reads counters."""
    cases = [case for path in files_for(name) for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]]
    whole = [it for case in cases for it in case.get("alert_rule_test", []) if it["alertname"] == name]
    assert all(it["exp_alerts"] for it in whole)
    assert all(
        alert["exp_annotations"].keys() >= {"summary", "description"} for it in whole for alert in it["exp_alerts"]
    )
    assert whole
    moments = [
        it["exp_samples"]
        for case in cases
        for it in case.get("promql_expr_test", [])
        if it["expr"] == f'ALERTS{{alertname="{name}"}}'
    ]
    assert any('alertstate="firing"' in sample["labels"] for samples in moments for sample in samples)
    assert any(not samples for samples in moments)
    if "SPExporter" not in name or "increase" in "".join(
        rule["expr"] for rule in rules("alert") if rule["alert"] == name
    ):
        addresses = [set(re.findall(r'instance="([\d.:]+)"', str(case["input_series"]))) for case in cases]
        assert any(len(seen) > 1 for seen in addresses)


def files_for(name: str) -> Sequence[Path]:
    """The files of tests of an alert."""
    return [TESTS / f"{name}.yml", *sorted(TESTS.glob(f"{name}.*.yml"))]


def test_every_file_of_tests_is_of_an_alert() -> None:
    """The mutants of a rule are run against the tests of the alerts that need it; a file of another name never is."""
    assert {path.name.partition(".")[0] for path in TESTS.glob("*.yml")} == set(alert_names())
