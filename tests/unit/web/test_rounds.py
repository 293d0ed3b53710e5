"""Who asks for the same at once shares one answer, and never an old one."""

import asyncio

import pytest

from spexporter.web.rounds import Rounds


class Kitchen:
    """Makes answers, each after all before it, when a test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go_on = asyncio.Event()
        self.wrong: Exception | None = None

    async def make(self, wanted: str) -> str:
        self.begun.append(wanted)
        await self.go_on.wait()
        if self.wrong:
            raise self.wrong
        return f"{wanted} {len(self.begun)}"


async def asked(rounds: Rounds[str, str], *wanted: str) -> list["asyncio.Task[str]"]:
    """Ask, and let all get as far as they can."""
    asks = [asyncio.create_task(rounds.get(each)) for each in wanted]
    for _ in range(10):
        await asyncio.sleep(0)
    return asks


async def test_who_comes_while_one_is_made_shares_the_next() -> None:
    """The first has one of its own; ten that come meanwhile have one together, begun after they came."""
    kitchen = Kitchen()
    rounds = Rounds(kitchen.make)
    first = await asked(rounds, "page")
    others = await asked(rounds, *["page"] * 10)
    kitchen.go_on.set()
    assert await asyncio.gather(*first, *others) == ["page 1"] + ["page 2"] * 10


async def test_those_who_come_together_share_one_that_takes_no_time() -> None:
    """A page is mostly made at one go."""
    kitchen = Kitchen()
    kitchen.go_on.set()
    assert await asyncio.gather(*await asked(Rounds(kitchen.make), *["page"] * 10)) == ["page 1"] * 10


async def test_who_wants_something_else_gets_it() -> None:
    """In the order in which they came, however many want the other."""
    kitchen = Kitchen()
    rounds = Rounds(kitchen.make)
    asks = await asked(rounds, "a")
    asks += await asked(rounds, "b", "a", "b", "c", "a")
    kitchen.go_on.set()
    await asyncio.gather(*asks)
    assert kitchen.begun == ["a", "b", "a", "c"]


async def test_failure_is_everybodys_and_over_with_its_round() -> None:
    """All who waited for it hear of it; the next gets an answer."""
    kitchen = Kitchen()
    rounds = Rounds(kitchen.make)
    asks = await asked(rounds, "a", "b", "b")
    kitchen.wrong = ValueError("planted")
    kitchen.go_on.set()
    assert [type(error) for error in await asyncio.gather(*asks, return_exceptions=True)] == [ValueError] * 3
    kitchen.wrong = None
    assert await rounds.get("b") == "b 3"


async def test_who_is_cancelled_takes_its_place_along() -> None:
    """Nobody waits for an answer that nobody makes."""
    kitchen = Kitchen()
    rounds = Rounds(kitchen.make)
    (first,) = await asked(rounds, "a")
    waiting, follower = await asked(rounds, "b", "b")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await follower
    kitchen.go_on.set()
    assert await rounds.get("b") == "b 2"
    assert await first == "a 1"
