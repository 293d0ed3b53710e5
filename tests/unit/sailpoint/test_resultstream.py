"""A result that is counted while it comes is counted as the whole one would be."""

import codecs
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spexporter.domain.result import ImportResult, TypeCounts
from spexporter.domain.values import replace
from spexporter.sailpoint.fields import Unreadable
from spexporter.sailpoint.resultstream import ResultStream
from spexporter.sailpoint.wire import decode_object_types, decode_result

T = TypeVar("T")
U = TypeVar("U")
NAMES = ("results", "SOURCE", "errors", "warnings", "infos", "importedObjects", "key", "exportJobId", "text")
LISTS = ("errors", "warnings", "infos", "importedObjects")
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
WORDS = st.sampled_from(["IMPORT_PREVIEW", "},", "}]", '"', "\\", "\ud83d", "\ude00", "\N{GRINNING FACE}"])
JSON = st.recursive(
    SCALARS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | WORDS | st.text(max_size=9), inner, max_size=4)
    ),
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


def mostly(usual: st.SearchStrategy[T], odd: st.SearchStrategy[U]) -> st.SearchStrategy[T | U]:
    return st.integers(0, 15).flatmap(lambda dice: usual if dice else odd)


ENTRIES = mostly(objects(mostly(st.sampled_from(LISTS), st.just("statistics")), mostly(MESSAGES, JSON)), JSON)
TYPES = objects(mostly(st.sampled_from(["SOURCE", "RULE"]), st.sampled_from(["results", *LISTS]) | WORDS), ENTRIES)
RESULTS = objects(
    mostly(st.just("results"), st.sampled_from(["exportJobId", "other"])),
    mostly(TYPES, objects(st.sampled_from(["results", "SOURCE"]), TYPES) | st.integers() | JSON),
)
DAMAGE = st.sampled_from(["", ",", "]", "}", "{", '"', "\\", " ", "\v"])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Write a result, and damage it now and then, but not its encoding."""
    text = json.dumps(
        draw(mostly(RESULTS, JSON)),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 1])),
        separators=draw(st.sampled_from([(",", ":"), None])),
    )
    if draw(st.sampled_from([False, False, False, True])):
        start, length = draw(st.integers(0, len(text))), draw(st.integers(0, 2))
        text = text[:start] + draw(DAMAGE) + text[start + length :]
    return draw(st.sampled_from([b"", b"", codecs.BOM_UTF8])) + text.encode(errors="replace")


def in_pieces(body: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = (0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body))
    return (body[start:end] for start, end in pairwise(places))


def streamed(body: bytes, cuts: list[int], window: int = 1) -> ImportResult | str:
    stream = ResultStream(window)
    for piece in in_pieces(body, cuts):
        stream.feed(piece)
    try:
        return stream.result()
    except Unreadable:
        return "unreadable"


def with_whole_id(result: ImportResult | str) -> ImportResult | str:
    """Return a result without an id that is a number with a fraction or an exponent."""
    if isinstance(result, ImportResult) and re.fullmatch(r"-0|-?\d+(\.\d+)?([eE][-+]?\d+)?", result.backup_id):
        return replace(result, backup_id=result.backup_id if result.backup_id.isdecimal() else "")
    return result


def whole(body: bytes) -> ImportResult | str:
    try:
        return decode_result(body)
    except Unreadable:
        return "unreadable"


@settings(max_examples=400)
@given(body=bodies(), cuts=st.lists(st.integers(0, 10**6), max_size=8), window=st.integers(1, 60))
def test_in_whichever_pieces_it_comes_a_result_is_counted_as_a_whole(body: bytes, cuts: list[int], window: int) -> None:
    """Nested results, odd types, names that come twice, damage: counts, mark, backup and refusals are the same."""
    assert with_whole_id(streamed(body, cuts, window)) == with_whole_id(whole(body))


@pytest.mark.parametrize(("characters", "readable"), [(128, True), (129, False), (100_000, False)])
def test_name_far_longer_than_any_object_type_is_none(characters: int, *, readable: bool) -> None:
    """No page could show it, and no key of a database hold it: what comes with it is no result."""
    body = json.dumps({"results": {"X" * characters: {"errors": [{}]}, "SOURCE": {}}}).encode()
    result = (
        ImportResult({"X" * characters: TypeCounts(errors=1), "SOURCE": TypeCounts()}) if readable else "unreadable"
    )
    assert (whole(body), streamed(body, [10, 5000])) == (result, result)


def test_such_a_name_is_none_among_the_types_that_a_tenant_knows() -> None:
    """Each of those gets counters, too; the others are known all the same."""
    body = json.dumps([{"objectType": name} for name in ("SOURCE", "X" * 128, "Y" * 129)]).encode()
    assert decode_object_types(body) == {"SOURCE", "X" * 128}


LONG = [{"key": None, "text": f"Object [{number}, name]"} for number in range(3000)]
MARKED = [*LONG, {"key": "IMPORT_PREVIEW"}, *LONG]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    "infos",
    [
        LONG,
        MARKED,
        [*LONG, "IMPORT_PREVIEW", {"key": 7}, *MARKED],
        [{"detail": {"of": [{"of": 1}]}, "text": "}],{"}] * 3000,
        [{"text": "x" * 100_000}, {"key": "IMPORT_PREVIEW"}],
    ],
    ids=["plain", "preview", "odd entries", "nested", "long text"],
)
def test_long_lists_are_counted_as_a_whole(infos: list[object], indent: int | None) -> None:
    """The same with as many bytes at a time as arrive in life, so that entries are counted by hundreds."""
    entry = {"infos": infos, "errors": LONG, "warnings": [], "importedObjects": LONG[:700]}
    body = json.dumps({"exportJobId": "b", "results": {"SOURCE": entry, "ROLE": entry}}, indent=indent).encode()
    result = whole(body)
    assert isinstance(result, ImportResult)
    assert result.types["ROLE"] == TypeCounts(errors=3000, infos=len(infos), objects=700)
    assert streamed(body, [*range(0, len(body), 65_536)], window=32_768) == result


@pytest.mark.parametrize(
    "damage", [b"]", b"}", b",", b'"', b"\v", b'{"key": "\\x"}', b"nul"], ids=lambda damage: ascii(damage.decode())
)
def test_damage_in_the_middle_of_a_long_list_is_seen(damage: bytes) -> None:
    """What is counted by hundreds is looked at as closely as the rest."""
    body = json.dumps({"results": {"SOURCE": {"errors": LONG}}}).encode()
    middle = body.index(b"}, {", len(body) // 2) + 1
    assert streamed(body, [*range(0, len(body), 65_536)], window=32_768) == whole(body)
    damaged = body[:middle] + damage + body[middle:]
    assert streamed(damaged, [*range(0, len(body), 65_536)], window=32_768) == "unreadable"


@pytest.mark.parametrize("behind", ['"', "1", "t", "{}", "\v", "\\"])
def test_anything_behind_the_body_makes_it_unreadable(behind: str) -> None:
    """The parser alone would not mind a word that has only begun."""
    assert streamed(b'{"results": {}} \n', []) == ImportResult({})
    assert streamed(b'{"results": {}}' + behind.encode(), []) == "unreadable"


@pytest.mark.parametrize(
    ("body", "way"),
    [
        (b'{"results": {}, "other": "\xff"}', "unreadable"),
        (b'{"results": {}, "other": %b}' % (b"[" * 5000 + b"]" * 5000), ImportResult({})),
        (b'{"results": {}, "other": %b}' % (b"[" * 200_000), "unreadable"),
        (b'{"results": {}, "exportJobId": 1.50}', ImportResult({})),
        (b'{"results": {}, "exportJobId": 15}', ImportResult({}, backup_id="15")),
        (b'{"results": {}, "exportJobId": true}', ImportResult({}, backup_id="true")),
        (b'{"results": {}, "other": %b}' % (b"9" * 5000), "unreadable"),
        (b'{"results": {}, "other": 1e-99999999999999999999}', "unreadable"),
    ],
    ids=["not UTF-8", "deep", "deeper", "fraction", "whole number", "truth value", "5000 digits", "20 digits"],
)
def test_what_no_honest_tenant_sends_has_one_way_in_any_pieces(body: bytes, way: ImportResult | str) -> None:
    """Where a stream cannot do as the whole does it is told what it does instead."""
    assert streamed(body, []) == way
    assert streamed(body, [*range(0, len(body), 7)]) == way


@pytest.mark.parametrize("behind", ["{", "\N{GRINNING FACE}" * 40], ids=["JSON", "cut in the middle of a character"])
def test_what_cannot_be_read_is_not_quoted(behind: str) -> None:
    """An error comes into the log, and the body may hold names of people."""
    stream = ResultStream()
    stream.feed(b'{"results": {}, "x": "planted-name"}' + behind.encode())
    with pytest.raises(Unreadable, match=r"not an import result: \w+ error: [\w ]+\.?$"):
        stream.result()
