"""The first texts of an import's result, for people: read from its beginning, as far as that is held."""

from collections.abc import Iterable, Mapping
from typing import Any

import ijson

from spexporter.clock import Pace
from spexporter.domain.result import Texts
from spexporter.sailpoint.fields import Unreadable, one_line
from spexporter.sailpoint.pieces import Pieces

MOST_TEXTS, LONGEST_TEXT = 1_000, 500
"""How many texts one import may leave, and how many characters each."""
_PIECE, _UNITS = 4 * 1024, 250  # a piece takes about 0.25 ms
_NO_JSON = (ijson.JSONError, ValueError, ArithmeticError, SystemError, Unreadable)
_SEVERITIES = frozenset({"errors", "warnings"})
_LIST_DEPTH, _NESTED_DEPTH = 4, 5  # body, `results`, object type, list; and the same below `results.results`


async def first_texts(head: bytes, most: int = MOST_TEXTS) -> Mapping[str, Texts]:
    """Return the texts of errors and warnings that the beginning of a result holds, by object type.

    Never raises: what cannot be read ends it. Others may run meanwhile.
    """
    reader, events = _Reader(most), ijson.sendable_list()
    parser, pieces, pace = ijson.basic_parse_coro(events), Pieces(), Pace()
    try:
        for start in range(0, len(head), _PIECE):
            parser.send(pieces.ready(head[start : start + _PIECE]))
            reader.read(events)
            events.clear()
            if reader.is_full:
                break
            await pace.did(_UNITS)
    except (*_NO_JSON, StopIteration):
        pass
    return reader.texts()


class _Reader:
    """Reads the events of a JSON parser and keeps what messages say."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._path: list[str] = []  # the names of what is open
        self._name = ""
        self._list_depth = 0  # levels that are open in a list of messages, 0 outside
        self._words: dict[str, str] = {}
        self._found: dict[str, dict[str, list[str]]] = {}

    @property
    def is_full(self) -> bool:
        return self._left <= 0

    def read(self, events: Iterable[tuple[str, Any]]) -> None:
        for event, value in events:
            if self.is_full:
                return
            if event == "map_key":
                self._name = value
            elif event.startswith("start_"):
                self._open()
            elif event.startswith("end_"):
                self._close()
            else:
                self._take(value)

    def texts(self) -> Mapping[str, Texts]:
        return {name: Texts(**{it: tuple(said) for it, said in lists.items()}) for name, lists in self._found.items()}

    def _open(self) -> None:
        self._path.append(self._name)
        self._name = ""
        depth = len(self._path)
        if not self._list_depth and self._is_list(depth):
            self._list_depth = depth
        elif depth == self._list_depth + 1:
            self._words = {}

    def _is_list(self, depth: int) -> bool:
        path = self._path
        is_nested = depth == _NESTED_DEPTH and path[2] == "results"
        return (depth == _LIST_DEPTH or is_nested) and path[1] == "results" and path[-1] in _SEVERITIES

    def _close(self) -> None:
        if self._list_depth and len(self._path) == self._list_depth + 1:
            self._say(self._words.get("text") or self._words.get("key") or "")
        elif self._list_depth == len(self._path):
            self._list_depth = 0
        self._path.pop()
        self._name = ""

    def _take(self, value: object) -> None:
        """Take a scalar: a message of its own, or the words of one."""
        if not self._list_depth or value is None:
            return
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if len(self._path) == self._list_depth:
            self._say(text)
        elif len(self._path) == self._list_depth + 1 and self._name in {"text", "key"}:
            self._words[self._name] = text

    def _say(self, words: str) -> None:
        object_type, severity = one_line(self._path[self._list_depth - 2]), self._path[self._list_depth - 1]
        lists = self._found.setdefault(object_type, {})
        lists.setdefault(severity, []).append(one_line(words, LONGEST_TEXT) or "(no text)")
        self._left -= 1
