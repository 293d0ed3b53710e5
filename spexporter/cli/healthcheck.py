"""`spexporter healthcheck`: for container health checks."""

import asyncio
from http import HTTPStatus
from typing import Annotated

import aiohttp
import typer

_PATIENCE_S = 5.0


def healthcheck(
    url: Annotated[str, typer.Option(help="Where the exporter serves.")] = "http://127.0.0.1:9977",
) -> None:
    """Exit with status 0 when a running exporter is ready, else say why not and exit with status 1."""
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"must start with http:// or https://, got {url!r}", param_hint="--url")
    problem = asyncio.run(_problem(f"{url.rstrip('/')}/-/ready"))
    if problem:
        typer.echo(problem, err=True)
        raise typer.Exit(1)


async def _problem(url: str) -> str:
    """Return what is wrong, an empty text when all is well."""
    try:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as response:
            if response.status == HTTPStatus.OK:
                return ""
            return f"{url} answered {response.status}: {(await response.text(errors='replace')).strip()[:200]}"
    except TimeoutError:
        return f"{url} did not answer within {_PATIENCE_S:g} s"
    except (aiohttp.ClientError, ValueError) as error:
        return f"{url} cannot be asked: {error}"
