"""How the samples of each tenant family are read from one tenant's view.

Every function yields rows of (labels after `tenant`, in the family's order; value), and nothing where nothing is known.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from spexporter.domain import counting
from spexporter.domain.counting import Exemplar
from spexporter.domain.family import Family
from spexporter.domain.job import Job, JobState, Operation, WatchedJob
from spexporter.domain.meter import Meter
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView

UNOBSERVED = "UNOBSERVED"
_LONGEST_LABEL = 120


class Row(NamedTuple):
    """One sample; `suffix` is what a histogram's sample adds to the family's name.

    `created_s` is when the counter, or the histogram whose last sample this is, began at 0 (Unix seconds).
    """

    labels: tuple[tuple[str, str], ...]
    value: float
    suffix: str = ""
    exemplar: Exemplar | None = None
    created_s: float | None = None


def _job_labels(job: Job) -> tuple[tuple[str, str], ...]:
    return (("operation", job.key.operation), ("job_id", job.key.job_id))


def _charted(view: TenantView, now: Moment) -> Iterable[Job]:
    return view.charted(stale=view.stale(now))


def _per_job(value: Callable[[Job], float | None]) -> Callable[[TenantView, Moment], Iterator[Row]]:
    """Return a function that yields one row for each job of which `value` is known."""

    def rows(view: TenantView, now: Moment) -> Iterator[Row]:
        for job in _charted(view, now):
            if (known := value(job)) is not None:
                yield Row(_job_labels(job), known)

    return rows


job_created = _per_job(lambda job: job.latest.created_s if job.latest else None)
job_modified = _per_job(lambda job: job.latest.modified_s if job.latest else None)
job_completed = _per_job(lambda job: job.ended_s)
job_expiration = _per_job(lambda job: job.latest.expires_s if job.latest else None)
job_end_seen = _per_job(lambda job: job.end_seen_s)
job_last_observed = _per_job(lambda job: job.latest.observed_s if job.latest and job.latest.raw_state else None)
job_max_age = _per_job(lambda job: job.watched.max_age_s)


def synced(job: Job) -> float | None:
    """Return whether cloud storage has what a job of Configuration Hub made, None where that is not told."""
    return None if job.hub is None or job.hub.synced is None else float(job.hub.synced)


backup_synced = _per_job(synced)


def result_read(job: Job) -> float | None:
    """Return whether the result of an ended import was read, None for all other jobs."""
    if job.key.operation is not Operation.IMPORT or job.end_seen_s is None:
        return None
    return float(job.outcome is not None and job.outcome.read)


import_result_read = _per_job(result_read)


def job_state(view: TenantView, now: Moment) -> Iterator[Row]:
    """One row for each job seen and each state."""
    for job in _charted(view, now):
        if job.state is not None:
            for state in JobState:
                yield Row((*_job_labels(job), ("state", state)), float(job.state is state))


def job_info(view: TenantView, now: Moment) -> Iterator[Row]:
    """One row for each job; the only place where free text becomes a label, cut short."""
    for job in _charted(view, now):
        facts = facts_of(job.watched, job.latest.description if job.latest else "", job.preview)
        names = ("name", "description", "source", "preview")
        yield Row((*_job_labels(job), *zip(names, facts, strict=True)), 1.0)


def facts_of(watched: WatchedJob, description: str, declared: bool | None) -> tuple[str, str, str, str]:  # noqa: FBT001
    """Return name, description, source and preview of a job as labels; free text is cut short."""
    preview = "unknown" if declared is None else "true" if declared else "false"
    return watched.name[:_LONGEST_LABEL], description[:_LONGEST_LABEL], watched.source, preview


def job_duration(view: TenantView, now: Moment) -> Iterator[Row]:
    """One row for each job whose beginning is known; the only sample about tenants that changes by itself."""
    for job in _charted(view, now):
        if (elapsed_s := view.elapsed_s(job, now)) is not None:
            yield Row(_job_labels(job), elapsed_s)


def import_messages(view: TenantView, now: Moment) -> Iterator[Row]:
    """One row for each severity of each object type in each import's result that was read."""
    for job in _charted(view, now):
        for object_type, counts in (job.result.types if job.result else {}).items():
            by_severity = {"error": counts.errors, "warning": counts.warnings, "info": counts.infos}
            for severity, count in by_severity.items():
                facts = (("object_type", object_type), ("severity", severity), ("preview", preview(job)))
                yield Row((*_job_labels(job), *facts), count)


def import_objects(view: TenantView, now: Moment) -> Iterator[Row]:
    """One row for each object type in each import's result that was read."""
    for job in _charted(view, now):
        for object_type, counts in (job.result.types if job.result else {}).items():
            facts = (("object_type", object_type), ("preview", preview(job)))
            yield Row((*_job_labels(job), *facts), counts.objects)


def preview(job: Job) -> str:
    """Return the label that tells a dry run from what changed something."""
    return str(bool(job.preview)).lower()


