"""Half an hour of an exporter's life as Prometheus would have scraped it: seeded, and made in seconds.

The exporter watches simulated tenants that have all kinds of good and bad days (`tests.support.story` tells which),
on a clock that jumps. Every quarter of a minute its page is asked for over HTTP; `History.open_metrics` is all that
was scraped, for `promtool tsdb create-blocks-from openmetrics`.

To look at it: `python -m tests.support.history FOLDER`, then run Prometheus on FOLDER.
"""

import argparse
import asyncio
import math
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import aiohttp

from spexporter.logs import LogFormat, LogLevel, set_up_logs
from tests.support.clock import START_WALL_S, FakeClock
from tests.support.prometheus import promtool
from tests.support.story import Story
from tests.support.world import CountedTelemetry, World, world

LASTS_S = 1800.0
SCRAPED_EVERY_S = 15.0
TENANTS_URL = "https://sailpoint.example/"  # of all tenants, wherever the simulator happens to listen
TARGET = {"job": "spexporter", "instance": "spexporter-0:9977"}
# No series outlives its last scrape by more: blocks have no markers for series that end.
LOOKBACK = "20s"

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_PROCESS_START = "process_start_time_seconds"


@dataclass(frozen=True, slots=True)
class History:
    """What was scraped from `start_s` to `end_s` (Unix seconds), one page each `SCRAPED_EVERY_S`."""

    start_s: float
    end_s: float
    pages: Sequence[tuple[float, str]] = field(repr=False)

    def open_metrics(self, *targets: Mapping[str, str]) -> Iterator[str]:
        """Yield the samples of all pages, line by line, as if they had been scraped from `targets` (`TARGET`).

        With several targets the tenants move at the middle of the history from one to the next, and both show the
        page of that moment, as when another replica takes over.
        """
        shares = targets or (TARGET,)
        for number, target in enumerate(shares):
            labels = ",".join(f'{name}="{value}"' for name, value in target.items())
            first, last = (len(self.pages) * part // len(shares) for part in (number, number + 1))
            for at_s, page in self.pages[max(0, first - 1) : last]:
                yield from _samples(page, labels, at_s, self.start_s)
        yield "# EOF\n"

    async def write_blocks(self, folder: Path, *targets: Mapping[str, str]) -> None:
        """Write the blocks of a Prometheus's data folder."""
        text = folder / "history.om"
        with text.open("w") as file:
            file.writelines(self.open_metrics(*targets))
        status, said = await promtool("tsdb", "create-blocks-from", "openmetrics", text, folder)
        text.unlink()
        assert status == 0, said


def _samples(page: str, target: str, at_s: float, start_s: float) -> Iterator[str]:
    """Yield what Prometheus stores of one scrape."""
    yield f"up{{{target}}} 1 {at_s:.3f}\n"
    for line in page.splitlines():
        if line.startswith("#"):
            continue
        found = _SAMPLE.match(line)
        assert found, line
        name, labels, value = found.groups()
        if name == _PROCESS_START:
            value = str(start_s)  # this process lives in real time, the history in its own
        yield f"{name}{{{target}{',' + labels if labels else ''}}} {value} {at_s:.3f}\n"


class PacedTelemetry(CountedTelemetry):
    """Says that exchanges took a while: the clock stands still while one is in flight. The times are synthetic."""

    def __init__(self, dice: Random) -> None:
        super().__init__()
        self._dice = dice

    def ended(self, tenant: str, endpoint: str, code: str, took_s: float, *, deprecated: bool) -> None:
        synthetic_s = math.exp(self._dice.gauss(math.log(0.15), 0.5))
        super().ended(tenant, endpoint, code, took_s + synthetic_s, deprecated=deprecated)


async def lived(*, seed: int = 1, lasts_s: float = LASTS_S, start_s: float = START_WALL_S) -> History:
    """Let an exporter live through the story that `seed` makes, from `start_s` (Unix seconds) on."""
    story, telemetry = Story(seed), PacedTelemetry(Random(seed))  # noqa: S311 - no secret
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with world(
            story.plans,
            plant=story.past(start_s),
            config=story.config(folder),
            clock=FakeClock(start_s),
            store=folder / "store.db",
            seed=seed,
            telemetry=telemetry,
        ) as running:
            set_up_logs(LogLevel.INFO, LogFormat.LOGFMT, telemetry.count_log_line)
            with redirect_stderr(StringIO()):  # hundreds of lines that nobody will read; they are counted
                pages = await _scraped(running, story, folder, lasts_s)
    return History(start_s, start_s + lasts_s, pages)


async def _scraped(running: World, story: Story, folder: Path, lasts_s: float) -> list[tuple[float, str]]:
    """Let time pass from scrape to scrape, and happen in between what the story says."""
    pages, start_s = [], running.clock.wall()
    async with aiohttp.ClientSession() as http:
        for number in range(round(lasts_s / SCRAPED_EVERY_S) + 1):
            at_s = start_s + number * SCRAPED_EVERY_S
            await running.advance(at_s - running.clock.wall())
            async with http.get(f"{running.url}/metrics") as response:
                assert response.status == 200, await response.text()
                page = await response.text()
            pages.append((at_s, page.replace(f"{running.tenants_url}/", TENANTS_URL)))
            await story.happen(running, folder, at_s - start_s)
    return pages


def main() -> None:
    """Write a history into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a data folder for Prometheus; what is there goes")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    history = asyncio.run(lived(seed=options.seed))
    asyncio.run(history.write_blocks(options.folder))
    sys.stdout.write(f"from {history.start_s:.0f} to {history.end_s:.0f}, Unix seconds\n")


if __name__ == "__main__":
    main()
