"""`spexporter wait`: follow one job to its end, for a pipeline that started it."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from spexporter.cli import show
from spexporter.cli.visits import visiting
from spexporter.clock import Clock, SystemClock
from spexporter.config import Config, Tenant, convert, load
from spexporter.direct.following import Followed, Follower
from spexporter.direct.looks import Sight
from spexporter.domain.job import Job, JobKey, Operation, WatchedJob
from spexporter.domain.result import ImportReport

_OUT_OF_TIME = 3
_REFRESHED_PER_S = 4

T = TypeVar("T")
Display = AbstractContextManager[Callable[[Sight], None]]


class WaitOperation(StrEnum):
    """What a job can be that is waited for."""

    EXPORT = "export"
    IMPORT = "import"


def wait(
    *,
    tenant: Annotated[str, typer.Argument(help="The tenant's name in the configuration file.")],
    operation: Annotated[WaitOperation, typer.Argument(help="What the job does.")],
    job_id: Annotated[str, typer.Argument(help="The id that SailPoint answered when the job was started.")],
    config_file: Annotated[
        Path, typer.Option("--config.file", help="The configuration file; it need not name the job.")
    ],
    timeout: Annotated[str, typer.Option(help="How long to wait, such as 90s, 30m or 2h.")] = "30m",
    output: show.OutputOption = show.Output.TEXT,
) -> None:
    """Follow one job until it ends, then print the errors and warnings of an import by object type.

    Exit status 0 only when the job is COMPLETE and, of an import, the result was read and has no errors; 1 when it is
    not, or cannot be asked for; 3 when it has not ended in time.
    """
    timeout_s = _parsed(convert.duration, timeout, "--timeout")
    key_id = _parsed(convert.identifier, job_id, "JOB_ID")
    config = load(config_file, os.environ)
    asked = _tenant(config, tenant)
    watched = WatchedJob(JobKey(asked.name, Operation(operation.value), key_id))
    clock = SystemClock()
    followed = asyncio.run(_follow(asked, watched, timeout_s, clock, _display(output, watched, clock)))
    if output is show.Output.JSON:
        show.say_json(_as_json(followed))
    else:
        _show(followed, timeout)
    if followed.timed_out:
        raise typer.Exit(_OUT_OF_TIME)
    if not followed.sight.succeeded:
        raise typer.Exit(1)


async def _follow(tenant: Tenant, watched: WatchedJob, timeout_s: float, clock: Clock, display: Display) -> Followed:
    async with visiting(clock) as visitors:
        with display as see:
            return await Follower(visitors.client(tenant), tenant, watched, clock, see).follow(timeout_s)


def _parsed(parse: Callable[[str], T], text: str, hint: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}, got {text!r}", param_hint=hint) from None


def _tenant(config: Config, name: str) -> Tenant:
    for tenant in config.tenants:
        if tenant.name == name:
            return tenant
    show.say_problems([problem for bad in config.bad_files for problem in bad.problems])
    there_are = ", ".join(tenant.name for tenant in config.tenants)
    raise typer.BadParameter(f"no tenant {name!r} in the configuration; there are {there_are}", param_hint="TENANT")


def _display(output: show.Output, watched: WatchedJob, clock: Clock) -> Display:
    """Return how progress is shown: on a terminal live, else as lines, or not at all beside JSON."""
    terminal = show.console(err=output is show.Output.JSON)
    if terminal.is_terminal:
        return _live(terminal, watched, clock)
    return _nothing() if output is show.Output.JSON else _lines()


@contextmanager
def _live(terminal: Console, watched: WatchedJob, clock: Clock) -> Iterator[Callable[[Sight], None]]:
    """Show the last state, and how long the job runs by now."""
    last, seen_s = Sight(Job(watched)), clock.monotonic()
    spinner = Spinner("dots")

    def see(sight: Sight) -> None:
        nonlocal last, seen_s
        last, seen_s = sight, clock.monotonic()

    def shown() -> Spinner:
        since_s = clock.monotonic() - seen_s if last.job.running else 0.0
        elapsed_s = None if last.elapsed_s is None else last.elapsed_s + since_s
        trouble = f"({show.trouble_text(last.trouble)})" if last.trouble else ""
        words = (watched.key, show.state(last) if last.job.state else "asking", show.took(elapsed_s), trouble)
        spinner.update(text=Text(" ".join(text for word in words if (text := show.line(word)))))
        return spinner

    with Live(console=terminal, get_renderable=shown, refresh_per_second=_REFRESHED_PER_S, transient=True):
        yield see


@contextmanager
def _lines() -> Iterator[Callable[[Sight], None]]:
    """Write a line for each new state, and for each new trouble."""
    said: set[tuple[str, str]] = set()

    def see(sight: Sight) -> None:
        news = (show.state(sight), sight.trouble.reason if sight.trouble else "")
        if news in said:
            return
        said.add(news)
        if sight.trouble:
            show.say(f"{sight.job.key}: {show.trouble_text(sight.trouble)}", err=True)
        elif not sight.over:
            show.say(sight.job.key, show.state(sight), show.took(sight.elapsed_s))

    yield see


@contextmanager
def _nothing() -> Iterator[Callable[[Sight], None]]:
    """Show nothing."""
    yield lambda _: None


def _show(followed: Followed, timeout: str) -> None:
    sight, result = followed.sight, followed.sight.job.result
    counts = f"{_count(result.errors, 'error')}, {_count(result.warnings, 'warning')}" if result else ""
    preview = "(a preview: nothing was changed)" if result and result.preview else ""
    show.say(sight.job.key, show.state(sight), show.took(sight.elapsed_s), counts, preview)
    if sight.job.latest and sight.job.latest.message and sight.over:
        show.say(sight.job.latest.message)
    if followed.report:
        _show_messages(followed.report)
    if sight.trouble and show.console().is_terminal:  # else it stands in a line above
        show.say(show.trouble_text(sight.trouble), err=True)
    if followed.timed_out:
        show.say(f"not ended within {timeout}", err=True)


def _show_messages(report: ImportReport) -> None:
    rows = [
        (object_type, severity, text)
        for object_type, texts in report.texts.items()
        for severity, its in (("error", texts.errors), ("warning", texts.warnings))
        for text in its
    ]
    terminal = show.console()
    if terminal.is_terminal and rows:
        terminal.print(show.table("", ("object type", "severity", "message"), rows))
    else:
        for object_type, severity, text in rows:
            show.say(f"{object_type}: {severity}: {text}")
    if left := report.result.errors + report.result.warnings - len(rows):
        show.say(f"and {left} more")


def _as_json(followed: Followed) -> dict[str, object]:
    sight, job = followed.sight, followed.sight.job
    return {
        "tenant": job.key.tenant,
        "operation": str(job.key.operation),
        "id": job.key.job_id,
        "state": str(job.state) if job.state else None,
        "message": job.latest.message if job.latest else "",
        "elapsed_seconds": sight.elapsed_s,
        "succeeded": sight.succeeded,
        "timed_out": followed.timed_out,
        "preview": job.preview,
        "errors": job.result.errors if job.result else None,
        "warnings": job.result.warnings if job.result else None,
        "types": _types_json(followed.report) if followed.report else None,
        "trouble": show.trouble_json(sight.trouble),
    }


def _types_json(report: ImportReport) -> dict[str, object]:
    return {
        name: {
            "errors": counts.errors,
            "warnings": counts.warnings,
            "objects": counts.objects,
            "error_texts": list(report.texts[name].errors),
            "warning_texts": list(report.texts[name].warnings),
        }
        for name, counts in report.result.types.items()
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
