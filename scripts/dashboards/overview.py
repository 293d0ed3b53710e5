"""Is every tenant well? What went wrong, what is stuck, how fresh are the backups?"""

from scripts.dashboards.frame import Dashboard, Marks, Row, Variable
from scripts.dashboards.overview_figures import WELL
from scripts.dashboards.panels import (
    GREEN,
    NONE_IS_BEST,
    NONE_IS_GOOD,
    OPERATION_COLORS,
    ORANGE,
    RED,
    SEVERITY_COLORS,
    STATE_COLORS,
    YES_NO,
    Column,
    Query,
    by_share,
    by_step,
    by_text,
    by_value,
    chart,
    link,
    rows,
    timeline,
    wide,
)
from scripts.dashboards.queries import (
    JOB,
    MANY,
    RANGE,
    SLOW,
    STEP,
    age,
    bad_ends,
    because,
    budget_used,
    ends_in_range,
    ends_with_state,
    in_state,
    named,
    number,
    overdue,
    share_of_expected,
    slow,
    stuck,
    unfinished,
    where,
)

_TO_TENANT = link("Open this tenant", "spexporter-tenant", tenant="${__data.fields.tenant}")
_TO_JOB = link(
    "Open this job",
    "spexporter-job",
    tenant="${__data.fields.tenant}",
    operation="${__data.fields.operation}",
    job_id="${__data.fields.job_id}",
)
_ERRORS = MANY.latest(
    "spconfig_import_messages", f"{JOB}, object_type", where("severity", "error"), where("preview", "false")
)


def _look_at() -> str:
    """Return the jobs that somebody should look at: since when (milliseconds), and why."""
    ended, begun = ends_in_range(MANY), f"1000 * {MANY.latest('spconfig_job_created_timestamp_seconds', JOB)}"
    unclear = in_state(MANY, where("state", "NOT_FOUND", "UNKNOWN"))
    found = because(
        ("failed", f"({ended}) and on ({JOB}) ({in_state(MANY, where('state', 'FAILED'))})"),
        ("stuck: older than max_age", f"({begun}) and on ({JOB}) ({stuck(MANY)})"),
        ("cancelled", f"({ended}) and on ({JOB}) ({in_state(MANY, where('state', 'CANCELLED'))})"),
        ("errors in its result", f"({ended}) and on ({JOB}) ({_ERRORS} > 0)"),
        (f"slow: {SLOW} times the usual p95", f"({begun}) and on ({JOB}) ({slow(MANY)})"),
        ("not found, or state unknown", f"({begun}) and on ({JOB}) ({unclear})"),
        ("not found", f"NaN * ({unclear})"),
    )
    return named(found, MANY)


_TENANT = MANY.latest("spconfig_tenant_info", "tenant")

_TENANTS = Row(
    "Tenants",
    (
        rows(
            "Each tenant",
            "One row for each tenant, the worst first; click on its name for more. A dash means not known, or nothing"
            " of the kind. Failed and errors count what happened in the time shown.",
            (
                f"topk by (tenant) (1, {MANY.latest('spconfig_tenant_info', 'tenant, api_version')})",
                MANY.latest("spconfig_tenant_up", "tenant"),
                age(MANY, "spconfig_tenant_last_success_timestamp_seconds", "tenant"),
                unfinished(MANY, "tenant"),
                number(stuck(MANY), MANY, "tenant"),
                f"{bad_ends(MANY, 'tenant', RANGE)} and {_TENANT}",
                f"{MANY.increase('spconfig_import_errors_total', 'tenant', RANGE)} and {_TENANT}",
                number(overdue(MANY), MANY, "tenant"),
                number(f"{MANY.latest('spconfig_tenant_access', 'tenant, endpoint')} == 0", MANY, "tenant"),
                budget_used(MANY),
                f"{MANY.latest('spconfig_tenant_credential_expiration_timestamp_seconds', 'tenant')} - time()",
            ),
            (
                Column("tenant", "tenant", _TO_TENANT | wide(170)),
                Column("Value #B", "answers", by_value(YES_NO) | wide(95)),
                Column(
                    "Value #C", "last answer", by_step(((0, GREEN), (600, ORANGE), (1800, RED)), "s", 0) | wide(120)
                ),
                Column("Value #D", "unfinished", wide(110)),
                Column("Value #E", "stuck", by_step(NONE_IS_GOOD) | wide(90)),
                Column("Value #F", "failed", by_step(NONE_IS_GOOD, "none", 0) | wide(90)),
                Column("Value #G", "import errors", by_step(NONE_IS_GOOD, "none", 0) | wide(130)),
                Column("Value #H", "overdue", by_step(NONE_IS_GOOD) | wide(100)),
                Column("Value #I", "access refused", by_step(NONE_IS_BEST) | wide(135)),
                Column(
                    "Value #J",
                    "budget used",
                    by_step(((0, GREEN), (0.8, ORANGE), (1, RED)), "percentunit", 0) | wide(120),
                ),
                Column(
                    "Value #K",
                    "credential ends in",
                    by_step(((0, RED), (7 * 86400, ORANGE), (30 * 86400, GREEN)), "s", 0) | wide(150),
                ),
                Column("api_version", "API"),
            ),
            sort="answers",
            height=8,
        ),
        timeline(
            "When did each tenant answer?",
            "Green while the tenant answered, red while it did not; nothing where it was not watched.",
            Query(MANY.latest("spconfig_tenant_up", "tenant"), "{{tenant}}"),
            texts=YES_NO,
            height=7,
        ),
    ),
)

