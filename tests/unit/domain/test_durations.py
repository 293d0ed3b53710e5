import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.durations import RUNS_KEPT, Usual, learned, usual

runs = st.lists(st.floats(0, 1e6), min_size=3, max_size=RUNS_KEPT)


@pytest.mark.parametrize("known", [[], [10.0], [10.0, 20.0]], ids=["none", "one", "two"])
def test_too_few_runs_tell_nothing(known: list[float]) -> None:
    """Absent means not known."""
    assert usual(known) is None


@pytest.mark.parametrize(
    ("known", "found"),
    [
        ([30.0, 10.0, 20.0], Usual(20.0, 30.0)),
        ([4.0, 3.0, 2.0, 1.0], Usual(2.0, 4.0)),
        ([float(run) for run in range(1, 21)], Usual(10.0, 19.0)),
        ([float(run) for run in range(1, 101)], Usual(50.0, 95.0)),
        ([5.0] * 50, Usual(5.0, 5.0)),
    ],
    ids=["three", "four", "twenty", "hundred", "all alike"],
)
def test_nearest_rank(known: list[float], found: Usual) -> None:
    """The smallest run that at least so many of all do not exceed."""
    assert usual(known) == found


@given(known=runs)
def test_what_is_usual_has_happened_and_bounds_its_share(known: list[float]) -> None:
    """No value in between is made up, whatever the order of the runs."""
    found = usual(known)
    assert found is not None
    for bound_s, percent in zip(found, (50, 95), strict=True):
        assert bound_s in known
        assert 100 * sum(run_s <= bound_s for run_s in known) >= percent * len(known)
        assert 100 * sum(run_s < bound_s for run_s in known) < percent * len(known)
    assert usual(sorted(known, reverse=True)) == found


def test_only_the_newest_runs_are_kept() -> None:
    """What has changed for good is forgotten in time."""
    known: tuple[float, ...] = ()
    for run in range(RUNS_KEPT + 20):
        known = learned(known, float(run))
    assert known == tuple(float(run) for run in range(20, RUNS_KEPT + 20))
