"""Looking up host names in threads that nobody waits for.

aiohttp's own resolver uses the event loop's executor, whose threads are joined when the program ends: with a name
server that does not answer, SIGTERM would take as long as the look-up, half a minute and more.
"""

import asyncio
import queue
import socket
import threading
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiohttp.abc import AbstractResolver, ResolveResult

# A thousand tenants at the start are a thousand names; name servers and memory are spared.
_AT_ONCE = 32
# Starting a thread holds up the event loop for about a millisecond, so one that is there takes the next name.
_IDLE_S = 10.0


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
    """Resolves with the system's resolver, in a few daemon threads that come when they are needed and go again.

    It keeps no answer, so that a host that has moved is found again with the next connection: the system does not tell
    how long an answer is good. Whoever wants the same name meanwhile gets the same answer.
    """

    def __init__(self) -> None:
        self._wanted: dict[_Name, _LookUp] = {}
        self._waiting: queue.SimpleQueue[_LookUp] = queue.SimpleQueue()
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

    def _begin(self, name: _Name) -> _LookUp:
        look_up = self._wanted[name] = _LookUp(name, asyncio.get_running_loop().create_future())
        look_up.answer.add_done_callback(_heard)
        self._waiting.put(look_up)
        self._have_thread()
        return look_up

    def _have_thread(self) -> None:
        if self._threads < min(len(self._wanted), _AT_ONCE):
            self._threads += 1
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._look_up_names, args=(loop,), name="look up names", daemon=True).start()

    def _look_up_names(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look up one name after another until there are no more for a while; this runs in a thread."""
        try:
            while True:
                try:
                    look_up = self._waiting.get(timeout=_IDLE_S)
                except queue.Empty:
                    loop.call_soon_threadsafe(self._thread_ended)
                    return
                loop.call_soon_threadsafe(self._settle, look_up, _found(look_up.name))
        except RuntimeError:  # the loop has closed meanwhile
            return

    def _thread_ended(self) -> None:
        self._threads -= 1
        self._have_thread()  # a name may have come while it was ending

    def _settle(self, look_up: _LookUp, told: "list[Any] | OSError") -> None:
        del self._wanted[look_up.name]
        if isinstance(told, OSError):
            look_up.answer.set_exception(told)
        else:
            look_up.answer.set_result(told)


def _found(name: _Name) -> "list[Any] | OSError":
    """Ask the system, however long that takes."""
    host, port, family = name
    try:
        return [*socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)]
    except OSError as error:
        return error
    except UnicodeError as error:  # no name at all
        return OSError(f"{host}: {error}")


def _heard(answer: "asyncio.Future[list[Any]]") -> None:
    """Take note of an error: everybody who waited for it may have gone."""
    if not answer.cancelled():
        answer.exception()
