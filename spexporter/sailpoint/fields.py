"""What a tenant's JSON is read with: bytes to objects, lists and fields, whatever is in them.

Every field may be null or missing. What cannot be read is reported and as good as missing. `Unreadable` is the only
error.
"""

import codecs
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

Object = dict[str, msgspec.Raw]
Items = list[msgspec.Raw]
LONGEST_TEXT = 300
LONGEST_OBJECT_TYPE = 128  # characters; SailPoint's own have less than 40
_TOO_MANY = 2.0**53  # from there on a float skips whole numbers
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(?P<half>u[dD][89a-fA-F][\da-fA-F]{2})|.)", re.DOTALL
)

T = TypeVar("T")
Unknown = Callable[[str], None]
"""Hears the name of each field whose value this version does not know."""


class Unreadable(ValueError):
    """A body that is not what its endpoint should answer; the text says what was found instead."""


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


def decode(body: bytes | msgspec.Raw, shape: type[T], what: str) -> T:
    """Decode a body, or a part of one, as msgspec does.

    Raises:
        Unreadable: it is not of that shape; `what` is what it should be.
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # Only whole bodies are bytes: what is inside them was mended with them.
        if not isinstance(body, msgspec.Raw) and (mended := _mended(body)) != body:
            return decode(msgspec.Raw(mended), shape, what)
        raise Unreadable(f"not {what}: {error}") from error


def _mended(body: bytes) -> bytes:
    """Return a body without byte order mark, and with U+FFFD for each half of an escaped surrogate pair.

    A text that was cut inside an emoji has such a half. It is valid JSON and no text, so readers differ about it.
    """
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape["half"] else escape[0], body.removeprefix(codecs.BOM_UTF8))


def read_object(body: bytes | msgspec.Raw, what: str) -> Object:
    """Decode an object as far as its fields, or raise `Unreadable`."""
    return decode(body, Object, what)


def read_text(fields: Object, name: str, unknown: Unknown) -> str | None:
    """Return a scalar as text; None where it is null or missing, or (reported) an object or a list."""
    raw = fields.get(name)
    if raw is None or is_null(raw):
        return None
    try:
        value: Any = msgspec.json.decode(raw, type=str | int | float | bool)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        unknown(name)
        return None
    return value if isinstance(value, str) else bytes(raw).decode()


def read_time(fields: Object, name: str, unknown: Unknown) -> float | None:
    """Return a time in Unix seconds; None where it is null or missing, or (reported) none."""
    return time_of(read_text(fields, name, unknown), name, unknown)


def time_of(text: str | None, name: str, unknown: Unknown) -> float | None:
    """Return the time that the text of a field tells, in Unix seconds; None for no text, or (reported) for no time."""
    if text is None:
        return None
    seconds = parse_time(text)
    if seconds is None:
        unknown(name)
    return seconds


def read_number(raw: msgspec.Raw | None) -> float | None:
    """Return a number, written as such or as text; None where it is none. A text may say "inf"."""
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=float, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def is_null(raw: msgspec.Raw) -> bool:
    """Tell whether a value is null."""
    return bytes(memoryview(raw)[:5]) == b"null"  # a result can be many megabytes long: no copy of it


def one_line(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return `text` on one line, cut."""
    line = re.sub(r"\s+", " ", text).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"


def check_object_type(name: str) -> None:
    """Make sure that a key of a result is the name of an object type: labels, and keys of stores, have bounds.

    Raises:
        Unreadable: it is far longer than any.
    """
    if len(name) > LONGEST_OBJECT_TYPE:
        raise Unreadable(f"an object type of {len(name)} characters")


def ignore(_name: str) -> None:
    """Take no note of an unknown value where it changes nothing."""


def read_flag(fields: Object, name: str, unknown: Unknown) -> bool | None:
    """Return a truth value, written as such or as text; None where it is null or missing, or (reported) neither."""
    word = read_text(fields, name, unknown)
    if word is None:
        return None
    if word.lower() not in {"true", "false"}:
        unknown(name)
        return None
    return word.lower() == "true"


def read_count(fields: Object, name: str, unknown: Unknown) -> int | None:
    """Return a whole number of at least 0; None where it is null or missing, or (reported) something else."""
    raw = fields.get(name)
    if raw is None or is_null(raw):
        return None
    number = read_number(raw)
    if number is None or not (0 <= number < _TOO_MANY and number.is_integer()):
        unknown(name)
        return None
    return int(number)


def read_items(fields: Object, name: str, unknown: Unknown) -> Items:
    """Return a list; an empty one where it is null or missing, or (reported) something else."""
    raw = fields.get(name)
    if raw is None or is_null(raw):
        return []
    try:
        return decode(raw, Items, "a list")
    except Unreadable:
        unknown(name)
        return []
