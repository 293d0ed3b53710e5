"""What the API says of tenants and jobs: the shapes, which its OpenAPI document describes, and how they are filled.

Times are RFC 3339 in UTC, durations seconds; null means not known, as a series that is absent does.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from spexporter.domain.chronicle import Seen
from spexporter.domain.durations import Usual
from spexporter.domain.job import Job, JobState, Operation
from spexporter.domain.ports import BudgetUse
from spexporter.domain.result import ImportResult, Outcome, Texts
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView, Trouble

UNOBSERVED = "UNOBSERVED"
_YEAR_9999_S = 253_370_764_800
STATES = (*JobState, UNOBSERVED)

Time = Annotated[str, Meta(description="RFC 3339, UTC", extra_json_schema={"format": "date-time"})]


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All fields are always there."""


class UsualAnswer(_Answer, frozen=True):
    """How long COMPLETE jobs of one operation usually take, in seconds."""

    p50: float
    p95: float


class TroubleAnswer(_Answer, frozen=True):
    """Something that does not work with a tenant now; `subject` is an endpoint, or a job as `operation id`."""

    subject: str
    endpoint: str
    reason: str
    message: str
    cure: Annotated[str, Meta(description="what an operator can do; empty where only waiting helps")]
    tracking_id: Annotated[str, Meta(description="for SailPoint's support; may be empty")]
    since: Time | None


class JobAnswer(_Answer, frozen=True):
    """One watched job, as `/metrics` tells of it in many series."""

    tenant: str
    operation: Operation
    id: str
    state: Annotated[
        str,
        Meta(
            description="UNOBSERVED before the first answer, and of unfinished jobs while the tenant is stale",
            extra_json_schema={"enum": list(STATES)},
        ),
    ]
    ended: Annotated[bool, Meta(description="whether the state will never change again")]
    source: Annotated[str, Meta(description="what names the job: config, file, api, discovery or backup")]
    name: str
    description: str
    message: Annotated[str, Meta(description="the tenant's own words")]
    preview: Annotated[bool | None, Meta(description="whether the import is a dry run")]
    elapsed_seconds: Annotated[float | None, Meta(description="by the tenant's clock; frozen at the end")]
    max_age_seconds: float | None
    usual_duration_seconds: Annotated[UsualAnswer | None, Meta(description="of the tenant's jobs of this operation")]
    created: Time | None
    modified: Time | None
    completed: Time | None
    expiration: Time | None
    end_seen: Annotated[Time | None, Meta(description="when we first saw the final state, by our clock")]
    last_observed: Time | None
    next_look_in_seconds: Annotated[
        float | None,
        Meta(description="when a look is due, later where looks wait for budget; null where none is queued"),
    ]
    outcome: Annotated[Outcome | None, Meta(description="what became of an ended import's result")]
    messages: Annotated[
        dict[str, dict[str, int]] | None,
        Meta(description="by object type, then by severity (error, warning, info); null before a result was read"),
    ]
    objects: Annotated[dict[str, int] | None, Meta(description="created or updated, by object type")]
    object_count: Annotated[int | None, Meta(description="how much a backup or upload holds")]
    synced: Annotated[bool | None, Meta(description="whether cloud storage has it, of a backup, upload or deploy")]
    partial: Annotated[bool | None, Meta(description="whether a backup or upload holds some object types alone")]
    of_other_tenant: Annotated[bool | None, Meta(description="whether a backup or upload is a connected tenant's")]
    trouble: Annotated[TroubleAnswer | None, Meta(description="why this job cannot be read, if so")]
    tenant_up: bool | None


class SeenAnswer(_Answer, frozen=True):
    """A state of a job, and when the exporter first saw it, by its own clock."""

    state: JobState
    seen: Time | None


class TextsAnswer(_Answer, frozen=True):
    """What an import said about one object type, in SailPoint's words."""

    errors: Sequence[str]
    warnings: Sequence[str]


class JobDetailAnswer(JobAnswer, frozen=True):
    """One watched job, with what is remembered of it since the exporter started."""

    given: Annotated[Time | None, Meta(description="when the exporter was first given its id")]
    missing_since: Annotated[Time | None, Meta(description="since when the tenant knows no such job")]
    states_seen: Annotated[Sequence[SeenAnswer], Meta(description="changes of its state, oldest first")]
    texts: Annotated[
        dict[str, TextsAnswer] | None,
        Meta(description="by object type: the first errors and warnings; null where they are not remembered"),
    ]


