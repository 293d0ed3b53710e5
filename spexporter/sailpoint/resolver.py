"""Looking up host names in threads that nobody waits for.

aiohttp's own resolver uses the event loop's executor, whose threads are joined when the program ends: with a name
server that does not answer, SIGTERM would take as long as the look-up, half a minute and more.
"""

import asyncio
import socket
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiohttp.abc import AbstractResolver, ResolveResult

# A thousand tenants at the start are a thousand names; name servers and memory are spared.
_AT_ONCE = 32


class _Name(NamedTuple):
    """What is looked up."""

    host: str
    port: int
    family: socket.AddressFamily


@dataclass(frozen=True, slots=True)
class _LookUp:
    """A name that is looked up, or will be, and the answer for all who wait for it."""

    name: _Name
    answer: "asyncio.Future[list[Any]]"


class DaemonResolver(AbstractResolver):
    """Resolves with the system's resolver, in a daemon thread for each look-up; a few of them at once.

    It keeps no answer, so that a host that has moved is found again with the next connection: the system does not tell
    how long an answer is good. Whoever wants the same name meanwhile gets the same answer.
    """

    def __init__(self) -> None:
        self._wanted: dict[_Name, _LookUp] = {}
        self._waiting: deque[_LookUp] = deque()
        self._threads = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of `host`; raises OSError where it has none."""
        name = _Name(host, port, family)
        look_up = self._wanted.get(name) or self._begin(name)
        return [
            ResolveResult(
                hostname=host, host=address[0], port=address[1], family=found, proto=proto, flags=socket.AI_NUMERICHOST
            )
            for found, _, proto, _, address in await asyncio.shield(look_up.answer)
        ]

    async def close(self) -> None:
        """Leave look-ups under way to themselves."""
        self._waiting.clear()

    def _begin(self, name: _Name) -> _LookUp:
        look_up = self._wanted[name] = _LookUp(name, asyncio.get_running_loop().create_future())
        look_up.answer.add_done_callback(_heard)
        self._waiting.append(look_up)
        self._start_threads()
        return look_up

    def _start_threads(self) -> None:
        while self._waiting and self._threads < _AT_ONCE:
            self._threads += 1
            look_up = self._waiting.popleft()
            name = f"look up {look_up.name.host}"
            threading.Thread(target=self._look_up, args=(look_up,), name=name, daemon=True).start()

    def _look_up(self, look_up: _LookUp) -> None:
        """Ask the system; this runs in a thread."""
        host, port, family = look_up.name
        told: list[Any] | OSError
        try:
            told = [*socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)]
        except OSError as error:
            told = error
        except UnicodeError as error:  # no name at all
            told = OSError(f"{host}: {error}")
        try:
            look_up.answer.get_loop().call_soon_threadsafe(self._settle, look_up, told)
        except RuntimeError:  # the loop has closed meanwhile
            return

    def _settle(self, look_up: _LookUp, told: "list[Any] | OSError") -> None:
        self._threads -= 1
        del self._wanted[look_up.name]
        if isinstance(told, OSError):
            look_up.answer.set_exception(told)
        else:
            look_up.answer.set_result(told)
        self._start_threads()


def _heard(answer: "asyncio.Future[list[Any]]") -> None:
    """Take note of an error: everybody who waited for it may have gone."""
    if not answer.cancelled():
        answer.exception()
