"""What a look costs: how many seconds of delay one request is worth to us."""

import math

_LEAST_S = 0.05  # with nobody waiting a look is still worth this much: requests are shared with others
_MOST_S = 1e7
_IN_TIME_S = 0.1


class Price:
    """Follows demand: rises while looks come too late, and falls while they could come sooner.

    Every job pays it, so that with any number of jobs the looks just fit into what the budget allows.
    """

    def __init__(self) -> None:
        self.value_s = _LEAST_S

    @property
    def scarce(self) -> bool:
        """Whether there are more looks worth making than the budget allows."""
        return self.value_s > _LEAST_S

    def learn(self, late_s: float, longest_s: float, waiting: int) -> None:
        """Take note of a look that began `late_s` after it was due, below 0 where it was not yet.

        `longest_s` is how long the one of the `waiting` has waited that has waited longest: while each of them is
        looked at once, the price changes by at most the factor e.
        """
        if 0 <= late_s <= _IN_TIME_S:
            return
        step = min(max(late_s / max(longest_s, 1.0), -1.0), 1.0) / max(waiting, 1)
        self.value_s = min(max(self.value_s * math.exp(step), _LEAST_S), _MOST_S)

    def relax(self) -> None:
        """Take note that nobody waits."""
        self.value_s = _LEAST_S
