"""The document of the API against what reads the orders: a client that keeps to the one is not refused by the other."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from spexporter.web.body import parse_job
from spexporter.web.openapi import document
from spexporter.web.refusal import Refusal

ORDER = {"tenant": "acme", "operation": "import", "id": "i1"}
SHAPE = document(["acme"])["components"]["schemas"]["JobOrder"]
FITS = Draft202012Validator(SHAPE)
UNITS = ("y", "w", "d", "h", "m", "s", "ms")
# By unit, as durations are written; most texts at random are none.
COUNTS = st.tuples(*(st.none() | st.sampled_from(["0", "00", "1", "89", "90"]) | st.integers(0, 10**9).map(str),) * 7)
BLANKS = [character for character in map(chr, range(0x110000)) if character.isspace()]


def accepted(order: object) -> bool:
    try:
        parse_job(json.dumps(order).encode())
    except Refusal:
        return False
    return True


@given(key=st.sampled_from(["tenant", "operation", "id"]), text=st.text() | st.from_regex(r"\A[A-Za-z0-9._-]*\Z"))
@example(key="id", text=".")
@example(key="id", text="..")
@example(key="id", text="...")
@example(key="tenant", text="x" * 64)
@example(key="tenant", text="x" * 65)
@example(key="id", text="i1\n")
def test_what_names_a_job_is_described_exactly(key: str, text: str) -> None:
    """A tenant, operation or id fits the document if and only if it is accepted."""
    order = {**ORDER, key: text}
    # jsonschema's `$` matches before a line break at the end, too; that of JSON Schema does not.
    assert accepted(order) == (FITS.is_valid(order) and not text.endswith("\n"))


@given(name=st.text() | st.lists(st.sampled_from([*BLANKS, "\ufeff", "a"]), max_size=4).map("".join))
@example(name="")
@example(name="\ufeff")
@example(name="a\nb")
def test_names_are_described_exactly(name: str) -> None:
    """Blanks at the ends do not fit, whatever a blank is in the language of the client."""
    order = {**ORDER, "name": name}
    assert accepted(order) == (FITS.is_valid(order) and not name.endswith("\n"))


@given(counts=COUNTS)
def test_every_max_age_that_fits_is_accepted(counts: tuple[str | None, ...]) -> None:
    """A pattern cannot add up, so a few long ones do not fit, though they would be accepted."""
    parts = zip(counts, UNITS, strict=True)
    order = {**ORDER, "max_age": "".join(f"{count}{unit}" for count, unit in parts if count is not None)}
    assert accepted(order) or not FITS.is_valid(order)


def test_the_longest_max_age_that_fits_is_accepted() -> None:
    """All units at their bounds are less than 100 years together."""
    order = {**ORDER, "max_age": "89y99w999d9999h999999m99999999s999999999ms"}
    assert FITS.is_valid(order)
    assert accepted(order)


@pytest.mark.parametrize("max_age", ["500ms", "10s", "5m", "24h", "7d", "1h30m", "90d", "1y"])
def test_every_max_age_that_the_documentation_shows_fits(max_age: str) -> None:
    """The bounds of the document leave room for what people write."""
    assert FITS.is_valid({**ORDER, "max_age": max_age})


@pytest.mark.parametrize("max_age", ["", "0s", "0h0m", "150y", "1h1y", "30"])
def test_a_max_age_that_is_refused_does_not_fit(max_age: str) -> None:
    """Neither zero nor more than a life, nor units out of their order."""
    order = {**ORDER, "max_age": max_age}
    assert not FITS.is_valid(order)
    assert not accepted(order)
