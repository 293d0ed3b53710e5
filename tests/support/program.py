"""The program as users run it: a process of its own, its output in files, ended by its id."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import aiohttp

from tests.support.eventually import eventually

SPEXPORTER = (sys.executable, "-m", "spexporter")
START_S = 15.0
LOOPBACK = "127.0.0.1:0"
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
_URL = re.compile(r"https?://127\.0\.0\.1:\d+")


class Ended(NamedTuple):
    """How a process ended: its exit status, and how long that took."""

    status: int
    took_s: float


@dataclass(frozen=True, slots=True)
class Program:
    """A running process."""

    process: Process
    stdout: Path
    stderr: Path

    def printed(self) -> str:
        """Return all that it wrote so far, on both streams."""
        return self.stdout.read_text() + self.stderr.read_text()

    async def says(self, text: str, *, within_s: float = START_S) -> str:
        """Wait for a line with `text` in it and return it."""

        async def look() -> str | None:
            if (line := self._line(text)) is None and self.process.returncode is not None:
                raise AssertionError(f"ended with status {self.process.returncode}:\n{self.printed()}")
            return line

        return await eventually(look, f"a line with {text!r}", within_s=within_s)

    async def url(self, text: str = "event=started") -> str:
        """Wait for a line with `text` in it and return the address that it names."""
        found = _URL.search(await self.says(text))
        assert found, self.printed()
        return found[0]

    async def end(self, number: signal.Signals, *, within_s: float = 20.0) -> Ended:
        """Send a signal and wait for the end."""
        sent_s = time.monotonic()
        self.process.send_signal(number)
        async with asyncio.timeout(within_s):
            status = await self.process.wait()
        return Ended(status, time.monotonic() - sent_s)

    def _line(self, text: str) -> str | None:
        lines = self.printed().splitlines(keepends=True)
        return next((line for line in lines if text in line and line.endswith("\n")), None)


@asynccontextmanager
async def started(
    command: Sequence[str | Path],
    folder: Path,
    *,
    name: str = "program",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> AsyncIterator[Program]:
    """Run `command` for as long as the block lasts; its output goes to `name`.stdout and .stderr in `folder`.

    It works in `folder`, too, unless `cwd` says otherwise: a file that it leaves there is gone with the test. It
    inherits the environment without any proxy, and with `env`.
    """
    stdout, stderr = folder / f"{name}.stdout", folder / f"{name}.stderr"
    inherited = {key: value for key, value in os.environ.items() if key.lower() not in _PROXIES}
    plain = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "400"}
    with stdout.open("wb") as out, stderr.open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            *map(str, command), stdout=out, stderr=err, cwd=cwd or folder, env={**inherited, **plain, **(env or {})}
        )
    try:
        yield Program(process, stdout, stderr)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def spexporter(
    *arguments: str | Path, folder: Path, name: str = "spexporter", env: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """Run `spexporter` with `arguments` for as long as the block lasts."""
    async with started((*SPEXPORTER, *arguments), folder, name=name, env=env) as program:
        yield program


async def ran(*arguments: str | Path, folder: Path, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run `spexporter` to its end and return its exit status, standard output and standard error."""
    async with spexporter(*arguments, folder=folder, name="ran", env=env) as program:
        async with asyncio.timeout(START_S):
            status = await program.process.wait()
        return status, program.stdout.read_text(), program.stderr.read_text()


async def answer(url: str) -> tuple[int, str]:
    """Return the status and the text of one GET."""
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status, await response.text()


async def ready(url: str) -> None:
    """Wait until `/-/ready` answers 200."""

    async def look() -> bool:
        return (await answer(f"{url}/-/ready"))[0] == 200

    await eventually(look, "/-/ready", within_s=START_S)


def json_lines(text: str) -> list[dict[str, object]]:
    """Read one JSON object from each line."""
    return [json.loads(line) for line in text.splitlines()]


def free_port() -> int:
    """Return a port that nothing listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
