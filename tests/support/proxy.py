"""A forward proxy as small as one can be: CONNECT tunnels, and requests for absolute http URLs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(slots=True)
class Proxy:
    """Counts what passes: `asked` has the request lines without their version, `CONNECT host:port` or `GET http://…`."""

    url: str = ""
    asked: list[str] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: one tunnel, or one request."""
        with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b" ", 2)
            self.asked.append(f"{method.decode()} {target.decode()}")
            address = urlsplit(target.decode() if b"://" in target else f"//{target.decode()}")
            upstream = await asyncio.open_connection(address.hostname, address.port)
            if method == b"CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                # One request for each connection: the next one may be for another host.
                upstream[1].write(head[:-2] + b"Connection: close\r\n\r\n")
            async with asyncio.TaskGroup() as ways:
                ways.create_task(_pour(reader, upstream[1]))
                ways.create_task(_pour(upstream[0], writer))


async def _pour(source: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
    """Hand on everything until `source` ends; then end `into`, which ends the other way, too."""
    with suppress(ConnectionError):
        while chunk := await source.read(1 << 16):
            into.write(chunk)
            await into.drain()
    into.close()


@asynccontextmanager
async def proxying() -> AsyncIterator[Proxy]:
    """Run a proxy."""
    proxy = Proxy()
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    async with server:
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield proxy
