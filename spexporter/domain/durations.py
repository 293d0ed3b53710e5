"""How long jobs usually take, learned from those that ended COMPLETE."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

RUNS_KEPT = 100  # the newest, so that what has changed for good is forgotten in time
_RUNS_NEEDED = 3


class Usual(NamedTuple):
    """What half, and what 95 of 100, of the jobs take at most, in seconds."""

    p50_s: float
    p95_s: float


def usual(runs_s: Sequence[float]) -> Usual | None:
    """Return the usual duration, None while too few runs are known. Values in between are not made up."""
    if len(runs_s) < _RUNS_NEEDED:
        return None
    ordered = sorted(runs_s)
    return Usual(_quantile(ordered, 50), _quantile(ordered, 95))


def learned(runs_s: Iterable[float], run_s: float) -> tuple[float, ...]:
    """Return the newest runs, `run_s` included, oldest first."""
    return (*runs_s, run_s)[-RUNS_KEPT:]


def _quantile(ordered: Sequence[float], percent: int) -> float:
    """Return the smallest run that at least `percent` of all do not exceed (nearest rank)."""
    return ordered[-(-len(ordered) * percent // 100) - 1]
