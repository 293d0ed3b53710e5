"""Turns: of one tenant, while others have theirs, or of all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class Turns:
    """One after another with the same tenant, and alone with all of them; who wants all waits for nobody new."""

    def __init__(self) -> None:
        self._of: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # while somebody has or wants them
        self._begin = asyncio.Lock()
        self._under_way = 0
        self._none_under_way = asyncio.Event()

    @asynccontextmanager
    async def of(self, tenant: str) -> AsyncIterator[None]:
        """Have the turn of one tenant for as long as the block lasts."""
        async with self._of.setdefault(tenant, asyncio.Lock()):
            async with self._begin:
                self._under_way += 1
            try:
                yield
            finally:
                self._under_way -= 1
                self._none_under_way.set()

    @asynccontextmanager
    async def of_all(self) -> AsyncIterator[None]:
        """Have the turns of all tenants for as long as the block lasts."""
        async with self._begin:
            while self._under_way:
                self._none_under_way.clear()
                await self._none_under_way.wait()
            yield
