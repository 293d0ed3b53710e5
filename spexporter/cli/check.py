"""`spexporter check`: tell what is wrong with a configuration file and the files that it names."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from spexporter.config import load, parse_jobs
from spexporter.domain.errors import ConfigError, Problem
from spexporter.watch.files import JobFiles


def check(
    config_file: Annotated[Path, typer.Option("--config.file", help="The configuration file to check.")],
) -> None:
    """Check a configuration file and its files of tenants and jobs; exit status 2 when there is a mistake."""
    try:
        config = load(config_file, os.environ)
    except ConfigError as error:
        raise _refused(config_file, error.problems) from None
    patterns = {tenant.name: tenant.job_files for tenant in config.tenants}
    looked = JobFiles(patterns, partial(parse_jobs, environ=os.environ)).look()
    if bad := [*config.bad_files, *looked.bad_files]:
        raise _refused(config_file, [problem for file in bad for problem in file.problems])
    listed = ((tenant.name, job) for tenant in config.tenants for job in (*tenant.jobs, *looked.jobs[tenant.name]))
    jobs = {(tenant, job.operation, job.id) for tenant, job in listed}
    typer.echo(f"{config_file}: ok, {_count(len(config.tenants), 'tenant')}, {_count(len(jobs), 'job')}")


def _refused(config_file: Path, problems: Sequence[Problem]) -> typer.Exit:
    typer.echo(f"{config_file}: {_count(len(problems), 'problem')}", err=True)
    for problem in problems:
        typer.echo(problem, err=True)
    return typer.Exit(2)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
