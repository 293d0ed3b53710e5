"""What is shown of a job while it is followed: live on a terminal, else a line for each news."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.text import Text

from spexporter.cli import show
from spexporter.clock import Clock
from spexporter.direct.looks import Sight
from spexporter.domain.job import Job, WatchedJob
from spexporter.domain.values import replace

_REFRESHED_PER_S = 4
_BAR_WIDTH = 40

Display = AbstractContextManager[Callable[[Sight], None]]


def display(output: show.Output, watched: WatchedJob, clock: Clock) -> Display:
    """Return how progress is shown: on a terminal live, else as lines, or not at all beside JSON."""
    terminal = show.console(err=output is show.Output.JSON)
    if terminal.is_terminal:
        return _live(terminal, watched, clock)
    return _nothing() if output is show.Output.JSON else _lines(clock)


def outlook(sight: Sight, now_s: float) -> str:
    """Say how long such jobs usually take and when this one is likely to end; `now_s` in Unix seconds.

    Empty where nobody has learned how long they take, and where the job has ended.
    """
    usual, elapsed_s = sight.usual, sight.elapsed_s
    if usual is None or sight.over:
        return ""
    half = f"usually {show.took(usual.p50_s)}"
    if elapsed_s is None:
        return f"{half}, 95 of 100 within {show.took(usual.p95_s)}"
    if elapsed_s > usual.p95_s:
        return f"{half}; it takes longer than 95 of 100, which end within {show.took(usual.p95_s)}"
    likely = elapsed_s <= usual.p50_s
    left_s = (usual.p50_s if likely else usual.p95_s) - elapsed_s
    when = f"{show.took(left_s)} from now, at {_time_of_day(now_s + left_s)}"
    return f"{half}; likely to end {when}" if likely else f"{half}; likely to end no later than {when}"


def _time_of_day(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).astimezone().strftime("%H:%M:%S")


@contextmanager
def _live(terminal: Console, watched: WatchedJob, clock: Clock) -> Iterator[Callable[[Sight], None]]:
    """Show the last state, how long the job runs by now, and how long such jobs usually take."""
    last, seen_s = Sight(Job(watched)), clock.monotonic()
    spinner = Spinner("dots")

    def see(sight: Sight) -> None:
        nonlocal last, seen_s
        last, seen_s = sight, clock.monotonic()

    def shown() -> RenderableType:
        now = _moved_on(last, clock.monotonic() - seen_s)
        trouble = f"({show.trouble_text(now.trouble)})" if now.trouble else ""
        state = show.state(now) if now.job.state else "asking"
        words = (watched.key, state, show.took(now.elapsed_s), trouble)
        spinner.update(text=Text(" ".join(text for word in words if (text := show.line(word)))))
        about = outlook(now, clock.wall())
        return Group(spinner, *([Text(about)] if about else []), *_bars(now))

    with Live(console=terminal, get_renderable=shown, refresh_per_second=_REFRESHED_PER_S, transient=True):
        yield see


def _moved_on(sight: Sight, by_s: float) -> Sight:
    """Return what is to be seen some time after the last answer: a job that runs, runs on, as far as is known."""
    if sight.elapsed_s is None or not sight.job.running or sight.trouble:
        return sight
    return replace(sight, elapsed_s=sight.elapsed_s + by_s)


def _bars(sight: Sight) -> Iterator[ProgressBar]:
    """Yield a bar that is full when 95 of 100 such jobs have ended."""
    if sight.usual and sight.elapsed_s is not None and not sight.over:
        longer = sight.elapsed_s > sight.usual.p95_s
        yield ProgressBar(sight.usual.p95_s, min(sight.elapsed_s, sight.usual.p95_s), _BAR_WIDTH, pulse=longer)


@contextmanager
def _lines(clock: Clock) -> Iterator[Callable[[Sight], None]]:
    """Write a line for each new state, and for each new trouble."""
    said: set[tuple[str, str]] = set()

    def see(sight: Sight) -> None:
        news = (show.state(sight), sight.trouble.reason if sight.trouble else "")
        if news in said:
            return
        said.add(news)
        if sight.trouble:
            show.say(f"{sight.job.key}: {show.trouble_text(sight.trouble)}", err=True)
        elif sight.job.state and not sight.over:
            about = outlook(sight, clock.wall())
            show.say(sight.job.key, show.state(sight), show.took(sight.elapsed_s), f"({about})" if about else "")

    yield see


@contextmanager
def _nothing() -> Iterator[Callable[[Sight], None]]:
    """Show nothing."""
    yield lambda _: None
