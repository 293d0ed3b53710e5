"""A synthetic fleet for benchmarks: tenants with a hundred jobs each, or one with fewer, of any number of series."""

# ruff: noqa: INP001 - scripts beside each other
import uuid
from random import Random

from spexporter.domain import counting
from spexporter.domain.counting import Cell
from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.result import ImportResult, Outcome, TypeCounts
from spexporter.domain.tenanttime import Moment, TenantTime
from spexporter.domain.values import replace
from spexporter.domain.view import TenantHealth, TenantState, TenantView
from spexporter.exposition.joblines import series_of

JOBS = 100
NOW = Moment(wall_s=1_795_000_000.0, monotonic_s=100_000.0)
TYPES = ("SOURCE", "RULE")


class Fleet:
    """Views of enough tenants for about `series` series; of all jobs `running` have not ended."""

    def __init__(self, series: int, running: float, seed: int = 1) -> None:
        self._rng = Random(seed)  # noqa: S311 - repeatable, not a secret
        self._running = running
        self._jobs = min(JOBS, series // 20)
        first = self._view(0)
        tenants = max(1, round(series / _series(first)))
        self.views = [first, *(self._view(number) for number in range(1, tenants))]

    def change(self, share: float) -> None:
        """See every job of some tenants anew: all lines of theirs that tell when are others."""
        count = round(len(self.views) * share)
        for number in self._rng.sample(range(len(self.views)), count):
            view = self.views[number]
            jobs = {key: self._seen_again(job) for key, job in view.state.jobs.items()}
            self.views[number] = replace(view, version=view.version + 1, state=replace(view.state, jobs=jobs))

    def _seen_again(self, job: Job) -> Job:
        observed_s = NOW.wall_s + self._rng.random()
        return replace(job, latest=job.latest and replace(job.latest, observed_s=observed_s, modified_s=observed_s))

    def _view(self, number: int) -> TenantView:
        tenant = f"tenant-{number:05}"
        jobs = [self._job(tenant, index) for index in range(self._jobs)]
        totals = [*counting.operation_baseline(Operation.IMPORT), *counting.operation_baseline(Operation.EXPORT)]
        totals += [key for name in TYPES for key in counting.object_type_baseline(name)]
        state = TenantState(
            jobs={job.key: job for job in jobs},
            totals={key: Cell(7.0, 7.0) for key in totals},
            successes={Operation.IMPORT: NOW.wall_s - 60, Operation.EXPORT: NOW.wall_s - 600},
        )
        health = TenantHealth(
            f"https://{tenant}.api.identitynow.com",
            api_version="v1",
            up=True,
            last_answer_s=NOW.wall_s - 1,
            last_answer_monotonic_s=NOW.monotonic_s - 1,
            time=TenantTime.around(NOW.wall_s - NOW.monotonic_s),
            clock_offset_s=0.25,
            access={"import-status": True, "export-status": True},
        )
        return TenantView(tenant, 1, state, health)

    def _job(self, tenant: str, index: int) -> Job:
        operation = Operation.IMPORT if index % 2 else Operation.EXPORT
        key = JobKey(tenant, operation, str(uuid.UUID(int=self._rng.getrandbits(128), version=4)))
        runs = self._rng.random() < self._running
        created_s = NOW.wall_s - self._rng.randrange(1000, 600_000) - self._rng.randrange(1000) / 1000
        ended_s = None if runs else created_s + self._rng.randrange(1000, 900_000) / 1000
        latest = Observation(
            key,
            JobState.IN_PROGRESS if runs else JobState.COMPLETE,
            "IN_PROGRESS" if runs else "COMPLETE",
            observed_s=NOW.wall_s - self._rng.random() * 60,
            created_s=created_s,
            modified_s=ended_s or created_s,
            completed_s=ended_s,
            expires_s=created_s + 7 * 86_400,
        )
        result = None
        if operation is Operation.IMPORT and not runs:
            result = ImportResult(
                {name: TypeCounts(errors=index % 3, warnings=1, infos=0, objects=9) for name in TYPES}
            )
        return Job(
            WatchedJob(key, name=f"nightly promotion {index}"),
            latest=latest,
            ended_s=ended_s,
            end_seen_s=None if runs else latest.observed_s,
            outcome=Outcome.COUNTED if result else None,
            result=result,
        )


def _series(view: TenantView) -> int:
    return sum(series_of(job) for job in view.state.jobs.values()) + len(view.state.totals) + 20
