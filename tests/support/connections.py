"""A tenant's server of which each connection is known, and that hangs up whenever a test wants it to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"


@dataclass
class Line:
    """One connection: how many requests came over it; `hung_up` once it is closed."""

    number: int
    requests: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Switchboard:
    """Answers each request with an empty list.

    It hangs up instead where `hangs_up` says so of a connection that a request has come over, and behind an answer
    where `leaves` says so. Nobody is answered until so many as `together` have asked.
    """

    hangs_up: Callable[[Line], bool] = lambda _: False
    leaves: Callable[[Line], bool] = lambda _: False
    together: int = 1
    url: str = ""
    lines: list[Line] = field(default_factory=list)
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        line = Line(len(self.lines))
        self.lines.append(line)
        with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                line.requests += 1
                if self.hangs_up(line):
                    break
                if sum(self.requests()) >= self.together:
                    self.enough.set()
                await self.enough.wait()
                writer.write(ANSWER)
                if self.leaves(line):
                    break
        line.hung_up.set()

    def requests(self) -> list[int]:
        """Return how many requests came over each connection, in the order in which they were opened."""
        return [line.requests for line in self.lines]


@asynccontextmanager
async def switchboard(board: Switchboard, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Switchboard]:
    """Serve `board` for as long as the block lasts."""
    async with await asyncio.start_server(board.handle, host, port) as server:
        board.url = f"http://{host}:{server.sockets[0].getsockname()[1]}"
        yield board
