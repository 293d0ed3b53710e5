"""The texts of an import's result, as `wait` prints them."""

import json

import pytest

from spexporter.domain.result import Texts
from spexporter.sailpoint.fields import Unreadable
from spexporter.sailpoint.wire import decode_report, decode_result


def body(**types: object) -> bytes:
    return json.dumps({"results": types}).encode()


def test_texts_stand_by_object_type_beside_the_same_counts() -> None:
    """Counts are those of `decode_result`; a message without text shows its key, and one without either says so."""
    raw = body(
        SOURCE={"errors": [{"text": " a\nb "}, {"key": "KEY", "text": None}, "bare"], "warnings": [None, {}]},
        ROLE={"infos": [{"text": "not of interest"}]},
    )
    report = decode_report(raw)
    assert report.result == decode_result(raw)
    assert report.texts == {"SOURCE": Texts(("a b", "KEY", "bare"), ("(no text)", "(no text)")), "ROLE": Texts()}


def test_texts_are_bounded_and_counts_are_not() -> None:
    """A thousand texts of a thousand characters at the most, errors of all types before any warning."""
    long = {"text": "x" * 5000}
    report = decode_report(body(A={"warnings": [long] * 900}, B={"errors": [long] * 600}))
    assert (report.result.errors, report.result.warnings) == (600, 900)
    assert (len(report.texts["B"].errors), len(report.texts["A"].warnings)) == (600, 400)
    assert {len(text) for text in report.texts["B"].errors} == {1000}


def test_report_of_something_else_is_unreadable() -> None:
    """A report is refused where the counts would be."""
    with pytest.raises(Unreadable, match="without `results`"):
        decode_report(b"{}")
