"""Tenants that share one client id, with more running jobs than its rate limit lets anyone look at."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from spexporter.domain.values import replace
from spexporter.simulator import Simulator, TenantPlan, default_plans

TENANTS, JOBS_EACH = 5, 80
CLIENT_ID = "shared-client"
LIMIT = 100

# Each job would be looked at once a second: 40 times what the limit allows.
DEFAULTS = "  rate_limit: {use: 100%}\n  poll: {fastest: 100ms, slowest: 1s}"


def plans() -> list[TenantPlan]:
    """Return tenants of one client, without jobs of their own."""
    shared = {"client_id": CLIENT_ID, "client_secret": "shared-secret", "jobs_at_start": 0, "starts_per_minute": 0.0}
    return [replace(plan, **shared) for plan in default_plans(TENANTS)]


def endless_jobs() -> Iterable[dict[str, object]]:
    """Yield arguments of `Simulator.start` for jobs that run and never end."""
    for plan in plans():
        for number in range(JOBS_EACH):
            operation = ("export", "import")[number % 2]
            yield {"tenant": plan.name, "operation": operation, "queue_s": 0.0, "duration_s": math.inf}


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the simulator received from the shared client."""

    requests: Sequence[tuple[float, str, str, int | None]]  # received (monotonic s), version, endpoint, status sent
    busiest: int
    looks: Sequence[int]  # by job
    looks_by_tenant: Counter[str]

    @property
    def lasted_s(self) -> float:
        return self.requests[-1][0] - self.requests[0][0] if self.requests else 0.0

    @property
    def throttled(self) -> int:
        return sum(status == 429 for _, _, _, status in self.requests)

    @property
    def unfairness(self) -> float:
        """How much less than the most favoured tenant the least favoured one was looked at, 0 to 1."""
        looks = self.looks_by_tenant.values()
        return 1 - min(looks) / max(looks)

    def __str__(self) -> str:
        return (
            f"{len(self.requests)} requests in {self.lasted_s:.1f} s, at most {self.busiest} in any window, "
            f"{self.throttled} throttled; {min(self.looks)} to {max(self.looks)} looks at a job; "
            f"by tenant {sorted(self.looks_by_tenant.values())}"
        )


def traffic(simulator: Simulator) -> Traffic:
    """Read the simulator's record."""
    truth: dict[str, Any] = simulator.truth()
    jobs = truth["jobs"]
    by_tenant: Counter[str] = Counter()
    for job in jobs:
        by_tenant[job["tenant"]] += job["statuses_sent"]
    client = truth["clients"].get(CLIENT_ID, {"requests": [], "busiest": {}})
    return Traffic(
        requests=[tuple(request) for request in client["requests"]],
        busiest=max(client["busiest"].values(), default=0),
        looks=[job["statuses_sent"] for job in jobs],
        looks_by_tenant=by_tenant,
    )
