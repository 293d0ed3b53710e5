"""How long jobs usually take, learned from those that ended COMPLETE."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from spexporter.domain.inspection import Fit

RUNS_KEPT = 200  # the newest, so that what has changed for good is forgotten in time
_RUNS_NEEDED = 3
_P95_Z = 1.6448536269514722
_PRIOR_SIGMA = 0.7  # counts as much as one run
_SHORTEST_S = 0.001  # what has no length has no logarithm
# What is believed before anything is known: from seconds to hours, nearly nothing is ruled out.
UNKNOWN = Fit(median_s=60.0, sigma=1.5)


class Usual(NamedTuple):
    """What half, and what 95 of 100, of the jobs take at most, in seconds."""

    p50_s: float
    p95_s: float

    @property
    def fit(self) -> Fit:
        """The distribution that this says as much of as can be said."""
        return Fit(self.p50_s, math.log(self.p95_s / self.p50_s) / _P95_Z)


def usual(runs_s: Sequence[float]) -> Usual | None:
    """Return the usual duration, None while too few runs are known.

    A lognormal distribution: its median is that of the runs' logarithms, and its width is wider than theirs by what is
    not known of it yet (the predictive variance of a normal distribution with an inverse gamma prior on its variance).
    """
    count = len(runs_s)
    if count < _RUNS_NEEDED:
        return None
    logs = [math.log(max(run_s, _SHORTEST_S)) for run_s in runs_s]
    mean = math.fsum(logs) / count
    squares = _PRIOR_SIGMA**2 + math.fsum((log - mean) ** 2 for log in logs)
    fit = Fit(math.exp(mean), math.sqrt(squares / (1 + count) * (1 + 1 / count)))
    return Usual(fit.median_s, fit.quantile_s(_P95_Z))


def learned(runs_s: Iterable[float], run_s: float) -> tuple[float, ...]:
    """Return the newest runs, `run_s` included, oldest first."""
    return (*runs_s, run_s)[-RUNS_KEPT:]
