"""A long import result, counted while it arrives, without holding more of it than a few pieces.

A streaming parser reads all of it but the entries of long lists: these are counted many at a time by msgspec, which is
many times as fast. Where such entries end is guessed and then proved: the parser has stopped behind an entry of a list,
and if an entry, what follows and a closing bracket are a whole list, then what follows ends behind an entry as well.
"""

import re
from collections.abc import Iterator

import ijson
import msgspec

from spexporter.domain.result import ImportResult
from spexporter.sailpoint.fields import Unreadable, one_line
from spexporter.sailpoint.outline import PREVIEW, Outline
from spexporter.sailpoint.pieces import Pieces

_WINDOW = 32 * 1024  # bytes that are held before entries are counted; longer entries are left to the parser
_BEFORE = b"[{}"  # stands for the part of a list that was read before
_OPENING = re.compile(rb'"(?:infos|warnings|errors|importedObjects)"\s*:\s*\[')
_CLOSING = re.compile(rb"\}(?=\s*\])")
_NO_JSON = (ijson.JSONError, ValueError, ArithmeticError, SystemError)  # the last three for odd numbers


class _Entry(msgspec.Struct, gc=False):
    """A message or an object, of which nothing is read."""


class _Info(msgspec.Struct, gc=False):
    """An info: its key may be the mark of a preview."""

    key: str | None = None


_ENTRIES, _INFOS = msgspec.json.Decoder(list[_Entry]), msgspec.json.Decoder(list[_Info])


class ResultStream:
    """Counts an import's result piece by piece.

    What it tells is what `wire.decode_result` tells of the whole body, in whichever pieces it came, but for bodies that
    no honest tenant sends. Text that is not UTF-8 is unreadable anywhere, not only where it is used. A backup id that
    is a number with a fraction or an exponent is no id. Numbers of thousands of digits, or with an exponent of dozens,
    may be unreadable. Values that are nested too deep for Python's stack can be read.
    """

    def __init__(self, window: int = _WINDOW) -> None:
        self._window = window
        self._pieces = Pieces()
        self._outline = Outline()
        self._events: list[tuple[str, object]] = ijson.sendable_list()
        self._parser = ijson.basic_parse_coro(self._events)
        self._held = bytearray(_BEFORE)  # and what comes behind an entry of a list, as far as it is not counted
        self._failure: Unreadable | None = None

    def feed(self, piece: bytes) -> None:
        """Take the next piece; one that cannot be read is remembered, and what follows it makes no difference."""
        if self._failure is None:
            try:
                data = self._pieces.ready(piece)
                while data:
                    data = self._count(data) if self._outline.is_behind_entry else self._walk(data)
            except Unreadable as error:
                self._failure = error

    def result(self) -> ImportResult:
        """Return what was counted, once the body is whole.

        Raises:
            Unreadable: as `wire.decode_result` does.
        """
        if self._failure is not None:
            raise self._failure
        # The parser says nothing of a word that has begun behind the body, until it ends: a blank ends it.
        self._parse(self._released() + self._pieces.rest() + b"\n")
        self._parse(None)
        return self._outline.result()

    def _walk(self, data: bytes) -> bytes:
        """Parse until entries can be counted, or all; return what is left."""
        if self._outline.messages is None:
            opening = _OPENING.search(data)
            end = opening.end() if opening else len(data)
        else:
            end = data.find(b"},") + 1 or len(data)
        self._parse(data[:end])
        return data[end:]

    def _count(self, data: bytes) -> bytes:
        """Count the whole entries that `data` begins with, and return what is left where the list ends in it."""
        self._held += data
        if len(self._held) < self._window:
            return b""
        for end in _guessed_ends(self._held):
            if self._are_entries(end):
                return self._behind_entries(end)
        self._parse(self._released())
        return b""

    def _are_entries(self, end: int) -> bool:
        """Count what is held up to `end` if it is a list but for its closing bracket."""
        messages, held = self._outline.messages, self._held
        if messages is None:
            return False
        # A mark has a V, or is written with escapes: to look for one byte costs least.
        may_mark = messages.is_infos and not messages.preview and (b"V" in held or b"\\" in held)
        behind, held[end] = held[end], ord("]")
        try:
            with memoryview(held) as view, view[: end + 1] as listed:
                entries = (_INFOS if may_mark else _ENTRIES).decode(listed)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        finally:
            held[end] = behind
        messages.count += len(entries) - 1
        messages.preview |= may_mark and any(isinstance(entry, _Info) and entry.key == PREVIEW for entry in entries)
        return True

    def _behind_entries(self, end: int) -> bytes:
        """Forget what is held up to `end`; return what is left of it behind the end of the list, if it ends there."""
        del self._held[len(_BEFORE) : end]
        closing = self._held.find(b"]", len(_BEFORE)) + 1
        if self._held[len(_BEFORE) : closing].lstrip() != b"]":
            return b""
        data = self._released()
        closing -= len(_BEFORE)
        self._parse(data[:closing])
        return data[closing:]

    def _released(self) -> bytes:
        """Return what is held, and hold it no longer."""
        data = bytes(self._held[len(_BEFORE) :])
        self._held = bytearray(_BEFORE)
        return data

    def _parse(self, data: bytes | None) -> None:
        """Let the parser read some bytes; None for the end of all."""
        if data and (b"\v" in data or b"\f" in data):  # nowhere in JSON, and yajl takes them for blanks
            raise Unreadable("not an import result: an invalid character")
        try:
            if data is None:
                self._parser.close()
            elif data:
                self._parser.send(data)
        except _NO_JSON as error:
            raise Unreadable(f"not an import result: {_said(error)}") from error
        self._outline.read(self._events)
        self._events.clear()


def _said(error: Exception) -> str:
    """Return what a parser says is wrong; its next line quotes the body, and makes bytes of it all where it is cut."""
    said = error.args[0] if error.args else ""
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return one_line(text.partition("\n")[0])


def _guessed_ends(data: bytearray) -> Iterator[int]:
    """Tell where the last whole entry in `data` may end, the likeliest first; each has a byte behind it."""
    last = data.rfind(b"},")
    yield from (last + 1,) if last >= 0 else ()
    closing = _CLOSING.search(data)
    yield from (closing.end(),) if closing else ()
    for guess in (data.rfind(b"},{"), data.rfind(b"},", 0, max(last, 0))):
        yield from (guess + 1,) if guess >= 0 else ()
