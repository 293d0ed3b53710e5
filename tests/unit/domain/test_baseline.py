from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.baseline import Baselines
from spexporter.domain.counting import SeriesKey

HOLD_S = 120.0
A, B, C = (SeriesKey(name, ()) for name in ("a_total", "b_total", "c_total"))


def test_a_counter_shows_its_baseline_for_the_hold_and_one_whole_page() -> None:
    """Both are needed: a page that came too early, or time without a page, is not enough."""
    baselines = Baselines(HOLD_S)
    baselines.appeared([A], 1000.0, 7)
    for now_s, served in ((1000.0, 7), (1119.9, 7), (1120.0, 6), (9999.0, 0)):
        assert not baselines.releasable(now_s, served)
        baselines.release(now_s, served)
        assert baselines.held == {A}
    assert baselines.releasable(1120.0, 7)
    baselines.release(1120.0, 7)
    assert baselines.held == frozenset()
    assert not baselines.releasable(9999.0, 99)


def test_without_a_hold_one_whole_page_is_still_needed() -> None:
    """Prometheus sees an increase only between two samples."""
    baselines = Baselines(0.0)
    baselines.appeared([A], 1000.0, 1)
    assert not baselines.releasable(1000.0, 0)
    assert baselines.releasable(1000.0, 1)


def test_a_counter_appears_once() -> None:
    """What was let go is not held again because it is still there."""
    baselines = Baselines(HOLD_S)
    baselines.appeared([A], 0.0, 1)
    baselines.release(HOLD_S, 1)
    baselines.appeared([A, B], HOLD_S, 2)
    assert baselines.held == {B}
    baselines.appeared([A, B], HOLD_S + 60, 3)
    baselines.release(2 * HOLD_S, 2)
    assert baselines.held == frozenset()


def test_each_waits_for_its_own_page() -> None:
    """An object type met later does not make the others wait, nor does theirs let it go."""
    baselines = Baselines(HOLD_S)
    baselines.appeared([A], 0.0, 1)
    baselines.appeared([A, B], 60.0, 2)
    baselines.release(HOLD_S, 2)
    assert baselines.held == {B}
    assert not baselines.releasable(HOLD_S, 2)
    assert baselines.releasable(60.0 + HOLD_S, 2)


def test_only_counters_born_here_that_no_page_began_to_show_are_unseen() -> None:
    """An earlier process may have shown a restored one; a page that is on its way shows its own."""
    baselines = Baselines(HOLD_S)
    baselines.appeared([A], 0.0, 1, born=False)
    baselines.appeared([A, B], 0.0, 2)
    baselines.appeared([A, B, C], 0.0, 3)
    assert baselines.unseen(0) == {B, C}
    assert baselines.unseen(2) == {C}
    assert baselines.unseen(3) == frozenset()


STEPS = st.lists(
    st.tuples(st.sampled_from("asr"), st.integers(0, 90), st.sets(st.sampled_from([A, B, C]))), max_size=20
)


@given(steps=STEPS)
def test_no_counter_is_let_go_before_its_time_and_each_is_in_the_end(
    steps: Sequence[tuple[str, int, set[SeriesKey]]],
) -> None:
    """Against a plain table of when each appeared and in which version."""
    baselines, now_s, version, served = Baselines(HOLD_S), 0.0, 0, 0
    appeared: dict[SeriesKey, tuple[float, int]] = {}
    free: set[SeriesKey] = set()
    for step, passed_s, keys in steps:
        now_s += passed_s
        if step == "a":
            version += 1
            baselines.appeared(keys, now_s, version)
            appeared = dict.fromkeys(keys, (now_s, version)) | appeared
        elif step == "s":
            served = version
        else:
            ripe = {key for key, (at_s, of) in appeared.items() if now_s - at_s >= HOLD_S and served >= of} - free
            assert baselines.releasable(now_s, served) == bool(ripe)
            baselines.release(now_s, served)
            free |= ripe
        assert baselines.held == appeared.keys() - free
        assert baselines.unseen(served) == {key for key in appeared.keys() - free if appeared[key][1] > served}
    baselines.release(now_s + HOLD_S, version)
    assert baselines.held == frozenset()
