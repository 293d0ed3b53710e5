"""Debian's prometheus and promtool, for tests that need the real ones."""

import json
import shutil
import signal
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from tests.support.eventually import eventually
from tests.support.program import Program, answer, free_port, started

SCRAPING = """
global: {{scrape_interval: {every}, evaluation_interval: {every}}}
rule_files: {rules}
alerting: {{alertmanagers: [{{static_configs: [{{targets: {alertmanagers}}}]}}]}}
scrape_configs:
  - job_name: spexporter
    static_configs: [{{targets: {targets}}}]
"""
LOADED_WITHIN_S = 10.0
PACKAGES = "prometheus prometheus-alertmanager"


class Series(NamedTuple):
    """One series of raw samples: its labels, and its values from the oldest to the newest."""

    labels: Mapping[str, str]
    values: Sequence[float]


def tool(name: str) -> str:
    """Return the path of a program; the test fails where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not on the PATH: apt-get install --no-install-recommends {PACKAGES}")
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
        return [value for _, value in await self.vector(expression)]

    async def vector(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        """Return labels and value of each sample of an instant query."""
        data = await self.get("query", query=expression)
        return [(sample["metric"], float(sample["value"][1])) for sample in data["result"]]

    async def raw(self, selector: str) -> list[Series]:
        """Return the samples of a range vector such as `up[10m]` as they were scraped."""
        data = await self.get("query", query=selector)
        assert data["resultType"] == "matrix", selector
        return [Series(each["metric"], [float(value) for _, value in each["values"]]) for each in data["result"]]

    async def reload(self) -> None:
        """Let it read its configuration and its rules again."""
        before = self._loads()
        self.program.process.send_signal(signal.SIGHUP)

        async def look() -> bool:
            return self._loads() > before

        await eventually(look, "the configuration is loaded", within_s=LOADED_WITHIN_S)

    def _loads(self) -> int:
        return self.program.printed().count("Completed loading of configuration file")

    async def eventually(self, expression: str, *, within_s: float) -> list[float]:
        """Wait until an instant query has a result, and return its values."""
        return await eventually(lambda: self.values(expression), expression, within_s=within_s, every_s=0.5)


@asynccontextmanager
async def prometheus(
    target: str,
    folder: Path,
    *others: str,
    every: str = "1s",
    rules: Sequence[Path] = (),
    alertmanagers: Sequence[str] = (),
    flags: Sequence[str] = (),
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus on loopback that scrapes `target` (host:port) `every` so often and keeps its data in `folder`.

    It scrapes `others`, too, from the beginning: one where nothing listens yet is down until something does. `rules`
    are files of rules, which it evaluates as often as it scrapes; alerts go to `alertmanagers` (host:port). `flags` are
    more of its command line.
    """
    configuration = SCRAPING.format(
        every=every,
        rules=json.dumps([str(path) for path in rules]),
        alertmanagers=json.dumps(alertmanagers),
        targets=json.dumps([target, *others]),
    )
    async with _running(folder, configuration, *flags) as running:
        yield running


@asynccontextmanager
async def prometheus_with(scrape_configs: Sequence[Mapping[str, object]], folder: Path) -> AsyncIterator[Prometheus]:
    """Run a Prometheus on loopback that scrapes each second as `scrape_configs` of its configuration say."""
    configuration = {"global": {"scrape_interval": "1s"}, "scrape_configs": scrape_configs}
    async with _running(folder, json.dumps(configuration)) as running:
        yield running


@asynccontextmanager
async def looking_back(folder: Path, *, lookback: str) -> AsyncIterator[Prometheus]:
    """Run a Prometheus on loopback that scrapes nothing; its data are in the folder `tsdb` of `folder` already.

    `lookback` is how long a sample counts: blocks that were not scraped do not say where a series ended.
    """
    async with _running(folder, "global: {}\n", f"--query.lookback-delta={lookback}") as running:
        yield running


@asynccontextmanager
async def _running(folder: Path, configuration: str, *more: str) -> AsyncIterator[Prometheus]:
    config = folder / "prometheus.yml"
    config.write_text(configuration)
    listen = f"127.0.0.1:{free_port()}"
    flags = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={listen}"]
    async with started([tool("prometheus"), *flags, *more], folder, name="prometheus") as program:
        await program.says("Server is ready")
        yield Prometheus(f"http://{listen}", program)
        assert (await program.end(signal.SIGTERM)).status == 0
