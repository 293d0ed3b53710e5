"""Payloads to domain values, tolerant of everything that SailPoint has been seen to send.

Each level is decoded only as far as it is used, so that an odd value in a field that we do not need spoils nothing.
Every field may be null or missing and unknown words are kept. `Unreadable` is the only error.

Source: SailPoint API specification, sp-config; SailPoint's guide and public issues for what the service really sends.
"""

import base64
import binascii
import codecs
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from spexporter.domain.job import JobKey, JobState, Observation
from spexporter.domain.result import ImportReport, ImportResult, Texts, TypeCounts

_OBJECT = dict[str, msgspec.Raw]
_LIST = list[msgspec.Raw]
_STATES = {state.value: state for state in JobState if state not in {JobState.NOT_FOUND, JobState.UNKNOWN}}
_TYPE_FIELDS = {"infos", "warnings", "errors", "importedObjects"}
_PREVIEW = b"IMPORT_PREVIEW"
_LONGEST_TEXT = 300
_LONGEST_MESSAGE, _MOST_MESSAGES = 1000, 1000  # characters of one text of a report, and texts in all
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(?P<half>u[dD][89a-fA-F][\da-fA-F]{2})|.)", re.DOTALL
)
_SENDABLE = re.compile("[!-~]+")  # what a bearer token is made of; RFC 6750 section 2.1 has even less

T = TypeVar("T")
Unknown = Callable[[str], None]


class Unreadable(ValueError):
    """A body that is not what its endpoint should answer; the text says what was found instead."""


def decode_status(body: bytes, key: JobKey, *, observed_s: float, unknown: Unknown) -> Observation:
    """Decode the answer of an export's or import's status.

    `unknown` hears the name of each field whose value this version does not know.

    Raises:
        Unreadable: not a JSON object with a `status`.
    """
    fields = _object(body, "a job status")
    raw_state = _text(fields, "status", unknown)
    if raw_state is None:
        raise Unreadable("a job status without `status`")
    state = _STATES.get(raw_state, JobState.UNKNOWN)
    if state is JobState.UNKNOWN:
        unknown("status")
    return Observation(
        key=key,
        state=state,
        raw_state=raw_state,
        observed_s=observed_s,
        created_s=_time(fields, "created", unknown),
        modified_s=_time(fields, "modified", unknown),
        completed_s=_time(fields, "completed", unknown),
        expires_s=_time(fields, "expiration", unknown),
        message=_text(fields, "message", unknown) or "",
        description=_text(fields, "description", unknown) or "",
        reported_id=_text(fields, "jobId", unknown) or "",
    )


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


def _result_lists(body: bytes) -> tuple[_OBJECT, dict[str, dict[str, _LIST]]]:
    """Return the fields of an import's result, and its lists by object type and name; each type has every list."""
    fields = _object(body, "an import result")
    raw_results = fields.get("results")
    if raw_results is None or _is_null(raw_results):
        raise Unreadable("an import result without `results`")
    by_type = _object(raw_results, "`results`")
    if set(by_type) == {"results"} and _is_nested(by_type["results"]):
        by_type = _object(by_type["results"], "`results.results`")
    found: dict[str, dict[str, _LIST]] = {}
    for object_type, raw in by_type.items():
        entry = {} if _is_null(raw) else _object(raw, f"the results of {_short(object_type)}")
        found[object_type] = {name: _list(entry, name, object_type) for name in sorted(_TYPE_FIELDS)}
    return fields, found


def _counted(fields: _OBJECT, by_type: dict[str, dict[str, _LIST]]) -> ImportResult:
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
    return ImportResult(types=types, preview=preview, backup_id=_text(fields, "exportJobId", _ignore) or "")


def decode_object_types(body: bytes) -> frozenset[str]:
    """Decode the answer of config-objects: the object types that the tenant knows.

    Raises:
        Unreadable: not a JSON list.
    """
    types = (
        _text(_object(raw, "an object configuration"), "objectType", _ignore) for raw in _decode(body, _LIST, "a list")
    )
    return frozenset(name for name in types if name)


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
        fields = _object(body, "an error")
    except Unreadable:
        found = "HTML" if body.lstrip()[:1] == b"<" else "text"
        plain = "" if found == "HTML" else _short(body[: 2 * _LONGEST_TEXT].decode(errors="replace"))
        return ErrorBody(f"{found} instead of JSON{': ' + plain if plain else ''}" if body.strip() else "empty body")
    tracking_id = _text(fields, "trackingId", _ignore) or ""
    parts = [_text(fields, name, _ignore) for name in ("error", "error_description", "message")]
    if not any(parts):
        parts = [_text(fields, "detailCode", _ignore), _first_text(fields, "causes") or _first_text(fields, "messages")]
    if not any(parts):
        parts = [_text(fields, name, _ignore) for name in ("formatted_msg", "errorMessage", "detailMessage")]
    return ErrorBody(_short(": ".join(part.strip() for part in parts if part)), _short(tracking_id))


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
    """A token answer. `lifetime_s` is None where it is not told."""

    access_token: str
    lifetime_s: float | None
    grants: Grants

    def __repr__(self) -> str:
        return f"TokenBody(lifetime_s={self.lifetime_s}, grants={self.grants})"


