"""Payloads to domain values, tolerant of everything that SailPoint has been seen to send.

Each level is decoded only as far as it is used, so that an odd value in a field that we do not need spoils nothing.
Every field may be null or missing and unknown words are kept. `Unreadable` is the only error.

Source: SailPoint API specification, sp-config; SailPoint's guide and public issues for what the service really sends.
"""

import base64
import binascii
import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from spexporter.domain.job import JobKey, JobState, Observation, shared
from spexporter.domain.result import ImportReport, ImportResult, Texts, TypeCounts
from spexporter.sailpoint.fields import (
    LONGEST_OBJECT_TYPE,
    LONGEST_TEXT,
    Items,
    Object,
    Unknown,
    Unreadable,
    check_object_type,
    decode,
    ignore,
    is_null,
    one_line,
    read_number,
    read_object,
    read_text,
    read_time,
)
from spexporter.sailpoint.outline import LISTS, PREVIEW

_STATES = {state.value: state for state in JobState if state not in {JobState.NOT_FOUND, JobState.UNKNOWN}}
_WORDS = {word: (state, word) for word, state in _STATES.items()}
_LONGEST_MESSAGE, _MOST_MESSAGES = 1000, 1000  # characters of one text of a report, and texts in all
_SENDABLE = re.compile("[!-~]+")  # what a bearer token is made of; RFC 6750 section 2.1 has even less


# Without an offset it is for `read_time` to say what it means.
_Time = Annotated[datetime, msgspec.Meta(tz=True)] | None


class _Status(msgspec.Struct, gc=False):
    """A job status as nearly all are: known fields are texts or null, and times tell their offset."""

    status: str
    created: _Time = None
    modified: _Time = None
    completed: _Time = None
    expiration: _Time = None
    message: str | None = None
    description: str | None = None
    jobId: str | None = None  # noqa: N815 (SailPoint's name)


_STATUS = msgspec.json.Decoder(_Status)


def decode_status(body: bytes, key: JobKey, *, observed_s: float, unknown: Unknown) -> Observation:
    """Decode the answer of an export's or import's status.

    `unknown` hears the name of each field whose value this version does not know.

    Raises:
        Unreadable: not a JSON object with a `status`.
    """
    try:
        told = _STATUS.decode(body)
        state, word = _WORDS[told.status]
        return Observation(
            key,
            state,
            word,
            observed_s,
            _unix_s(told.created),
            _unix_s(told.modified),
            _unix_s(told.completed),
            _unix_s(told.expiration),
            told.message or "",
            told.description or "",
            key.job_id if told.jobId == key.job_id else told.jobId or "",
        )
    except (msgspec.DecodeError, ValueError, KeyError, RecursionError):
        return odd_status(body, key, observed_s=observed_s, unknown=unknown)


def _unix_s(moment: datetime | None) -> float | None:
    """Return Unix seconds; raise ValueError for what clients make of a missing time, which `read_time` knows."""
    if moment is None:
        return None
    seconds = moment.timestamp()
    if seconds < 0:
        raise ValueError("before 1970")
    return seconds


def odd_status(body: bytes, key: JobKey, *, observed_s: float, unknown: Unknown) -> Observation:
    """Decode the same where a field is something else than text, or the body is no proper JSON."""
    fields = read_object(body, "a job status")
    raw_state = read_text(fields, "status", unknown)
    if raw_state is None:
        raise Unreadable("a job status without `status`")
    state = state_of(raw_state, unknown)
    return Observation(
        key=key,
        state=state,
        raw_state=shared(raw_state, state.value),
        observed_s=observed_s,
        created_s=read_time(fields, "created", unknown),
        modified_s=read_time(fields, "modified", unknown),
        completed_s=read_time(fields, "completed", unknown),
        expires_s=read_time(fields, "expiration", unknown),
        message=read_text(fields, "message", unknown) or "",
        description=read_text(fields, "description", unknown) or "",
        reported_id=shared(read_text(fields, "jobId", unknown) or "", key.job_id),
    )


def state_of(word: str, unknown: Unknown) -> JobState:
    """Return what a tenant's word for a job's state means; one that this version does not know is reported."""
    state = _STATES.get(word, JobState.UNKNOWN)
    if state is JobState.UNKNOWN:
        unknown("status")
    return state


