"""The lines of single jobs, which are most of a large page: written at once, without rows in between.

`samples` says the same in the plain way; tests hold one against the other. For each family there are the values that
its lines are made of, one for each job, and how the lines are made: as long as the values of a tenant's jobs are what
they were, so are the lines.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from spexporter.domain.job import Job, JobState, Observation, WatchedJob
from spexporter.domain.result import ImportResult
from spexporter.domain.view import TenantView
from spexporter.exposition import samples
from spexporter.exposition.text import escaped

Pairs = Sequence[tuple[Job, Observation | None]]
Values = Sequence[Any]  # of one family, a value for each job, None where it has no line
Labels = Sequence[str]


class JobFamily(NamedTuple):
    """How the values of jobs are read, each with its latest observation, and written with the labels of each job."""

    values: Callable[[Pairs], Values]
    lines: Callable[[Labels, Values], str]


def charted(view: TenantView, *, stale: bool) -> list[Job]:
    """Return the jobs that have series of their own."""
    return list(view.charted(stale=stale)) if view.per_job else []


def labels_of(tenant: str, jobs: Sequence[Job]) -> Labels:
    """Return the labels of each job as text; ids and tenants' names need no escapes."""
    head = f'tenant="{tenant}",operation="'
    return [f'{head}{job.key.operation}",job_id="{job.key.job_id}"' for job in jobs]


def _gauge(name: str) -> Callable[[Labels, Values], str]:
    """Return what writes a family of which each job has at most one series."""
    head = f"{name}{{"

    def lines(labels: Labels, values: Values) -> str:
        pairs = zip(labels, values, strict=True)
        return "".join([f"{head}{its}}} {value!r}\n" for its, value in pairs if value is not None])

    return lines


def _pieces(present: JobState) -> tuple[str, ...]:
    """Return a job's lines of `spconfig_job_state`, cut where its labels belong."""
    head = "spconfig_job_state{"
    tails = [f',state="{state}"}} {float(state is present)}\n' for state in JobState]
    return (head, *(tail + head for tail in tails[:-1]), tails[-1])


_PIECES = {state: _pieces(state) for state in JobState}


def _states(labels: Labels, values: Values) -> str:
    return "".join([its.join(_PIECES[state]) for its, state in zip(labels, values, strict=True) if state is not None])


def _facts(pairs: Pairs) -> Values:
    return [(job.watched, "" if it is None else it.description, job.preview) for job, it in pairs]


def _infos(labels: Labels, values: Values) -> str:
    return "".join([_info(its, *facts) for its, facts in zip(labels, values, strict=True)])


def _info(labels: str, watched: WatchedJob, description: str, preview: bool | None) -> str:  # noqa: FBT001 - three values
    facts = samples.facts_of(watched, description, preview)
    free = f'name="{escaped(facts[0])}",description="{escaped(facts[1])}"'
    return f'spconfig_job_info{{{labels},{free},source="{facts[2]}",preview="{facts[3]}"}} 1.0\n'


def _results(pairs: Pairs) -> Values:
    return [None if job.result is None else (job.result, samples.preview(job)) for job, _ in pairs]


def _messages(labels: Labels, values: Values) -> str:
    return "".join([_messages_of(its, *value) for its, value in zip(labels, values, strict=True) if value is not None])


def _messages_of(labels: str, result: ImportResult, preview: str) -> str:
    lines = []
    for kind, counts in result.types.items():
        head = f'spconfig_import_messages{{{labels},object_type="{escaped(kind)}",preview="{preview}",severity='
        lines.append(
            f'{head}"error"}} {counts.errors}\n{head}"warning"}} {counts.warnings}\n{head}"info"}} {counts.infos}\n'
        )
    return "".join(lines)


def _objects(labels: Labels, values: Values) -> str:
    return "".join([_objects_of(its, *value) for its, value in zip(labels, values, strict=True) if value is not None])


def _objects_of(labels: str, result: ImportResult, preview: str) -> str:
    head = f'spconfig_import_objects{{{labels},preview="{preview}",object_type='
    return "".join([f'{head}"{escaped(kind)}"}} {counts.objects}\n' for kind, counts in result.types.items()])


def _took(pairs: Pairs) -> Values:
    """Return the durations of ended jobs; those of running ones are `running`."""
    return [None if job.end_seen_s is None else job.duration_s for job, _ in pairs]


JOB_FAMILIES: dict[str, JobFamily] = {
    "spconfig_job_state": JobFamily(lambda pairs: [None if it is None else it.state for _, it in pairs], _states),
    "spconfig_job_info": JobFamily(_facts, _infos),
    "spconfig_import_messages": JobFamily(_results, _messages),
    "spconfig_import_objects": JobFamily(_results, _objects),
}
_GAUGES: Mapping[str, Callable[[Pairs], Values]] = {
    "spconfig_job_duration_seconds": _took,
    "spconfig_job_created_timestamp_seconds": lambda pairs: [None if it is None else it.created_s for _, it in pairs],
    "spconfig_job_modified_timestamp_seconds": lambda pairs: [None if it is None else it.modified_s for _, it in pairs],
    "spconfig_job_completed_timestamp_seconds": lambda pairs: [job.ended_s for job, _ in pairs],
    "spconfig_job_expiration_timestamp_seconds": lambda pairs: [
        None if it is None else it.expires_s for _, it in pairs
    ],
    "spconfig_job_end_seen_timestamp_seconds": lambda pairs: [job.end_seen_s for job, _ in pairs],
    "spconfig_job_last_observed_timestamp_seconds": lambda pairs: [
        it.observed_s if it is not None and it.raw_state else None for _, it in pairs
    ],
    "spconfig_job_max_age_seconds": lambda pairs: [job.watched.max_age_s for job, _ in pairs],
    "spconfig_import_result_read": lambda pairs: [samples.result_read(job) for job, _ in pairs],
    "spconfig_backup_synced": lambda pairs: [samples.synced(job) for job, _ in pairs],
}
JOB_FAMILIES |= {name: JobFamily(values, _gauge(name)) for name, values in _GAUGES.items()}

Running = tuple[str, float]


def running(labels: Labels, jobs: Sequence[Job]) -> tuple[Running, ...]:
    """Return labels and beginning (Unix seconds by the tenant's clock) of each job whose duration still grows."""
    return tuple(
        (its, job.latest.created_s)
        for its, job in zip(labels, jobs, strict=True)
        if job.end_seen_s is None and job.latest is not None and job.latest.created_s is not None and job.running
    )


def series_of(job: Job) -> int:
    """Return how many series a job has, whether its duration grows or not."""
    alone = [(job, job.latest)]
    lines = (family.lines([""], family.values(alone)) for family in JOB_FAMILIES.values())
    return sum(text.count("\n") for text in lines) + len(running([""], [job]))
