"""What one tenant's change does to its jobs and counters: the rules of counting once, without any storage."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from spexporter.domain.counting import (
    Cell,
    SeriesKey,
    finished,
    object_type_baseline,
    operation_baseline,
    result_counted,
)
from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.ports import Change, Counted
from spexporter.domain.result import Outcome
from spexporter.domain.view import TenantState


class Book:
    """One tenant's jobs and counters.

    A job that is not watched any more is kept aside: watched again, it is neither asked for nor counted anew.
    """

    def __init__(self) -> None:
        self._jobs: dict[JobKey, Job] = {}
        self._aside: dict[JobKey, Job] = {}
        self._totals: dict[SeriesKey, Cell] = {}
        self._successes: dict[Operation, float] = {}

    def state(self) -> TenantState:
        """Return an immutable copy of what is watched and counted."""
        return TenantState(dict(self._jobs), dict(self._totals), dict(self._successes))

    def apply(self, change: Change) -> None:
        """Apply `change`; applying it again changes nothing."""
        for key in change.removed:
            if job := self._jobs.pop(key, None):
                self._aside[key] = job
        for watched in change.added:
            self._watch(watched)
        for object_type in change.object_types:
            self._begin(object_type_baseline(object_type))
        for observation in change.observations:
            self._observe(observation)
        for counted in change.results:
            self._count(counted)

    def publish(self, upto: Mapping[SeriesKey, float]) -> None:
        """Move what pages may show up to these values, never back."""
        for key, value in upto.items():
            cell = self._totals[key]
            self._totals[key] = replace(cell, published=max(cell.published, value))

    def _watch(self, watched: WatchedJob) -> None:
        known = self._jobs.get(watched.key) or self._aside.pop(watched.key, None) or Job(watched)
        self._jobs[watched.key] = replace(known, watched=watched)
        self._begin(operation_baseline(watched.key.operation))

    def _observe(self, observation: Observation) -> None:
        job = self._jobs.get(observation.key)
        if job is None or job.end_seen_s is not None:
            return
        job = self._jobs[observation.key] = job.seen(observation)
        if job.end_seen_s is None:
            return
        self._add(finished(job))
        if job.key.operation is Operation.EXPORT:
            self._succeed(job)

    def _count(self, counted: Counted) -> None:
        job = self._jobs.get(counted.key)
        if job is None or job.outcome is not None:
            return
        self._jobs[counted.key] = replace(job, outcome=counted.outcome, result=counted.result)
        self._add(result_counted(counted.outcome, counted.result))
        if counted.outcome is Outcome.COUNTED and counted.result and not counted.result.errors:
            self._succeed(job)

    def _succeed(self, job: Job) -> None:
        if job.state is JobState.COMPLETE and job.ended_s is not None:
            operation = job.key.operation
            self._successes[operation] = max(self._successes.get(operation, 0.0), job.ended_s)

    def _begin(self, keys: Iterable[SeriesKey]) -> None:
        for key in keys:
            self._totals.setdefault(key, Cell())

    def _add(self, increments: Mapping[SeriesKey, float]) -> None:
        for key, increment in increments.items():
            cell = self._totals.get(key, Cell())
            self._totals[key] = replace(cell, value=cell.value + increment)
