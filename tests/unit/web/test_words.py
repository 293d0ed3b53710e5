"""Times and durations as people say them."""

import pytest

from spexporter.web.words import ago, relative, span, stamp

NOON = "2027-01-15T12:00:00.000Z"
NOON_S = 1_800_014_400.0


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0 s ago"), (59.4, "59 s ago"), (60, "1 min ago"), (7300, "2 h ago"), (2e5, "2 d ago")]
)
def test_ages_read_as_people_say_them(seconds: float, text: str) -> None:
    """In the largest whole unit."""
    assert ago(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "\N{EN DASH}"),
        (-1, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (3659, "1 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_have_two_units(seconds: float | None, text: str) -> None:
    """The second one only where there is something of it; a dash for what is not known."""
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("now_s", "text"),
    [
        (NOON_S, "0 s ago"),
        (NOON_S + 90, "1 min ago"),
        (NOON_S - 0.5, "0 s ago"),
        (NOON_S - 1, "in 1 s"),
        (NOON_S - 7300, "in 2 h"),
    ],
)
def test_times_are_told_from_now(now_s: float, text: str) -> None:
    """Both those that were and those to come."""
    assert relative(NOON, now_s) == text
    assert stamp(NOON) == "2027-01-15 12:00:00 UTC"
