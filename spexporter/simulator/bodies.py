"""Bodies that are not what they should be."""

from random import Random

from spexporter.simulator.faults import (
    A_LIST,
    A_NULL,
    A_STRING,
    BAD_UTF8,
    DEEP,
    EMPTY,
    GARBAGE,
    HTML,
    TRUNCATED,
)

JSON_TYPE, HTML_TYPE = "application/json", "text/html"
LEVELS = 100_000
"""How deep `deep` is: far deeper than any reader can recurse."""
ENDLESS_BODY = b'{"status": "'
ENDLESS_CHUNK = b"x" * 16_384
"""How `endless` begins, and what it then repeats inside a string that never closes."""

_SHAPES = {
    EMPTY: b"",
    A_LIST: b"[17, null]",
    A_STRING: b'"Simulated: a string"',
    A_NULL: b"null",
    DEEP: b'{"a":' * LEVELS + b"1" + b"}" * LEVELS,
}


def spoilt(kind: str, body: bytes, dice: Random) -> tuple[str, bytes]:
    """Return the content type and the bytes that come instead of `body`, for one of the kinds in `BODIES`."""
    if kind == HTML:
        return HTML_TYPE, b"<!doctype html>\n<title>Sign in</title>\n<p>Simulated: please sign in.</p>\n"
    if kind == GARBAGE:
        return JSON_TYPE, b"\x00" + dice.randbytes(dice.randint(16, 512))
    if kind == TRUNCATED:
        return JSON_TYPE, body[: len(body) * 2 // 3]
    if kind == BAD_UTF8:
        # Into the first name, so that no reader can take it for an oddity of a field that nobody needs.
        return JSON_TYPE, body.replace(b'"', b'"\xff\xfe', 1) if b'"' in body else body + b"\xff\xfe"
    return JSON_TYPE, _SHAPES[kind]
