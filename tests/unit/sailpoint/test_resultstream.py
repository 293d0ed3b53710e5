"""A result that is counted while it comes is counted as the whole one would be."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spexporter.domain.result import ImportResult, TypeCounts
from spexporter.sailpoint.fields import Unreadable
from spexporter.sailpoint.resultstream import ResultStream
from spexporter.sailpoint.wire import decode_result

NAMES = ("results", "SOURCE", "errors", "warnings", "infos", "importedObjects", "key", "exportJobId", "text")
LISTS = ("errors", "warnings", "infos", "importedObjects")
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
WORDS = st.sampled_from(["IMPORT_PREVIEW", "},", "}]", '"', "\\", "\ud83d", "\ude00", "\N{GRINNING FACE}"])
JSON = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(NAMES) | WORDS | st.text(max_size=9), inner, max_size=4),
    max_leaves=10,
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"key": st.none() | WORDS, "text": st.text(max_size=9) | WORDS}, optional={"detail": JSON}),
    max_size=8,
)


class Pairs(dict[str, object]):
    """An object whose names may come twice."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__({"": None} if pairs else {})  # json asks whether it is empty
        self._pairs = pairs

    def items(self) -> list[tuple[str, object]]:  # type: ignore[override]
        return self._pairs


def objects(names: st.SearchStrategy[str], values: st.SearchStrategy[object]) -> st.SearchStrategy[Pairs]:
    return st.lists(st.tuples(names, values), max_size=4).map(Pairs)


TYPES = objects(
    st.sampled_from(["SOURCE", "RULE", "results", *LISTS]) | WORDS,
    objects(st.sampled_from(LISTS) | st.just("statistics"), MESSAGES | JSON) | JSON,
)
RESULTS = objects(
    st.sampled_from(["results", "results", "exportJobId", "other"]),
    TYPES | objects(st.sampled_from(["results", "SOURCE"]), TYPES) | st.integers() | JSON,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Write a result, and damage it now and then; numbers that are ids are whole."""
    body = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + json.dumps(
        draw(RESULTS | JSON),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 1])),
        separators=draw(st.sampled_from([(",", ":"), None])),
    ).encode(errors="replace")
    if draw(st.sampled_from([False, False, True])):
        start, length = draw(st.integers(0, len(body))), draw(st.integers(0, 2))
        body = body[:start] + draw(st.sampled_from([b"", b",", b"]", b"}", b"{", b'"', b"\\", b" "])) + body[start + length :]
    return body


def in_pieces(body: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return (body[start:end] for start, end in zip(places, places[1:], strict=False))


def streamed(body: bytes, cuts: list[int], window: int = 1) -> ImportResult | str:
    stream = ResultStream(window)
    for piece in in_pieces(body, cuts):
        stream.feed(piece)
    try:
        return stream.result()
    except Unreadable:
        return "unreadable"


def whole(body: bytes) -> ImportResult | str:
    try:
        return decode_result(body)
    except Unreadable:
        return "unreadable"


@settings(max_examples=400)
@given(body=bodies(), cuts=st.lists(st.integers(0, 10**6), max_size=8), window=st.integers(1, 60))
def test_in_whichever_pieces_it_comes_a_result_is_counted_as_a_whole(body: bytes, cuts: list[int], window: int) -> None:
    assert streamed(body, cuts, window) == whole(body)
