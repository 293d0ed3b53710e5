"""Compares ways to count what a long import result says: `python benchmarks/import_result.py`.

All data is synthetic and written into a temporary folder for as long as the comparison lasts. Each way has a process of
its own each time, so that the highest memory it has had can be told: that counts what it holds of the result, too. Only
the counting is timed, not the reading of the file.
"""

# ruff: noqa: INP001, T201, S603 - a script that prints what it found, and starts itself
import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import ijson

from spexporter.domain.result import ImportResult, TypeCounts
from spexporter.sailpoint.resultsink import ResultSink
from spexporter.sailpoint.wire import decode_result

TYPES = ("SOURCE", "RULE", "TRANSFORM", "IDENTITY_PROFILE", "ROLE")
LISTS = {"errors": "errors", "warnings": "warnings", "infos": "infos", "importedObjects": "objects"}
PIECE = 64 * 1024
MB = 1_000_000
JSON, WHOLE, PARSER, STREAM = (
    "json.loads and counting",
    "ours, a whole body",
    "ijson alone, by pieces",
    "ours, by pieces",
)


class Measured(NamedTuple):
    """What one run of a way took: in all, the longest that anything else had to wait, and memory above its base."""

    took_s: float
    stall_s: float
    peak_bytes: int
    counts: str


def write(path: Path, size: int) -> int:
    """Write a result of about `size` bytes, and return how long it became."""
    share = size // (len(TYPES) * len(LISTS))
    with path.open("w") as file:
        file.write('{"results":')
        for place, name in enumerate(TYPES):
            for turn, field in enumerate(LISTS):
                file.write(("{" if not place else ",") + f'"{name}":{{' if not turn else ",")
                file.write(f'"{field}":[')
                file.writelines(_entries(name, field, share))
                file.write("]")
            file.write("}")
        file.write('},"exportJobId":"be9e116d-08e1-49fc-ab7f-fa585e96c9e4"}')
    return path.stat().st_size


def _entries(name: str, field: str, size: int) -> Iterator[str]:
    number, written = 0, 0
    while written < size:
        key = f"2c9180835d191a86015d28455b{number % 10**6:06}"
        entry: dict[str, object] = {"type": name, "id": key, "name": f"Synthetic {name.lower()} number {number}"}
        if field != "importedObjects":
            text = f"Unable to resolve reference for object: [{name}, {key}, Synthetic {number}]"
            detail = {"exceptionMessage": "Simulated: not found", "cause": "simulated"} if number % 3 == 0 else None
            entry = {"key": "UNKNOWN_REFERENCE_RESOLVER" if number % 2 else None, "text": text, "detail": detail}
        line = json.dumps(entry, separators=(",", ":"))
        yield f",{line}" if number else line
        number, written = number + 1, written + len(line) + 1


def by_json(path: Path) -> tuple[ImportResult, float, float]:
    """Read all into Python's values and take the lengths of the lists."""
    body = path.read_bytes()
    began_s = time.perf_counter()
    document = json.loads(body)
    types = {
        name: TypeCounts(**{kind: len(entry[field]) for field, kind in LISTS.items()})
        for name, entry in document["results"].items()
    }
    infos = (info for entry in document["results"].values() for info in entry["infos"])
    result = ImportResult(types, any(info["key"] == "IMPORT_PREVIEW" for info in infos), document["exportJobId"])
    took_s = time.perf_counter() - began_s
    return result, took_s, took_s


def by_whole(path: Path) -> tuple[ImportResult, float, float]:
    """Decode a whole body, as short results are and those of `spexporter wait`."""
    body = path.read_bytes()
    began_s = time.perf_counter()
    result = decode_result(body)
    took_s = time.perf_counter() - began_s
    return result, took_s, took_s


