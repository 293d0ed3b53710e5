"""The lines of single jobs, which are most of a large page: written at once, without rows in between.

`samples` says the same in the plain way; tests hold one against the other. Each function takes the jobs that a tenant
shows, each with its labels as text and its latest observation, and returns all lines of one family.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from spexporter.domain.job import Job, JobState, Observation
from spexporter.domain.view import TenantView
from spexporter.exposition import samples
from spexporter.exposition.text import escaped, number

ShownJob = tuple[str, Job, Observation | None]
Lines = Callable[[Sequence[ShownJob]], str]


def shown(view: TenantView, *, stale: bool) -> list[ShownJob]:
    """Return the jobs that have series of their own, with their labels: ids and tenants' names need no escapes."""
    if not view.per_job:
        return []
    head = f'tenant="{view.tenant}",operation="'
    return [
        (f'{head}{job.key.operation}",job_id="{job.key.job_id}"', job, job.latest) for job in view.charted(stale=stale)
    ]


def _state_pieces(present: JobState) -> tuple[str, ...]:
    """Return a job's lines of `spconfig_job_state`, cut where its labels belong."""
    head = "spconfig_job_state{"
    tails = [f',state="{state}"}} {float(state is present)}\n' for state in JobState]
    return (head, *(tail + head for tail in tails[:-1]), tails[-1])


_STATE_PIECES = {state: _state_pieces(state) for state in JobState}


def _state(jobs: Sequence[ShownJob]) -> str:
    return "".join([labels.join(_STATE_PIECES[latest.state]) for labels, _, latest in jobs if latest is not None])


def _info(jobs: Sequence[ShownJob]) -> str:
    return "".join([f"spconfig_job_info{{{labels},{_facts(job)}}} 1.0\n" for labels, job, _ in jobs])


def _facts(job: Job) -> str:
    facts = samples.job_facts(job)
    return f'name="{escaped(facts[0])}",description="{escaped(facts[1])}",source="{facts[2]}",preview="{facts[3]}"'


def _created(jobs: Sequence[ShownJob]) -> str:
    head = "spconfig_job_created_timestamp_seconds{"
    return "".join(
        [f"{head}{labels}}} {it.created_s!r}\n" for labels, _, it in jobs if it and it.created_s is not None]
    )


def _modified(jobs: Sequence[ShownJob]) -> str:
    head = "spconfig_job_modified_timestamp_seconds{"
    return "".join(
        [f"{head}{labels}}} {it.modified_s!r}\n" for labels, _, it in jobs if it and it.modified_s is not None]
    )


def _expiration(jobs: Sequence[ShownJob]) -> str:
    head = "spconfig_job_expiration_timestamp_seconds{"
    return "".join(
        [f"{head}{labels}}} {it.expires_s!r}\n" for labels, _, it in jobs if it and it.expires_s is not None]
    )


def _last_observed(jobs: Sequence[ShownJob]) -> str:
    head = "spconfig_job_last_observed_timestamp_seconds{"
    return "".join([f"{head}{labels}}} {it.observed_s!r}\n" for labels, _, it in jobs if it and it.raw_state])


def _completed(jobs: Sequence[ShownJob]) -> str:
    head = "spconfig_job_completed_timestamp_seconds{"
    return "".join([f"{head}{labels}}} {job.ended_s!r}\n" for labels, job, _ in jobs if job.ended_s is not None])


def _end_seen(jobs: Sequence[ShownJob]) -> str:
    head = "spconfig_job_end_seen_timestamp_seconds{"
    return "".join([f"{head}{labels}}} {job.end_seen_s!r}\n" for labels, job, _ in jobs if job.end_seen_s is not None])


def _max_age(jobs: Sequence[ShownJob]) -> str:
    head = "spconfig_job_max_age_seconds{"
    return "".join(
        [
            f"{head}{labels}}} {number(age_s)}\n"
            for labels, job, _ in jobs
            if (age_s := job.watched.max_age_s) is not None
        ]
    )


def _took(jobs: Sequence[ShownJob]) -> str:
    """Return the durations of ended jobs; those of running ones are `running`."""
    head = "spconfig_job_duration_seconds{"
    return "".join(
        [
            f"{head}{labels}}} {took_s!r}\n"
            for labels, job, _ in jobs
            if job.end_seen_s is not None and (took_s := job.duration_s) is not None
        ]
    )


def _messages(jobs: Sequence[ShownJob]) -> str:
    return "".join([_messages_of(labels, job) for labels, job, _ in jobs if job.result is not None])


def _messages_of(labels: str, job: Job) -> str:
    preview = samples.preview(job)
    lines = []
    for object_type, counts in job.result.types.items() if job.result else ():
        head = f'spconfig_import_messages{{{labels},object_type="{escaped(object_type)}",preview="{preview}",severity='
        lines.append(
            f'{head}"error"}} {counts.errors}\n{head}"warning"}} {counts.warnings}\n{head}"info"}} {counts.infos}\n'
        )
    return "".join(lines)


def _objects(jobs: Sequence[ShownJob]) -> str:
    return "".join([_objects_of(labels, job) for labels, job, _ in jobs if job.result is not None])


def _objects_of(labels: str, job: Job) -> str:
    head, preview = f"spconfig_import_objects{{{labels},object_type=", samples.preview(job)
    types = job.result.types if job.result else {}
    return "".join(
        [f'{head}"{escaped(kind)}",preview="{preview}"}} {counts.objects}\n' for kind, counts in types.items()]
    )


def _per_job(name: str, value: Callable[[Job], float | None]) -> Lines:
    """Return a function for a family of which each job has at most one series."""

    def lines(jobs: Sequence[ShownJob]) -> str:
        return "".join([f"{name}{{{labels}}} {it}\n" for labels, job, _ in jobs if (it := value(job)) is not None])

    return lines


LINES: Mapping[str, Lines] = {
    "spconfig_job_state": _state,
    "spconfig_job_info": _info,
    "spconfig_job_duration_seconds": _took,
    "spconfig_job_created_timestamp_seconds": _created,
    "spconfig_job_modified_timestamp_seconds": _modified,
    "spconfig_job_completed_timestamp_seconds": _completed,
    "spconfig_job_expiration_timestamp_seconds": _expiration,
    "spconfig_job_end_seen_timestamp_seconds": _end_seen,
    "spconfig_job_last_observed_timestamp_seconds": _last_observed,
    "spconfig_job_max_age_seconds": _max_age,
    "spconfig_import_messages": _messages,
    "spconfig_import_objects": _objects,
    "spconfig_import_result_read": _per_job("spconfig_import_result_read", samples.result_read),
    "spconfig_backup_synced": _per_job("spconfig_backup_synced", samples.synced),
}

Running = tuple[str, float]


def running(jobs: Iterable[ShownJob]) -> tuple[Running, ...]:
    """Return labels and beginning (Unix seconds by the tenant's clock) of each job whose duration still grows."""
    return tuple(
        (labels, latest.created_s)
        for labels, job, latest in jobs
        if latest is not None and latest.created_s is not None and job.running
    )


def series_of(job: Job) -> int:
    """Return how many series a job has, whether its duration grows or not."""
    alone = [("", job, job.latest)]
    return sum(lines(alone).count("\n") for lines in LINES.values()) + len(running(alone))
