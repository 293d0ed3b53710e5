"""`spexporter`: one function for each command."""

import sys

import typer

from spexporter import __version__
from spexporter.cli.check import check
from spexporter.cli.demo import demo
from spexporter.cli.environment import FromEnvironment
from spexporter.cli.healthcheck import healthcheck
from spexporter.cli.run import run
from spexporter.cli.schema import schema
from spexporter.cli.simulate import simulate
from spexporter.cli.status import status
from spexporter.cli.track import track
from spexporter.cli.wait import wait
from spexporter.domain.errors import ConfigError, SpexporterError

app = typer.Typer(
    cls=FromEnvironment,
    help="Prometheus exporter for the configuration jobs (SP-Config) of SailPoint Identity Security Cloud.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (run, check, status, wait, track, schema, simulate, demo, healthcheck):
    app.command()(command)


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),  # noqa: FBT001, FBT003
) -> None:
    if version:
        typer.echo(f"spexporter {__version__}")
        raise typer.Exit


def entry() -> None:
    """Run the command line: exit status 1 when it broke, 2 for wrong usage or configuration."""
    try:
        app()
    except ConfigError as error:
        typer.echo(error, err=True)
        sys.exit(2)
    except SpexporterError as error:
        typer.echo(f"spexporter: {error}", err=True)
        sys.exit(1)
