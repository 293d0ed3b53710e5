import random
from dataclasses import replace
from typing import Any

from spexporter.simulator import default_plans
from tests.support.truth import differences, watched
from tests.support.world import world

ROUNDS, ROUND_S, JOBS_EACH_ROUND = 12, 15.0, 5
LONGEST_JOB_S = 1800.0


async def test_counters_equal_what_was_really_sent_over_a_run_of_hundreds_of_jobs() -> None:
    """Final states, durations, messages, outcomes and totals of a seeded run are those of the bytes on the wire."""
    plans = [replace(plan, jobs_at_start=20, starts_per_minute=0.0) for plan in default_plans(3, seed=7)]
    rng = random.Random(7)  # noqa: S311 (a repeatable run, not a secret)
    async with world(plans, seed=7) as running:
        for _ in range(ROUNDS):
            for plan in plans:
                for _ in range(JOBS_EACH_ROUND):
                    operation, preview = rng.choice([("export", False), ("import", False), ("import", True)])
                    running.simulator.start(plan.name, operation, preview=preview, final_state=None)
            await running.hand_over()
            await running.advance(ROUND_S)
        await running.advance(LONGEST_JOB_S)
        truth: dict[str, Any] = running.simulator.truth()
        page = await running.scrape()
    assert len(watched(truth)) >= 200
    assert {job["final_state"] for job in watched(truth)} >= {"COMPLETE", "FAILED", "CANCELLED"}
    assert len({object_type for types in truth["totals"]["ended"].values() for object_type in types}) >= 5
    found = differences(truth, page)
    assert not found, "\n".join(found)
