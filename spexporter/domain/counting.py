"""What events add to the counters: the one place where anything is counted about jobs."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from spexporter.domain.job import ENDED_STATES, Job, JobState, Operation
from spexporter.domain.result import ImportResult, Outcome

IMPORT_ERRORS = "spconfig_import_errors_total"
IMPORT_WARNINGS = "spconfig_import_warnings_total"
IMPORTED_OBJECTS = "spconfig_imported_objects_total"
IMPORT_RESULTS = "spconfig_import_results_total"
JOBS_FINISHED = "spconfig_jobs_finished_total"
RUN_SECONDS = "spconfig_job_run_seconds"

# From one second, which is what a small import takes, to the four hours of a full tenant.
RUN_BUCKETS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)


class SeriesKey(NamedTuple):
    """One counter of one tenant: the sample's name and the values of its labels after `tenant`."""

    name: str
    labels: tuple[str, ...]


class Exemplar(NamedTuple):
    """A job that a counter counted: how much it added, or took in seconds, and when we counted it (Unix seconds)."""

    job_id: str
    value: float
    at_s: float


class Cell(msgspec.Struct, frozen=True, gc=False):
    """One counter: its value, and the newest value that a page may have shown.

    `late` is the part of `value` that no page ever shows: it was there before we could tell, and would look like an
    increase. `created_s` is when the counter began at 0 (Unix seconds), None where it began elsewhere or earlier.
    """

    value: float = 0.0
    published: float = 0.0
    late: float = 0.0
    exemplar: Exemplar | None = None
    created_s: float | None = None

    @property
    def due(self) -> float:
        """What pages are to show in the end."""
        return self.value - self.late


TYPE_COUNTERS = (IMPORT_ERRORS, IMPORT_WARNINGS, IMPORTED_OBJECTS)


def operation_baseline(operation: Operation) -> Iterator[SeriesKey]:
    """Every series that exists at 0 as soon as a tenant has a job of `operation`."""
    for state in ENDED_STATES:
        yield SeriesKey(JOBS_FINISHED, (operation, state))
    yield from _run_buckets(operation)
    yield SeriesKey(f"{RUN_SECONDS}_sum", (operation,))
    if operation is Operation.IMPORT:
        for outcome in Outcome:
            yield SeriesKey(IMPORT_RESULTS, (outcome,))


def object_type_baseline(object_type: str) -> Iterator[SeriesKey]:
    """Every series that exists at 0 as soon as a tenant is known to have `object_type`."""
    for name in TYPE_COUNTERS:
        yield SeriesKey(name, (object_type,))


def finished(job: Job) -> Mapping[SeriesKey, float]:
    """What the end of `job` adds. Counted once for each job, previews included."""
    operation = job.key.operation
    added: dict[SeriesKey, float] = {SeriesKey(JOBS_FINISHED, (operation, str(job.state))): 1}
    if job.state is JobState.COMPLETE and job.duration_s is not None:
        added[SeriesKey(f"{RUN_SECONDS}_sum", (operation,))] = job.duration_s
        for key in _run_buckets(operation):
            if job.duration_s <= float(key.labels[1]):
                added[key] = 1
    return added


def result_counted(outcome: Outcome, result: ImportResult | None) -> Mapping[SeriesKey, float]:
    """What an ended import's result adds. Counted once for each import; only its outcome unless it is COUNTED."""
    added: dict[SeriesKey, float] = {SeriesKey(IMPORT_RESULTS, (outcome,)): 1}
    if outcome is Outcome.COUNTED and result is not None:
        for object_type, counts in result.types.items():
            added[SeriesKey(IMPORT_ERRORS, (object_type,))] = counts.errors
            added[SeriesKey(IMPORT_WARNINGS, (object_type,))] = counts.warnings
            added[SeriesKey(IMPORTED_OBJECTS, (object_type,))] = counts.objects
    return added


def exemplars(job: Job, increments: Mapping[SeriesKey, float], at_s: float) -> Mapping[SeriesKey, Exemplar]:
    """Return the exemplars that `job` leaves where it added `increments`; a histogram has it in one bucket only."""
    found = {
        key: Exemplar(job.key.job_id, amount, at_s)
        for key, amount in increments.items()
        if key.name in TYPE_COUNTERS and amount > 0
    }
    bucket = next((key for key in increments if key.name == f"{RUN_SECONDS}_bucket"), None)
    if bucket is not None and job.duration_s is not None:
        found[bucket] = Exemplar(job.key.job_id, job.duration_s, at_s)
    return found


def _run_buckets(operation: Operation) -> Iterator[SeriesKey]:
    for bound_s in (*RUN_BUCKETS_S, float("inf")):
        yield SeriesKey(
            f"{RUN_SECONDS}_bucket", (operation, "+Inf" if bound_s == float("inf") else str(float(bound_s)))
        )
