from random import Random

from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.breaker import Breaker, BreakerState, RetryBudget, backoff_s
from spexporter.domain.schedule import Pace

PACE = Pace(2.0, 60.0, 300.0)


def dice() -> Random:
    return Random(1)  # noqa: S311 (repeatable tests)


def opened(now_s: float = 0.0) -> Breaker:
    breaker = Breaker(PACE, dice())
    for _ in range(5):
        breaker.failed(now_s)
    return breaker


def test_it_opens_after_five_failures_in_a_row_and_lets_one_look_through_later() -> None:
    """Closed, open, half-open, and closed again with the first success."""
    breaker = Breaker(PACE, dice())
    for _ in range(4):
        breaker.failed(0.0)
    assert breaker.state(0.0) is BreakerState.CLOSED
    breaker.failed(0.0)
    assert breaker.state(0.0) is BreakerState.OPEN
    assert breaker.opens_until_s is not None
    assert breaker.state(breaker.opens_until_s) is BreakerState.HALF_OPEN
    breaker.succeeded()
    assert breaker.state(0.0) is BreakerState.CLOSED
    assert breaker.opens_until_s is None


def test_a_success_between_failures_starts_the_count_anew() -> None:
    """Only failures in a row say that the tenant is away."""
    breaker = Breaker(PACE, dice())
    for _ in range(20):
        for _ in range(4):
            breaker.failed(0.0)
        breaker.succeeded()
    assert breaker.state(0.0) is BreakerState.CLOSED


def test_failures_of_looks_in_flight_when_it_opened_change_nothing() -> None:
    """Four looks that time out together open it once."""
    breaker = opened()
    until_s = breaker.opens_until_s
    for _ in range(10):
        breaker.failed(0.5)
    assert breaker.opens_until_s == until_s


def test_a_failed_probe_opens_it_for_longer_up_to_the_slowest_look() -> None:
    """Waits grow, within half and the whole of a doubling pause, and stop growing."""
    breaker, waits_s, now_s = opened(), [], 0.0
    for _ in range(12):
        assert breaker.opens_until_s is not None
        waits_s.append(breaker.opens_until_s - now_s)
        now_s = breaker.opens_until_s
        breaker.failed(now_s)
    for number, wait_s in enumerate(waits_s, start=1):
        assert backoff_s(PACE, number) / 2 <= wait_s <= backoff_s(PACE, number)
    assert max(waits_s) <= PACE.slowest_s


@given(failures=st.integers(1, 1000), seed=st.integers())
def test_retries_have_full_jitter_within_the_back_off(failures: int, seed: int) -> None:
    """Anywhere between at once and the whole back-off."""
    budget = RetryBudget(PACE, Random(seed))  # noqa: S311 (repeatable tests)
    assert 0.0 <= budget.delay_s(failures) <= backoff_s(PACE, failures)


def test_retries_are_few_beside_what_succeeds() -> None:
    """Ten at first, then one for ten successes; without any left a failed look waits like a healthy job."""
    budget = RetryBudget(Pace(2.0, 60.0, 300.0), dice())
    assert sum(budget.delay_s(1) < 60.0 for _ in range(100)) == 10
    for _ in range(101):
        budget.succeeded()
    assert sum(budget.delay_s(1) < 60.0 for _ in range(100)) == 10
    for _ in range(11):
        budget.succeeded()
    assert sum(budget.delay_s(1) < 60.0 for _ in range(100)) == 1


def test_back_off_doubles_up_to_the_slowest_look() -> None:
    """Trouble is left alone for longer each time, but never for longer than a healthy job."""
    assert [backoff_s(PACE, failures) for failures in (1, 2, 3, 5, 6, 10_000)] == [2.0, 4.0, 8.0, 32.0, 60.0, 60.0]