def decode_result(body: bytes) -> ImportResult:
    """Decode an import's downloaded result.

    Raises:
        Unreadable: no `results`, or something else where messages should be: nothing is counted by halves.
    """
    return _counted(*_result_lists(body))


def decode_report(body: bytes) -> ImportReport:
    """Decode an import's downloaded result with the texts of its errors and warnings, the first thousand of them.

    Raises:
        Unreadable: as `decode_result` does.
    """
    fields, by_type = _result_lists(body)
    left = _MOST_MESSAGES
    texts: dict[str, dict[str, tuple[str, ...]]] = {object_type: {} for object_type in by_type}
    for severity in ("errors", "warnings"):
        for object_type, lists in by_type.items():
            texts[object_type][severity] = tuple(_message(raw) for raw in lists[severity][:left])
            left -= len(texts[object_type][severity])
    return ImportReport(_counted(fields, by_type), {name: Texts(**found) for name, found in texts.items()})


def _result_lists(body: bytes) -> tuple[Object, dict[str, dict[str, Items]]]:
    """Return the fields of an import's result, and its lists by object type and name; each type has every list."""
    fields = read_object(body, "an import result")
    raw_results = fields.get("results")
    if raw_results is None or is_null(raw_results):
        raise Unreadable("an import result without `results`")
    by_type = read_object(raw_results, "`results`")
    if set(by_type) == {"results"} and _is_nested(by_type["results"]):
        by_type = read_object(by_type["results"], "`results.results`")
    found: dict[str, dict[str, Items]] = {}
    for object_type, raw in by_type.items():
        check_object_type(object_type)
        entry = {} if is_null(raw) else read_object(raw, f"the results of {one_line(object_type)}")
        found[object_type] = {name: _list(entry, name, object_type) for name in sorted(LISTS)}
    return fields, found


def _counted(fields: Object, by_type: dict[str, dict[str, Items]]) -> ImportResult:
    types: dict[str, TypeCounts] = {}
    preview = False
    for object_type, lists in by_type.items():
        types[object_type] = TypeCounts(
            errors=len(lists["errors"]),
            warnings=len(lists["warnings"]),
            infos=len(lists["infos"]),
            objects=len(lists["importedObjects"]),
        )
        preview = preview or any(_is_preview(message) for message in lists["infos"])
    return ImportResult(types=types, preview=preview, backup_id=read_text(fields, "exportJobId", ignore) or "")


def decode_object_types(body: bytes) -> frozenset[str]:
    """Decode the answer of config-objects: the object types that the tenant knows, but for what can be none.

    Raises:
        Unreadable: not a JSON list.
    """
    types = (
        read_text(read_object(raw, "an object configuration"), "objectType", ignore)
        for raw in decode(body, Items, "a list")
    )
    return frozenset(name for name in types if name and len(name) <= LONGEST_OBJECT_TYPE)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error answer says: one line of text and SailPoint's tracking id, both may be empty."""

    text: str = ""
    tracking_id: str = ""


def decode_error(body: bytes) -> ErrorBody:
    """Decode an error answer of any of the shapes seen in public; never raises.

    Source: `error`, `message` and `messages` from the specification; the order from SailPoint's VS Code extension.
    """
    try:
        fields = read_object(body, "an error")
    except Unreadable:
        found = "HTML" if body.lstrip()[:1] == b"<" else "text"
        plain = "" if found == "HTML" else one_line(body[: 2 * LONGEST_TEXT].decode(errors="replace"))
        return ErrorBody(f"{found} instead of JSON{': ' + plain if plain else ''}" if body.strip() else "empty body")
    tracking_id = read_text(fields, "trackingId", ignore) or ""
    parts = [read_text(fields, name, ignore) for name in ("error", "error_description", "message")]
    if not any(parts):
        parts = [
            read_text(fields, "detailCode", ignore),
            _first_text(fields, "causes") or _first_text(fields, "messages"),
        ]
    if not any(parts):
        parts = [read_text(fields, name, ignore) for name in ("formatted_msg", "errorMessage", "detailMessage")]
    return ErrorBody(one_line(": ".join(part.strip() for part in parts if part)), one_line(tracking_id))


