"""Looking up host names in threads that nobody waits for.

aiohttp's own resolver uses the event loop's executor, whose threads are joined when the program ends: with a name
server that does not answer, SIGTERM would take as long as the look-up, half a minute and more.
"""

import asyncio
import socket
import threading
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult


class DaemonResolver(AbstractResolver):
    """Resolves with the system's resolver, in a daemon thread for each look-up; aiohttp caches what comes back."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of `host`; raises OSError where it has none."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Any]] = loop.create_future()

        def look_up() -> None:
            try:
                found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            except OSError as error:
                _tell(loop, answer, error)
            else:
                _tell(loop, answer, found)

        threading.Thread(target=look_up, name=f"look up {host}", daemon=True).start()
        return [
            ResolveResult(
                hostname=host, host=address[0], port=address[1], family=found, proto=proto, flags=socket.AI_NUMERICHOST
            )
            for found, _, proto, _, address in await answer
        ]

    async def close(self) -> None:
        """Leave look-ups under way to themselves."""


def _tell(loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[list[Any]]", told: "list[Any] | OSError") -> None:
    def settle() -> None:
        if answer.done():
            return
        if isinstance(told, OSError):
            answer.set_exception(told)
        else:
            answer.set_result(told)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:  # the loop has closed meanwhile
        return
