"""Numbered places in the order of their due times."""

from array import array
from bisect import bisect_left, bisect_right
from operator import itemgetter

_LONGEST = 512
_last = itemgetter(-1)


class DueOrder:
    """Sorted runs of due times, each beside a run of the places that are due then, of one time in their own order.

    As numbers in arrays they take 12 bytes each and some room to grow, a third of what they take in a heap of Python's
    numbers. A run that has become too long is cut in two, so that no change moves more than a few kilobytes.
    """

    def __init__(self) -> None:
        self._lasts_s: list[float] = []  # of each run
        self._dues_s: list[array[float]] = []
        self._places: list[array[int]] = []

    def add(self, due_s: float, place: int) -> None:
        """Put `place` where it belongs; it must not be there yet."""
        if not self._lasts_s:
            self._put_run(0, array("d", [due_s]), array("i", [place]))
            return
        run, at = self._find(due_s, place)
        dues_s, places = self._dues_s[run], self._places[run]
        dues_s.insert(at, due_s)
        places.insert(at, place)
        self._lasts_s[run] = dues_s[-1]
        if (half := len(dues_s) // 2) > _LONGEST // 2:
            self._put_run(run + 1, dues_s[half:], places[half:])
            del dues_s[half:], places[half:]
            self._lasts_s[run] = dues_s[-1]

    def remove(self, due_s: float, place: int) -> None:
        """Take out `place`, which was put there for `due_s`."""
        run, at = self._find(due_s, place)
        dues_s, places = self._dues_s[run], self._places[run]
        del dues_s[at], places[at]
        if dues_s:
            self._lasts_s[run] = dues_s[-1]
        else:
            del self._lasts_s[run], self._dues_s[run], self._places[run]

    def first(self) -> int | None:
        """Return the place that is due first, None where none is."""
        return self._places[0][0] if self._places else None

    def _find(self, due_s: float, place: int) -> tuple[int, int]:
        """Return the run where `place` is or belongs, and where in it."""
        lasts_s = self._lasts_s
        run = bisect_left(lasts_s, due_s)
        if run < len(lasts_s) and lasts_s[run] == due_s:  # many may be due at the same time
            run = bisect_left(self._places, place, run, bisect_right(lasts_s, due_s), key=_last)
        run = min(run, len(lasts_s) - 1)
        dues_s, places = self._dues_s[run], self._places[run]
        at = bisect_left(dues_s, due_s)
        if at < len(dues_s) and dues_s[at] == due_s and places[at] != place:
            at = bisect_left(places, place, at, bisect_right(dues_s, due_s, at))
        return run, at

    def _put_run(self, run: int, dues_s: "array[float]", places: "array[int]") -> None:
        self._lasts_s.insert(run, dues_s[-1])
        self._dues_s.insert(run, dues_s)
        self._places.insert(run, places)