def decode_token(body: bytes) -> TokenBody:
    """Decode the answer of the token endpoint.

    Raises:
        Unreadable: no `access_token`, or one that cannot be sent. The text never quotes the body.
    """
    fields = _object(body, "a token answer")
    token = _text(fields, "access_token", _ignore)
    if not token:
        raise Unreadable("a token answer without `access_token`")
    if not _SENDABLE.fullmatch(token):
        raise Unreadable("a token answer whose `access_token` no header can carry")
    lifetime_s = _number(fields.get("expires_in"))
    told = lifetime_s is not None and 0 < lifetime_s < math.inf  # a text may say "inf"
    return TokenBody(token, lifetime_s if told else None, _grants(_claims(token)))


def parse_time(text: str) -> float | None:
    """Return Unix seconds of an ISO 8601 time (without an offset: UTC), None where `text` is none.

    Years before 1970 are what clients make of a missing time (`0001-01-01T00:00:00Z`): none as well.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return seconds if seconds >= 0 else None


def _decode(body: bytes | msgspec.Raw, shape: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # Only whole bodies are bytes: what is inside them was mended with them.
        if not isinstance(body, msgspec.Raw) and (mended := _mended(body)) != body:
            return _decode(msgspec.Raw(mended), shape, what)
        raise Unreadable(f"not {what}: {error}") from error


def _mended(body: bytes) -> bytes:
    """Return a body without byte order mark, and with U+FFFD for each half of an escaped surrogate pair.

    A text that was cut inside an emoji has such a half. It is valid JSON and no text, so readers differ about it.
    """
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape["half"] else escape[0], body.removeprefix(codecs.BOM_UTF8))


def _object(body: bytes | msgspec.Raw, what: str) -> _OBJECT:
    return _decode(body, _OBJECT, what)


def _list(entry: _OBJECT, name: str, object_type: str) -> _LIST:
    raw = entry.get(name)
    return [] if raw is None or _is_null(raw) else _decode(raw, _LIST, f"a list in {_short(object_type)}.{name}")


def _text(fields: _OBJECT, name: str, unknown: Unknown) -> str | None:
    """Return a scalar as text; None where it is null or missing, or (reported) an object or a list."""
    raw = fields.get(name)
    if raw is None or _is_null(raw):
        return None
    try:
        value: Any = msgspec.json.decode(raw, type=str | int | float | bool)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        unknown(name)
        return None
    return value if isinstance(value, str) else bytes(raw).decode()


def _time(fields: _OBJECT, name: str, unknown: Unknown) -> float | None:
    text = _text(fields, name, unknown)
    if text is None:
        return None
    seconds = parse_time(text)
    if seconds is None:
        unknown(name)
    return seconds


def _number(raw: msgspec.Raw | None) -> float | None:
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=float, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _first_text(fields: _OBJECT, name: str) -> str | None:
    try:
        items = msgspec.json.decode(fields.get(name, msgspec.Raw(b"[]")), type=list[_OBJECT])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return _text(items[0], "text", _ignore) if items else None


def _is_null(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:5]) == b"null"  # a result can be many megabytes long: no copy of it


def _is_nested(raw: msgspec.Raw) -> bool:
    """Whether the value of a lone key `results` is the real map of types, as some rendered API pages show it."""
    try:
        inner = _object(raw, "an object")
    except Unreadable:
        return False
    return not (set(inner) & _TYPE_FIELDS)


def _is_preview(message: msgspec.Raw) -> bool:
    plain = bytes(message)
    if _PREVIEW not in plain and b"\\u" not in plain:  # a letter of it may be escaped
        return False
    try:
        return _text(_object(message, "a message"), "key", _ignore) == _PREVIEW.decode()
    except Unreadable:
        return False


def _claims(token: str) -> _OBJECT | None:
    """Return the claims of a JSON Web Token, None where the token is none."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 (header, payload and signature: RFC 7519)
        return None
    try:
        return _object(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), "claims")
    except (binascii.Error, ValueError):
        return None


def _grants(claims: _OBJECT | None) -> Grants:
    if claims is None:
        return NOTHING_SHOWN
    scopes = _words(claims.get("scope"))
    readable = scopes is not None and any(scope.startswith("sp:") for scope in scopes)
    return Grants(
        has_user=bool(_text(claims, "user_name", _ignore)),
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
        fields = _object(raw, "a message")
    except Unreadable:
        fields = {"text": raw}
    return (
        _short(_text(fields, "text", _ignore) or _text(fields, "key", _ignore) or "", _LONGEST_MESSAGE) or "(no text)"
    )


def _short(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Return `text` on one line, cut."""
    line = re.sub(r"\s+", " ", text).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _ignore(_name: str) -> None:
    """Take no note of an unknown value where it changes nothing."""
