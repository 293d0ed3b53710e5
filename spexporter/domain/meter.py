"""What one tenant's exchanges count, kept so that a page can tell what has changed since the last one."""

from collections.abc import Callable, Iterable, Mapping

Labels = tuple[str, ...]


class Meter:
    """Counters and gauges of one tenant; labels are those after `tenant`, in their family's order.

    `gauges` are read at each scrape. `began_s` is when all counters were 0 (Unix seconds).
    """

    def __init__(self, counters: Iterable[str], began_s: float) -> None:
        self.began_s = began_s
        self.gauges: Mapping[str, Callable[[], float]] = {}
        self._counts: dict[str, dict[Labels, float]] = {name: {} for name in counters}
        self._changes = dict.fromkeys(self._counts, 0)

    @property
    def series(self) -> int:
        """How many series there are."""
        return sum(map(len, self._counts.values())) + len(self.gauges)

    def begin(self, name: str, labels: Labels) -> None:
        """Start a series at 0."""
        self.add(name, labels, 0.0)

    def add(self, name: str, labels: Labels, amount: float = 1.0) -> None:
        """Count `amount` more."""
        counts = self._counts[name]
        counts[labels] = counts.get(labels, 0.0) + amount
        self._changes[name] += 1

    def counts(self, name: str) -> Mapping[Labels, float]:
        """Return the series of one counter."""
        return self._counts[name]

    def changes(self, name: str) -> int:
        """Return a number that grows whenever a series of this counter changes."""
        return self._changes[name]
