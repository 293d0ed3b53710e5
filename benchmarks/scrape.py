"""Compares making a page of metrics to prometheus-client, to a memory copy and, with `--go`, to client_golang.

`python benchmarks/scrape.py` renders; with `--get` whole pages are got over HTTP with Prometheus' own headers. All data
is synthetic. Ways are measured one after another inside each round.
"""

# ruff: noqa: INP001, T201 - a script that prints what it found
import argparse
import asyncio
import gc
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from fleet import NOW, Fleet
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView
from spexporter.exposition.collector import CollectorPage
from spexporter.exposition.families import TENANT_FAMILIES
from spexporter.exposition.guard import Guard
from spexporter.exposition.negotiate import Form
from spexporter.exposition.page import BlockPage, Wanted

HERE = Path(__file__).parent
ROUNDS = 3


class Deaf:
    """Hears nothing of how many series there are."""

    def series(self, shown: int, limit: int, *, dropped: int) -> None:
        """See `SeriesWatch.series`."""


def engine() -> BlockPage:
    """Return an engine without metrics of its own and without a limit that matters."""
    return BlockPage(CollectorRegistry(), {}, guard=Guard(10**9), watch=Deaf())


def gauges(views: Sequence[TenantView]) -> CollectorRegistry:
    """Return prometheus-client's own objects with the samples of `views`; those of histograms are gauges, too."""
    registry, known = CollectorRegistry(), {}
    for family in TENANT_FAMILIES:
        for view in views:
            for row in family.rows(view, NOW):
                labels = ("tenant", *(name for name, _ in row.labels))
                name = (family.name + row.suffix).removesuffix("_total")
                if name not in known:
                    known[name] = Gauge(name, family.help, labels, registry=registry)
                known[name].labels(view.tenant, *(value for _, value in row.labels)).set(row.value)
    return registry


def timed(make: Callable[[], object]) -> float:
    """Return how long `make` took, in milliseconds; what earlier ones left is not swept up meanwhile."""
    gc.collect()
    began_s = time.perf_counter()
    make()
    return (time.perf_counter() - began_s) * 1000


def rendering(page: BlockPage, fleet: Fleet, loop: asyncio.AbstractEventLoop) -> Callable[[], object]:
    """Return what renders a page of `fleet` as it is then; later by a second each time, so that jobs run on."""
    seconds = iter(range(1, 10**6))

    def once() -> object:
        second = next(seconds)
        now = Moment(NOW.wall_s + second, NOW.monotonic_s + second)
        return loop.run_until_complete(page.render(lambda: fleet.views, now, Wanted()))

    return once


def compare(series: int, rounds: int, go: Path | None) -> None:
    """Print how long each way takes for a page of about `series` series."""
    fleets = {running: Fleet(series, running) for running in (0.0, 0.02)}
    views = fleets[0.02].views
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        makes = {running: rendering(engine(), fleet, loop) for running, fleet in fleets.items()}
        page = b"".join(makes[0.02]().parts)  # type: ignore[attr-defined]
        makes[0.0]()
        registry, collector = gauges(views), CollectorPage(CollectorRegistry(), {})
        original = bytearray(page)
        found: dict[str, list[float]] = {}
        for _ in range(rounds):
            found.setdefault("prometheus_client, Gauge", []).append(timed(lambda: generate_latest(registry)))
            found.setdefault("prometheus_client, custom collector", []).append(
                timed(lambda: collector.page(views, Form.TEXT, NOW))
            )
            for running, fleet in fleets.items():
                for share in (0.0, 0.01, 0.1, 1.0):
                    fleet.change(share)
                    name = f"ours, {share:.0%} changed, {running:.0%} running"
                    found.setdefault(name, []).append(timed(makes[running]))
            found.setdefault("one memory copy", []).append(timed(lambda: bytes(original)))
            if go is not None:
                found.setdefault("client_golang, const collector", []).extend(in_go(go, page, 1))
    lines = page.count(b"\n") - page.count(b"\n#") - 1
    print(f"\n{lines} series, {len(page) / 1e6:.1f} MB, median of {rounds} rounds")
    report(found, "prometheus_client, Gauge", "one memory copy", "client_golang, const collector")


def report(found: dict[str, list[float]], *yardsticks: str) -> None:
    """Print each way's median and how many times as long each yardstick takes."""
    known = [name for name in yardsticks if name in found]
    print("| way | ms | " + " | ".join(f"x faster than {name}" for name in known) + " |")
    print("|---|---|" + "---|" * len(known))
    for name, took_ms in found.items():
        ratios = (f"{median(found[other]) / median(took_ms):.3g}" for other in known)
        print(f"| {name} | {median(took_ms):.3g} | " + " | ".join(ratios) + " |")


def built(folder: Path) -> Path:
    """Build the program in Go from Debian's packages."""
    program = folder / "scrape"
    environment = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": "/usr/share/gocode",
        "GOFLAGS": "",
        "GOCACHE": str(folder),
    }
    command = ["go", "build", "-o", str(program), str(HERE / "go" / "scrape.go")]
    subprocess.run(command, check=True, env=environment)  # noqa: S603 - our own arguments
    return program


def in_go(program: Path, page: bytes, rounds: int) -> Iterator[float]:
    """Yield the milliseconds that client_golang takes for the samples of `page`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "page.txt"
        path.write_bytes(page)
        command = [str(program), str(path), str(rounds)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        yield from map(float, done.stdout.split())


def compression(series: int) -> None:
    """Print how well the page is compressed, next to zlib."""
    fleet = Fleet(series, 0.02)

    async def both() -> tuple[bytes, bytes]:
        pages = [await engine().render(lambda: fleet.views, NOW, Wanted(gzip=packed)) for packed in (False, True)]
        plain, packed = (b"".join(page.parts) for page in pages)
        return plain, packed

    plain, packed = asyncio.run(both())
    six = zlib.compress(plain, 6)
    print(f"\ncompressed to 1/{len(plain) / len(packed):.2f}, zlib level 6 to 1/{len(plain) / len(six):.2f}")


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, nargs="*", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--go", action="store_true", help="needs golang-go, golang-github-prometheus-client-golang-dev")
    parser.add_argument("--get", action="store_true", help="whole pages over HTTP instead")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        go = built(Path(folder)) if options.go else None
        for series in options.series:
            if options.get:
                from scrape_get import compare_gets  # noqa: PLC0415 - it imports this module

                compare_gets(series, options.rounds, go)
            else:
                compare(series, options.rounds, go)
                compression(series)
    return 0


if __name__ == "__main__":
    sys.exit(main())
