import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.durations import RUNS_KEPT, learned, usual

runs = st.lists(st.floats(0, 1e6), min_size=3, max_size=RUNS_KEPT)


@pytest.mark.parametrize("known", [[], [10.0], [10.0, 20.0]], ids=["none", "one", "two"])
def test_too_few_runs_tell_nothing(known: list[float]) -> None:
    """Absent means not known."""
    assert usual(known) is None


def test_what_is_learned_comes_near_to_what_is() -> None:
    """Of 200 runs drawn from a distribution, its median and its 95th percentile, within a few of a hundred."""
    dice = Random(7)  # noqa: S311 (no secret depends on it)
    found = usual([dice.lognormvariate(math.log(120), 0.5) for _ in range(200)])
    assert found is not None
    assert found.p50_s == pytest.approx(120, rel=0.1)
    assert found.p95_s == pytest.approx(120 * math.exp(1.645 * 0.5), rel=0.12)
    assert (found.fit.median_s, found.fit.sigma) == pytest.approx((found.p50_s, 0.5), rel=0.1)


def test_few_runs_promise_little() -> None:
    """Three runs alike say where the middle is, and do not say that the next one will be alike, too."""
    three, hundred = usual([20.0] * 3), usual([20.0] * 100)
    assert three is not None
    assert hundred is not None
    assert three.p50_s == hundred.p50_s == pytest.approx(20)
    assert three.p95_s > 1.5 * three.p50_s
    assert hundred.p95_s < 1.2 * hundred.p50_s


@given(known=runs, dice=st.randoms(use_true_random=False))
def test_any_runs_tell_something_sane_in_any_order(known: list[float], dice: Random) -> None:
    """The middle is within what was seen, most end later than half, and the order says nothing."""
    found = usual(known)
    assert found is not None
    assert 0.999 * min(known) <= found.p50_s <= max(1.001 * max(known), 0.00101)
    assert found.p50_s < found.p95_s < math.inf
    dice.shuffle(known)
    assert usual(known) == pytest.approx(found)


def test_only_the_newest_runs_are_kept() -> None:
    """What has changed for good is forgotten in time."""
    known: tuple[float, ...] = ()
    for run in range(RUNS_KEPT + 20):
        known = learned(known, float(run))
    assert known == tuple(float(run) for run in range(20, RUNS_KEPT + 20))