def by_parser(path: Path) -> tuple[ImportResult, float, float]:
    """Count the entries of lists with the streaming parser alone; it looks for no preview and no backup."""
    events: Any = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events)
    counts: dict[str, dict[str, int]] = {}
    names, depth, took_s, stall_s = [""] * 100, 0, 0.0, 0.0
    for piece in _pieces(path):
        began_s = time.perf_counter()
        parser.send(piece)
        for event, value in events:
            if event == "map_key":
                names[depth] = value
            elif event in {"start_map", "start_array"}:
                depth += 1
                if depth == 5:  # noqa: PLR2004 - body, results, type, list, entry
                    of = counts.setdefault(names[2], dict.fromkeys(LISTS.values(), 0))
                    of[LISTS[names[3]]] += 1
            elif event in {"end_map", "end_array"}:
                depth -= 1
        events.clear()
        turn_s = time.perf_counter() - began_s
        took_s, stall_s = took_s + turn_s, max(stall_s, turn_s)
    parser.close()
    backup_id = "be9e116d-08e1-49fc-ab7f-fa585e96c9e4"
    return ImportResult({name: TypeCounts(**of) for name, of in counts.items()}, backup_id=backup_id), took_s, stall_s


def by_stream(path: Path) -> tuple[ImportResult, float, float]:
    """Count while it arrives, in an event loop in which something else wants to run all the time."""
    return asyncio.run(_streamed(path))


async def _streamed(path: Path) -> tuple[ImportResult, float, float]:
    sink, took_s, stall_s = ResultSink(), 0.0, 0.0
    done = asyncio.Event()

    async def wait() -> None:
        nonlocal stall_s
        last_s = time.perf_counter()
        while not done.is_set():
            await asyncio.sleep(0)
            now_s = time.perf_counter()
            stall_s, last_s = max(stall_s, now_s - last_s), now_s

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(wait(), name="wait")
        for piece in _pieces(path):
            began_s = time.perf_counter()
            await sink.take(piece)
            took_s += time.perf_counter() - began_s
        began_s = time.perf_counter()
        result = sink.result()
        took_s += time.perf_counter() - began_s
        done.set()
    return result, took_s, stall_s


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            yield piece


WAYS: dict[str, Callable[[Path], tuple[ImportResult, float, float]]] = {
    JSON: by_json,
    WHOLE: by_whole,
    PARSER: by_parser,
    STREAM: by_stream,
}


def memory_bytes(name: str) -> int:
    """Return what Linux says of this process: VmRSS is its memory now, VmHWM the most since it was last cleared."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def run_one(way: str, path: Path) -> None:
    """Count once in this process and print what that took, as JSON."""
    with TemporaryDirectory() as folder:  # what is imported and made at the first use is none of the way's
        small = Path(folder) / "small.json"
        write(small, 1000)
        WAYS[way](small)
    Path("/proc/self/clear_refs").write_text("5")
    base = memory_bytes("VmRSS")
    result, took_s, stall_s = WAYS[way](path)
    print(json.dumps(Measured(took_s, stall_s, memory_bytes("VmHWM") - base, str(result))))


def measure(way: str, path: Path) -> Measured:
    """Count once in a process of its own."""
    command = [sys.executable, __file__, "--one", way, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Measured(*json.loads(done.stdout))


def compare(path: Path, size: int, rounds: int) -> None:
    """Count one result in all ways in turns, and print how they compare."""
    found: dict[str, list[Measured]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, runs in found.items():
            runs.append(measure(way, path))
    if len({run.counts for runs in found.values() for run in runs}) != 1:
        raise SystemExit(f"the ways do not agree: { ({way: runs[0].counts for way, runs in found.items()}) }")
    base_s = median(run.took_s for run in found[JSON])
    print(f"\n{size / MB:.1f} MB, median of {rounds} rounds, worst wait of all\n")
    print("| way | ms | MB/s | x faster than json.loads | most memory, MB | of the size | worst wait, ms |")
    print("|---|---|---|---|---|---|---|")
    for way, runs in found.items():
        took_s, peak = median(run.took_s for run in runs), median(run.peak_bytes for run in runs)
        stall_s = max(run.stall_s for run in runs)
        print(
            f"| {way} | {took_s * 1e3:.3g} | {size / MB / took_s:.3g} | {base_s / took_s:.3g} "
            f"| {peak / MB:.3g} | {peak / size:.3g} | {stall_s * 1e3:.3g} |"
        )


def main() -> None:
    """Read the arguments and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 50, 200, 500], metavar="MB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_one(options.one[0], Path(options.one[1]))
        return
    with TemporaryDirectory() as folder:
        for size in options.sizes:
            path = Path(folder) / "result.json"
            compare(path, write(path, size * MB), options.rounds)


if __name__ == "__main__":
    main()
