"""One answer for all who ask for the same at once, so that a crowd costs no more than one."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from spexporter.clock import Pace

_Wanted = TypeVar("_Wanted", bound=Hashable)
_Made = TypeVar("_Made")


class Rounds(Generic[_Wanted, _Made]):
    """Makes answers with `make`, one after the other; who comes while one is made gets the next, never that one.

    So an answer was always begun after it was asked for.
    """

    def __init__(self, make: Callable[[_Wanted], Awaitable[_Made]]) -> None:
        self._make = make
        self._next: dict[_Wanted, asyncio.Future[_Made]] = {}
        self._turn = asyncio.Lock()

    async def get(self, wanted: _Wanted) -> _Made:
        """Return an answer; what `make` raises is raised to all who wait for it."""
        if answer := self._next.get(wanted):
            return await asyncio.shield(answer)
        answer = self._next[wanted] = asyncio.get_running_loop().create_future()
        try:
            async with self._turn:
                await Pace(turn=1).did(1)  # all who have come already are in this round, however quickly it is made
                del self._next[wanted]
                made = await self._make(wanted)
        except BaseException as error:
            self._fail(wanted, answer, error)
            raise
        answer.set_result(made)
        return made

    def _fail(self, wanted: _Wanted, answer: asyncio.Future[_Made], error: BaseException) -> None:
        if self._next.get(wanted) is answer:
            del self._next[wanted]
        if isinstance(error, Exception):
            answer.set_exception(error)
            answer.exception()  # perhaps nobody waits for it
        else:
            answer.cancel()
