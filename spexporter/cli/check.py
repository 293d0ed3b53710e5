"""`spexporter check`: tell what is wrong with a configuration file."""

import os
from pathlib import Path
from typing import Annotated

import typer

from spexporter.config import load
from spexporter.domain.errors import ConfigError


def check(
    config_file: Annotated[Path, typer.Option("--config.file", help="The configuration file to check.")],
) -> None:
    """Check a configuration file and name every mistake in it; exit status 2 when there is one."""
    try:
        config = load(config_file, os.environ)
    except ConfigError as error:
        typer.echo(f"{config_file}: {_count(len(error.problems), 'problem')}", err=True)
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    jobs = sum(len(tenant.jobs) for tenant in config.tenants)
    typer.echo(f"{config_file}: ok, {_count(len(config.tenants), 'tenant')}, {_count(jobs, 'job')}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
