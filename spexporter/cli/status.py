"""`spexporter status`: what has become of all jobs, asked once and without a daemon."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from spexporter.cli import loop, show
from spexporter.cli.visits import all_jobs, visiting
from spexporter.clock import SystemClock
from spexporter.config import Config, load
from spexporter.direct.looks import Sight
from spexporter.direct.rounds import TenantRound, ask_round
from spexporter.domain.job import WatchedJob

_HEADS = ("tenant", "operation", "id", "name", "state", "took", "errors", "warnings")


def status(
    *,
    config_file: Annotated[Path, typer.Option("--config.file", help="The configuration file.")],
    output: show.OutputOption = show.Output.TEXT,
) -> None:
    """Ask all tenants about all jobs of a configuration file once, and show them, with those on lists (`discover`).

    Exit status 1 when a job is FAILED, CANCELLED or NOT_FOUND or an import has errors, or when a tenant, a job, a list
    or the result of a COMPLETE import could not be asked for; else 2 for a mistake in its files of tenants and jobs, of
    which the good ones are shown all the same. A mistake in the file itself is exit status 2 at once.
    """
    config = load(config_file, os.environ)
    jobs, bad_files = all_jobs(config)
    rounds = loop.run(_ask(config, jobs))
    if output is show.Output.JSON:
        show.say_json({"tenants": [_tenant_json(it) for it in rounds]})
    else:
        _show(rounds)
    show.say_problems([problem for bad in bad_files for problem in bad.problems])
    if not all(it.well for it in rounds):
        raise typer.Exit(1)
    if bad_files:
        raise typer.Exit(2)


async def _ask(config: Config, jobs: Mapping[str, Sequence[WatchedJob]]) -> list[TenantRound]:
    clock, terminal = SystemClock(), show.console(err=True)
    with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        bar = progress.add_task("asking", total=sum(map(len, jobs.values())))
        async with visiting(clock) as visitors:
            return await ask_round(config.tenants, jobs, visitors, clock, lambda: progress.advance(bar))


def _show(rounds: Sequence[TenantRound]) -> None:
    terminal = show.console()
    sights = [sight for it in rounds for sight in it.sights]
    if terminal.is_terminal:
        terminal.print(show.table("", _HEADS, [_cells(sight) for sight in sights]))
    else:
        for sight in sights:
            tenant, operation, job_id, name, state, took, errors, warnings = _cells(sight)
            counts = (f"errors={errors}", f"warnings={warnings}") if sight.job.result else ()
            show.say(tenant, operation, job_id, state, took, *counts, name)
    for it in rounds:
        for trouble in (*([it.trouble] if it.trouble else []), *it.unread):
            show.say(f"{it.tenant}: {show.trouble_text(trouble)}", err=True)
        for sight in it.sights:
            if sight.trouble and sight.trouble is not it.trouble:
                show.say(f"{sight.job.key}: {show.trouble_text(sight.trouble)}", err=True)


def _cells(sight: Sight) -> Sequence[str]:
    job, result = sight.job, sight.job.result
    counts = (str(result.errors), str(result.warnings)) if result else ("", "")
    key, name = job.key, job.watched.name
    return key.tenant, str(key.operation), key.job_id, name, show.state(sight), show.took(sight.elapsed_s), *counts


def _tenant_json(it: TenantRound) -> dict[str, object]:
    return {
        "tenant": it.tenant,
        "well": it.well,
        "trouble": show.trouble_json(it.trouble),
        "unread_lists": [show.trouble_json(trouble) for trouble in it.unread],
        "jobs": [_job_json(sight) for sight in it.sights],
    }


def _job_json(sight: Sight) -> dict[str, object]:
    job, result = sight.job, sight.job.result
    return {
        "operation": str(job.key.operation),
        "id": job.key.job_id,
        "name": job.watched.name,
        "state": str(job.state) if job.state else None,
        "elapsed_seconds": sight.elapsed_s,
        "errors": result.errors if result else None,
        "warnings": result.warnings if result else None,
        "preview": job.preview,
        "failed": sight.failed,
        "trouble": show.trouble_json(sight.trouble),
    }
