import base64
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.job import JobKey, JobState, Observation, Operation
from spexporter.domain.result import TypeCounts
from spexporter.sailpoint.fields import Unreadable, parse_time
from spexporter.sailpoint.replies import retry_after_s
from spexporter.sailpoint.wire import (
    decode_error,
    decode_object_types,
    decode_result,
    decode_status,
    decode_token,
    odd_status,
)

KEY = JobKey("acme", Operation.IMPORT, "asked")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
STATUS_FIELDS = ("jobId", "status", "type", "message", "description", "created", "modified", "completed", "expiration")
RESULT_FIELDS = ("results", "SOURCE", "errors", "warnings", "infos", "importedObjects", "key", "exportJobId")


def status(**fields: object) -> tuple[JobState, list[str]]:
    unknown: list[str] = []
    seen = decode_status(json.dumps(fields).encode(), KEY, observed_s=0.0, unknown=unknown.append)
    return seen.state, unknown


def test_unknown_states_are_kept_as_unknown() -> None:
    """A word that a later version of the API adds is reported, not refused."""
    assert status(status="PAUSED") == (JobState.UNKNOWN, ["status"])


def test_our_own_state_words_are_not_the_tenants() -> None:
    """NOT_FOUND is ours: a tenant that sends it sends a word we do not know."""
    assert status(status="NOT_FOUND") == (JobState.UNKNOWN, ["status"])


def test_odd_fields_are_reported_and_spoil_nothing() -> None:
    """An object where a text should be, or a time that is none, is as good as missing."""
    assert status(status="COMPLETE", message={"a": 1}, created="yesterday", completed=[]) == (
        JobState.COMPLETE,
        ["created", "completed", "message"],
    )


@pytest.mark.parametrize("fields", [{}, {"status": None}, {"status": {}}], ids=["missing", "null", "object"])
def test_a_status_without_status_is_unreadable(fields: dict[str, object]) -> None:
    """There is nothing to believe in such an answer."""
    with pytest.raises(Unreadable, match="without `status`"):
        status(**fields)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'"text"', b'{"status": "COMPLETE"', b'{"status": "\xff"}', b"[" * 100_000, b"null"],
    ids=["empty", "html", "list", "string", "cut", "bad utf-8", "deep", "null"],
)
def test_other_bodies_are_unreadable(body: bytes) -> None:
    """Whatever is wrong with a body, it is one kind of error."""
    with pytest.raises(Unreadable):
        decode_status(body, KEY, observed_s=0.0, unknown=lambda _: None)
    with pytest.raises(Unreadable):
        decode_result(body)
    with pytest.raises(Unreadable):
        decode_token(body)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"cut \ud83d", "cut \ufffd"),
        (rb"\uDE00 \ud83d\ude00", "\ufffd \N{GRINNING FACE}"),
        (rb"\\ud83d \\\ud83d\n", "\\ud83d \\\ufffd\n"),
    ],
    ids=["first half", "second half and a pair", "escaped backslashes"],
)
def test_half_an_emoji_spoils_no_answer(written: bytes, read: str) -> None:
    """A text that was cut at a bad place is still a text, and the counts beside it are still right."""
    body = b'\xef\xbb\xbf{"status": "COMPLETE", "message": "%b"}' % written
    assert decode_status(body, KEY, observed_s=0.0, unknown=lambda _: None).message == read
    body = b'{"results": {"SOURCE": {"errors": [{"text": "%b"}, {}]}}}' % written
    assert decode_result(body).types == {"SOURCE": TypeCounts(errors=2)}


@given(body=st.binary() | st.builds(lambda value: json.dumps(value).encode(), JSON))
def test_no_body_raises_anything_but_unreadable(body: bytes) -> None:
    """Any JSON value and any bytes: an answer, or one kind of error."""
    decoders = (
        lambda: decode_status(body, KEY, observed_s=0.0, unknown=lambda _: None),
        lambda: decode_result(body),
        lambda: decode_object_types(body),
        lambda: decode_token(body),
    )
    for decode in decoders:
        try:
            decode()
        except Unreadable:
            continue
    decode_error(body)


TEXTS = st.none() | st.text(max_size=8) | st.sampled_from(["COMPLETE", "2026-11-28T08:00:00Z", "", "1"])
ENDINGS = st.sampled_from([b"", b" ", b"x", b",", b"\xff"])


