"""`spexporter healthcheck`: for container health checks."""

from typing import Annotated

import typer

from spexporter.cli import loop, show
from spexporter.cli.exporters import HttpConfigOption, access_of, exporter_url, talking
from spexporter.config.httpclient import HttpAccess

_PATIENCE_S = 5.0


def healthcheck(
    *,
    url: Annotated[str, typer.Option(help="Where the exporter serves.")] = "http://127.0.0.1:9977",
    http_config: HttpConfigOption = None,
) -> None:
    """Exit with status 0 when a running exporter is ready, else say why not and exit with status 1."""
    problem = loop.run(_problem(exporter_url(url), access_of(http_config)))
    if problem:
        show.say(problem, err=True)
        raise typer.Exit(1)


async def _problem(url: str, access: HttpAccess) -> str:
    """Return what is wrong, an empty text when all is well."""
    async with talking(url, access) as exporter:
        return await exporter.not_ready(_PATIENCE_S)
