import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.budget import LONGEST_PAUSE_S, BudgetState, RateLimit, RequestBudget, throttle_pause

PER_S = 10.0
WINDOW_S = 10.001  # a little longer: the tenant's clock may run faster than ours


@given(
    rhythm=st.lists(st.tuples(st.floats(0, 4), st.floats(0, 15)), max_size=60),
    allowed=st.integers(1, 5),
    received=st.randoms(use_true_random=False),
)
def test_no_window_of_the_tenant_holds_more_than_the_limit(
    rhythm: list[tuple[float, float]], allowed: int, received: object
) -> None:
    """Whenever between start and answer the tenant counts a request, no window of its own is ever over the limit."""
    budget = RequestBudget(RateLimit(allowed, PER_S, 1.0))
    now_s = 0.0
    answers: list[float] = []
    counted: list[float] = []
    for pause_s, took_s in rhythm:
        now_s += pause_s
        while True:
            for answered_s in sorted(a for a in answers if a <= now_s):
                budget.finish(answered_s)
                answers.remove(answered_s)
            opens_s = budget.opens_at(now_s)
            if opens_s <= now_s:
                break
            now_s = min([opens_s, *(a for a in answers if a > now_s)])
        budget.start(now_s)
        answers.append(now_s + took_s)
        counted.append(received.uniform(now_s, now_s + took_s))  # type: ignore[attr-defined]
    counted.sort()
    for first_s, next_s in zip(counted, counted[allowed:], strict=False):
        assert next_s - first_s >= PER_S - 1e-6


def test_places_are_free_again_a_window_after_their_answers() -> None:
    """The place of an answered request frees up `per_s` after its answer, not after its start."""
    budget = RequestBudget(RateLimit(1, PER_S, 1.0))
    budget.start(0.0)
    assert budget.opens_at(5.0) == WINDOW_S + 5.0  # in flight: no answer, so not before a whole window from now
    budget.finish(6.0)
    assert budget.used(WINDOW_S + 5.999) == 1
    assert budget.opens_at(7.0) == WINDOW_S + 6.0
    assert budget.opens_at(WINDOW_S + 6.0) == WINDOW_S + 6.0
    assert budget.used(WINDOW_S + 6.0) == 0


def test_starting_without_a_free_place_is_refused() -> None:
    """A caller that did not ask first hears of it."""
    budget = RequestBudget(RateLimit(1, PER_S, 1.0))
    budget.start(0.0)
    with pytest.raises(ValueError, match="no place"):
        budget.start(1.0)


def test_nothing_starts_inside_a_pause_and_a_pause_never_shrinks() -> None:
    """The longest of several pauses holds."""
    budget = RequestBudget(RateLimit())
    budget.pause(30.0)
    budget.pause(20.0)
    assert budget.opens_at(25.0) == 30.0
    assert budget.opens_at(30.0) == 30.0


@pytest.mark.parametrize(
    ("requests", "use", "allowed"), [(100, 0.8, 80), (100, 0.29, 29), (3, 0.5, 1), (1, 0.01, 1), (100, 1.0, 100)]
)
def test_the_share_is_rounded_down_but_one_request_is_always_allowed(requests: int, use: float, allowed: int) -> None:
    """29 % of 100 are 29, whatever binary fractions say."""
    assert RateLimit(requests, PER_S, use).allowed == allowed


def test_a_429_without_retry_after_backs_off_by_doubling() -> None:
    """Our own pauses double from two seconds and stop at the longest."""
    pauses = [throttle_pause(None, n) for n in range(1, 30)]
    assert pauses[:4] == [2.0, 4.0, 8.0, 16.0]
    assert all(a <= b for a, b in itertools.pairwise(pauses))
    assert pauses[-1] == LONGEST_PAUSE_S


@given(asked_s=st.floats(allow_nan=False))
def test_a_pause_asked_for_is_kept_within_bounds(asked_s: float) -> None:
    """Absurd values of Retry-After pause for at most a quarter of an hour."""
    pause_s = throttle_pause(asked_s, 1)
    assert 0 < pause_s <= LONGEST_PAUSE_S
    assert pause_s == asked_s or not 0 < asked_s <= LONGEST_PAUSE_S
    assert math.isfinite(pause_s)


def test_a_429_halves_our_share_and_it_grows_back_slowly() -> None:
    """Another user of the client gets room at once, and we get ours back over minutes."""
    budget = RequestBudget(RateLimit(100, PER_S, 0.8))
    assert budget.allowed(0.0) == 80
    budget.throttled(0.0)
    assert budget.allowed(0.0) == 40
    budget.throttled(10.0)
    assert budget.allowed(10.0) == 20
    allowed = [budget.allowed(10.0 + minute * 60.0) for minute in range(10)]
    assert allowed == sorted(allowed)
    assert allowed[-1] == 80
    assert allowed[4] < 60


@given(times_s=st.lists(st.floats(0, 3600), min_size=1, max_size=50))
def test_the_share_never_leaves_its_bounds(times_s: list[float]) -> None:
    """However many 429s come, at least one request is allowed, and never more than configured."""
    budget = RequestBudget(RateLimit(100, PER_S, 0.8))
    for now_s in sorted(times_s):
        before = budget.allowed(now_s)
        budget.throttled(now_s)
        assert 1 <= budget.allowed(now_s) <= before <= 80
    assert budget.allowed(10_000.0) == 80


def test_a_budget_tells_the_next_process_what_is_taken() -> None:
    """Each place with the time that is left of it, those in flight as if answered now, the pause and the share."""
    budget = RequestBudget(RateLimit(10, PER_S, 1.0))
    for started_s in (0.0, 1.0, 2.0):
        budget.start(started_s)
    budget.finish(1.0)
    budget.finish(3.0)
    budget.throttled(4.0)
    budget.pause(34.0)
    assert budget.export(4.0) == BudgetState((WINDOW_S - 3.0, WINDOW_S - 1.0, WINDOW_S), 30.0, 0.5)