@dataclass(frozen=True, slots=True)
class Grants:
    """What a token shows of what it may do; None where it does not show it.

    `scopes` such as `sp:config:read`, `authorities` such as `ORG_ADMIN`.

    Source: SailPoint API documentation, "Authentication": claims of the JSON Web Token. Some tenants encode `scope`.
    """

    has_user: bool | None = None
    scopes: frozenset[str] | None = None
    authorities: frozenset[str] | None = None


NOTHING_SHOWN = Grants()


@dataclass(frozen=True, slots=True)
class TokenBody:
    """A token answer. `lifetime_s` is None and `org`, the tenant's own name, is empty where it is not told."""

    access_token: str
    lifetime_s: float | None
    grants: Grants
    org: str = ""

    def __repr__(self) -> str:
        return f"TokenBody(lifetime_s={self.lifetime_s}, grants={self.grants})"


def decode_token(body: bytes) -> TokenBody:
    """Decode the answer of the token endpoint.

    Raises:
        Unreadable: no `access_token`, or one that cannot be sent. The text never quotes the body.
    """
    fields = read_object(body, "a token answer")
    token = read_text(fields, "access_token", ignore)
    if not token:
        raise Unreadable("a token answer without `access_token`")
    if not _SENDABLE.fullmatch(token):
        raise Unreadable("a token answer whose `access_token` no header can carry")
    lifetime_s = read_number(fields.get("expires_in"))
    told = lifetime_s is not None and 0 < lifetime_s < math.inf  # a text may say "inf"
    claims = _claims(token)
    org = read_text(fields, "org", ignore) or (read_text(claims, "org", ignore) if claims else None)
    return TokenBody(token, lifetime_s if told else None, _grants(claims), org or "")


def _list(entry: Object, name: str, object_type: str) -> Items:
    raw = entry.get(name)
    return [] if raw is None or is_null(raw) else decode(raw, Items, f"a list in {one_line(object_type)}.{name}")


def _first_text(fields: Object, name: str) -> str | None:
    try:
        items = msgspec.json.decode(fields.get(name, msgspec.Raw(b"[]")), type=list[Object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return read_text(items[0], "text", ignore) if items else None


def _is_nested(raw: msgspec.Raw) -> bool:
    """Whether the value of a lone key `results` is the real map of types, as some rendered API pages show it."""
    try:
        inner = read_object(raw, "an object")
    except Unreadable:
        return False
    return not (LISTS & inner.keys())


def _is_preview(message: msgspec.Raw) -> bool:
    plain = bytes(message)
    if PREVIEW.encode() not in plain and b"\\u" not in plain:  # a letter of it may be escaped
        return False
    try:
        return read_text(read_object(message, "a message"), "key", ignore) == PREVIEW
    except Unreadable:
        return False


def _claims(token: str) -> Object | None:
    """Return the claims of a JSON Web Token, None where the token is none."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 (header, payload and signature: RFC 7519)
        return None
    try:
        return read_object(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), "claims")
    except (binascii.Error, ValueError):
        return None


def _grants(claims: Object | None) -> Grants:
    if claims is None:
        return NOTHING_SHOWN
    scopes = _words(claims.get("scope"))
    readable = scopes is not None and any(scope.startswith("sp:") for scope in scopes)
    return Grants(
        has_user=bool(read_text(claims, "user_name", ignore)),
        scopes=scopes if readable else None,
        authorities=_words(claims.get("authorities")),
    )


def _words(raw: msgspec.Raw | None) -> frozenset[str] | None:
    """Return a claim that is a list of words, None where it is anything else."""
    if raw is None:
        return None
    try:
        return frozenset(msgspec.json.decode(raw, type=list[str]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _message(raw: msgspec.Raw) -> str:
    """Return the words of one message, whatever it looks like."""
    try:
        fields = read_object(raw, "a message")
    except Unreadable:
        fields = {"text": raw}
    words = read_text(fields, "text", ignore) or read_text(fields, "key", ignore) or ""
    return one_line(words, _LONGEST_MESSAGE) or "(no text)"
