"""Bodies that are meant to do harm, sent to the real program: huge ones, false ones, and some that never end.

The figures are shown with `-s`.
"""

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from spexporter.web.body import READ_WITHIN_S
from tests.support.program import LOOPBACK, Program, answer, ready, spexporter

# Nobody listens on this port: what is tried here needs no tenant that answers.
CONFIG = """
store: {url: "sqlite://"}
tenants: [{name: acme, base_url: "http://127.0.0.1:1", client_id: c, client_secret: s, jobs: []}]
"""
HUGE, PIECE = 100 * 1024**2, 64 * 1024
AT_ONCE = 4
MAY_GROW_KIB = 8 * 1024
TRICKLERS = 50
WITHIN_S = 30.0
LONGEST_PAGE_S = 3.0  # on a machine that has other things to do
HEAD = "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: {kind}\r\n{length}\r\n\r\n"


@dataclass
class Exporter:
    """The program, and somebody who goes on asking it for its page."""

    program: Program
    url: str
    pages: int = 0
    longest_s: float = 0.0
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def scrape_on(self) -> None:
        """Scrape until `stop`; any answer but 200 fails the test."""
        while not self.stop.is_set():
            began_s = time.monotonic()
            status, text = await answer(f"{self.url}/metrics")
            self.longest_s = max(self.longest_s, time.monotonic() - began_s)
            assert status == 200, text
            self.pages += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), 0.05)

    def kib(self, what: str) -> int:
        """Return `VmRSS`, what the program has in memory now, or `VmHWM`, the most it had since `forget_most`."""
        found = re.search(rf"^{what}:\s+(\d+) kB$", self._proc("status").read_text(), re.MULTILINE)
        assert found
        return int(found[1])

    def forget_most(self) -> None:
        self._proc("clear_refs").write_text("5")  # proc(5): resets VmHWM

    def descriptors(self) -> int:
        return sum(1 for _ in self._proc("fd").iterdir())

    def _proc(self, name: str) -> Path:
        return Path(f"/proc/{self.program.process.pid}/{name}")


@asynccontextmanager
async def exporter(folder: Path) -> AsyncIterator[Exporter]:
    """Run the program, warmed up, and scrape it for as long as the block lasts; it must end well and log no error."""
    config = folder / "spexporter.yaml"
    config.write_text(CONFIG)
    flags = ("--config.file", config, "--web.listen-address", LOOPBACK, "--web.enable-lifecycle")
    async with spexporter("run", *flags, folder=folder) as program:
        running = Exporter(program, await program.url())
        await ready(running.url)
        for _ in range(20):
            await answer(f"{running.url}/metrics")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(running.scrape_on(), name="scraping")
            try:
                yield running
            finally:
                running.stop.set()
        assert running.longest_s < LONGEST_PAGE_S
        assert (await answer(f"{running.url}/-/healthy"))[0] == 200
        assert (await program.end(signal.SIGTERM)).status == 0
        said = program.printed()
        assert "level=error" not in said, said
        assert "Traceback" not in said, said


@dataclass(frozen=True, slots=True)
class Said:
    """The status of each answer, the text of all, how much of the body was taken, and after how long it was over."""

    statuses: tuple[int, ...]
    text: str
    sent: int
    took_s: float


