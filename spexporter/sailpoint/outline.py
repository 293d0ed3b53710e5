"""What is kept of an import result that is read event by event: its objects, and of each list of messages a count."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeAlias

from spexporter.domain.result import ImportResult, TypeCounts
from spexporter.sailpoint.fields import Unreadable, check_object_type, one_line

PREVIEW = "IMPORT_PREVIEW"
LISTS = frozenset({"infos", "warnings", "errors", "importedObjects"})
DEEPEST = 100_000
"""Levels of lists and objects; a parser needs memory for each."""
_STEPS = {"start_map": 1, "start_array": 1, "end_map": -1, "end_array": -1}
_TYPES_DEPTH, _NESTED_DEPTH = 2, 3  # how many objects are open within a type, and within one below `results.results`

Events: TypeAlias = Iterable[tuple[str, Any]]


class Messages:
    """A list that is counted: how many entries it has, and whether one of them marks a preview."""

    __slots__ = ("count", "is_infos", "preview")

    def __init__(self, *, is_infos: bool) -> None:
        self.count, self.preview, self.is_infos = 0, False, is_infos


class Odd:
    """Something else than what should be there."""


_ODD = Odd()
Part: TypeAlias = "dict[str, Part] | Messages | Odd | str | None"


class Outline:
    """Reads the events of a JSON parser and keeps what is counted.

    Where a name comes twice its last value counts, as in any dictionary. Below a lone key `results` inside `results`
    may be a type or the map of all types, so both is kept.
    """

    def __init__(self) -> None:
        self.messages: Messages | None = None  # of the counted list that is open
        self.below = 0  # levels that are open below the innermost object that is looked into
        self.last_event = ""
        self._body: Part = _ODD
        self._open: list[dict[str, Part]] = []
        self._names: list[str] = []  # of the values that are open or were read last, one for each of `_open`
        self._is_key = self._is_marked = False

    @property
    def is_behind_entry(self) -> bool:
        """Whether what was read ends in a counted list, right behind an entry that is an object."""
        return self.messages is not None and self.below == 1 and self.last_event == "end_map"

    def read(self, events: Events) -> None:
        """Take note of what a piece of the body holds.

        Raises:
            Unreadable: it is nested too deep.
        """
        for event, value in events:
            step = _STEPS.get(event, 0)
            self.last_event = event
            if self.below:
                self._read_below(event, value, step)
            elif event == "map_key":
                self._names[-1] = value
            elif step > 0:
                self._enter(event)
            elif step < 0:
                self._open.pop()
                self._names.pop()
            else:
                self._put(_scalar(event, value))

    def result(self) -> ImportResult:
        """Return what was counted, once the body is whole.

        Raises:
            Unreadable: as `wire.decode_result` does.
        """
        if not isinstance(self._body, dict):
            raise Unreadable("not an import result")
        types = {name: _lists(name, entry) for name, entry in _types(self._body.get("results")).items()}
        backup = self._body.get("exportJobId")
        return ImportResult(
            types={name: _counts(lists) for name, lists in types.items()},
            preview=any(messages.preview for lists in types.values() for messages in lists.values()),
            backup_id=backup if isinstance(backup, str) else "",
        )

    def _read_below(self, event: str, value: object, step: int) -> None:
        """Count what is directly in a list of messages, and look for the mark of a preview one level below."""
        messages = self.messages
        if messages is not None and step >= 0:
            if self.below == 1:
                messages.count += 1
                self._is_key = self._is_marked = False
            elif self.below == 2 and messages.is_infos:  # noqa: PLR2004 (in an entry)
                if self._is_key:
                    self._is_marked = value == PREVIEW
                self._is_key = event == "map_key" and value == "key"
        self.below += step
        if self.below > DEEPEST:
            raise Unreadable("not an import result: nested too deep")
        if messages is not None and step < 0:
            if self.below == 1:
                messages.preview |= self._is_marked
            elif not self.below:
                self.messages = None

    def _enter(self, event: str) -> None:
        """Begin to look into an object, to count a list, or to pass over what is neither."""
        depth, name = len(self._open), self._names[-1] if self._names else ""
        if event == "start_map" and self._is_looked_into(depth):
            found: dict[str, Part] = {}
            self._put(found)
            self._open.append(found)
            self._names.append("")
            return
        self.below = 1
        counted = event == "start_array" and name in LISTS and self._is_type(depth)
        self.messages = Messages(is_infos=name == "infos") if counted else None
        self._put(self.messages or _ODD)

    def _is_looked_into(self, depth: int) -> bool:
        """Whether an object is the body, `results`, a type in it, or what may be a type below `results.results`."""
        is_nested = depth == _NESTED_DEPTH and self._names[1] == "results"
        return depth == 0 or (self._names[0] == "results" and (depth <= _TYPES_DEPTH or is_nested))

    def _is_type(self, depth: int) -> bool:
        return depth > _TYPES_DEPTH

    def _put(self, part: Part) -> None:
        """Keep a value under its name, where a name of that place can matter."""
        depth = len(self._open)
        if not depth:
            self._body = part
            return
        name = self._names[-1]
        is_any_kept = depth == _TYPES_DEPTH or (depth == _NESTED_DEPTH and self._names[1] == "results")
        if is_any_kept or name in (LISTS if depth > 1 else {"results", "exportJobId"}):
            self._open[-1][name] = part


def _scalar(event: str, value: object) -> Part:
    """Return a scalar as text as far as it may be an id, None for null."""
    if event == "boolean":
        return str(value).lower()
    if isinstance(value, Decimal):
        return _ODD
    return None if value is None else str(value)


def _types(results: Part) -> dict[str, Part]:
    if results is None:
        raise Unreadable("an import result without `results`")
    if not isinstance(results, dict):
        raise Unreadable("not `results`")
    inner = results.get("results")
    if len(results) == 1 and isinstance(inner, dict) and not LISTS & inner.keys():
        return inner
    return results


def _lists(object_type: str, entry: Part) -> dict[str, Messages]:
    check_object_type(object_type)
    if not isinstance(entry, dict | None):
        raise Unreadable(f"not the results of {one_line(object_type)}")
    lists: dict[str, Messages] = {}
    for name in LISTS:
        part = (entry or {}).get(name)
        if not isinstance(part, Messages | None):
            raise Unreadable(f"not a list in {one_line(object_type)}.{name}")
        lists[name] = part or Messages(is_infos=False)
    return lists


def _counts(lists: dict[str, Messages]) -> TypeCounts:
    return TypeCounts(
        errors=lists["errors"].count,
        warnings=lists["warnings"].count,
        infos=lists["infos"].count,
        objects=lists["importedObjects"].count,
    )
