"""From what is said about a job to the job with its whole future: whatever is left open is drawn."""

import math
import random
from dataclasses import dataclass, replace

from spexporter.simulator.chance import dashed_id, hex_id
from spexporter.simulator.draw import draw_result
from spexporter.simulator.jobs import COMPLETE, EXPORT, FAILED, FINAL_STATES, IMPORT, SimulatedJob
from spexporter.simulator.objects import EXPORTABLE, IMPORTABLE
from spexporter.simulator.plan import TenantPlan
from spexporter.simulator.results import ImportResult
from spexporter.simulator.stamps import to_ms

SPREAD = 0.6
"""Sigma of the log-normal durations: one job in six takes 1.8 times the median or longer."""

PREVIEW_SHARE, TROUBLED_SHARE, BACKUP_SHARE = 0.15, 0.35, 0.8
"""How many imports are previews, have errors although they complete, and make a backup first."""

MESSAGES = {
    (IMPORT, COMPLETE): "Download import results for details.",
    (IMPORT, FAILED): "Import halted because of errors. Download results for error details.",
    (EXPORT, FAILED): "java.util.concurrent.TimeoutException: The export took too long.",
}
FAILED_EARLY = "java.lang.IllegalStateException: The import ended before its first object."
NAMES = {
    EXPORT: ("weekly full export", "release snapshot", "audit copy", "backup before change"),
    IMPORT: ("nightly promotion", "release to production", "hotfix transform", "source onboarding", "rule update"),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What is said about a job; None leaves a thing to chance.

    `duration_s` runs from `created` to the end and `queue_s` to the start, both exact, not divided by the speed;
    infinity means never. `types` are the object types to export, or those an import may touch.
    """

    operation: str
    preview: bool = False
    name: str | None = None
    description: str | None = None
    types: tuple[str, ...] = ()
    final_state: str | None = None
    troubled: bool | None = None
    queue_s: float | None = None
    duration_s: float | None = None
    result: ImportResult | None = None
    has_result: bool = True
    message: str | None = None
    backup: bool | None = None
    job_id: str | None = None

    def __post_init__(self) -> None:
        if self.operation not in NAMES:
            raise ValueError(f"operation must be export or import, got {self.operation!r}")
        if self.final_state not in (None, *FINAL_STATES):
            raise ValueError(f"final_state must be one of {', '.join(FINAL_STATES)}, got {self.final_state!r}")


def draw_order(rng: random.Random) -> Order:
    """Draw a job as somebody or some pipeline would start it."""
    operation = rng.choices((IMPORT, EXPORT), (3, 2))[0]
    return Order(
        operation,
        preview=operation == IMPORT and rng.random() < PREVIEW_SHARE,
        description=rng.choice(NAMES[EXPORT]) if operation == EXPORT else None,
    )


def make_job(order: Order, rng: random.Random, plan: TenantPlan, *, created_s: float, speed: float) -> SimulatedJob:
    """Make the job that `order` asks for; the same dice make the same job."""
    job_id = order.job_id or rng.choices((dashed_id, hex_id), (4, 1))[0](rng)
    name = order.name or order.description or rng.choice(NAMES[order.operation])
    final_state = order.final_state or rng.choices(FINAL_STATES, (86, 9, 5))[0]
    queue_s, duration_s = _pace(order, rng, plan, speed)
    job = SimulatedJob(
        tenant=plan.name,
        operation=order.operation,
        id=job_id,
        name=name,
        created_s=to_ms(created_s),
        started_s=_moment(created_s, queue_s),
        ended_s=_moment(created_s, duration_s),
        final_state=None if math.isinf(duration_s) else final_state,
        message=order.message or MESSAGES.get((order.operation, final_state)),
        description=order.description,
        # Published failed exports have no `completed`; failed imports do. Nothing is published about cancelled jobs.
        sends_completed=final_state == COMPLETE or (final_state, order.operation) == (FAILED, IMPORT),
    )
    if order.operation == IMPORT:
        return _as_import(job, order, rng)
    return replace(job, export_types=order.types or _draw_types(rng))


def _as_import(job: SimulatedJob, order: Order, rng: random.Random) -> SimulatedJob:
    result = order.result if order.has_result else None
    if result is None and order.has_result and job.final_state in (COMPLETE, FAILED):
        troubled = rng.random() < TROUBLED_SHARE if order.troubled is None else order.troubled
        types = tuple(name for name in order.types if name in IMPORTABLE)
        result = draw_result(rng, types, failed=job.final_state == FAILED, preview=order.preview, troubled=troubled)
    failed_early = job.final_state == FAILED and result is None and order.message is None
    wants_backup = rng.random() < BACKUP_SHARE if order.backup is None else order.backup
    return replace(
        job,
        preview=order.preview,
        result=result,
        message=FAILED_EARLY if failed_early else job.message,
        backup=_backup(job, rng) if wants_backup and job.started_s is not None else None,
    )


def _backup(job: SimulatedJob, rng: random.Random) -> SimulatedJob:
    """Make the export that an import runs before it changes anything."""
    created_s = job.created_s if job.started_s is None else job.started_s
    lasts_s = 8.0 if job.ended_s is None else (job.ended_s - created_s) * rng.uniform(0.2, 0.6)
    return SimulatedJob(
        tenant=job.tenant,
        operation=EXPORT,
        id=dashed_id(rng),
        name=f"backup before {job.name}",
        created_s=created_s,
        started_s=to_ms(created_s + lasts_s / 10),
        ended_s=to_ms(created_s + lasts_s),
        final_state=COMPLETE,
        description=f"Backup before import {job.id}",
        export_types=IMPORTABLE,
    )


def _pace(order: Order, rng: random.Random, plan: TenantPlan, speed: float) -> tuple[float, float]:
    median_s = plan.export_median_s if order.operation == EXPORT else plan.import_median_s
    drawn_s = median_s * math.exp(rng.gauss(0, SPREAD)) / speed
    duration_s = drawn_s if order.duration_s is None else order.duration_s
    if order.queue_s is not None:
        return order.queue_s, max(order.queue_s, duration_s)
    return min(rng.uniform(0.2, 2) / speed, duration_s / 10), duration_s


def _moment(created_s: float, after_s: float) -> float | None:
    return None if math.isinf(after_s) else to_ms(to_ms(created_s) + after_s)


def _draw_types(rng: random.Random) -> tuple[str, ...]:
    return tuple(sorted(rng.sample(EXPORTABLE, rng.randint(4, 12))))
