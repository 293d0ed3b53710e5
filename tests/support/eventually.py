"""Waits in real time for something that another program does: the only place where tests of processes sleep."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp

T = TypeVar("T")


async def eventually(
    look: Callable[[], Awaitable[T | None]], what: str, *, within_s: float, every_s: float = 0.05
) -> T:
    """Look again and again until there is something to see, and return it; `what` says what is waited for.

    A connection that cannot be made counts as nothing seen yet, and ends up in the failure's text.
    """
    deadline_s = time.monotonic() + within_s
    trouble: object = "nothing seen"
    while True:
        try:
            if seen := await look():
                return seen
        except (OSError, aiohttp.ClientError) as error:
            trouble = error
        if time.monotonic() >= deadline_s:
            raise AssertionError(f"{what}: not within {within_s:g} s ({trouble})")
        await asyncio.sleep(every_s)
