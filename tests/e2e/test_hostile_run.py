"""The worst days of a tenant: every quirk that the API has shown, and a tenth of all answers spoilt."""

import random
from collections import Counter
from typing import Any

from spexporter.domain.values import replace
from spexporter.simulator import default_plans
from spexporter.simulator.presets import ALL_QUIRKS, hostile
from tests.support.truth import differences, watched
from tests.support.world import world

ROUNDS, ROUND_S, JOBS_EACH_ROUND = 24, 20.0, 7
ENOUGH_S = 7200.0
SPOILT = 0.10


async def test_a_run_of_500_jobs_ends_right_with_all_quirks_and_a_tenth_of_the_answers_spoilt() -> None:
    """Final states, end times and counters are those of the truth, and every ended import has exactly one outcome."""
    faults = (*ALL_QUIRKS, *hostile(SPOILT))
    plans = [
        replace(plan, jobs_at_start=10, starts_per_minute=0.0, faults=faults) for plan in default_plans(3, seed=11)
    ]
    rng = random.Random(11)  # noqa: S311 (a repeatable run, not a secret)
    async with world(plans, seed=11) as running:
        for _ in range(ROUNDS):
            for plan in plans:
                for _ in range(JOBS_EACH_ROUND):
                    operation, preview = rng.choice([("export", False), ("import", False), ("import", True)])
                    running.simulator.start(plan.name, operation, preview=preview, final_state=None)
            await running.hand_over()
            await running.advance(ROUND_S)
        await running.advance(ENOUGH_S)
        for plan in plans:
            running.simulator.heal(plan.name)  # else jobs that never end may be in a state that only the quirks know
        await running.advance(120)
        truth: dict[str, Any] = running.simulator.truth()
        page = await running.scrape()
    assert len(watched(truth)) >= 500
    found = differences(truth, page)
    assert not found, "\n".join(found)
    errors = Counter[str]()
    for labels, value in page.all("spexporter_api_errors_total").items():
        errors[dict(labels)["reason"]] += int(value)
    assert {reason for reason, count in errors.items() if count} >= {
        "unreachable",
        "throttled",
        "not_found",
        "rejected",
        "malformed",
        "server_error",
    }
    print(f"{len(watched(truth))} jobs; errors by reason: {dict(sorted(errors.items()))}")  # noqa: T201 (for the record)