class TenantAnswer(_Answer, frozen=True):
    """One tenant, as `/metrics` tells of it in many series."""

    tenant: str
    base_url: str
    api_version: Annotated[str | None, Meta(description="null while it is being found out")]
    up: bool | None
    stale: Annotated[bool, Meta(description="silent for so long that nothing can be said of unfinished jobs")]
    last_success: Time | None
    throttled_until: Time | None
    token_expiration: Time | None
    credential_expiration: Annotated[Time | None, Meta(description="the personal access token's own end")]
    budget_used: Annotated[int | None, Meta(description="requests in the present rate limit window")]
    budget_allowed: Annotated[int | None, Meta(description="requests that the exporter allows itself in a window")]
    clock_offset_seconds: Annotated[float | None, Meta(description="the tenant's clock minus ours")]
    breaker: Annotated[str, Meta(description="the circuit breaker: closed as long as all is well")]
    next_try_in_seconds: Annotated[float | None, Meta(description="null while the tenant is asked as usual")]
    access: Annotated[dict[str, bool], Meta(description="by endpoint: whether the credential may use it")]
    jobs: Annotated[dict[str, dict[str, int]], Meta(description="how many, by operation and state")]
    usual_duration_seconds: Annotated[dict[str, UsualAnswer], Meta(description="by operation")]
    last_success_by_operation: Annotated[dict[str, Time | None], Meta(description="end of the newest success")]
    expected_interval_seconds: Annotated[dict[str, float], Meta(description="by operation, from `expect`")]
    drafts_pending: Annotated[int | None, Meta(description="Configuration Hub drafts that wait for approval")]
    drafts_oldest_pending: Annotated[Time | None, Meta(description="since when the first of them waits")]
    troubles: Sequence[TroubleAnswer]


class TenantsAnswer(_Answer, frozen=True):
    """All tenants, by name."""

    tenants: Sequence[TenantAnswer]


class JobsAnswer(_Answer, frozen=True):
    """The jobs that were asked for, by tenant, operation and id."""

    jobs: Sequence[JobAnswer]


def tenant_answer(view: TenantView, now: Moment, budget: BudgetUse | None = None) -> TenantAnswer:
    """Say what is known of a tenant now."""
    health, state = view.health, view.state
    next_s = view.next_try_monotonic_s
    drafts = None if view.stale(now) else state.drafts
    return TenantAnswer(
        tenant=view.tenant,
        base_url=health.base_url,
        api_version=health.api_version,
        up=health.up,
        stale=view.stale(now),
        last_success=rfc3339(health.last_answer_s),
        throttled_until=rfc3339(health.throttled_until_s),
        token_expiration=rfc3339(health.token_expires_s),
        credential_expiration=rfc3339(view.credential_expires_s),
        budget_used=budget.used if budget else None,
        budget_allowed=budget.allowed if budget else None,
        clock_offset_seconds=health.time.at(now.monotonic_s) - now.wall_s if health.time else None,
        breaker=view.breaker.value,
        next_try_in_seconds=None if next_s is None else max(0.0, next_s - now.monotonic_s),
        access=dict(sorted(health.access.items())),
        jobs=_counted(view, now),
        usual_duration_seconds={str(operation): _usual(usual) for operation, usual in state.usual.items()},
        last_success_by_operation={str(it): rfc3339(ended_s) for it, ended_s in state.successes.items()},
        expected_interval_seconds={str(operation): interval_s for operation, interval_s in view.expect.items()},
        drafts_pending=drafts.pending if drafts else None,
        drafts_oldest_pending=rfc3339(drafts.oldest_pending_s if drafts else None),
        troubles=[_trouble(subject, trouble) for subject, trouble in health.troubles.items()],
    )


def job_answer(job: Job, view: TenantView, now: Moment, next_look_s: float | None = None) -> JobAnswer:
    """Say what is known of a job of the view's tenant now; a look at it is due at `next_look_s` (monotonic)."""
    return JobAnswer(**_facts(job, view, now, next_look_s))


