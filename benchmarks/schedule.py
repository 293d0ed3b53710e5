"""Measures what a job in the schedule weighs, and how long it takes to take one and to queue it anew.

`python benchmarks/schedule.py`: the real schedule with a thousand to a million jobs of one tenant. Synthetic ids.
"""

# ruff: noqa: INP001, T201, S311 - a script that prints what it found; no secret depends on its dice
import sys
import time
import tracemalloc
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from spexporter.domain.inspection import Fit
from spexporter.domain.job import JobKey, Operation
from spexporter.domain.schedule import Outlook, Pace, Schedule, Target, TargetKind

SIZES = (1_000, 100_000, 1_000_000)
TURNS = 200_000
FIT = Fit(600.0, 0.5)


def main() -> None:
    """Print a table."""
    print("| jobs | bytes each | take, us | queue anew, us |\n|---|---|---|---|")
    for size in SIZES:
        dice, schedule = Random(1), Schedule()
        schedule.pace("acme", Pace())
        targets = [
            Target("acme", TargetKind.STATUS, JobKey("acme", Operation.EXPORT, f"{number:032x}"))
            for number in range(size)
        ]
        outlooks = [[Outlook(FIT, dice.uniform(0, 600))] for _ in range(size)]
        tracemalloc.start()
        for target, outlook in zip(targets, outlooks, strict=True):
            schedule.look_again(target, outlook, 0.0)
        weight = tracemalloc.get_traced_memory()[0] / size
        tracemalloc.stop()
        now_s, take_s, queue_s = 0.0, 0.0, 0.0
        for _ in range(TURNS):
            now_s = max(now_s + 0.001, schedule.head())
            began_s = time.perf_counter()
            taken = schedule.take(now_s)
            taken_s = time.perf_counter()
            if taken is None:
                continue
            schedule.look_again(taken[0], [Outlook(FIT, now_s)], now_s)
            take_s += taken_s - began_s
            queue_s += time.perf_counter() - taken_s
        print(f"| {size:,} | {weight:.0f} | {take_s / TURNS * 1e6:.1f} | {queue_s / TURNS * 1e6:.1f} |", flush=True)


if __name__ == "__main__":
    main()
