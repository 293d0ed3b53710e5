"""Compares what a kept TLS connection costs on uvloop and on asyncio's own loop: `python benchmarks/connections.py`.

One for each tenant, each of which has a host name of its own, with the program's own session, to the simulator in
another process. Each loop has a process of its own in each round.
"""

# ruff: noqa: INP001, T201 - a script that prints what it found
import argparse
import asyncio
import json
import os
import ssl
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from population import DOMAIN, tenant_name
from tenants_exporter import answer_names
from tenants_processes import Usage, running, simulator

from spexporter.cli import loop
from spexporter.sailpoint.connections import client_session

AT_ONCE = 32
ASKED_AGAIN = 3
LOOPS = ("uvloop", "asyncio")


async def visits(options: argparse.Namespace) -> None:
    """Ask each tenant once, and some times more; print what that has cost."""
    context = ssl.create_default_context(cafile=str(options.folder / "ca.pem"))
    async with client_session() as http:
        turns = asyncio.Semaphore(AT_ONCE)

        async def ask(number: int) -> None:
            name = tenant_name(number)
            url = f"https://{name}.{DOMAIN}:{options.port}/{name}/oauth/info"
            async with turns, http.get(url, ssl=context) as response:
                await response.read()

        found, started_s = [Usage.of(os.getpid())], time.monotonic()
        for _ in range(1 + ASKED_AGAIN):
            await asyncio.gather(*map(ask, range(options.tenants)))
            found.append(Usage.of(os.getpid()))
        first, again = found[1], found[-1]
        print(
            json.dumps(
                {
                    "kb": (first.rss_mb - found[0].rss_mb) * 1e3 / options.tenants,
                    "first_us": (first.cpu_s - found[0].cpu_s) * 1e6 / options.tenants,
                    "again_us": (again.cpu_s - first.cpu_s) * 1e6 / options.tenants / ASKED_AGAIN,
                    "took_s": time.monotonic() - started_s,
                }
            )
        )


async def compared(options: argparse.Namespace, folder: Path) -> None:
    """Let both loops visit all tenants in turns, and print how they compare."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in LOOPS}
    async with simulator(options, folder, 0.0) as (simulated, _):
        port = simulated.url.rpartition(":")[2]
        for _ in range(options.rounds):
            for name in LOOPS:
                flags = [f"--visitor={name}", f"--folder={folder}", f"--port={port}", f"--tenants={options.tenants}"]
                async with running(__file__, *flags, stdout=PIPE) as process:
                    said, _ = await asyncio.wait_for(process.communicate(), 300)
                found[name].append(json.loads(said))
    print(f"| loop | KB for each of {options.tenants} connections | CPU us, with the handshake | CPU us, kept |")
    print("|---|---|---|---|")
    middle = {name: {key: median(each[key] for each in rounds) for key in rounds[0]} for name, rounds in found.items()}
    for name, of in middle.items():
        print(f"| {name} | {of['kb']:.0f} | {of['first_us']:.0f} | {of['again_us']:.0f} |")
    ratios = [middle["asyncio"][key] / middle["uvloop"][key] for key in ("kb", "first_us", "again_us")]
    print(f"| asyncio / uvloop | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")


def main() -> None:
    """Read the arguments and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--visitor", choices=LOOPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.visitor:
        if options.visitor == "asyncio":
            sys.modules["uvloop"] = None  # type: ignore[assignment]
        answer_names()
        loop.run(visits(options))
        return
    options.jobs, options.seed = 0, 1
    with TemporaryDirectory() as folder:
        asyncio.run(compared(options, Path(folder)))


if __name__ == "__main__":
    main()
