"""What the state of a tenant does to its answers: what its credential may do, what it keeps, what its clock says."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from spexporter.simulator.chance import chance
from spexporter.simulator.faults import (
    CLOCK_SKEW,
    CLOCK_STEP,
    LOST_ADMIN,
    LOST_SCOPE,
    LOST_USER,
    RESULT_EXPIRED,
    SHORT_RETENTION,
    SHORT_TOKENS,
)
from spexporter.simulator.hub_jobs import HubJob
from spexporter.simulator.hub_quirks import entries
from spexporter.simulator.jobs import SimulatedJob
from spexporter.simulator.plan import TenantPlan
from spexporter.simulator.stamps import stamp
from spexporter.simulator.troubles import Met

_STAMPS = ("created", "modified", "completed", "timestamp")


def altered(plan: TenantPlan, met: Met) -> TenantPlan:
    """Return the plan as it is while the faults of credentials last."""
    for fault in met.all(LOST_SCOPE):
        plan = replace(plan, scopes=tuple(scope for scope in plan.scopes if fault.scope not in {"", scope}))
    if short := met.first(SHORT_TOKENS):
        plan = replace(plan, token_lifetime_s=int(short.seconds))
    has_admin, has_user = plan.has_admin and not met.first(LOST_ADMIN), plan.has_user and not met.first(LOST_USER)
    return replace(plan, has_admin=has_admin, has_user=has_user)


def kept(job: SimulatedJob, met: Met) -> SimulatedJob:
    """Return the job with the retention that its tenant has while that is shortened."""
    short = met.first(SHORT_RETENTION)
    return replace(job, retention_s=short.seconds) if short else job


def listed(jobs: Iterable[HubJob], met: Met, now_s: float) -> list[HubJob]:
    """Return the jobs that a list has while retention is shortened, in an order that says nothing.

    Source: no order is published.
    """
    short = met.first(SHORT_RETENTION)
    there = (job for job in jobs if short is None or now_s < job.created_s + short.seconds)
    return sorted(there, key=lambda job: chance(job.id).random())


def result_expired(job: SimulatedJob, met: Met, now_s: float) -> bool:
    """Tell whether the job's artifact is gone before the job is."""
    fault = met.first(RESULT_EXPIRED)
    if fault is None or job.ended_s is None or now_s < job.ended_s + fault.seconds:
        return False
    met.served(fault)
    return True


def clock_of(met: Met, start_s: float) -> Callable[[float], float]:
    """Return how far the tenant's clock is ahead at a moment, Unix seconds; `start_s` is the simulator's start.

    A skew moves every stamp alike, a step only those of moments after it.
    """
    skew_s = sum(fault.seconds for fault in met.all(CLOCK_SKEW))
    steps = [(start_s + fault.after_s, fault.seconds) for fault in met.all(CLOCK_STEP)]
    return lambda at_s: skew_s + sum(seconds for step_s, seconds in steps if at_s >= step_s)


def shift_stamps(body: dict[str, Any], ahead_s: Callable[[float], float]) -> None:
    """Write the stamps of a job as a clock does that is ahead; `expiration` moves with `created`."""
    created_s = _moment(body.get("created"))
    for name in _STAMPS:
        if (at_s := _moment(body.get(name))) is not None:
            body[name] = stamp(at_s + ahead_s(at_s))
    if (at_s := _moment(body.get("expiration"))) is not None and created_s is not None:
        body["expiration"] = stamp(at_s + ahead_s(created_s))


def shift_entries(body: Any, ahead_s: Callable[[float], float]) -> None:  # noqa: ANN401 - decoded JSON
    """Write the stamps in every entry of a list as a clock does that is ahead; those it is right about stay."""
    for entry in entries(body):
        comments = entry.get("approvalComment")
        for stamped in (entry, *(comments if isinstance(comments, list) else ())):
            for name in (*_STAMPS, "lastUsed", "expirationDate"):
                at_s = _moment(stamped.get(name))
                if at_s is not None and (shift_s := ahead_s(at_s)):
                    stamped[name] = stamp(at_s + shift_s)


def _moment(text: object) -> float | None:
    return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
