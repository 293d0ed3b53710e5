"""Synthetic tenants whose jobs end and are followed by others, the same in every process that is told the same seed."""

# ruff: noqa: INP001 - scripts beside each other
import math
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

DOMAIN = "tenants.test"
TYPES = ("SOURCE", "RULE")
# By how long they take in the middle: a few are short, so that many end and begin; most outlast the run.
MEDIANS_S = {30.0: 0.01, 120.0: 0.09, 600.0: 0.3, 3600.0: 0.6}
SPREAD = 0.3
FAILED_SHARE = 0.05


def tenant_name(number: int) -> str:
    """Return the name of a tenant, which is that of its host, too, and leads the paths of its API."""
    return f"tenant-{number:04}"


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One job: `begins_s` is in seconds after the start of the run, negative for those that run at its start."""

    tenant: int
    operation: str
    job_id: str
    begins_s: float
    lasts_s: float
    final_state: str
    counts: Mapping[str, Mapping[str, int]]

    @property
    def ends_s(self) -> float:
        """When it ends, in seconds after the start of the run."""
        return self.begins_s + self.lasts_s


def planned_jobs(tenants: int, jobs: int, until_s: float, seed: int) -> Iterator[PlannedJob]:
    """Yield the jobs of all tenants that begin before `until_s`: `jobs` of each run at any time, whenever one ends."""
    for tenant in range(tenants):
        rng = Random(f"{seed} {tenant}")  # noqa: S311 - repeatable, not a secret
        for _ in range(jobs):
            median_s = rng.choices(tuple(MEDIANS_S), tuple(MEDIANS_S.values()))[0]
            job = _drawn(rng, tenant, 0.0, median_s)
            job = _moved(job, -rng.random() * job.lasts_s)
            while job.begins_s < until_s:
                yield job
                job = _drawn(rng, tenant, job.ends_s, median_s)


def _drawn(rng: Random, tenant: int, begins_s: float, median_s: float) -> PlannedJob:
    operation = rng.choice(("import", "export"))
    counts = {
        name: {"errors": rng.randrange(3), "warnings": rng.randrange(2), "infos": 0, "objects": 3} for name in TYPES
    }
    return PlannedJob(
        tenant,
        operation,
        str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        begins_s,
        median_s * math.exp(rng.gauss(0, SPREAD)),
        "FAILED" if rng.random() < FAILED_SHARE else "COMPLETE",
        counts if operation == "import" else {},
    )


def _moved(job: PlannedJob, begins_s: float) -> PlannedJob:
    return PlannedJob(job.tenant, job.operation, job.job_id, begins_s, job.lasts_s, job.final_state, job.counts)
