"""`spexporter check`: tell what is wrong with a configuration file and the files that it names."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from spexporter.cli import loop, show
from spexporter.cli.visits import all_jobs, visiting
from spexporter.clock import SystemClock
from spexporter.config import Config, load
from spexporter.direct.live import Finding, LiveCheck, check_live
from spexporter.domain.errors import ConfigError, Problem
from spexporter.domain.job import WatchedJob

_HEADS = ("tenant", "what", "job", "works", "answer", "what helps")
_WORKS = {True: "yes", False: "no", None: "?"}


def check(
    *,
    config_file: Annotated[Path, typer.Option("--config.file", help="The configuration file to check.")],
    live: Annotated[bool, typer.Option("--live", help="Try each tenant, too: token, endpoints, job ids.")] = False,
    output: show.OutputOption = show.Output.TEXT,
) -> None:
    """Check a configuration file and its files of tenants and jobs; exit status 2 when there is a mistake.

    With `--live` it then says of each tenant what works, and which scope or user level the personal access token lacks;
    exit status 1 when anything is missing.
    """
    try:
        config = load(config_file, os.environ)
    except ConfigError as error:
        raise _refused(config_file, error.problems, output) from None
    jobs, bad_files = all_jobs(config)
    if bad_files:
        raise _refused(config_file, [problem for file in bad_files for problem in file.problems], output)
    tenants, number = len(config.tenants), sum(map(len, jobs.values()))
    if output is show.Output.TEXT:
        typer.echo(f"{config_file}: ok, {_count(tenants, 'tenant')}, {_count(number, 'job')}")
    checks = loop.run(_try(config, jobs)) if live else []
    if output is show.Output.JSON:
        found = {"live": [_check_json(it) for it in checks]} if live else {}
        show.say_json({"file": str(config_file), "problems": [], "tenants": tenants, "jobs": number, **found})
    elif live:
        _show(checks)
    if not all(it.well for it in checks):
        raise typer.Exit(1)


async def _try(config: Config, jobs: Mapping[str, Sequence[WatchedJob]]) -> list[LiveCheck]:
    clock = SystemClock()
    async with visiting(clock) as visitors:
        return await check_live(config.tenants, jobs, visitors, clock)


def _show(checks: Sequence[LiveCheck]) -> None:
    terminal = show.console()
    rows = [(it.tenant, *_cells(finding)) for it in checks for finding in it.findings]
    if terminal.is_terminal:
        terminal.print(show.table("", _HEADS, rows))
        return
    for tenant, what, job, works, said, cure in rows:
        show.say(
            f"{tenant}:",
            what,
            job,
            f"{'ok' if works == 'yes' else works}:",
            f"{said.removesuffix('.')};" if cure else said,
            cure,
        )


def _cells(finding: Finding) -> tuple[str, str, str, str, str]:
    return finding.subject, finding.job, _WORKS[finding.works], finding.said, finding.cure


def _check_json(it: LiveCheck) -> dict[str, object]:
    findings = [
        {"subject": str(of.subject), "job": of.job, "works": of.works, "said": of.said, "cure": of.cure}
        for of in it.findings
    ]
    return {"tenant": it.tenant, "api_version": it.api_version, "well": it.well, "findings": findings}


def _refused(config_file: Path, problems: Sequence[Problem], output: show.Output) -> typer.Exit:
    if output is show.Output.JSON:
        show.say_json({"file": str(config_file), "problems": [str(problem) for problem in problems]})
        return typer.Exit(2)
    typer.echo(f"{config_file}: {_count(len(problems), 'problem')}", err=True)
    for problem in problems:
        typer.echo(problem, err=True)
    return typer.Exit(2)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
