"""The helper that makes rules faster changes times, and nothing else."""

import json

import pytest

from tests.support.hurried import hurried_alertmanager, hurried_expression, hurried_rules

RULES = """
groups:
  - name: all
    interval: 1m
    rules:
      - {record: "a:rate", expr: "rate(a_total[1h30m])"}
      - {alert: A, expr: "a:rate > 5", for: 10m, labels: {severity: warning}, annotations: {summary: for 5m}}
"""
ROUTING = """
route:
  {receiver: people, group_by: [tenant], group_wait: 30s, routes: [{receiver: others, group_interval: 5m}]}
inhibit_rules: [{source_matchers: [for = 5m], equal: [tenant]}]
"""


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param("increase(a_total[10m]) > 5", "increase(a_total[10000ms]) > 5", id="range"),
        pytest.param("a offset 1h", "a offset 60000ms", id="offset"),
        pytest.param("max_over_time(a[8d:1h])", "max_over_time(a[11520000ms:60000ms])", id="subquery"),
        pytest.param("a{b=\"5m\", c='* 60'}", "a{b=\"5m\", c='* 60'}", id="label"),
        pytest.param("time() - a > 15 * 60", "time() - a > 15 * 1", id="minutes"),
        pytest.param("a > b - 6 * 3600", "a > b - 6 * 60", id="hours"),
        pytest.param("14 * 86400 > a - time()", "14 * 1440 > a - time()", id="days"),
        pytest.param("a5m:b1h > 60 * 100", "a5m:b1h > 60 * 100", id="other-numbers"),
    ],
)
def test_times_in_an_expression_are_divided_by_sixty(expression: str, expected: str) -> None:
    """Ranges, offsets and numbers of seconds get smaller; other numbers, texts and names do not."""
    assert hurried_expression(expression) == expected


def test_times_of_rules_are_divided_by_sixty() -> None:
    """`for` and `interval` get shorter, and texts stay as they are."""
    (group,) = json.loads(hurried_rules(RULES))["groups"]
    recorded, alert = group["rules"]
    assert (group["interval"], alert["for"]) == ("1000ms", "10000ms")
    assert recorded["expr"] == "rate(a_total[90000ms])"
    assert (alert["expr"], alert["annotations"]) == ("a:rate > 5", {"summary": "for 5m"})


def test_rule_that_is_excepted_keeps_its_times() -> None:
    """Such as one about something in the program that is always as slow."""
    kept = json.loads(hurried_rules(RULES, but={"A"}))["groups"][0]["rules"][1]
    assert kept["for"] == "10m"


def test_times_of_routes_are_divided_by_sixty() -> None:
    """Those of inner routes, too; matchers stay as they are."""
    read = json.loads(hurried_alertmanager(ROUTING))
    assert read["route"]["group_wait"] == "500ms"
    assert read["route"]["routes"][0]["group_interval"] == "5000ms"
    assert read["inhibit_rules"] == [{"source_matchers": ["for = 5m"], "equal": ["tenant"]}]
