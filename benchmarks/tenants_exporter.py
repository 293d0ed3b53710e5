"""The program as `tenants.py` starts it: with a heartbeat beside it, and the host names of tenants on loopback.

The arguments after `--` are those of `spexporter`. At the end, `--report` has how long everything in the event loop had
to wait at worst, by second, in milliseconds, with Unix seconds as keys.
"""

# ruff: noqa: INP001 - scripts beside each other
import argparse
import asyncio
import cProfile
import json
import socket
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from population import DOMAIN

from spexporter.cli import loop
from spexporter.cli import main as program

HEARTBEAT_S = 0.005


def answer_names() -> None:
    """Let the system's resolver know the hosts of all tenants."""
    look_up = socket.getaddrinfo

    def found(host: Any, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - as the system has it
        named = isinstance(host, str) and host.endswith(f".{DOMAIN}")
        return look_up("127.0.0.1" if named else host, *arguments, **more)

    socket.getaddrinfo = found  # type: ignore[assignment]


async def _beat(worst_ms: dict[int, float]) -> None:
    """Note by how much the loop wakes us too late."""
    due_s = time.monotonic()
    while True:
        due_s = max(due_s + HEARTBEAT_S, time.monotonic())
        await asyncio.sleep(due_s - time.monotonic())
        second, late_ms = int(time.time()), (time.monotonic() - due_s) * 1000
        worst_ms[second] = max(worst_ms.get(second, 0.0), late_ms)


async def with_heartbeat(main: Coroutine[Any, Any, Any], worst_ms: dict[int, float]) -> None:
    """Run `main` with a heartbeat beside it, which notes the worst of each second."""
    beating = asyncio.create_task(_beat(worst_ms), name="heartbeat")
    try:
        await main
    finally:
        beating.cancel()


def main() -> None:
    """Read the arguments and run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.loop == "asyncio":
        sys.modules["uvloop"] = None  # type: ignore[assignment]
    answer_names()
    worst_ms: dict[int, float] = {}
    run = loop.run
    loop.run = lambda main: run(with_heartbeat(main, worst_ms))  # type: ignore[assignment]
    sys.argv = ["spexporter", *options.arguments[1:]]
    profiler = cProfile.Profile()
    if options.profile:
        profiler.enable()
    try:
        program.entry()
    finally:
        if options.profile:
            profiler.disable()
            profiler.dump_stats(options.profile)
        options.report.write_text(json.dumps(worst_ms))


if __name__ == "__main__":
    main()
