"""What is shown of a job while it is followed."""

import io
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from spexporter.cli import progress, show
from spexporter.cli.progress import display, outlook
from spexporter.direct.looks import Sight, Trouble
from spexporter.domain.durations import Usual
from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.values import replace
from tests.support.clock import FakeClock

WATCHED = WatchedJob(JobKey("acme", Operation.IMPORT, "i1"))
USUAL = Usual(60.0, 120.0)
EVENING_S = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def sight(state: JobState | None, elapsed_s: float | None = None, usual: Usual | None = USUAL) -> Sight:
    latest = Observation(WATCHED.key, state, str(state), 0.0) if state else None
    ended_s = EVENING_S if state and state.ended else None
    return Sight(Job(WATCHED, latest=latest, end_seen_s=ended_s), elapsed_s, usual=usual)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        pytest.param(sight(JobState.IN_PROGRESS, 5.0, None), "", id="no history"),
        pytest.param(sight(JobState.NOT_STARTED), "usually 1m00s, 95 of 100 within 2m00s", id="not begun"),
        pytest.param(
            sight(JobState.IN_PROGRESS, 45.0),
            "usually 1m00s; likely to end 15.0s from now, at 08:00:15",
            id="before the usual end",
        ),
        pytest.param(
            sight(JobState.IN_PROGRESS, 90.0),
            "usually 1m00s; likely to end no later than 30.0s from now, at 08:00:30",
            id="after the usual end",
        ),
        pytest.param(
            sight(JobState.IN_PROGRESS, 121.0),
            "usually 1m00s; it takes longer than 95 of 100, which end within 2m00s",
            id="long",
        ),
        pytest.param(sight(JobState.COMPLETE, 45.0), "", id="ended"),
    ],
)
def test_likely_end_is_told_from_what_was_learned(seen: Sight, said: str) -> None:
    """As a span and a time of day; nothing is made up where nobody has learned anything."""
    assert outlook(seen, EVENING_S) == said


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Let commands believe that they write to a terminal; return what it is given."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=200, color_system=None, markup=False, highlight=False)
    monkeypatch.setattr(show, "console", lambda **_: console)
    return file


def test_terminal_shows_state_time_likely_end_and_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A running job runs on between two answers."""
    file, clock = terminal(monkeypatch), FakeClock()
    with display(show.Output.TEXT, WATCHED, clock) as see:
        see(sight(JobState.IN_PROGRESS, 30.0))
        clock.jump_to(clock.monotonic() + 15)
    shown = file.getvalue()
    assert "acme/import/i1 IN_PROGRESS 45.0s\n" in shown.replace("\r", "")
    assert "usually 1m00s; likely to end 15.0s from now, at 08:00:30\n" in shown.replace("\r", "")
    assert "━" in shown


def test_terminal_shows_why_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was known stands still beside the trouble."""
    file, clock = terminal(monkeypatch), FakeClock()
    trouble = Trouble("exporter", "unreachable", "it does not answer", "asking again")
    with display(show.Output.TEXT, WATCHED, clock) as see:
        see(replace(sight(JobState.IN_PROGRESS, 30.0, None), trouble=trouble))
        clock.jump_to(clock.monotonic() + 15)
    assert "acme/import/i1 IN_PROGRESS 30.0s (it does not answer; asking again)" in file.getvalue()
    assert "━" not in file.getvalue()


def test_job_of_unknown_length_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows how much of it is done."""
    file = terminal(monkeypatch)
    with display(show.Output.TEXT, WATCHED, FakeClock()) as see:
        see(sight(JobState.IN_PROGRESS, 30.0, None))
    assert "IN_PROGRESS 30.0s" in file.getvalue()
    assert "━" not in file.getvalue()


def test_lines_tell_each_news_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal: a state, a trouble, and nothing twice."""
    with display(show.Output.TEXT, WATCHED, FakeClock()) as see:
        see(sight(None))
        for elapsed_s in (1.0, 2.0, 3.0):
            see(sight(JobState.IN_PROGRESS, elapsed_s))
        for _ in range(2):
            see(
                replace(sight(JobState.IN_PROGRESS), trouble=Trouble("exporter", "unreachable", "away", "asking again"))
            )
        see(sight(JobState.COMPLETE, 60.0))
    said = capsys.readouterr()
    assert said.out == ("acme/import/i1 IN_PROGRESS 1.0s (usually 1m00s; likely to end 59.0s from now, at 08:00:59)\n")
    assert said.err == "acme/import/i1: away; asking again\n"


def test_json_is_alone_on_its_streams(capsys: pytest.CaptureFixture[str]) -> None:
    """Progress would spoil it."""
    with progress.display(show.Output.JSON, WATCHED, FakeClock()) as see:
        see(sight(JobState.IN_PROGRESS, 1.0))
    assert capsys.readouterr() == ("", "")