_JOBS = Row(
    "Jobs",
    (
        rows(
            "Jobs to look at",
            "Jobs that failed, were cancelled or have errors in their result (those that ended in the time shown), and"
            " jobs that are stuck, slow, not found or of an unknown state now. Click on an id for more. Empty where"
            " per_job_metrics is off.",
            (_look_at(),),
            (
                Column("tenant", "tenant", _TO_TENANT | wide(170)),
                Column("operation", "operation", wide(110)),
                Column("name", "name"),
                Column("why", "why", by_text({"failed": RED, "stuck: older than max_age": RED})),
                Column("Value", "since", {"unit": "dateTimeAsIso", "custom.width": 180}),
                Column("job_id", "job_id", _TO_JOB),
            ),
            sort="since",
            descending=True,
            height=10,
        ),
        chart(
            "Jobs that ended",
            "How many jobs ended in each step, by final state, previews included.",
            Query(MANY.increase("spconfig_jobs_finished_total", "state", STEP), "{{state}}"),
            bars=True,
            colors=STATE_COLORS,
            width=8,
        ),
        chart(
            "Jobs unfinished",
            "Jobs that run or wait to run, by operation.",
            Query(unfinished(MANY, "operation"), "{{operation}}"),
            stacked=True,
            colors=OPERATION_COLORS,
            width=8,
        ),
        chart(
            "Messages in import results",
            "Errors and warnings in the results of imports that ended in each step; each import counts once, previews"
            " do not.",
            Query(MANY.increase("spconfig_import_errors_total", "", STEP), "error"),
            Query(MANY.increase("spconfig_import_warnings_total", "", STEP), "warning"),
            bars=True,
            colors=SEVERITY_COLORS,
            width=8,
        ),
    ),
)

_BY = "tenant, operation"
_LAST = MANY.latest("spconfig_last_success_timestamp_seconds", _BY)
_EXPECTED = MANY.latest("spconfig_expected_interval_seconds", _BY)
_BACKUP = MANY.latest("spconfig_last_success_timestamp_seconds", "tenant", where("operation", "backup"))

_FRESHNESS = Row(
    "Freshness of backups, exports and imports",
    (
        rows(
            "Newest success of what is expected",
            "Each operation that `expect` in the configuration names. The age of its newest success, and that as a"
            " share of what is expected: orange from 80 %, red from 100 % on. `never seen` means that no success is"
            " known, which is as bad. Partial backups, previews and imports with errors are no success.",
            (
                _EXPECTED,
                f"(time() - {_LAST}) and on ({_BY}) {_EXPECTED}",
                share_of_expected(MANY),
                f"{MANY.latest('spconfig_last_success_objects', _BY)} and on ({_BY}) {_EXPECTED}",
            ),
            (
                Column("tenant", "tenant", _TO_TENANT),
                Column("operation", "operation"),
                Column("Value #A", "expected every", {"unit": "s"}),
                Column("Value #B", "age of newest", {"unit": "s", "decimals": 1}),
                Column("Value #C", "share of expected", by_share()),
                Column("Value #D", "objects in it", {"unit": "none"}),
            ),
            sort="share of expected",
            descending=True,
            width=14,
            height=10,
        ),
        chart(
            "Age of the newest backup",
            "How old the newest backup is that could be restored, by tenant. It falls to 0 with each new one.",
            Query(f"time() - {_BACKUP}", "{{tenant}}"),
            unit="s",
            width=10,
            height=10,
        ),
    ),
)

DASHBOARD = Dashboard(
    uid="spexporter-overview",
    title="spexporter / Overview",
    description="Is every tenant well? Failures, stuck jobs, errors and the freshness of backups.",
    rows=(WELL, _TENANTS, _JOBS, _FRESHNESS),
    variables=(
        Variable(
            "tenant",
            "Tenant",
            "label_values(spconfig_tenant_info, tenant)",
            many=True,
            description="Which tenants are shown",
        ),
    ),
    marks=(
        Marks(
            "Jobs that failed or were cancelled",
            RED,
            ends_with_state(MANY, "FAILED", "CANCELLED"),
            "{{tenant}}: {{operation}} {{state}}",
            "{{job_id}}",
            "tenant,operation,state",
        ),
        Marks(
            "Jobs that are complete",
            GREEN,
            ends_with_state(MANY, "COMPLETE"),
            "{{tenant}}: {{operation}} {{state}}",
            "{{job_id}}",
            "tenant,operation",
            enabled=False,
        ),
    ),
)
