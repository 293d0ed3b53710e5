"""A body that comes in pieces: text in UTF-8 without byte order mark, and without halves of surrogate pairs."""

import codecs
import re

from spexporter.sailpoint.fields import Unreadable

_ESCAPE = re.compile(
    rb"""\\(?:
        (?P<cut>(?:u(?:[\da-fA-F]{0,3}|[dD][89abAB][\da-fA-F]{2}(?:\\(?:u[\da-fA-F]{0,3})?)?))?)\Z
        |u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}
        |(?P<half>u[dD][89a-fA-F][\da-fA-F]{2})
        |.)""",
    re.DOTALL | re.VERBOSE,
)
_MAY_BE_HALF = re.compile(rb"\\(?=u[dD])")  # written so that the search runs from backslash to backslash
_LONGEST_CUT = len(rb"\ud83d\ude0")


class Pieces:
    """Makes the pieces of a body ready to be parsed one after the other, as `fields.decode` does with a whole one.

    What it returns may end within a character or a number, never within an escape.
    """

    def __init__(self) -> None:
        self._held = b""
        self._is_first = True
        self._utf8 = codecs.getincrementaldecoder("utf-8")()

    def ready(self, piece: bytes) -> bytes:
        """Return a piece, after what was held of the one before; what may go on in the next piece is held.

        Raises:
            Unreadable: it is not UTF-8.
        """
        self._check(piece)
        data, self._held = self._held + piece, b""
        if self._is_first:
            if len(data) < len(codecs.BOM_UTF8):
                self._held = data
                return b""
            data, self._is_first = data.removeprefix(codecs.BOM_UTF8), False
        if b"\\" not in data:
            return data
        may_change = _MAY_BE_HALF.search(data) or b"\\" in data[-_LONGEST_CUT:]
        return _ESCAPE.sub(self._mended, data) if may_change else data

    def rest(self) -> bytes:
        """Return what is held at the end of the body."""
        return self._held

    def _check(self, piece: bytes) -> None:
        pending, _ = self._utf8.getstate()
        if pending or not piece.isascii():
            try:
                self._utf8.decode(piece)
            except UnicodeDecodeError as error:
                raise Unreadable(f"not UTF-8: {error.reason}") from error

    def _mended(self, found: re.Match[bytes]) -> bytes:
        if found["cut"] is not None:
            self._held = found[0]
            return b""
        return rb"\ufffd" if found["half"] else found[0]
