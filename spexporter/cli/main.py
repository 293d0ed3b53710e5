"""`spexporter`: one function for each command."""

import sys
from importlib import import_module

import typer

from spexporter import __version__
from spexporter.cli.environment import FromEnvironment
from spexporter.domain.errors import ConfigError, SpexporterError

_COMMANDS = ("run", "check", "status", "wait", "track", "schema", "simulate", "demo", "healthcheck")


def program(*names: str) -> typer.Typer:
    """Return the program with the commands of these names; without any, all of them."""
    app = typer.Typer(
        cls=FromEnvironment,
        help="Prometheus exporter for the configuration jobs (SP-Config) of SailPoint Identity Security Cloud.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_version)
    for name in names or _COMMANDS:
        app.command()(getattr(import_module(f"spexporter.cli.{name}"), name))
    return app


def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),  # noqa: FBT001, FBT003
) -> None:
    if version:
        typer.echo(f"spexporter {__version__}")
        raise typer.Exit


def entry() -> None:
    """Run the command line: exit status 1 when it broke, 2 for wrong usage or configuration.

    Only the command that is named is imported: health checks run again and again.
    """
    named = set(sys.argv[1:2]) & set(_COMMANDS)
    try:
        program(*named)()
    except ConfigError as error:
        typer.echo(error, err=True)
        sys.exit(2)
    except SpexporterError as error:
        typer.echo(f"spexporter: {error}", err=True)
        sys.exit(1)
