from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from spexporter.simulator.limiter import RateLimiter, most_in_any_window

PAUSES_S = st.lists(st.sampled_from([0.0, 0.125, 0.5, 1.0, 4.0, 10.0, 30.0]), max_size=60)


@given(pauses_s=PAUSES_S, limit=st.integers(1, 5))
def test_no_window_lets_more_than_the_limit_through(pauses_s: list[float], limit: int) -> None:
    """Whatever the rhythm of the requests, any window holds at most `limit` that were let through."""
    limiter = RateLimiter(limit, per_s=10)
    passed_s = [now_s for now_s in accumulate(pauses_s) if limiter.take("me", "v1", now_s) == 0]
    assert most_in_any_window(passed_s, per_s=10) <= limit


@given(pauses_s=PAUSES_S, limit=st.integers(1, 5))
def test_waiting_as_told_is_enough_and_not_a_second_too_long(pauses_s: list[float], limit: int) -> None:
    """A refused request passes after Retry-After, and would not have passed a whole second earlier."""
    limiter = RateLimiter(limit, per_s=10)
    now_s = 0.0
    for pause_s in pauses_s:
        now_s += pause_s
        wait_s = limiter.take("me", "v1", now_s)
        if wait_s > 1:
            assert limiter.take("me", "v1", now_s + wait_s - 1) > 0
        if wait_s:
            now_s += wait_s
            assert limiter.take("me", "v1", now_s) == 0


def test_clients_and_versions_have_windows_of_their_own() -> None:
    """A full window of one client and version refuses neither another client nor another version."""
    limiter = RateLimiter(1, per_s=10)
    assert limiter.take("me", "v1", 0) == 0
    assert limiter.take("me", "v1", 1) == 9
    assert limiter.take("me", "beta", 1) == 0
    assert limiter.take("you", "v1", 1) == 0


def test_token_requests_count_in_every_window_of_their_client() -> None:
    """A token request needs a place in each version's window and takes one there."""
    limiter = RateLimiter(2, per_s=10)
    assert limiter.take_for_token("me", 0) == 0
    assert limiter.take("me", "v1", 1) == 0
    assert limiter.take("me", "v1", 2) == 8
    assert limiter.take_for_token("me", 2) == 8
    assert limiter.take("me", "beta", 2) == 0


def test_token_requests_can_be_left_uncounted() -> None:
    """With `count_tokens` off they take no place and are never refused."""
    limiter = RateLimiter(1, per_s=10, count_tokens=False)
    assert [limiter.take_for_token("me", 0) for _ in range(3)] == [0, 0, 0]
    assert limiter.take("me", "v1", 0) == 0


@given(times_s=st.lists(st.integers(0, 50), max_size=40).map(sorted))
def test_busiest_window_is_found(times_s: list[int]) -> None:
    """The sliding count agrees with counting anew from every request on."""
    by_hand = max((sum(first <= other < first + 10 for other in times_s) for first in times_s), default=0)
    assert most_in_any_window([float(at_s) for at_s in times_s], per_s=10) == by_hand