@given(
    fields=st.dictionaries(st.sampled_from([*STATUS_FIELDS, "other"]), JSON | TEXTS),
    again=st.dictionaries(st.sampled_from(STATUS_FIELDS), JSON | TEXTS),
    ascii_only=st.booleans(),
    ending=ENDINGS,
)
def test_the_short_way_to_read_a_status_is_the_long_one(
    fields: dict[str, object], again: dict[str, object], ending: bytes, *, ascii_only: bool
) -> None:
    """Whether all known fields are texts or not, in any form, and also where a field is there twice."""
    first, second = (json.dumps(part, ensure_ascii=ascii_only).encode() for part in (fields, again))
    body = (first[:-1] + b"," + second[1:] if fields and again else first) + ending

    def read(way: Callable[..., Observation]) -> tuple[object, list[str]]:
        heard: list[str] = []
        try:
            return way(body, KEY, observed_s=1.0, unknown=heard.append), heard
        except Unreadable as error:
            return str(error), heard

    (short, heard), (long, heard_by_long) = read(decode_status), read(odd_status)
    assert (short, sorted(heard)) == (long, sorted(heard_by_long))


@given(fields=st.dictionaries(st.sampled_from(STATUS_FIELDS), JSON))
def test_no_status_field_can_hold_anything_that_breaks_the_others(fields: dict[str, object]) -> None:
    """With a good state, every other field may hold any JSON value."""
    fields["status"] = "COMPLETE"
    assert status(**fields)[0] is JobState.COMPLETE


@given(
    results=st.dictionaries(
        st.sampled_from(["SOURCE", "RULE", "TRANSFORM"]),
        st.fixed_dictionaries(
            {},
            optional={
                name: st.none() | st.lists(JSON, max_size=4)
                for name in ("errors", "warnings", "infos", "importedObjects")
            },
        ),
    )
)
def test_counts_are_the_lengths_of_the_lists(results: dict[str, dict[str, list[object] | None]]) -> None:
    """Whatever a message looks like, it is one message; null and missing lists are empty."""
    counted = decode_result(json.dumps({"results": results}).encode())

    def size(entry: dict[str, list[object] | None], name: str) -> int:
        return len(entry.get(name) or [])

    assert counted.types == {
        name: TypeCounts(
            size(entry, "errors"), size(entry, "warnings"), size(entry, "infos"), size(entry, "importedObjects")
        )
        for name, entry in results.items()
    }


def test_the_preview_mark_counts_only_as_the_key_of_an_info() -> None:
    """An object that is named IMPORT_PREVIEW makes no preview."""
    named = {"infos": [{"key": None, "text": "IMPORT_PREVIEW"}], "errors": [{"key": "IMPORT_PREVIEW"}]}
    assert not decode_result(json.dumps({"results": {"SOURCE": named}}).encode()).preview
    odd = {"infos": ["IMPORT_PREVIEW", {"key": "IMPORT_PREVIEW"}]}
    assert decode_result(json.dumps({"results": {"SOURCE": odd}}).encode()).preview


def test_the_preview_mark_is_found_when_a_letter_of_it_is_escaped() -> None:
    """JSON may write any letter as an escape: a preview that is not seen as one would be counted as an import."""
    body = rb'{"results": {"SOURCE": {"infos": [{"key": "IMPORT_PREVI\u0045W"}]}}}'
    assert decode_result(body).preview
    assert not decode_result(body.replace(b"IMPORT_", rb"\u0058MPORT_")).preview


def test_an_object_type_called_results_is_not_taken_for_nesting() -> None:
    """A lone entry `results` that has lists of messages is an object type."""
    entry = {"errors": [{"text": "x"}]}
    assert decode_result(json.dumps({"results": {"results": entry}}).encode()).types == {
        "results": TypeCounts(errors=1)
    }


