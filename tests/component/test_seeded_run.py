import random
from collections.abc import Mapping
from typing import Any

from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.domain.values import replace
from spexporter.simulator import default_plans, result_of
from tests.support.truth import differences, watched
from tests.support.world import World, world

ROUNDS, ROUND_S, JOBS_EACH_ROUND = 12, 15.0, 5
LONGEST_JOB_S = 1800.0
# What imports did that are declared a preview (True) or none (False); different, so that they cannot be mixed up.
DECLARED = {
    True: {"SOURCE": {"errors": 3, "warnings": 1, "infos": 2, "objects": 4}},
    False: {"SOURCE": {"errors": 1, "infos": 1, "objects": 2}, "ROLE": {"warnings": 5, "infos": 2}},
}


async def test_counters_equal_what_was_really_sent_over_a_run_of_hundreds_of_jobs() -> None:
    """Final states, durations, messages, outcomes and totals of a seeded run are those of the bytes on the wire.

    Some imports are declared to be previews, or not to be, against what their results look like; and every now and
    then all jobs leave the watchlist and come back.
    """
    plans = [replace(plan, jobs_at_start=20, starts_per_minute=0.0) for plan in default_plans(3, seed=7)]
    rng = random.Random(7)  # noqa: S311 (a repeatable run, not a secret)
    declared: dict[str, bool] = {}
    async with world(plans, seed=7) as running:
        for round_ in range(ROUNDS):
            for plan in plans:
                for _ in range(JOBS_EACH_ROUND):
                    operation, preview = rng.choice([("export", False), ("import", False), ("import", True)])
                    running.simulator.start(plan.name, operation, preview=preview, final_state=None)
                if round_ % 4 == 0:
                    for preview, numbers in DECLARED.items():
                        result = result_of(numbers, preview=not preview)
                        job = running.simulator.start(plan.name, "import", preview=preview, result=result)
                        declared[job.id] = preview
            if round_ % 3 == 0:
                await _watch_nothing(running)
            await _watch_all(running, declared)
            await running.advance(ROUND_S)
        await running.advance(LONGEST_JOB_S)
        truth: dict[str, Any] = running.simulator.truth()
        page = await running.scrape()
    assert len(watched(truth)) >= 200
    assert {job["final_state"] for job in watched(truth)} >= {"COMPLETE", "FAILED", "CANCELLED"}
    assert len({object_type for types in truth["totals"]["ended"].values() for object_type in types}) >= 5
    found = differences(truth, page)
    assert not found, "\n".join(found)


async def _watch_all(running: World, declared: Mapping[str, bool]) -> None:
    for plan in running.simulator.plans:
        jobs = [
            WatchedJob(JobKey(plan.name, Operation(job.operation), job.id), preview=declared.get(job.id))
            for job in running.simulator.jobs(plan.name)
        ]
        await running.exporter.fleet.desk.watch(Source.CONFIG, plan.name, jobs)


async def _watch_nothing(running: World) -> None:
    for plan in running.simulator.plans:
        await running.exporter.fleet.desk.watch(Source.CONFIG, plan.name, [])
