"""Addresses as flags spell them."""

from pathlib import Path
from urllib.parse import urlsplit

import typer

from spexporter.web.listeners import Address, Place, UnixSocket

_UNIX = "unix:"


def parse_place(text: str, flag: str) -> Place:
    """Return an address as `parse_address` reads it, or a socket in the file system: `unix:PATH` or `unix:///PATH`.

    Raises:
        typer.BadParameter: it is of neither form.
    """
    if not text.startswith(_UNIX):
        return parse_address(text, flag)
    path = text.removeprefix(_UNIX)
    if path.startswith("//"):
        path = path.removeprefix("//")
        if not path.startswith("/"):
            message = f"must have a path that begins with / after unix://, such as unix:///{path or 'run/x'}"
            raise typer.BadParameter(f"{message}, got {text!r}", param_hint=flag)
    if not path.isprintable() or not path:
        raise typer.BadParameter(f"must be unix:PATH, such as unix:/run/spexporter.sock, got {text!r}", param_hint=flag)
    return UnixSocket(Path(path))


def parse_address(text: str, flag: str) -> Address:
    """Return the address in `host:port` or `:port` (all addresses); an IPv6 host stands in brackets.

    Raises:
        typer.BadParameter: it is not of that form.
    """
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if port is None or parts.netloc != text or parts.username is not None:
        raise typer.BadParameter(f"must be HOST:PORT or :PORT, such as 127.0.0.1:9977, got {text!r}", param_hint=flag)
    return Address(host, port)