def test_a_null_entry_has_no_messages() -> None:
    """A type without anything counts zero."""
    assert decode_result(b'{"results": {"SOURCE": null}}').types == {"SOURCE": TypeCounts()}


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"results": null}',
        b'{"results": []}',
        b'{"results": {"SOURCE": 7}}',
        b'{"results": {"S": {"errors": {}}}}',
    ],
    ids=["no results", "null", "list", "number for a type", "object for a list"],
)
def test_results_that_would_be_counted_by_halves_are_unreadable(body: bytes) -> None:
    """Better no count than a wrong one."""
    with pytest.raises(Unreadable):
        decode_result(body)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2021-05-13T15:04:24Z", 1620918264.0),
        ("2021-05-13T15:04:24.7Z", 1620918264.7),
        ("2021-05-13T15:04:24.71Z", 1620918264.71),
        ("2021-05-13T15:04:24.112Z", 1620918264.112),
        ("2021-05-13T15:04:24.123456789Z", 1620918264.123456),
        ("2021-05-13T15:04:24", 1620918264.0),
        ("2021-05-13T10:04:24-05:00", 1620918264.0),
        ("0001-01-01T00:00:00Z", None),
        ("not a time", None),
        ("", None),
    ],
)
def test_times_have_any_number_of_digits(text: str, seconds: float | None) -> None:
    """Trailing zeros are dropped by the API; the zero time of some clients is no time."""
    assert parse_time(text) == (None if seconds is None else pytest.approx(seconds, abs=1e-6))


@pytest.mark.parametrize(
    "header",
    [
        "Wed, 21 Oct 99999999999 07:28:00 GMT",
        "Sun Nov  2015 07:28:0 777777777777777777777777777777777 37!4",
        "Wed, 21 Oct 2015 07:28:00 +99999999999999999",
    ],
    ids=["year", "year in another place", "offset"],
)
def test_pauses_until_a_date_beyond_all_calendars_are_unreadable(header: str) -> None:
    """A number of any length in `Retry-After` is as good as no header, and no crash."""
    assert retry_after_s(header, wall_s=0.0) is None


def jwt(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.not-a-real-signature"


@pytest.mark.parametrize(
    ("answer", "lifetime_s", "has_user"),
    [
        ({"access_token": jwt(user_name="slpt.admin"), "expires_in": 749}, 749.0, True),
        ({"access_token": jwt(client_id="x"), "expires_in": "15"}, 15.0, False),
        ({"access_token": "opaque"}, None, None),
        ({"access_token": "a.!.c", "expires_in": None}, None, None),
        ({"access_token": "opaque", "expires_in": -5}, None, None),
        ({"access_token": "opaque", "expires_in": []}, None, None),
        ({"access_token": "opaque", "expires_in": "inf"}, None, None),
    ],
)
def test_tokens_tell_their_lifetime_and_user(
    answer: dict[str, object], lifetime_s: float | None, *, has_user: bool | None
) -> None:
    """Tokens that are no JSON Web Tokens, and answers without a lifetime, are good enough."""
    token = decode_token(json.dumps(answer).encode())
    assert (token.lifetime_s, token.grants.has_user) == (lifetime_s, has_user)
    assert str(answer["access_token"]) not in repr(token)


def test_a_token_answer_without_token_is_not_quoted() -> None:
    """The error says what is missing, never what was there instead."""
    with pytest.raises(Unreadable) as raised:
        decode_token(b'{"acces_token": "planted-secret"}')
    assert "planted-secret" not in str(raised.value)


@pytest.mark.parametrize("end", ["\n", "\r\nX-Injected: 1", "\0", " ", "é", "😀"], ids=ascii)
def test_a_token_that_no_header_can_carry_is_unreadable(end: str) -> None:
    """Otherwise the tenant would seem to be well, and every request would crash before it is sent."""
    with pytest.raises(Unreadable, match="no header can carry") as raised:
        decode_token(json.dumps({"access_token": f"planted-token{end}"}).encode())
    assert "planted-token" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"<!doctype html><h1>502</h1>", "HTML instead of JSON"),
        (b"Full authentication is required to access this resource", "text instead of JSON: Full authentication is"),
        (b"  ", "empty body"),
        (b"{}", ""),
        (b'{"messages": "odd", "causes": 7}', ""),
        (json.dumps({"message": "a\nb   c" + "x" * 1000}).encode(), "a b c"),
    ],
    ids=["html", "text", "blank", "nothing", "odd shapes", "long"],
)
def test_error_texts_are_one_short_line(body: bytes, text: str) -> None:
    """HTML is named, not quoted; text is cut."""
    said = decode_error(body)
    assert said.text.startswith(text)
    assert len(said.text) <= 320
    assert "\n" not in said.text
