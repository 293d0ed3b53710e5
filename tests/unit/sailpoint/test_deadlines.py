"""Who takes too long is ended, by one timer for all; nobody else is."""

import asyncio
from collections.abc import Awaitable

import pytest

from spexporter.sailpoint.deadlines import Deadlines

SOON_S, LATER_S = 0.02, 30.0


async def _within(deadlines: Deadlines, work: Awaitable[object]) -> object:
    with deadlines.watch():
        return await work


async def test_what_takes_too_long_ends_with_a_timeout() -> None:
    """Its task goes on, and can wait again."""
    deadlines = Deadlines(SOON_S)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await _within(deadlines, asyncio.sleep(LATER_S))
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert not deadlines.running


async def test_what_ends_in_time_is_left_alone() -> None:
    """Also while another one, which began before it or after it, is ended."""
    deadlines = Deadlines(SOON_S)
    release = asyncio.Event()
    slow = [asyncio.create_task(_within(deadlines, asyncio.sleep(LATER_S))) for _ in range(2)]
    await asyncio.sleep(0)
    quick = asyncio.create_task(_within(deadlines, release.wait()))
    slow.append(asyncio.create_task(_within(deadlines, asyncio.sleep(LATER_S))))
    await asyncio.sleep(0)
    release.set()
    assert await quick is True
    ends = await asyncio.gather(*slow, return_exceptions=True)
    assert [type(end) for end in ends] == [TimeoutError] * 3


async def test_a_later_one_is_ended_after_its_own_time() -> None:
    """The timer of the first looks after those that came later."""
    deadlines, loop = Deadlines(SOON_S), asyncio.get_running_loop()
    first = asyncio.create_task(_within(deadlines, asyncio.sleep(LATER_S)))
    await asyncio.sleep(SOON_S / 2)
    began_s = loop.time()
    with pytest.raises(TimeoutError):
        await _within(deadlines, asyncio.sleep(LATER_S))
    assert loop.time() - began_s >= SOON_S
    with pytest.raises(TimeoutError):
        await first


async def test_one_timer_is_enough() -> None:
    """However many are under way, and none is left behind once all have ended in time."""
    deadlines = Deadlines(SOON_S)
    for _ in range(100):
        await _within(deadlines, asyncio.sleep(0))
    timer = deadlines.timer
    assert timer is not None
    await asyncio.sleep(2 * SOON_S)
    assert deadlines.timer is None


async def test_who_is_cancelled_by_others_stays_cancelled() -> None:
    """Also where its time is over in the same moment."""
    deadlines = Deadlines(SOON_S)
    task = asyncio.create_task(_within(deadlines, asyncio.sleep(LATER_S)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    both = asyncio.create_task(_within(deadlines, asyncio.sleep(LATER_S)))
    await asyncio.sleep(0)
    (deadline,) = deadlines.running
    del deadlines.running[deadline]
    deadline.pass_by()
    both.cancel()
    with pytest.raises(asyncio.CancelledError):
        await both


async def test_an_error_of_the_block_comes_through() -> None:
    """As it was raised."""
    with pytest.raises(ValueError, match="planted"), Deadlines(LATER_S).watch():
        raise ValueError("planted")


async def test_a_block_that_fails_as_its_time_is_over_tells_its_own_failure() -> None:
    """As with `asyncio.timeout`."""
    deadlines = Deadlines(SOON_S)

    async def fail_late() -> None:
        try:
            await asyncio.sleep(LATER_S)
        finally:
            raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        await _within(deadlines, fail_late())