def job_detail(
    job: Job,
    view: TenantView,
    now: Moment,
    next_look_s: float | None,
    *,
    states: Sequence[Seen],
    texts: Mapping[str, Texts] | None,
) -> JobDetailAnswer:
    """Say the same, and what is remembered: the `states` that it was seen to get, and what its import said."""
    return JobDetailAnswer(
        **_facts(job, view, now, next_look_s),
        given=rfc3339(job.given_s),
        missing_since=rfc3339(job.missing_s),
        states_seen=[SeenAnswer(seen.state, rfc3339(seen.at_s)) for seen in states],
        texts=None if texts is None else {name: TextsAnswer(it.errors, it.warnings) for name, it in texts.items()},
    )


def _facts(job: Job, view: TenantView, now: Moment, next_look_s: float | None) -> dict[str, Any]:
    key, latest = job.key, job.latest
    hub = job.hub if key.operation in {Operation.BACKUP, Operation.UPLOAD} else None
    unknown = state_of(job, view, now) == UNOBSERVED
    subject, usual = f"{key.operation} {key.job_id}", view.state.usual.get(key.operation)
    trouble = view.health.troubles.get(subject)
    return dict(  # noqa: C408 (reads as the shape above)
        tenant=key.tenant,
        operation=key.operation,
        id=key.job_id,
        state=state_of(job, view, now),
        ended=job.end_seen_s is not None,
        source=job.watched.source.value,
        name=job.watched.name,
        description=latest.description if latest else "",
        message=latest.message if latest else "",
        preview=job.preview,
        elapsed_seconds=None if unknown else view.elapsed_s(job, now),
        max_age_seconds=job.watched.max_age_s,
        usual_duration_seconds=_usual(usual) if usual else None,
        created=rfc3339(latest.created_s if latest else None),
        modified=rfc3339(latest.modified_s if latest else None),
        completed=rfc3339(job.ended_s),
        expiration=rfc3339(latest.expires_s if latest else None),
        end_seen=rfc3339(job.end_seen_s),
        last_observed=rfc3339(latest.observed_s if latest and latest.raw_state else None),
        next_look_in_seconds=None if next_look_s is None else max(0.0, next_look_s - now.monotonic_s),
        outcome=job.outcome,
        messages=_messages(job.result),
        objects=_objects(job.result),
        object_count=hub.object_count if hub else None,
        synced=job.hub.synced if job.hub else None,
        partial=hub.partial if hub else None,
        of_other_tenant=hub.of_other_tenant if hub else None,
        trouble=_trouble(subject, trouble) if trouble else None,
        tenant_up=view.health.up,
    )


def state_of(job: Job, view: TenantView, now: Moment) -> str:
    """Return a job's state as pages show it; nobody observes an unfinished job of a stale tenant."""
    if job.state is None or (job.end_seen_s is None and view.stale(now)):
        return UNOBSERVED
    return job.state.value


def rfc3339(unix_s: float | None) -> str | None:
    """Return a time in UTC, to the millisecond; None where it is not known, or impossible."""
    if unix_s is None or not 0 <= unix_s < _YEAR_9999_S:
        return None
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _counted(view: TenantView, now: Moment) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for job in view.state.jobs.values():
        if not job.left:
            found.setdefault(job.key.operation.value, Counter())[state_of(job, view, now)] += 1
    return {operation: dict(sorted(states.items())) for operation, states in sorted(found.items())}


def _messages(result: ImportResult | None) -> dict[str, dict[str, int]] | None:
    if result is None:
        return None
    return {it: {"error": n.errors, "warning": n.warnings, "info": n.infos} for it, n in result.types.items()}


def _objects(result: ImportResult | None) -> dict[str, int] | None:
    return None if result is None else {object_type: counts.objects for object_type, counts in result.types.items()}


def _usual(usual: Usual) -> UsualAnswer:
    return UsualAnswer(usual.p50_s, usual.p95_s)


def _trouble(subject: str, trouble: Trouble) -> TroubleAnswer:
    return TroubleAnswer(
        subject=subject,
        endpoint=trouble.endpoint,
        reason=trouble.reason,
        message=trouble.message,
        cure=trouble.cure,
        tracking_id=trouble.tracking_id,
        since=rfc3339(trouble.since_s),
    )
