import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest

from spexporter.connect import Authorities
from spexporter.domain.budget import RateLimit
from spexporter.domain.errors import TenantUnreachable
from spexporter.domain.schedule import Pace
from spexporter.sailpoint import connections
from spexporter.sailpoint.connections import client_session
from spexporter.sailpoint.endpoints import Endpoint
from spexporter.sailpoint.gate import Gate
from spexporter.sailpoint.transport import Route, Transport
from spexporter.sailpoint.vitals import Vitals
from spexporter.simulator.certificate import make_certificate
from tests.support.clients import Heard
from tests.support.clock import FakeClock
from tests.support.connections import Line, Switchboard, switchboard


@dataclass
class Asker:
    """Asks a tenant as the exporter does."""

    transport: Transport
    heard: Heard
    url: str

    async def ask(self, times: int = 1) -> None:
        """Make requests one after another; each must be answered."""
        for _ in range(times):
            answer = await self.transport.ask(Endpoint.CONFIG_OBJECTS, self.url, ["v1"], max_bytes=1000)
            assert (answer.status, answer.body) == (200, b"[]")

    def codes(self) -> list[str]:
        return [code for _, code in self.heard.exchanges]


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[Asker]:
    clock, heard = FakeClock(), Heard()
    async with client_session() as http:
        gate, vitals = Gate(RateLimit(), clock), Vitals(url, "v1", clock)
        transport = Transport("acme", http, Route(10.0), gate=gate, vitals=vitals, exchanges=heard, clock=clock)
        yield Asker(transport, heard, url)


async def test_looks_one_after_another_use_one_connection() -> None:
    """No handshake but the first."""
    async with switchboard(Switchboard()) as board, asking(board.url) as asker:
        await asker.ask(5)
    assert board.requests() == [5]


async def test_connections_that_a_burst_has_left_over_rest() -> None:
    """Only what is not used can come to its end: one connection goes on being used, and no other."""
    async with switchboard(Switchboard(together=4)) as board, asking(board.url) as asker:
        async with asyncio.TaskGroup() as burst:
            for _ in range(4):
                burst.create_task(asker.ask())
        await asker.ask(5)
    assert sorted(board.requests()) == [1, 1, 1, 6]


async def test_connections_outlast_the_longest_pause_between_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the defaults of the configuration no look costs a handshake, as one would if they were not kept."""
    assert Pace().probe_s < connections.KEPT_S
    monkeypatch.setattr(connections, "KEPT_S", 0.0)
    async with switchboard(Switchboard()) as board, asking(board.url) as asker:
        await asker.ask(3)
    assert board.requests() == [1, 1, 1]


def test_connections_show_that_they_live() -> None:
    """What forgets silent connections, between the two ends, hears of this one in time."""
    with connections.open_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))) as opened:
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) < 60


async def test_connection_that_the_tenant_has_closed_between_looks_is_missed_by_nobody() -> None:
    """Load balancers close idle connections: the next look opens one, and no request is made twice."""
    async with switchboard(Switchboard(leaves=lambda _: True)) as board, asking(board.url) as asker:
        for _ in range(3):
            await asker.ask()
            await board.lines[-1].hung_up.wait()
            await asyncio.sleep(0.01)  # for the news to arrive
    assert board.requests() == [1, 1, 1]
    assert asker.codes() == ["200"] * 3


def _second(line: Line) -> bool:
    return line.requests > 1


async def test_request_that_crosses_the_end_of_its_connection_is_made_again() -> None:
    """The tenant closed it before it knew of the request: no failure, and each request is counted and has its place."""
    async with switchboard(Switchboard(hangs_up=_second)) as board, asking(board.url) as asker:
        await asker.ask(3)
        used = asker.transport.gate.used("v1")
    assert board.requests() == [2, 2, 1]
    assert asker.codes() == ["200", "none", "200", "none", "200"]
    assert used == 5
    assert asker.transport.vitals.health.up is not False


async def test_all_connections_of_a_tenant_may_have_been_closed_at_once() -> None:
    """A restart of its gateway ends each of them: the look tries all and opens another."""
    async with switchboard(Switchboard(hangs_up=_second, together=4)) as board, asking(board.url) as asker:
        async with asyncio.TaskGroup() as burst:
            for _ in range(4):
                burst.create_task(asker.ask())
        await asker.ask()
    assert sorted(board.requests()) == [1, 2, 2, 2, 2]


async def test_new_connection_without_an_answer_is_a_failure() -> None:
    """Who hangs up at once is in trouble: asking at once again would not help."""
    async with switchboard(Switchboard(hangs_up=lambda _: True)) as board, asking(board.url) as asker:
        with pytest.raises(TenantUnreachable, match="no answer"):
            await asker.ask()
    assert board.requests() == [1]
    assert asker.transport.vitals.health.up is False


async def test_host_that_has_moved_is_followed_with_the_next_connection() -> None:
    """No answer of a name server is kept: what opens a connection asks where the host is now."""
    place = "127.0.0.1"

    def find(_: str, port: int, *__: object, **___: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, port))]

    async with switchboard(Switchboard(leaves=lambda line: line.requests == 2)) as old:
        port = urlsplit(old.url).port or 0
        async with switchboard(Switchboard(), "127.0.0.2", port) as new, asking(f"http://acme.example:{port}") as asker:
            with patch.object(socket, "getaddrinfo", side_effect=find):
                await asker.ask()
                place = "127.0.0.2"
                await asker.ask()
                await old.lines[0].hung_up.wait()
                await asyncio.sleep(0.01)  # for the news to arrive
                await asker.ask(2)
    assert (old.requests(), new.requests()) == ([2], [2])


def test_tenants_that_trust_the_same_share_what_that_costs(tmp_path: Path) -> None:
    """One TLS context for one content, wherever it stands; another one once the file says something else."""
    for name in ("one", "two", "other"):
        (tmp_path / name).mkdir()
    _, one = make_certificate("127.0.0.1", tmp_path / "one")
    _, other = make_certificate("127.0.0.1", tmp_path / "other")
    two = tmp_path / "two" / "ca.pem"
    two.write_bytes(one.read_bytes())
    authorities = Authorities()
    first = authorities.trusted(one)
    assert first is not None
    assert authorities.trusted(two) is first
    assert authorities.trusted(other) is not first
    two.write_bytes(other.read_bytes())
    assert authorities.trusted(two) is not first
    assert authorities.trusted(None) is None
