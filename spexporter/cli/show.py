"""How commands show what they found: to people as tables or lines, to machines as JSON."""

import json
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spexporter.direct.looks import Sight, Trouble
from spexporter.domain.errors import Problem, TenantError
from spexporter.logs import harmless


class Output(StrEnum):
    """The values of `--output`."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", help="For people, or for machines.")]


def console(*, err: bool = False) -> Console:
    """Return what writes to the terminal, or to the file or pipe in its place."""
    return Console(stderr=err, highlight=False, markup=False, emoji=False)


def line(text: object) -> str:
    """Return `text`, which a tenant or a file may have written, as one line that does nothing to a terminal."""
    return harmless(re.sub(r"\s+", " ", str(text)).strip())


def say(*parts: object, err: bool = False) -> None:
    """Print one line of the parts that are not empty."""
    typer.echo(" ".join(text for part in parts if (text := line(part))), err=err)


def say_json(value: object) -> None:
    """Print a JSON value; it is ASCII, so that no terminal is moved by what a tenant wrote."""
    typer.echo(json.dumps(value, indent=2))


def say_problems(problems: Sequence[Problem]) -> None:
    """Name mistakes in files on standard error."""
    for problem in problems:
        typer.echo(line(problem), err=True)


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Return a table that never reads markup in what a tenant wrote."""
    shown = Table(title=Text(line(title)) if title else None, title_justify="left")
    for head in heads:
        shown.add_column(head, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(line(cell), style=_style(cell)) for cell in row))
    return shown


def state(sight: Sight) -> str:
    """Return the word for a job's state, `?` where it is not known."""
    return str(sight.job.state) if sight.job.state else "?"


def took(seconds: float | None) -> str:
    """Return a duration for people; empty where it is not known."""
    if seconds is None:
        return ""
    if seconds < 60:  # noqa: PLR2004 (a minute)
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m{rest:02}s" if hours else f"{minutes}m{rest:02}s"


def trouble_text(error: TenantError | Trouble) -> str:
    """Return what went wrong, what helps, and what SailPoint's support asks for."""
    tracking = f" (tracking id {error.tracking_id})" if error.tracking_id else ""
    return f"{error.message.removesuffix('.')}{tracking}; {error.cure or 'try again later'}"


def trouble_json(error: TenantError | Trouble | None) -> dict[str, str] | None:
    """Return a failure as a JSON value, None where there is none."""
    if error is None:
        return None
    about = {"endpoint": error.endpoint, "reason": error.reason, "message": error.message}
    return {key: str(text) for key, text in {**about, "cure": error.cure, "tracking_id": error.tracking_id}.items()}


def _style(cell: object) -> str:
    return {"FAILED": "red", "CANCELLED": "red", "NOT_FOUND": "red", "COMPLETE": "green", "no": "red"}.get(
        str(cell), ""
    )
