import asyncio

import pytest

from spexporter.domain.budget import RateLimit
from spexporter.domain.errors import LeaseEnded
from spexporter.domain.ports import Inheritance, StoredWindow
from spexporter.sailpoint.connections import LINE, Line, client_session
from spexporter.sailpoint.gate import Gate
from tests.support.clock import FakeClock, settle

LIMIT = RateLimit(requests=4, per_s=10.0, use=1.0)
V1 = ("v1",)


def _unheard(_wait_s: float) -> None:
    return


async def test_no_request_starts_after_the_end_of_the_lease() -> None:
    """Neither at once, nor after it has waited for a place."""
    clock, ours = FakeClock(), True
    gate = Gate(LIMIT, clock, ours=lambda: ours)
    for _ in range(LIMIT.requests):
        assert gate.start(V1)
    for _ in range(LIMIT.requests):
        gate.leave(V1)
    waiting = asyncio.create_task(gate.wait(V1, _unheard))
    await settle()
    ours = False
    clock.jump_to(clock.monotonic() + 11.0)
    with pytest.raises(LeaseEnded):
        await waiting
    with pytest.raises(LeaseEnded):
        gate.start(V1)
    assert gate.used("v1") == 0


async def test_half_of_the_places_are_given_away_while_the_lease_ends_soon() -> None:
    """The next owner counts on the other half."""
    ends_soon = True
    gate = Gate(LIMIT, FakeClock(), ends_soon=lambda: ends_soon)
    assert [gate.start(V1) for _ in range(3)] == [True, True, False]
    ends_soon = False
    assert gate.start(V1)


def test_what_the_owner_before_has_spent_is_free_after_the_end_of_its_lease() -> None:
    """Half of it a window after that, the other half a window after it had to be careful."""
    clock = FakeClock()
    gate = Gate(LIMIT, clock)
    now_s = clock.monotonic()
    gate.restore(StoredWindow(clean=False), Inheritance(since_s=now_s - 1.0, halved_s=now_s - 8.5))
    assert gate.used("v1") == 4
    clock.jump_to(now_s + 2.0)
    assert gate.used("v1") == 2
    clock.jump_to(now_s + 9.5)
    assert gate.used("v1") == 0


async def test_what_has_connected_after_the_end_of_the_lease_sends_nothing() -> None:
    """To connect can take longer than a lease lasts; the connection is kept for whoever may ask."""
    asked: list[bytes] = []
    ours = True

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1000))
        writer.close()

    def check() -> None:
        if not ours:
            raise LeaseEnded("planted")

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, client_session() as http:
        LINE.set(Line(check))
        ours = False
        with pytest.raises(LeaseEnded):
            await http.get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await settle()
    assert asked in ([], [b""])
