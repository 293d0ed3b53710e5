import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.price import Price


def risen(times: int = 50) -> Price:
    price = Price()
    for _ in range(times):
        price.learn(late_s=10.0, longest_s=10.0, waiting=10)
    return price


def test_the_price_rises_while_looks_are_late_and_falls_while_they_could_come_sooner() -> None:
    """By at most the factor e while each job is looked at once; never below what a look is worth at any time."""
    price, floor_s = Price(), Price().value_s
    for _ in range(10):
        price.learn(late_s=60.0, longest_s=60.0, waiting=10)
    assert price.value_s == pytest.approx(math.e * floor_s)
    for _ in range(30):
        price.learn(late_s=-60.0, longest_s=60.0, waiting=10)
    assert price.value_s == floor_s


def test_a_look_in_time_changes_nothing() -> None:
    """A timer is never quite exact."""
    price = risen()
    before_s = price.value_s
    price.learn(late_s=0.05, longest_s=10.0, waiting=10)
    assert price.value_s == before_s


def test_with_nobody_waiting_nothing_is_scarce() -> None:
    """The next job does not pay for those that were there before it."""
    prices = [risen(), risen(0), risen()]
    prices[2].relax()
    assert [price.scarce for price in prices] == [True, False, False]


@given(late=st.lists(st.floats(-1e9, 1e9), max_size=50), longest_s=st.floats(0, 1e9), waiting=st.integers(0, 10**6))
def test_the_price_stays_within_its_bounds(late: list[float], longest_s: float, waiting: int) -> None:
    """Whatever happens to looks."""
    price = Price()
    for late_s in late:
        price.learn(late_s, longest_s, waiting)
        assert 0 < price.value_s <= 1e7
