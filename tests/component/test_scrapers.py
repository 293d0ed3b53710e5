"""Scrapers that misbehave, and an exporter that ends or changes while it is scraped: a page is whole or refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest

from spexporter.domain.values import replace
from spexporter.exposition.page import BlockPage, Rendered
from spexporter.simulator import default_plans
from spexporter.web import metrics
from tests.support.eventually import eventually
from tests.support.world import World, scrape, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=4, starts_per_minute=0.0)
FILLING = [b"# synthetic\n" * 8192] * 512  # 48 MiB: more than the sockets between us hold


@asynccontextmanager
async def large() -> AsyncIterator[World]:
    """Run an exporter whose next page, and no other, has a lot more at its end."""
    render = BlockPage.render
    filling = iter([FILLING])

    async def filled(page: BlockPage, *arguments: object) -> Rendered:
        rendered = await render(page, *arguments)  # type: ignore[arg-type]  # handed on
        return rendered._replace(parts=[*rendered.parts, *next(filling, [])])

    async with world([PLAN]) as running:
        await running.advance(30)
        with patch.object(BlockPage, "render", filled):
            yield running


@asynccontextmanager
async def slow_reader(running: World) -> AsyncIterator[asyncio.StreamReader]:
    """Ask for the whole page and read nothing of it but its first bytes."""
    address = urlsplit(running.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1024)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await reader.readexactly(8) == b"HTTP/1.1"
    try:
        yield reader
    finally:
        writer.transport.abort()


async def length_told(reader: asyncio.StreamReader) -> int:
    """Read the rest of the headers, and return the Content-Length."""
    head = await reader.readuntil(b"\r\n\r\n")
    return int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])


async def test_a_slow_reader_keeps_nobody_waiting_and_gets_the_page_of_its_moment() -> None:
    """Others get theirs meanwhile, with jobs that came later; the slow one gets all of its own in the end."""
    async with large() as running, slow_reader(running) as reader:
        running.simulator.start("acme", "export", job_id="later", duration_s=600.0)
        await running.hand_over()
        await running.advance(30)
        assert (await scrape(running.url)).state("later") == "IN_PROGRESS"
        length = await length_told(reader)
        body = await reader.readexactly(length)
        assert b'job_id="later"' not in body
        assert body.endswith(FILLING[-1])


async def test_who_reads_nothing_is_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    """After two minutes, here at once; the log says so, and what others are served counts on."""
    said: list[str] = []

    async def cut_off() -> bool:
        said.append(capsys.readouterr().err)
        return "event=page_cut_off after_s=0.05 peer=127.0.0.1" in "".join(said)

    with patch.object(metrics, "_SENT_WITHIN_S", 0.05):
        async with large() as running, slow_reader(running) as reader:
            await eventually(cut_off, "cut off", within_s=10)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await reader.readexactly(2**40)


async def test_who_hangs_up_in_the_middle_is_nobodys_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    """No error in the log, and no page that counts as shown."""
    async with large() as running:
        before = running.exporter.board.served_version("acme")
        async with slow_reader(running):
            pass
        await running.settle()
        assert running.exporter.board.served_version("acme") == before
        assert (await scrape(running.url)).samples
    said = capsys.readouterr().err
    assert "level=error" not in said
    assert "level=warning" not in said


async def test_a_page_during_the_end_is_whole_or_visibly_not() -> None:
    """Its length was told before: who gets less knows that it is not all."""
    async with AsyncExitStack() as reading:
        async with large() as running:
            reader = await reading.enter_async_context(slow_reader(running))
            length = await length_told(reader)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)) as caught:
            await reader.readexactly(length)
    assert not isinstance(caught.value, asyncio.IncompleteReadError) or len(caught.value.partial) < length


async def test_fifty_scrapers_at_once_get_one_page_each() -> None:
    """Each is whole."""
    async with world([PLAN]) as running:
        await running.advance(30)
        pages = await asyncio.gather(*(scrape(running.url) for _ in range(50)))
    first = pages[0].samples["spconfig_job_state"]
    assert first
    assert all(page.samples["spconfig_job_state"] == first for page in pages)
