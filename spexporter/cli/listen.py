"""Addresses as flags spell them."""

from urllib.parse import urlsplit

import typer

from spexporter.web.server import Address


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
