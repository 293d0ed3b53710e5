"""Requests sent byte by byte as they are, such as no client would."""

import asyncio
from urllib.parse import urlsplit


async def answered(url: str, sent: bytes) -> bytes:
    """Send bytes to the server at `url`, and return all that comes until it closes."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(sent)
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def request(method: str, target: str, *headers: str, body: bytes = b"", host: str = "Host: test") -> bytes:
    """Return a request after whose answer the server closes; each `str` becomes bytes as Latin-1."""
    lines = (f"{method} {target} HTTP/1.1", *([host] if host else []), *headers, "Connection: close", "", "")
    return "\r\n".join(lines).encode("latin-1") + body