def test_what_is_over_is_not_told() -> None:
    """A budget that nobody has used for a window is like a new one."""
    budget = RequestBudget(RateLimit(10, PER_S, 1.0))
    assert budget.export(0.0) == BudgetState()
    budget.start(0.0)
    budget.finish(0.0)
    budget.pause(5.0)
    assert budget.export(WINDOW_S) == BudgetState()


@pytest.mark.parametrize(
    ("by_s", "left"),
    [
        (0.0, BudgetState((1.0, 4.0), 30.0, 0.5)),
        (1.0, BudgetState((3.0,), 29.0, 0.5)),
        (100.0, BudgetState((), 0.0, 0.5)),
    ],
    ids=["at once", "a second", "long after"],
)
def test_what_is_left_of_a_window_later(by_s: float, left: BudgetState) -> None:
    """Places and the pause run out; the share is not grown back by time in which nobody asked."""
    assert BudgetState((1.0, 4.0), 30.0, 0.5).later(by_s) == left


uses = st.lists(st.tuples(st.floats(0, 6), st.floats(0, 3)), max_size=12)


@given(uses=uses, stopped_for_s=st.floats(0, 25), paused_for_s=st.floats(0, 60), throttled=st.booleans())
def test_a_restart_never_opens_a_place_sooner(
    uses: list[tuple[float, float]], stopped_for_s: float, paused_for_s: float, *, throttled: bool
) -> None:
    """Whatever was used before a stop, the next process allows no more than this one would have."""
    before, now_s = RequestBudget(RateLimit(3, PER_S, 1.0)), 0.0
    for pause_s, took_s in uses:
        now_s = max(now_s + pause_s, before.opens_at(now_s + pause_s))
        before.start(now_s)
        now_s += took_s
        before.finish(now_s)
    before.pause(now_s + paused_for_s)
    if throttled:
        before.throttled(now_s)
    after, zero_s = RequestBudget(RateLimit(3, PER_S, 1.0)), 5_000_000.0  # another process, another monotonic clock
    after.restore(before.export(now_s).later(stopped_for_s), zero_s)
    for later_s in (0.0, 1.0, 5.0, WINDOW_S + 1.0):
        old_s, new_s = now_s + stopped_for_s + later_s, zero_s + later_s
        assert after.used(new_s - 1e-6) >= before.used(old_s)
        assert after.allowed(new_s) <= before.allowed(old_s)
        assert after.opens_at(new_s) - new_s >= before.opens_at(old_s) - old_s - 1e-5
        assert after.used(new_s + 1e-6) <= before.used(old_s)


def test_a_state_from_another_configuration_or_clock_holds_nothing_for_ever() -> None:
    """No place longer than a window, no pause longer than the longest; and what was more than now allowed waits."""
    budget = RequestBudget(RateLimit(2, PER_S, 1.0))
    budget.restore(BudgetState((3.0, 5.0, 1e9), 1e9), 100.0)
    assert budget.paused_until_s == 100.0 + LONGEST_PAUSE_S
    assert budget.used(100.0) == 3
    assert budget.used(100.0 + WINDOW_S) == 0
    budget = RequestBudget(RateLimit(2, PER_S, 1.0))
    budget.restore(BudgetState((3.0, 5.0, 7.0)), 100.0)
    assert budget.used(103.0) == 2
    assert budget.opens_at(103.0) == 105.0


def test_a_share_goes_on_growing_back_after_a_restart() -> None:
    """From where it was."""
    budget = RequestBudget(RateLimit(100, PER_S, 0.8))
    budget.restore(BudgetState(share=0.5), 0.0)
    assert budget.allowed(0.0) == 40
    assert 40 < budget.allowed(150.0) < 80
    assert budget.allowed(300.0) == 80


def test_after_a_crash_every_place_is_taken_for_a_window() -> None:
    """Nobody knows what was sent a moment ago."""
    budget = RequestBudget(RateLimit(5, PER_S, 0.8))
    budget.spend(100.0)
    with pytest.raises(ValueError, match="no place"):
        budget.start(105.0)
    assert budget.used(105.0) == budget.allowed(105.0) == 4
    assert budget.opens_at(105.0) == 100.0 + WINDOW_S
    assert budget.opens_at(100.0 + WINDOW_S) == 100.0 + WINDOW_S


def test_who_comes_after_a_lease_that_was_not_renewed_has_half_of_the_places_sooner() -> None:
    """The one before has used no more than half since its lease was half over, so the other half is free since then."""
    budget = RequestBudget(RateLimit(requests=100, per_s=10.0, use=0.8))
    budget.spend(at_s=15.0, halved_s=7.5)
    assert budget.used(17.0) == 80
    assert budget.opens_at(17.0) == pytest.approx(17.5, abs=0.01)
    assert budget.used(17.6) == 40
    assert budget.used(25.1) == 0


def test_only_half_of_the_places_are_given_away_while_a_lease_is_about_to_end() -> None:
    """And all of them again once it is renewed; of one place half is one."""
    budget = RequestBudget(RateLimit(requests=10, per_s=10.0, use=1.0))
    budget.halved = True
    for _ in range(5):
        assert budget.opens_at(0.0) == 0.0
        budget.start(0.0)
    assert budget.opens_at(0.0) > 0.0
    budget.halved = False
    assert budget.opens_at(0.0) == 0.0
    assert RequestBudget(RateLimit(requests=1, per_s=10.0, use=1.0)).allowed(0.0) == 1
