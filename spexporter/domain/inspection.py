"""How long to wait until the next look at something whose end nobody announces.

A look costs `price_s`: the seconds of delay that it is worth. The less likely an end is in the meantime, the longer it
pays to wait. Source: R. E. Barlow, L. C. Hunter and F. Proschan, "Optimum Checking Procedures", 1963.
"""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from spexporter.domain import inspection_table as table

_STEPS_PER_DOUBLING = 8  # of the price, between which waits are not told apart
_RARE_Z = 3.0  # one in a thousand takes longer, if the fit is right: from here on that is less and less believable


class Fit(NamedTuple):
    """A lognormal distribution of durations; `sigma` is the standard deviation of their logarithm."""

    median_s: float
    sigma: float

    def quantile_s(self, z: float) -> float:
        """Return the duration that is `z` standard deviations above the median, in seconds."""
        return self.median_s * math.exp(self.sigma * z)


_FAIR = 0.1  # the longer jobs take, the later they would be known: they pay a little less, and short ones a little more
_FAIR_S = 100.0


def wait_s(fit: Fit, age_s: float, price_s: float) -> float:
    """Return how long to wait after a look at `age_s`, in seconds.

    What is older than anything that the fit believes in gets rarer looks, by the square root of its age.
    """
    price_s *= (fit.median_s / _FAIR_S) ** -_FAIR
    sigma = min(max(fit.sigma, table.SIGMAS[0]), table.SIGMAS[-1])
    z = math.log(max(age_s, 1e-9) / fit.median_s) / sigma
    waits = _curve(round(sigma * 64), round(math.log2(price_s / fit.median_s) * _STEPS_PER_DOUBLING))
    place = (min(z, _RARE_Z) - table.FIRST_Z) * table.STEPS_PER_Z
    if place <= 0:
        # Nothing ends so early: the next look is at the same age whenever the last one was.
        next_age_s = fit.median_s * (math.exp(table.FIRST_Z * sigma) + math.exp(waits[0]))
        return next_age_s - age_s
    below = min(int(place), table.AGES - 2)
    share = place - below
    usual_s = fit.median_s * math.exp(waits[below] * (1 - share) + waits[below + 1] * share)
    return usual_s if z < _RARE_Z else max(usual_s, math.sqrt(2 * price_s * age_s))


def together_s(waits_s: Iterable[float]) -> float:
    """Return how long to wait until a look that answers for several, of which each alone would wait so long.

    The rates of ends add up, and the wait is as one over the square root of the rate. Infinite for none.
    """
    rate = sum(1 / (wait * wait) for wait in waits_s)
    return 1 / math.sqrt(rate) if rate else math.inf


@lru_cache(maxsize=4096)
def _curve(sigma_64: int, price_steps: int) -> Sequence[float]:
    """Return ln(wait) by age, both in medians, between those of the table; a price beyond it counts as its last."""
    row = _between(math.log2(sigma_64 / 64 / table.SIGMAS[0]) * table.SIGMAS_PER_DOUBLING, len(table.SIGMAS))
    column = _between(price_steps / _STEPS_PER_DOUBLING - table.FIRST_PRICE_LOG2, len(table.PRICES))
    return tuple(map(sum, zip(*(_weighted(r, c, rw * cw) for r, rw in row for c, cw in column), strict=True)))


def _between(place: float, count: int) -> Sequence[tuple[int, float]]:
    """Return the neighbours of a place among `count`, and how much each weighs."""
    place = min(max(place, 0.0), count - 1.0)
    below = min(int(place), count - 2)
    return (below, 1 - (place - below)), (below + 1, place - below)


def _weighted(row: int, column: int, weight: float) -> Sequence[float]:
    return [weight * wait for wait in table.waits(row, column)]
