"""Times and durations as people say them."""

from datetime import datetime
from itertools import pairwise

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def ago(seconds: float) -> str:
    """Return an age in its largest whole unit."""
    for unit_s, unit in _UNITS:
        if seconds >= unit_s:
            return f"{seconds // unit_s:.0f} {unit} ago"
    return "0 s ago"


def span(seconds: float | None) -> str:
    """Return a duration in its two largest units, such as `3 min 20 s`; a dash where it is not known."""
    if seconds is None:
        return "\N{EN DASH}"
    left_s = round(max(0.0, seconds))
    for (unit_s, unit), (next_s, next_unit) in pairwise(_UNITS):
        if left_s >= unit_s:
            rest = left_s % unit_s // next_s
            return f"{left_s // unit_s} {unit} {rest} {next_unit}" if rest else f"{left_s // unit_s} {unit}"
    return f"{left_s} s"


def relative(time: str, now_s: float) -> str:
    """Say how long ago an RFC 3339 time was, or how far ahead it is."""
    left_s = datetime.fromisoformat(time).timestamp() - now_s
    return f"in {ago(left_s).removesuffix(' ago')}" if left_s >= 1 else ago(-left_s)


def stamp(time: str) -> str:
    """Return an RFC 3339 time in UTC for people, to the second."""
    return f"{time[:10]} {time[11:19]} UTC"
