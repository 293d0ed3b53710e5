"""The table of families, held against a page."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scripts.example_page import example_lines
from spexporter.domain.family import Family
from spexporter.exposition.families import TENANT_FAMILIES
from spexporter.exposition.ownfamilies import OWN_FAMILIES

FAMILIES: tuple[Family, ...] = (*TENANT_FAMILIES, *OWN_FAMILIES)


def test_every_family_answers_a_question_of_its_own() -> None:
    """Two families that answered the same question would be one too many."""
    questions = [family.question for family in FAMILIES]
    assert all(question.endswith("?") for question in questions)
    assert len(set(questions)) == len(questions)


def test_example_line_has_the_labels_of_the_table() -> None:
    """Each line that the reference shows is a sample of its family with exactly the labels that stand beside it."""
    examples = example_lines(FAMILIES)
    for family in FAMILIES:
        (metric,) = text_string_to_metric_families(f"{examples[family.name]}\n")
        bound = {"le"} if family.type == "histogram" else set()
        assert metric.samples[0].labels.keys() == {*family.labels, *bound}, family.name


def test_family_that_the_example_page_lacks_is_named() -> None:
    """A family that is added to the table, and not to the example, is not left out in silence."""
    missing = Family("spexporter_not_there", "gauge", (), "Not there.", question="Where is it?")
    with pytest.raises(LookupError, match="spexporter_not_there"):
        example_lines([missing])
