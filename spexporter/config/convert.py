"""Text of the configuration file to values in base units.

Each `ValueError` says what would be right and never repeats what was given.
"""

import re
from datetime import UTC, datetime
from typing import Literal

DURATION_PATTERN = (
    r"(?=[0-9])([0-9]{1,9}y)?([0-9]{1,9}w)?([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?"
)
SIZE_PATTERN = r"[0-9]{1,12}(B|KiB|MiB|GiB)"
PERCENT_PATTERN = r"(100|[1-9][0-9]?)%"
WHOLE_PATTERN = r"[1-9][0-9]{0,8}"
IDENTIFIER_PATTERN = r"[A-Za-z0-9._-]{1,64}"
TIME_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?)?"
)
ORG_PATTERN = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

# From the largest, as a duration is written; source: Prometheus documentation, "Configuration", `<duration>`.
_MILLISECONDS = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_LONGEST_MS = 100 * _MILLISECONDS["y"]
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SMALLEST_ANSWER_BYTES = 1024


def duration(text: str) -> float:
    """Return the seconds of a duration such as `500ms` or `1h30m`; above 0, at most 100 years.

    Raises:
        ValueError: The text is not such a duration.
    """
    total_ms = _milliseconds(text)
    if not 0 < total_ms <= _LONGEST_MS:
        raise ValueError("must be a duration above 0 and at most 100y")
    return total_ms / 1000


def duration_or_zero(text: str) -> float:
    """Return the seconds of a duration as `duration` does, or 0 for `0s`.

    Raises:
        ValueError: The text is not such a duration.
    """
    total_ms = _milliseconds(text)
    if total_ms > _LONGEST_MS:
        raise ValueError("must be a duration of at most 100y")
    return total_ms / 1000


def _milliseconds(text: str) -> int:
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError("must be a duration such as 500ms, 10s, 5m, 24h, 7d or 1h30m")
    return sum(int(count) * _MILLISECONDS[unit] for count, unit in re.findall(r"([0-9]+)([a-z]+)", text))


def show_duration(seconds: float) -> str:
    """Write `seconds`, in whole milliseconds, as `duration` reads it: `5400.0` becomes `1h30m`.

    Years are used where they leave no rest, weeks are not: nobody thinks of 400 days as `1y35d`.
    """
    left_ms = round(seconds * 1000)
    parts = []
    for unit, unit_ms in _MILLISECONDS.items():
        if unit != "w" and left_ms >= unit_ms and not (unit == "y" and left_ms % unit_ms):
            parts.append(f"{left_ms // unit_ms}{unit}")
            left_ms %= unit_ms
    return "".join(parts) or "0s"


def poll_pause(text: str) -> float:
    """Return the seconds of a pause between two looks.

    Raises:
        ValueError: The text is not a duration of at least 100ms.
    """
    seconds = duration(text)
    if seconds < 0.1:  # noqa: PLR2004 - said in the message
        raise ValueError("must be at least 100ms")
    return seconds


def lease(text: str) -> float:
    """Return the seconds of a lease.

    Raises:
        ValueError: The text is not a duration from 1s to 10m.
    """
    seconds = duration(text)
    if not 1.0 <= seconds <= 600.0:  # noqa: PLR2004 - said in the message
        raise ValueError("must be from 1s to 10m")
    return seconds


def size(text: str) -> int:
    """Return the bytes of a size such as `64MiB`; at least 1 KiB.

    Raises:
        ValueError: The text is not such a size.
    """
    if not re.fullmatch(SIZE_PATTERN, text):
        raise ValueError("must be a size such as 64MiB (the units are B, KiB, MiB and GiB)")
    number, unit = re.findall(r"[0-9]+|[A-Za-z]+", text)
    size_bytes = int(number) * _BYTES[unit]
    if size_bytes < _SMALLEST_ANSWER_BYTES:
        raise ValueError("must be at least 1KiB")
    return size_bytes


def percent(text: str) -> float:
    """Return the share, 0.01 to 1, of a whole percentage such as `80%`.

    Raises:
        ValueError: The text is not such a percentage.
    """
    if not re.fullmatch(PERCENT_PATTERN, text):
        raise ValueError("must be a whole percentage from 1% to 100%, such as 80%")
    return int(text[:-1]) / 100


def whole(text: str) -> int:
    """Return a whole number of at least 1.

    Raises:
        ValueError: The text is not such a number.
    """
    if not re.fullmatch(WHOLE_PATTERN, text):
        raise ValueError("must be a whole number from 1 to 999999999")
    return int(text)


def boolean(text: str) -> bool:
    """Return whether the text is `true`.

    Raises:
        ValueError: The text is neither `true` nor `false`.
    """
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def identifier(text: str) -> str:
    """Return a tenant's name or a job's id as it is.

    Raises:
        ValueError: It has another character or length than a label value of ours may have.
    """
    if not re.fullmatch(IDENTIFIER_PATTERN, text):
        raise ValueError("must be 1 to 64 letters, digits, dots, underscores or hyphens")
    if text in {".", ".."}:
        raise ValueError("must be more than dots: it becomes a part of a path")
    return text


def org(text: str) -> str:
    """Return the name of an org in lower case.

    Raises:
        ValueError: The text is not one DNS label.
    """
    if not re.fullmatch(ORG_PATTERN, text):
        raise ValueError(
            "must be the org's name alone, such as acme for https://acme.identitynow.com;"
            " for a host of another form write base_url instead"
        )
    return text.lower()


def auto_or_time(text: str) -> Literal["auto"] | float:
    """Return `auto`, or the Unix seconds of a date or time.

    Raises:
        ValueError: The text is neither.
    """
    if text == "auto":
        return "auto"
    try:
        return unix_time(text)
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from None


def unix_time(text: str) -> float:
    """Return the Unix seconds of a date (its first moment) or time, in UTC where no offset is written.

    Source: RFC 3339, with the blank, the cut time and the missing offset that ISO 8601 allows.

    Raises:
        ValueError: The text is neither.
    """
    wrong = "must be a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z"
    if not re.fullmatch(TIME_PATTERN, text):
        raise ValueError(wrong)
    try:
        time = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(wrong) from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def pattern(text: str) -> str:
    """Return a pattern of paths as it is; `*`, `?` and `[…]` stand for what a part between two slashes may hold.

    Raises:
        ValueError: It is empty, names a folder, or has a control character or `**`.
    """
    if not filled(text).isprintable():
        raise ValueError("must not hold a line break or control character")
    if "**" in text:
        raise ValueError("must not hold **: one * for each folder on the way, such as jobs.d/*/*.yaml")
    if text.rpartition("/")[2] in {"", ".", ".."}:
        raise ValueError("must end with the name of a file, such as jobs.d/*.yaml")
    return text


def filled(text: str) -> str:
    """Return text that is not empty and has no blank or line break at its ends.

    Raises:
        ValueError: It is empty or has.
    """
    if not text:
        raise ValueError("must not be empty; give a value or leave the key out")
    if text != text.strip():
        raise ValueError("must not begin or end with a blank or a line break")
    return text
