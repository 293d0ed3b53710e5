"""Text to values in base units; what is refused has its file in bad/."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.config import convert


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("10s", 10),
        ("5m", 300),
        ("24h", 86_400),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("1y", 31_536_000),
        ("1h30m", 5400),
        ("1m500ms", 60.5),
    ],
)
def test_duration_is_read_as_prometheus_reads_it(text: str, seconds: float) -> None:
    """Every unit counts, alone and combined."""
    assert convert.duration(text) == seconds


def test_no_time_at_all_is_a_duration_where_it_may_be_one() -> None:
    """Zero is read with a unit, and everything else as ever."""
    assert [convert.duration_or_zero(text) for text in ("0s", "0ms", "2m")] == [0, 0, 120]


@pytest.mark.parametrize("text", ["", "s", "-1s", "1.5h", "1 s", "30m1h", "1s1s", "10S", "1s\n", "٣s"])
def test_other_durations_are_refused(text: str) -> None:
    """Signs, fractions, blanks, wrong orders and foreign digits are no durations."""
    with pytest.raises(ValueError, match="must be a duration such as"):
        convert.duration(text)
    with pytest.raises(ValueError, match="must be a duration such as"):
        convert.duration_or_zero(text)


@given(st.integers(1, 100 * 31_536_000_000))
def test_duration_round_trips(milliseconds: int) -> None:
    """What is written for any number of milliseconds reads as the same time."""
    seconds = milliseconds / 1000
    assert convert.duration(convert.show_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["0s", "500ms", "1h30m", "7d", "400d", "2y"])
def test_usual_duration_is_written_as_people_write_it(text: str) -> None:
    """Zero has a unit, and years are used only where nothing is left over."""
    assert convert.show_duration(convert.duration_or_zero(text)) == text


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("1024B", 1024), ("1KiB", 1024), ("64MiB", 64 * 1024**2), ("2GiB", 2 * 1024**3)]
)
def test_size_is_read_in_bytes(text: str, size_bytes: int) -> None:
    """The units are powers of 1024."""
    assert convert.size(text) == size_bytes


@given(st.integers(1, 100))
def test_percentage_is_a_share(percent: int) -> None:
    """Every whole percentage is read, and none loses anything."""
    assert round(convert.percent(f"{percent}%") * 100) == percent


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("auto", "auto"),
        ("1970-01-01", 0),
        ("2027-01-31", 1_801_353_600),
        ("2027-01-31 06:30", 1_801_377_000),
        ("2027-01-31T06:30:00.5z", 1_801_377_000.5),
        ("2027-01-31T06:30:00+01:00", 1_801_373_400),
        ("0001-01-01T00:00+23:59", -62_135_683_140),
    ],
)
def test_date_is_its_first_moment(text: str, seconds: object) -> None:
    """Dates and times are UTC where they do not say otherwise."""
    assert convert.auto_or_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "Auto",
            "never",
            "2027",
            "20270131",
            "2027-W04-7",
            "2027-02-30",
            "0000-01-01",
            "2027-01-31T",
            "2027-1-31",
        ),
        *("2027-01-31Z", "2027-01-31T25:00Z", "2027-01-31T12:00:00+25:00", "1801353600", "٢٠٢٧-01-31", "2027-01-31\n"),
    ],
)
def test_other_dates_are_refused(text: str) -> None:
    """Nothing that two people could read differently is guessed at."""
    with pytest.raises(ValueError, match="must be a date such as 2027-01-31, or a time such as"):
        convert.auto_or_time(text)


@pytest.mark.parametrize("text", ["", " a", "a/", ".", "a/..", "**/a", "a**", "a\0b", "a\nb", "/", "a\u2028b"])
def test_other_patterns_are_refused(text: str) -> None:
    """What cannot name a file, or would look through a whole disk."""
    with pytest.raises(ValueError, match="must"):
        convert.pattern(text)


@given(st.text(max_size=20))
def test_converters_refuse_with_value_error_alone(text: str) -> None:
    """Whatever the text, a converter returns a value or says what would be right without repeating the text."""
    durations = (convert.duration, convert.duration_or_zero, convert.poll_pause)
    for read in (*durations, convert.size, convert.percent, convert.whole, convert.boolean, convert.auto_or_time):
        try:
            read(text)
        except ValueError as error:
            assert str(error).startswith("must be")  # noqa: PT017 - a returned value is as good
