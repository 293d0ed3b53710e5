"""Turns of tenants, and of all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from spexporter.turns import Turns

Turn = AbstractAsyncContextManager[None]


@asynccontextmanager
async def under_way(*turns: Turn) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Start to take each turn, in this order, and keep those that come; cancel them at the end."""

    async def take(turn: Turn) -> None:
        async with turn:
            await asyncio.Event().wait()

    tasks = []
    for turn in turns:
        tasks.append(asyncio.create_task(take(turn)))
        await settled()
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def settled() -> None:
    """Let everything happen that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def can_have(turn: Turn) -> bool:
    """Say whether a turn can be had now."""

    async def take() -> None:
        async with turn:
            pass

    task = asyncio.create_task(take())
    await settled()
    had = task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return had


async def test_one_tenant_holds_up_itself_and_no_other() -> None:
    turns = Turns()
    async with turns.of("a"):
        assert await can_have(turns.of("b"))
        assert not await can_have(turns.of("a"))
    assert await can_have(turns.of("a"))


async def test_all_wait_for_those_under_way_and_hold_up_everybody() -> None:
    turns = Turns()
    async with turns.of("a"):
        assert not await can_have(turns.of_all())
    async with turns.of_all():
        assert not await can_have(turns.of("a"))
        assert not await can_have(turns.of_all())
    assert await can_have(turns.of("a"))


async def test_who_wants_all_waits_for_nobody_new() -> None:
    turns = Turns()
    async with under_way(turns.of("a"), turns.of_all(), turns.of("b")) as (first, everybody, second):
        first.cancel()
        await settled()
        assert not await can_have(turns.of("c"))  # all are had
        everybody.cancel()
        await settled()
        assert not await can_have(turns.of("b"))  # the one that came later has it now
        second.cancel()
        await settled()
        assert await can_have(turns.of_all())


@pytest.mark.parametrize("given_up", [0, 1, 2])
async def test_who_gives_up_leaves_nothing_behind(given_up: int) -> None:
    turns = Turns()
    async with under_way(turns.of("a"), turns.of("a"), turns.of_all()) as tasks:
        tasks[given_up].cancel()
        await settled()
    assert await can_have(turns.of_all())
    assert await can_have(turns.of("a"))