async def sent(url: str, head: str, *, pieces: AsyncIterator[bytes]) -> Said:
    """Send a request in pieces until it is sent, or nobody wants more, and read all that is answered."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    began_s, size = time.monotonic(), 0
    answered = asyncio.create_task(until_closed(reader))
    try:
        writer.write(head.encode())
        with suppress(ConnectionError):
            async for piece in pieces:
                if answered.done():
                    break
                writer.write(piece)
                await writer.drain()
                size += len(piece)
        async with asyncio.timeout(WITHIN_S):
            text = await answered
    finally:
        answered.cancel()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    statuses = tuple(map(int, re.findall(r"HTTP/1\.[01] (\d+) ", text)))
    return Said(statuses, text, size, time.monotonic() - began_s)


async def until_closed(reader: asyncio.StreamReader) -> str:
    """Return all that comes until the other side closes, or breaks off because it does not want the rest."""
    text = b""
    with suppress(ConnectionError):
        while piece := await reader.read(PIECE):
            text += piece
    return text.decode()


async def blanks(*, chunked: bool) -> AsyncIterator[bytes]:
    """Yield 100 MiB that are white space to JSON, so that only their number is wrong."""
    piece = b" " * PIECE
    if chunked:
        piece = b"%x\r\n%s\r\n" % (PIECE, piece)
    for _ in range(HUGE // PIECE):
        yield piece
    if chunked:
        yield b"0\r\n\r\n"


async def trickle() -> AsyncIterator[bytes]:
    """Yield a byte a second, for as long as anybody takes them."""
    while True:
        yield b" "
        await asyncio.sleep(1)


def tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - figures for the record


LENGTH, CHUNKED, JSON = f"Content-Length: {HUGE}", "Transfer-Encoding: chunked", "application/json"


CASES = {
    "told": ("/api/v1/jobs", JSON, LENGTH, 413),
    "chunked": ("/api/v1/jobs", JSON, CHUNKED, 413),
    "less than was told": ("/api/v1/jobs", JSON, f"Content-Length: {10**15}", 413),
    "more than was told": ("/api/v1/jobs", JSON, "Content-Length: 50", 400),
    "told in two ways": ("/api/v1/jobs", JSON, f"{LENGTH}\r\n{CHUNKED}", 400),
    "of another type": ("/api/v1/jobs", "text/plain", LENGTH, 415),
    "where none is read": ("/-/reload", JSON, LENGTH, 200),
    "where nothing is posted": ("/metrics", JSON, CHUNKED, 405),
}


async def test_bodies_of_100_mb_do_no_harm(tmp_path: Path) -> None:
    """Several at once are refused while they come and hardly kept in memory, and pages go on."""
    async with exporter(tmp_path) as running:
        first = running.kib("VmRSS")
        for case, (path, kind, length, status) in CASES.items():
            before, pages = running.kib("VmRSS"), running.pages
            running.forget_most()
            head, chunked = HEAD.format(path=path, kind=kind, length=length), length.endswith("chunked")
            sending = (sent(running.url, head, pieces=blanks(chunked=chunked)) for _ in range(AT_ONCE))
            said = await asyncio.gather(*sending)
            most, taken_mb = running.kib("VmHWM"), sum(it.sent for it in said) / 1e6
            tell(f"{case}: {[it.statuses for it in said]} within {max(it.took_s for it in said):.2f} s")
            tell(f"  {taken_mb:.0f} MB taken; {before} KiB, at most {most}; {running.pages - pages} pages meanwhile")
            # Where nobody can tell where the next request begins, the server closes at once: answers may be lost.
            assert {it.statuses[:1] for it in said} <= ({(status,), ()} if status == 400 else {(status,)}), case
            assert most - before < MAY_GROW_KIB, case
        tell(
            f"{running.pages} pages, at most {running.longest_s:.2f} s each; {first} KiB became {running.kib('VmRSS')}"
        )
        assert running.kib("VmRSS") - first < MAY_GROW_KIB


async def test_bodies_that_trickle_are_refused_after_their_deadline(tmp_path: Path) -> None:
    """A byte a second, told and chunked: each is 408 and closed, and pages go on; nothing of it stays open."""
    async with exporter(tmp_path) as running:
        before, open_before = running.kib("VmRSS"), running.descriptors()
        running.forget_most()
        told, chunked = (
            HEAD.format(path="/api/v1/jobs", kind=JSON, length=it) for it in ("Content-Length: 1000", CHUNKED)
        )
        async with asyncio.TaskGroup() as tasks:
            sending = [tasks.create_task(sent(running.url, told, pieces=trickle()))]
            await asyncio.sleep(1)  # it is alone at first
            for _ in range(TRICKLERS // 2):
                sending.append(tasks.create_task(sent(running.url, told, pieces=trickle())))
                sending.append(tasks.create_task(sent(running.url, chunked, pieces=chunks())))
        said = [task.result() for task in sending]
        most, took_s = running.kib("VmHWM"), [it.took_s for it in said]
        tell(
            f"1 and {TRICKLERS} trickling: over after {min(took_s):.2f} to {max(took_s):.2f} s, all {said[0].statuses}"
        )
        tell(f"  {before} KiB, at most {most}; {running.pages} pages, at most {running.longest_s:.2f} s each")
        assert {it.statuses for it in said} == {(408,)}, said
        assert {f"within {READ_WITHIN_S:g} s" in it.text for it in said} == {True}
        assert min(took_s) >= READ_WITHIN_S - 0.1
        assert max(took_s) < READ_WITHIN_S + 5
        assert most - before < MAY_GROW_KIB
        assert running.pages > 50
        running.stop.set()
        await asyncio.sleep(0.5)  # the last page's own connection
        assert running.descriptors() <= open_before + 2


async def chunks() -> AsyncIterator[bytes]:
    """Yield a chunk of one byte a second."""
    async for byte in trickle():
        yield b"1\r\n%s\r\n" % byte
