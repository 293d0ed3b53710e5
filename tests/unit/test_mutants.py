"""Mutants of rules: every change that a reviewer would think of is made, each once, each of valid PromQL."""

import promql_parser
import pytest

from scripts.mutants import edits, mutants
from scripts.mutate_rules import Key, load_equivalents, load_rules
from scripts.promql import read, words


def changed(expression: str) -> set[str]:
    """All mutants of an expression, as texts."""
    return {expression[: edit.start] + edit.text + expression[edit.end :] for edit in edits(expression)}


def test_thresholds_and_comparisons_change() -> None:
    """The number a little up and down, the operator to its neighbours, and the comparison away."""
    assert changed("a > 20") == {"a > 22", "a > 18", "a >= 20", "a < 20", "a"}
    assert changed("a == 0") == {"a == 1", "a == -1", "a != 0", "a"}


def test_time_changes_in_its_number_not_in_its_unit() -> None:
    """And in all its operators and parts."""
    found = changed("a < time() - 6 * 3600")
    assert {"a < time() - 6.6 * 3600", "a < time() - 5.4 * 3600", "a < time() + 6 * 3600", "a < time()"} <= found
    assert not any("3960" in text or "3240" in text for text in found)


def test_grouping_changes() -> None:
    """The other keyword, each label left out, another aggregation."""
    expression = "max without (instance, pod) (a)"
    assert changed(expression) == {
        "max by (instance, pod) (a)",
        "max without (pod) (a)",
        "max without (instance) (a)",
        "min without (instance, pod) (a)",
        "sum without (instance, pod) (a)",
    }


def test_matching_changes() -> None:
    """Each label, the keyword, the clause, the operator, and one side alone."""
    assert changed("a unless on (x, y) b") == {
        "a unless on (y) b",
        "a unless on (x) b",
        "a unless ignoring (x, y) b",
        "a unless b",
        "a and on (x, y) b",
        "a or on (x, y) b",
        "a",
    }
    assert "a > on (x) 3 * b" in changed("a > on (x) group_left () 3 * b")
    assert {"a", "b"} <= changed("a or b")


def test_matchers_change() -> None:
    """Negated, another value, each alternative left out, and no matcher."""
    assert changed('a{x="1", y=~"2|3"}') == {
        'a{x!="1", y=~"2|3"}',
        'a{x="1x", y=~"2|3"}',
        'a{y=~"2|3"}',
        'a{x="1", y!~"2|3"}',
        'a{x="1", y=~"3"}',
        'a{x="1", y=~"2"}',
        'a{x="1"}',
    }
    assert "a" in changed('a{x="1"}')


def test_windows_and_functions_change() -> None:
    """Half and twice of each duration; an offset away; functions that look alike."""
    assert changed("increase(a[1h])") == {"increase(a[30m])", "increase(a[2h])", "rate(a[1h])"}
    assert {"a offset 30m", "a offset 2h", "a"} == changed("a offset 1h")
    assert {"max_over_time(a[4d:1h])", "max_over_time(a[16d:1h])", "max_over_time(a[8d:30m])"} <= changed(
        "max_over_time(a[8d:1h])"
    )


def test_for_and_labels_change() -> None:
    """By a minute, and to another value."""
    rule = {"alert": "A", "expr": "a", "for": "5m", "labels": {"severity": "info"}}
    found = [(mutant.rule["for"], mutant.rule["labels"]["severity"]) for mutant in mutants(rule)]
    assert found == [("240s", "info"), ("360s", "info"), ("5m", "info-other")]


def test_reader_knows_where_parts_stand() -> None:
    """The text of each part is that part."""
    expression = 'max without (pod) (last_over_time(a{x="1"}[5m])) > 3 * b or (c offset 1h)'
    tree = read(expression)
    texts = [expression[part.start : part.end] for part in tree.walk()]
    assert texts[0] == expression
    assert {'a{x="1"}', 'last_over_time(a{x="1"}[5m])', "3 * b", "c offset 1h", "(c offset 1h)"} <= set(texts)
    for text in texts:
        promql_parser.parse(text)


@pytest.mark.parametrize("text", ["a >", "a b", "(a", "a{x=", "{a}", "a @ 3", "max(a)"])
def test_reader_refuses_what_it_does_not_know(text: str) -> None:
    """Rather than to leave a part of it as it is."""
    with pytest.raises(ValueError, match=r"expected|cannot read|did not expect|not enough values"):
        read(text)


def test_words_stand_where_they_say() -> None:
    """Each in the text, in order."""
    text = 'sum by (a) (rate(b{c=~"d"}[5m])) >= 1.5'
    assert [text[word.start : word.end] for word in words(text)] == [word.text for word in words(text)]


def test_no_two_mutants_of_our_rules_have_one_name() -> None:
    """So that the list of equivalents means one of them each; every one in it is made."""
    keys = [Key(it.mutant.name, it.mutant.was, it.mutant.now) for it in load_rules().trials()]
    assert len(keys) > 1000
    assert len(set(keys)) == len(keys)
    assert load_equivalents().keys() <= set(keys)


def test_mutant_is_run_against_every_alert_that_needs_it() -> None:
    """Those of a recorded series against all that read it, directly or not."""
    found = {it.mutant.name: set(it.alerts) for it in load_rules().trials()}
    assert found["SPConfigJobStuck"] == {"SPConfigJobStuck"}
    assert found["spconfig:job_running:duration_seconds"] == {
        "SPConfigJobStuck",
        "SPConfigJobSlow",
        "SPConfigJobNotProgressing",
    }
    assert {"SPConfigJobFailed", "SPConfigBackupNotSynced"} <= found["spconfig:job_end_seen:timestamp_seconds"]