def cells(name: str, *labels: str) -> Callable[[TenantView, Moment], Iterator[Row]]:
    """Return a function that yields what pages may show of one counter's cells."""

    def rows(view: TenantView, now: Moment) -> Iterator[Row]:
        del now
        for key, cell in view.state.totals.items():
            if key.name == name:
                exemplar = cell.exemplar if cell.published == cell.due else None
                found = tuple(zip(labels, key.labels, strict=True))
                yield Row(found, cell.published, exemplar=exemplar, created_s=cell.created_s)

    return rows


def run_seconds(view: TenantView, now: Moment) -> Iterator[Row]:
    """A classic histogram for each operation: buckets, count and sum."""
    buckets = cells(f"{counting.RUN_SECONDS}_bucket", "operation", "le")
    sums = {row.labels: row for row in cells(f"{counting.RUN_SECONDS}_sum", "operation")(view, now)}
    # In any order they may come from the store; OpenMetrics wants them by operation and bound.
    for bucket in sorted(buckets(view, now), key=lambda row: (row.labels[0][1], float(row.labels[1][1]))):
        yield bucket._replace(suffix="_bucket", created_s=None)
        operation, bound = bucket.labels
        if bound[1] == "+Inf":  # the last one: OpenMetrics wants all samples of one histogram together
            yield Row((operation,), bucket.value, "_count")
            yield sums[operation,]._replace(suffix="_sum")


def usual_duration(view: TenantView, now: Moment) -> Iterator[Row]:
    """Two rows for each operation of which enough runs are known."""
    del now
    for operation, usual in view.state.usual.items():
        yield Row((("operation", operation), ("level", "p50")), usual.p50_s)
        yield Row((("operation", operation), ("level", "p95")), usual.p95_s)


def expected_interval(view: TenantView, now: Moment) -> Iterator[Row]:
    """One row for each operation of which a success is expected every so often."""
    del now
    for operation, interval_s in view.expect.items():
        yield Row((("operation", operation),), interval_s)


def jobs(view: TenantView, now: Moment) -> Iterator[Row]:
    """One row for each state of each operation that the tenant has a job of; nobody observes what is stale."""
    shown = {job.key for job in view.shown_jobs(now)}
    found = Counter(
        (job.key.operation, (job.state if job.key in shown else None) or UNOBSERVED)
        for job in view.state.jobs.values()
        if not job.left
    )
    for operation in sorted({operation for operation, _ in found}):
        for state in (*JobState, UNOBSERVED):
            yield Row((("operation", operation), ("state", state)), found[operation, state])


def last_success_objects(view: TenantView, now: Moment) -> Iterator[Row]:
    """One row for each operation whose newest success tells how much it holds."""
    del now
    for operation, count in view.state.success_objects.items():
        yield Row((("operation", operation),), count)


def drafts_pending(view: TenantView, now: Moment) -> Iterator[Row]:
    """One row once the list of the drafts was read, none while the tenant is stale."""
    if view.state.drafts is not None and not view.stale(now):
        yield Row((), view.state.drafts.pending)


def drafts_oldest_pending(view: TenantView, now: Moment) -> Iterator[Row]:
    """One row while a draft waits of which it is known since when."""
    drafts = view.state.drafts
    if drafts is not None and drafts.oldest_pending_s is not None and not view.stale(now):
        yield Row((), drafts.oldest_pending_s)


def last_success(view: TenantView, now: Moment) -> Iterator[Row]:
    """One row for each operation that has succeeded."""
    del now
    for operation, ended_s in view.state.successes.items():
        yield Row((("operation", operation),), ended_s)


def _per_tenant(value: Callable[[TenantView], float | None]) -> Callable[[TenantView, Moment], Iterator[Row]]:
    def rows(view: TenantView, now: Moment) -> Iterator[Row]:
        del now
        if (known := value(view)) is not None:
            yield Row((), float(known))

    return rows


tenant_up = _per_tenant(lambda view: view.health.up)
tenant_last_success = _per_tenant(lambda view: view.health.last_answer_s)
tenant_throttled_until = _per_tenant(lambda view: view.health.throttled_until_s)
tenant_credential_expiration = _per_tenant(lambda view: view.credential_expires_s)
tenant_token_expiration = _per_tenant(lambda view: view.health.token_expires_s)
tenant_clock_offset = _per_tenant(lambda view: view.health.clock_offset_s)


def tenant_access(view: TenantView, now: Moment) -> Iterator[Row]:
    """One row for each endpoint tried."""
    del now
    for endpoint, allowed in sorted(view.health.access.items()):
        yield Row((("endpoint", endpoint),), float(allowed))


def tenant_info(view: TenantView, now: Moment) -> Iterator[Row]:
    """One row."""
    del now
    yield Row((("base_url", view.health.base_url), ("api_version", view.health.api_version or "unknown")), 1.0)


def metered(family: Family, meter: Meter) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield labels after `tenant` and value of each series that a tenant's meter has of one of our own families."""
    if family.name in meter.gauges:
        yield (), float(meter.gauges[family.name]())
    else:
        yield from meter.counts(family.name).items()
