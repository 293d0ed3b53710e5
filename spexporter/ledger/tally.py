"""One tenant's counters: what they have counted, and what pages may show of it. No storage here."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from spexporter.domain.counting import Cell, Exemplar, SeriesKey
from spexporter.domain.values import replace

_NONE: Mapping[SeriesKey, Cell] = {}


class Tally:
    """Cells by series, and which of them differ from what is stored.

    A page shows a new value only once that is stored: `publish` asks for it, and `written` grants it.
    """

    def __init__(self, cells: Mapping[SeriesKey, Cell] | None = None) -> None:
        self._cells: dict[SeriesKey, Cell] = dict(cells or {})
        self._asked: dict[SeriesKey, float] = {}
        self._changed: set[SeriesKey] = set()
        self._new: set[SeriesKey] = set()
        self._copy: Mapping[SeriesKey, Cell] | None = None

    @property
    def cells(self) -> Mapping[SeriesKey, Cell]:
        """An immutable copy of all cells; the same one until one of them changes."""
        if self._copy is None:
            self._copy = dict(self._cells)
        return self._copy

    def settle(self) -> None:
        """Take note that pages may see what has begun so far."""
        self._new.clear()

    def begin(self, keys: Iterable[SeriesKey], at_s: float | None) -> None:
        """Start those of `keys` at 0 that have not begun yet."""
        for key in keys:
            if key not in self._cells:
                self._put(key, Cell(created_s=at_s))
                self._changed.add(key)
                self._new.add(key)

    def add(
        self, increments: Mapping[SeriesKey, float], exemplars: Mapping[SeriesKey, Exemplar], at_s: float | None
    ) -> None:
        """Count what has happened since."""
        self.begin(increments, at_s)
        for key, increment in increments.items():
            cell = self._cells[key]
            exemplar = exemplars.get(key, cell.exemplar)
            self._put(key, replace(cell, value=cell.value + increment, exemplar=exemplar))
            self._changed.add(key)

    def add_late(self, increments: Mapping[SeriesKey, float], unseen: AbstractSet[SeriesKey]) -> None:
        """Count what had happened before we could tell: shown at once by counters that are `unseen`, else never.

        Those that have begun since the last `settle` are unseen, too.
        """
        for key, increment in increments.items():
            cell = self._cells.get(key)
            if cell is not None and key not in unseen and key not in self._new:
                self._put(key, replace(cell, value=cell.value + increment, late=cell.late + increment))
            else:
                before = cell or Cell()
                # Prometheus would take `created_s` for the time at which it was 0.
                self._put(key, replace(before, value=before.value + increment, created_s=None))
                self._asked[key] = self._shown(key) + increment
            self._changed.add(key)

    def adopt(self, others: Mapping[SeriesKey, Cell]) -> None:
        """Take over the counters of a former name; where both have one, what the other counted is not shown."""
        for key, other in others.items():
            cell = self._cells.get(key)
            if cell is None:
                self._put(key, replace(other, created_s=None))
            else:
                self._put(key, replace(cell, value=cell.value + other.value, late=cell.late + other.value))
            self._changed.add(key)

    def publish(self, upto: Mapping[SeriesKey, float]) -> None:
        """Ask for pages to show these values, as soon as that is stored; never less than before."""
        for key, value in upto.items():
            if value > self._shown(key):
                self._asked[key] = value
                self._changed.add(key)

    def withdraw(self, shown: Mapping[SeriesKey, float]) -> None:
        """Take back what may be shown beyond what was: the next process publishes it, as a step from there."""
        for key, value in shown.items():
            if self._shown(key) > value:
                self._asked.pop(key, None)
                self._put(key, replace(self._cells[key], published=value))
                self._changed.add(key)

    def changed(self) -> Mapping[SeriesKey, Cell]:
        """Return the cells to be stored, with what was asked for, and call them stored: `unwritten` takes it back."""
        if not self._changed:
            return _NONE
        rows = {key: replace(self._cells[key], published=self._shown(key)) for key in self._changed}
        self._changed.clear()
        return rows

    def unwritten(self, rows: Iterable[SeriesKey]) -> None:
        """Take note that these could not be stored."""
        self._changed.update(rows)

    def written(self, rows: Mapping[SeriesKey, Cell]) -> None:
        """Take note that these are stored: pages may show what they say."""
        for key, row in rows.items():
            cell = self._cells[key]
            self._put(key, replace(cell, published=max(cell.published, row.published)))
            if self._asked.get(key, 0.0) <= row.published:
                self._asked.pop(key, None)

    def rewrite(self) -> None:
        """Take note that nothing is stored any more."""
        self._changed.update(self._cells)

    def _put(self, key: SeriesKey, cell: Cell) -> None:
        self._cells[key] = cell
        self._copy = None

    def _shown(self, key: SeriesKey) -> float:
        cell = self._cells.get(key, Cell())
        return max(cell.published, self._asked.get(key, 0.0))
