"""Compares reading Configuration Hub's lists to asking about each job by its id: `python benchmarks/discovery.py`.

All data is synthetic: simulated tenants over HTTP on loopback, on a clock that is moved, so that hours take seconds.
The jobs begin at the same times and take as long in both ways; by id they are exports, handed over as they begin.
"""

# ruff: noqa: INP001, T201 - a script that prints what it found
import argparse
import asyncio
import logging
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from spexporter.domain.values import replace

sys.path.insert(0, str(Path(__file__).parents[1]))

from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.simulator import default_plans
from tests.support.world import World, world

EMPTY = {"jobs_at_start": 0, "starts_per_minute": 0.0, "hub_jobs_at_start": 0, "hub_starts_per_minute": 0.0}
PLAN = replace(default_plans(1)[0], name="acme", **EMPTY)  # type: ignore[arg-type]  # the names above are its fields
HOUR_S = 3600.0


class Run(NamedTuple):
    """A job that begins `at_s` seconds after the beginning of the hour and takes `took_s`."""

    at_s: float
    took_s: float


def drawn(count: int, *, seed: int) -> Sequence[Run]:
    """Return `count` jobs of one to twenty minutes, spread over an hour, in the order in which they begin."""
    dice = random.Random(seed)  # noqa: S311 - no secret depends on it
    return sorted(Run(dice.uniform(0, HOUR_S), dice.uniform(60, 1200)) for _ in range(count))


def asked(running: World) -> Counter[str]:
    """Return how often each endpoint was asked for."""
    clients: Any = running.simulator.truth()["clients"]
    return Counter(endpoint for _, _, endpoint, _ in clients[PLAN.client_id]["requests"])


async def measured(runs: Sequence[Run], *, old: int, by_list: bool) -> Counter[str]:
    """Return the requests of one hour in which `runs` begin, with `old` ended jobs known before."""
    operation = Operation.BACKUP if by_list else Operation.EXPORT
    async with world([PLAN], hub=by_list) as running:
        jobs = [WatchedJob(JobKey("acme", operation, f"old{number}")) for number in range(old)]
        for job in jobs:
            _start(running, job, took_s=60.0, ago_s=10 * HOUR_S)
        if not by_list:
            await running.exporter.fleet.desk.watch(Source.CONFIG, "acme", jobs)
        await running.advance(HOUR_S)
        before, past_s = asked(running), 0.0
        for number, run in enumerate(runs):
            await running.advance(run.at_s - past_s)
            past_s = run.at_s
            jobs.append(WatchedJob(JobKey("acme", operation, f"new{number}")))
            _start(running, jobs[-1], took_s=run.took_s, ago_s=0.0)
            if not by_list:
                await running.exporter.fleet.desk.watch(Source.CONFIG, "acme", jobs)
        await running.advance(HOUR_S - past_s)
        return asked(running) - before


def _start(running: World, job: WatchedJob, *, took_s: float, ago_s: float) -> None:
    created_s = running.simulator.now_s() - ago_s
    options: Any = {"job_id": job.key.job_id, "duration_s": took_s, "queue_s": 0.0, "created_s": created_s}
    running.simulator.start("acme", job.key.operation.value, **options)


async def compare(counts: Sequence[int], old: int) -> None:
    """Print the requests per hour of both ways, and what asking about each known id every minute would cost."""
    print(f"{'jobs begun in the hour':>24} {'by list':>8} {'by id':>8} {'ratio':>6}   each known id every minute")
    for count in counts:
        runs = drawn(count, seed=count)
        by_list, by_id = [(await measured(runs, old=old, by_list=way)).total() for way in (True, False)]
        print(f"{count:>24} {by_list:>8} {by_id:>8} {by_list / by_id:>6.2f}   {(old + count) * 60}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="+", default=[0, 2, 12, 60], help="begun in the hour")
    parser.add_argument("--old", type=int, default=300, help="ended long before")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(compare(options.jobs, options.old))
