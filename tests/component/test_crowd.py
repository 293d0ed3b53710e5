"""Connections that say nothing, or never end what they say: they go in time, and sooner where others wait."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest

from spexporter.web import crowd, server
from spexporter.web.crowd import PATIENCE, Stage, names_of
from tests.support.eventually import eventually
from tests.support.papers import papers
from tests.support.world import World, world

CONFIG = 'tenants: [{name: acme, base_url: "http://127.0.0.1:1", client_id: c, client_secret: s}]\n'
REQUEST = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def running() -> AsyncIterator[World]:
    async with world(config=CONFIG) as started:
        yield started


@pytest.fixture
def impatient() -> Iterator[None]:
    """Let nobody wait for long, whatever it is about."""
    with patch.dict(PATIENCE, dict.fromkeys(Stage, 0.05)):
        yield


class Client:
    """A connection that is written by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def asks(self) -> bytes:
        """Ask for a probe, and return the status."""
        self.writer.write(REQUEST)
        head = await self.reader.readuntil(b"\r\n\r\n")
        await self.reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        return head[9:12]

    async def is_cut(self) -> bool:
        """Wait for the end; what comes before it is lost."""
        try:
            async with asyncio.timeout(10):
                while await self.reader.read(65536):
                    pass
        except ConnectionError:
            pass
        return True


@asynccontextmanager
async def client(running: World, said: bytes = b"") -> AsyncIterator[Client]:
    address = urlsplit(running.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(said)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(REQUEST[:-2], id="half-a-head"),
        pytest.param(b"\r\n" * 1000, id="empty-lines"),
        pytest.param(REQUEST, id="idle"),
        pytest.param(REQUEST + REQUEST[:-2], id="half-a-second-head"),
    ],
)
async def test_who_is_too_slow_is_cut(said: bytes, running: World) -> None:
    """At the beginning, in the middle of a head, and between requests."""
    async with client(running, said) as slow:
        assert await slow.is_cut()


async def test_who_drips_a_head_is_cut_however_often_it_drips(running: World) -> None:
    """The time runs from the first byte: no later one gives more."""
    with patch.dict(PATIENCE, {Stage.ARRIVING: 0.3}):
        async with client(running, REQUEST[:-2]) as slow:
            while not slow.writer.transport.is_closing():
                slow.writer.write(b"X: x\r\n")
                await asyncio.sleep(0.02)
            assert await slow.is_cut()


async def test_requests_end_the_time_to_arrive(running: World) -> None:
    """Who asks again and again may stay."""
    with patch.dict(PATIENCE, {Stage.ARRIVING: 0.2}):
        async with client(running) as quick:
            for _ in range(10):
                assert await quick.asks() == b"200"
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("lines", [1, 20], ids=["one-line", "many-lines"])
async def test_heads_are_bounded(lines: int, running: World) -> None:
    """As a whole, and each line."""
    head = REQUEST[:-2] + b"".join(b"X%d: %s\r\n" % (n, b"x" * (160_000 // lines)) for n in range(lines))
    async with client(running, head) as long:
        assert (await long.reader.read(12))[9:] in (b"400", b"431")
        assert await long.is_cut()


async def test_head_of_usual_length_passes(running: World) -> None:
    """Cookies, tokens and what proxies add."""
    async with client(running, REQUEST[:-2] + b"".join(b"X%d: %s\r\n" % (n, b"x" * 7000) for n in range(7))) as long:
        assert await long.asks() in (b"200", b"400")


@pytest.mark.parametrize("path", ["/-/reload", "/metrics", "/nothing"])
async def test_rest_of_a_body_after_its_answer_is_no_head(path: str, running: World) -> None:
    """There is one answer, which nothing that comes after it destroys, and then the end."""
    length = 2_000_000
    async with client(
        running, b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path.encode(), length)
    ) as it:
        answer = await it.reader.readuntil(b"\r\n\r\n")
        assert b"\r\nConnection: close\r\n" in answer
        it.writer.write(b" " * length)
        await it.writer.drain()
        assert b"HTTP/1.1" not in await it.reader.read()


async def test_newcomer_takes_the_place_of_who_has_been_arriving_for_longest() -> None:
    """Who is idle between two scrapes stays connected."""
    with patch.object(server, "_MOST_CONNECTIONS", 4), patch.object(crowd, "_NEWCOMER_S", 0.0):
        async with world(config=CONFIG) as running, client(running) as scraper:
            assert await scraper.asks() == b"200"
            async with client(running) as first, client(running), client(running), client(running) as newcomer:
                assert await newcomer.asks() == b"200"
                assert await first.is_cut()
                assert await scraper.asks() == b"200"


async def test_newcomer_takes_the_place_of_who_has_been_idle_for_longest() -> None:
    """Where all have been answered once."""
    with patch.object(server, "_MOST_CONNECTIONS", 2):
        async with world(config=CONFIG) as running, client(running) as first, client(running) as second:
            assert [await each.asks() for each in (first, second, first)] == [b"200"] * 3
            async with client(running) as newcomer:
                assert await newcomer.asks() == b"200"
                assert await second.is_cut()
                assert await first.asks() == b"200"


@pytest.mark.usefixtures("impatient")
async def test_who_never_agrees_on_tls_is_cut(tmp_path: Path) -> None:
    """It holds a place from its first moment, and the log tells nothing that nobody can mend."""
    papers(tmp_path, "server")
    (tmp_path / "web.yaml").write_text("tls_server_config: {cert_file: server.pem, key_file: server.key}")
    async with world(config=CONFIG, web_config=tmp_path / "web.yaml") as running, client(running, b"\x16") as silent:
        assert await silent.is_cut()


async def test_who_hangs_up_in_the_middle_of_tls_is_told_of_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a scraper does that does not trust our certificate: neither the event loop nor TLS has words for it."""
    papers(tmp_path, "server")
    (tmp_path / "web.yaml").write_text("tls_server_config: {cert_file: server.pem, key_file: server.key}")
    async with world(config=CONFIG, web_config=tmp_path / "web.yaml") as running:
        address = urlsplit(running.url)
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection(address.hostname, address.port, ssl=ssl.create_default_context())

        async def told() -> bool:
            said.append(capsys.readouterr().err)
            return "event=connection_refused peer=127.0.0.1 reason=" in "".join(said)

        said: list[str] = []
        assert await eventually(told, "the reason", within_s=10)


async def test_end_waits_for_nobody_who_says_nothing(tmp_path: Path) -> None:
    """Neither with TLS nor without."""
    server_papers = papers(tmp_path, "server")
    (tmp_path / "web.yaml").write_text("tls_server_config: {cert_file: server.pem, key_file: server.key}")
    async with asyncio.timeout(10):
        async with world(config=CONFIG, web_config=tmp_path / "web.yaml") as running:
            address = urlsplit(running.url)
            trust = ssl.create_default_context(cafile=server_papers.authority)
            _, quiet = await asyncio.open_connection(address.hostname, address.port, ssl=trust)
            _, silent = await asyncio.open_connection(address.hostname, address.port)
    quiet.transport.abort()
    silent.transport.abort()


def test_names_are_those_of_every_kind() -> None:
    """Addresses in the one way in which the configuration has them."""
    certificate = {
        "subjectAltName": (
            ("DNS", "prometheus.example"),
            ("IP Address", "FE80:0:0:0:0:0:0:1"),
            ("URI", "spiffe://x/y"),
            ("email", "a@b"),
        )
    }
    assert names_of(certificate) == {"prometheus.example", "fe80::1", "spiffe://x/y", "a@b"}
    assert names_of(None) == set()
