"""The first texts of a result are those that the whole one has."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.result import Texts
from spexporter.sailpoint.texts import LONGEST_TEXT, first_texts
from spexporter.sailpoint.wire import decode_report

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9)
ODD = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
MESSAGES = st.lists(
    st.fixed_dictionaries({}, optional={"key": SCALARS, "text": SCALARS, "details": ODD, "errors": ODD})
    | st.text(max_size=5),
    max_size=6,
)
LISTS = st.fixed_dictionaries({"infos": MESSAGES}, optional={"errors": MESSAGES, "warnings": MESSAGES})
TYPES = st.dictionaries(st.sampled_from(["SOURCE", "ROLE", "text", "a.b", ""]), LISTS | st.none(), max_size=4)
BODIES = st.fixed_dictionaries({"results": TYPES | TYPES.map(lambda types: {"results": types})}, optional={"x": ODD})


@given(BODIES, st.booleans())
async def test_texts_are_those_of_the_report(body: dict[str, object], ascii_alone: bool) -> None:  # noqa: FBT001 (drawn)
    """Whatever else stands there, by type and in order, with the words that `spexporter wait` shows."""
    encoded = json.dumps(body, ensure_ascii=ascii_alone).encode("utf-8", "surrogatepass")
    report = decode_report(encoded)
    said = {name: texts for name, texts in report.texts.items() if texts != Texts()}
    assert await first_texts(encoded, most=1000) == said


@given(BODIES, st.integers(0, 400), st.integers(1, 5))
async def test_a_beginning_has_a_beginning_of_the_texts(body: dict[str, object], end: int, most: int) -> None:
    """However it is cut, nothing is raised, and nothing is said that the whole does not say."""
    encoded = json.dumps(body).encode()
    whole, part = await first_texts(encoded, most=1000), await first_texts(encoded[:end], most)
    for name, texts in part.items():
        assert texts.errors == whole[name].errors[: len(texts.errors)]
        assert texts.warnings == whole[name].warnings[: len(texts.warnings)]
    assert sum(len(texts.errors) + len(texts.warnings) for texts in part.values()) <= most


@pytest.mark.parametrize(
    "head", [b"", b"[]", b"<html>", b'{"results": 7}', b"\xff\xfe", b'{"results": {"A": [[[{}]]]}}']
)
async def test_what_is_no_result_has_no_texts(head: bytes) -> None:
    """It is read for people alone: it never fails."""
    assert await first_texts(head) == {}


async def test_a_long_text_is_cut() -> None:
    """One message cannot fill the memory."""
    body = json.dumps({"results": {"ROLE": {"errors": [{"text": "x\n" * 9000}]}}}).encode()
    (text,) = (await first_texts(body))["ROLE"].errors
    assert len(text) == LONGEST_TEXT
    assert text.endswith("…")
