"""Peers that are slow: tenants that never answer and scrapers that do not read on."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(slots=True)
class SilentTenant:
    """Takes connections and requests and answers nothing."""

    url: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            if await reader.readline():
                self.asked.set()
            await reader.read()


@asynccontextmanager
async def silent_tenant() -> AsyncIterator[SilentTenant]:
    """Run a tenant that never answers."""
    tenant = SilentTenant()
    server = await asyncio.start_server(tenant.handle, "127.0.0.1", 0)
    async with server:
        tenant.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield tenant


@dataclass(frozen=True, slots=True)
class StalledScraper:
    """Has asked for a page many times over one connection and read nothing but the first answer's beginning."""

    connection: socket.socket
    begun: bytes

    async def answers(self) -> int:
        """Read until the other side ends, and return how many answers it began."""
        read = bytearray(self.begun)
        with suppress(ConnectionError):
            while chunk := await asyncio.get_running_loop().sock_recv(self.connection, 1 << 16):
                read += chunk
        return read.count(b"HTTP/1.1 200 OK\r\n")


@asynccontextmanager
async def stalled_scraper(url: str, times: int, path: str = "/metrics") -> AsyncIterator[StalledScraper]:
    """Ask for a page so many `times` that the answers fill all buffers on the way, and do not read on."""
    async with _connected(url) as connection:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(connection, times * f"GET {path} HTTP/1.1\r\nHost: spexporter\r\n\r\n".encode())
        yield StalledScraper(connection, await loop.sock_recv(connection, 1024))


@asynccontextmanager
async def half_a_request(url: str) -> AsyncIterator[None]:
    """Begin to ask for a page, and never finish."""
    async with _connected(url) as connection:
        await asyncio.get_running_loop().sock_sendall(connection, b"GET /metrics HTTP/1.1\r\n")
        yield


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[socket.socket]:
    address = urlsplit(url)
    with socket.socket() as connection:
        connection.settimeout(0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.get_running_loop().sock_connect(connection, (address.hostname, address.port))
        yield connection
