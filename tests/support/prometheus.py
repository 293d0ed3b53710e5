"""Debian's prometheus and promtool, for tests that need the real ones."""

import json
import shutil
import signal
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.eventually import eventually
from tests.support.program import Program, answer, free_port, started

SCRAPING = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: spexporter
    static_configs: [{{targets: ["{target}"]}}]
"""


def tool(name: str) -> str:
    """Return the path of a program; the test fails where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not on the PATH: apt-get install --no-install-recommends prometheus")
    return path


async def promtool(*arguments: str | Path, text: str = "") -> tuple[int, str]:
    """Run promtool with `text` on its standard input and return its exit status and all that it said."""
    process = await create_subprocess_exec(
        tool("promtool"), *map(str, arguments), stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await process.communicate(text.encode())
    return await process.wait(), said.decode()


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    url: str
    program: Program

    async def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - whatever its API answers
        """Return `data` of an answer of its HTTP API."""
        status, text = await answer(f"{self.url}/api/v1/{path}?{urlencode(query)}")
        assert status == 200, text
        return json.loads(text)["data"]

    async def values(self, expression: str) -> list[float]:
        """Return the values of an instant query, without their labels."""
        data = await self.get("query", query=expression)
        return [float(sample["value"][1]) for sample in data["result"]]

    async def eventually(self, expression: str, *, within_s: float) -> list[float]:
        """Wait until an instant query has a result, and return its values."""
        return await eventually(lambda: self.values(expression), expression, within_s=within_s, every_s=0.5)


@asynccontextmanager
async def prometheus(target: str, folder: Path) -> AsyncIterator[Prometheus]:
    """Run a Prometheus on loopback that scrapes `target` (host:port) every second and keeps its data in `folder`."""
    config = folder / "prometheus.yml"
    config.write_text(SCRAPING.format(target=target))
    listen = f"127.0.0.1:{free_port()}"
    flags = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={listen}"]
    async with started([tool("prometheus"), *flags], folder, name="prometheus") as program:
        await program.says("Server is ready")
        yield Prometheus(f"http://{listen}", program)
        assert (await program.end(signal.SIGTERM)).status == 0
