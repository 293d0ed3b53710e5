"""What the commands have in common that talk to a running exporter."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from spexporter.config import convert, urls
from spexporter.config.httpclient import HttpAccess, load_http_client
from spexporter.remote.exporter import RunningExporter
from spexporter.sailpoint.connections import client_session

T = TypeVar("T")

HttpConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--http.config.file",
        help="How to reach the exporter: basic_auth, authorization and tls_config, as promtool takes them.",
        show_default=False,
    ),
]


def parsed(parse: Callable[[str], T], text: str, hint: str) -> T:
    """Return what `parse` makes of an argument.

    Raises:
        typer.BadParameter: it is not of that form.
    """
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}, got {text!r}", param_hint=hint) from None


def exporter_url(text: str) -> str:
    """Return the URL of an exporter, without a slash at its end.

    Raises:
        typer.BadParameter: it is none, or carries a user; what was given is not repeated, as it may hold a secret.
    """
    if "@" in text:
        wrong = "must not carry a user or password; give them in a file as --http.config.file"
        raise typer.BadParameter(wrong, param_hint="--url")
    try:
        return urls.api_url(text)
    except ValueError as error:
        message = str(error).replace("https://acme.api.identitynow.com", "http://localhost:9977")
        raise typer.BadParameter(message, param_hint="--url") from None


def access_of(http_config: Path | None) -> HttpAccess:
    """Return what `--http.config.file` says.

    Raises:
        ConfigError: the file cannot be used.
    """
    return load_http_client(http_config) if http_config else HttpAccess()


def tenant_name(text: str) -> str:
    """Return the name of a tenant.

    Raises:
        typer.BadParameter: no tenant can have it.
    """
    return parsed(convert.identifier, text, "TENANT")


@asynccontextmanager
async def talking(url: str, access: HttpAccess) -> AsyncIterator[RunningExporter]:
    """Yield the exporter at `url`, for as long as the block lasts."""
    async with client_session() as http:
        yield RunningExporter(http, url, access)
