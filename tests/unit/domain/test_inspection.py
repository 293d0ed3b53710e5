import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import inspection_table as script
from spexporter.domain import inspection_table as table
from spexporter.domain.inspection import Fit, together_s, wait_s

fits = st.builds(Fit, st.floats(1, 1e5), st.floats(0.05, 3))
prices = st.floats(0.05, 1e5)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 9), (6, 14), (8, 20)])
def test_table_is_what_its_script_writes(row: int, column: int) -> None:
    """Four of its curves, made anew."""
    assert (script.SIGMAS, script.PRICES) == (table.SIGMAS, table.PRICES)
    made = list(script.curve(script.SIGMAS[row], script.PRICES[column]))
    assert table.waits(row, column) == pytest.approx(made, abs=1 / 2048)


@given(fit=fits, age_s=st.one_of(st.just(0.0), st.floats(0, 1e7)), price_s=prices)
def test_any_wait_is_positive_and_finite(fit: Fit, age_s: float, price_s: float) -> None:
    """Whatever was learned, and however old a job is."""
    assert 0 < wait_s(fit, age_s, price_s) < math.inf


@given(fit=fits, age_s=st.floats(0, 1e6), price_s=prices)
def test_a_dearer_look_waits_longer(fit: Fit, age_s: float, price_s: float) -> None:
    """Else the price could not follow demand."""
    assert wait_s(fit, age_s, 4 * price_s) >= 0.999 * wait_s(fit, age_s, price_s)


@given(fit=fits, age_s=st.floats(0, 1e4), price_s=st.floats(0.1, 100), scale=st.sampled_from([2.0, 8.0]))
def test_one_table_serves_all_scales(fit: Fit, age_s: float, price_s: float, scale: float) -> None:
    """Twice as long jobs, ages and prices: twice as long waits, but for the share by which long jobs pay less."""
    larger = Fit(scale * fit.median_s, fit.sigma)
    fair = scale**0.1
    assert wait_s(larger, scale * age_s, scale * fair * price_s) == pytest.approx(
        scale * wait_s(fit, age_s, price_s), rel=0.1
    )


def test_looks_are_frequent_when_the_end_is_near_and_rare_when_it_is_not() -> None:
    """Jobs of about two minutes: none in the first one, all few seconds around the end, rarer with unusual age."""
    fit = Fit(120.0, 0.2)
    waits = {age_s: wait_s(fit, age_s, 0.1) for age_s in (0.0, 30.0, 110.0, 130.0, 600.0, 6000.0, 60_000.0)}
    assert 60 < waits[0.0] < 90
    assert waits[0.0] == pytest.approx(30 + waits[30.0])  # the same next look, whenever the last one was
    assert waits[130.0] < waits[110.0] < 4
    assert waits[130.0] < waits[600.0] < waits[6000.0] < waits[60_000.0]


def test_the_next_look_is_the_cheapest() -> None:
    """By the definition of the problem: no other time for the next look leaves less to pay."""
    sigma, price = script.SIGMAS[3], 0.25
    ages, waits, left = script.plan(sigma, price)
    start = min(range(len(ages)), key=lambda at: abs(ages[at] - 0.8))

    def to_pay(end: int) -> float:
        alive = script.survivor(math.log(ages[start]) / sigma)
        area = script.lived(math.log(ages[end]) / sigma, sigma) - script.lived(math.log(ages[start]) / sigma, sigma)
        return (price + ages[end] - ages[start]) * alive - area + left[end]

    chosen = min(range(len(ages)), key=lambda at: abs(ages[at] - ages[start] - waits[start]))
    assert to_pay(chosen) <= min(to_pay(end) for end in range(start + 1, len(ages))) * 1.0001
    assert left[start] == pytest.approx(to_pay(chosen), rel=1e-3)


def test_a_look_that_answers_for_several_comes_sooner() -> None:
    """By the square root of their number; a job that may wait long changes little."""
    assert together_s([6.0]) == pytest.approx(6)
    assert together_s([6.0] * 9) == pytest.approx(2)
    assert together_s([6.0, 600.0]) == pytest.approx(6, rel=0.001)
    assert together_s([]) == math.inf
