"""One tenant: is it well, what do its jobs do, what did its imports bring, and how is its API used?"""

from scripts.dashboards.frame import Dashboard, Marks, Row, Variable
from scripts.dashboards.panels import (
    BLUE,
    GREEN,
    NONE_IS_BEST,
    NONE_IS_GOOD,
    NOTHING,
    OPERATION_COLORS,
    ORANGE,
    RED,
    STATE_COLORS,
    YES_NO,
    Column,
    Query,
    by_share,
    by_step,
    by_text,
    by_value,
    chart,
    gauges,
    link,
    rows,
    timeline,
    wide,
)
from scripts.dashboards.queries import (
    JOB,
    ONE,
    RANGE,
    STEP,
    UNFINISHED,
    ends_with_state,
    in_state,
    share_of_expected,
    where,
)
from scripts.dashboards.tenant_figures import WELL

_TO_JOB = link(
    "Open this job",
    "spexporter-job",
    tenant="${tenant}",
    operation="${__data.fields.operation}",
    job_id="${__data.fields.job_id}",
)
_NOT_OK = 'code!="200"'
_DURATION = ONE.latest("spconfig_job_duration_seconds", JOB)
_INFO = f"topk by ({JOB}) (1, {ONE.latest('spconfig_job_info', f'{JOB}, name, source, preview')})"
_BY = "tenant, operation"
_P95 = ONE.latest("spconfig_job_usual_duration_seconds", _BY, where("level", "p95"))
_RUNS = ONE.increase("spconfig_job_run_seconds_bucket", "operation, le", RANGE)
_CREATED = ONE.latest("spconfig_job_created_timestamp_seconds", JOB)
_SYNCED = ONE.latest("spconfig_backup_synced", JOB)


def _messages(severity: str) -> str:
    """Return how many messages each import's result has."""
    found = ONE.latest("spconfig_import_messages", f"{JOB}, object_type", where("severity", severity))
    return f"sum by ({JOB}) ({found})"


_JOBS = Row(
    "Jobs",
    (
        rows(
            "All jobs",
            "Every job on the page, the newest first; click on an id for more. An ended job stays until `retention`."
            " Empty where per_job_metrics is off.",
            (
                f"{ONE.latest('spconfig_job_state', f'{JOB}, state')} == 1",
                _INFO,
                f"1000 * {_CREATED}",
                _DURATION,
                f"{_DURATION} / on ({_BY}) group_left () {_P95}",
                _messages("error"),
                _messages("warning"),
                f"sum by ({JOB}) ({ONE.latest('spconfig_import_objects', f'{JOB}, object_type')})",
            ),
            (
                Column("operation", "operation", wide(90)),
                Column("name", "name"),
                Column("job_id", "job_id", _TO_JOB | wide(290)),
                Column("state", "state", by_text(STATE_COLORS) | wide(125)),
                Column("Value #C", "started", {"unit": "dateTimeAsIso"} | wide(170)),
                Column("Value #D", "duration", {"unit": "dthms"} | wide(95)),
                Column(
                    "Value #E",
                    "of usual p95",
                    by_step(((0, GREEN), (1, ORANGE), (3, RED)), "percentunit", 0) | wide(115),
                ),
                Column("Value #F", "errors", by_step(NONE_IS_GOOD) | wide(75)),
                Column("Value #G", "warnings", by_step(NONE_IS_BEST) | wide(90)),
                Column("Value #H", "objects", wide(80)),
                Column("preview", "preview", wide(85)),
                Column("source", "source", wide(90)),
            ),
            sort="started",
            descending=True,
            height=12,
        ),
        chart(
            "Jobs that ended",
            "How many jobs ended in each step, by final state, previews included.",
            Query(ONE.increase("spconfig_jobs_finished_total", "state", STEP), "{{state}}"),
            bars=True,
            colors=STATE_COLORS,
            width=8,
        ),
        chart(
            "Oldest unfinished job",
            "How long the job has run that has run for longest, by operation. It stands still while the tenant does"
            " not answer.",
            Query(f"max by (operation) (({_DURATION}) and on ({JOB}) ({in_state(ONE, UNFINISHED)}))", "{{operation}}"),
            unit="s",
            width=8,
            colors=OPERATION_COLORS,
        ),
        rows(
            "How long complete jobs take",
            "What half (p50), and 95 of 100 (p95), of the complete jobs of late took at most, known after three; and"
            " the p95 of those that ended in the time shown, as near as the buckets of the histogram are.",
            (
                ONE.latest("spconfig_job_usual_duration_seconds", "operation", where("level", "p50")),
                ONE.latest("spconfig_job_usual_duration_seconds", "operation", where("level", "p95")),
                f"histogram_quantile(0.95, {_RUNS}) > 0",
            ),
            (
                Column("operation", "operation"),
                Column("Value #A", "usual p50", {"unit": "dthms"} | wide(110)),
                Column("Value #B", "usual p95", {"unit": "dthms"} | wide(110)),
                Column("Value #C", "p95 now", {"unit": "dthms"} | wide(110)),
            ),
            sort="operation",
            width=8,
        ),
    ),
)

_IMPORTS = Row(
    "Imports",
    (
        chart(
            "Errors by object type",
            "Errors in the results of imports that ended in each step; each import counts once, previews do not.",
            Query(f"{ONE.increase('spconfig_import_errors_total', 'object_type', STEP)} > 0", "{{object_type}}"),
            bars=True,
            width=8,
            no_value=NOTHING,
        ),
        chart(
            "Warnings by object type",
            "Warnings in the results of imports that ended in each step; each import counts once, previews do not.",
            Query(f"{ONE.increase('spconfig_import_warnings_total', 'object_type', STEP)} > 0", "{{object_type}}"),
            bars=True,
            width=8,
            no_value=NOTHING,
        ),
        chart(
            "Objects by type",
            "Objects that imports which ended in each step created or updated; previews do not count.",
            Query(f"{ONE.increase('spconfig_imported_objects_total', 'object_type', STEP)} > 0", "{{object_type}}"),
            bars=True,
            width=8,
            no_value=NOTHING,
        ),
        gauges(
            "What became of results",
            "Results of imports that ended in the time shown: counted and preview are well, all others mean that"
            " nobody knows what the import did.",
            Query(ONE.increase("spconfig_import_results_total", "outcome", RANGE), "{{outcome}}"),
            width=12,
        ),
        rows(
            "By object type, in the time shown",
            "Errors, warnings and objects in the results of imports that ended in the time shown; previews do not"
            " count. Types with none of them are left out.",
            tuple(
                f"{ONE.increase(name, 'object_type', RANGE)} > 0"
                for name in (
                    "spconfig_import_errors_total",
                    "spconfig_import_warnings_total",
                    "spconfig_imported_objects_total",
                )
            ),
            (
                Column("object_type", "object type", wide(240)),
                Column("Value #A", "errors", by_step(NONE_IS_GOOD, "none", 0)),
                Column("Value #B", "warnings", by_step(NONE_IS_BEST, "none", 0)),
                Column("Value #C", "objects", {"decimals": 0}),
            ),
            sort="errors",
            descending=True,
            width=12,
        ),
    ),
)

_LAST = ONE.latest("spconfig_last_success_timestamp_seconds", _BY)

_HUB = Row(
    "Freshness and Configuration Hub",
    (
        rows(
            "Newest successes",
            "Of each operation the age of its newest success, what `expect` asks for, and the first as a share of the"
            " second: orange from 80 %, red from 100 % on. Partial backups, previews and imports with errors are none.",
            (
                f"time() - {_LAST}",
                ONE.latest("spconfig_expected_interval_seconds", _BY),
                share_of_expected(ONE),
                ONE.latest("spconfig_last_success_objects", _BY),
            ),
            (
                Column("operation", "operation"),
                Column("Value #A", "age of newest", {"unit": "s", "decimals": 1}),
                Column("Value #B", "expected every", {"unit": "s"}),
                Column("Value #C", "share of expected", by_share()),
                Column("Value #D", "objects in it"),
            ),
            sort="share of expected",
            descending=True,
            width=12,
        ),
        rows(
            "Backups and deploys in cloud storage",
            "What Configuration Hub says of each, the newest first. NOT_SYNCED and SYNC_FAILED are both `no`.",
            (
                _SYNCED,
                f"1000 * {_CREATED} and on ({JOB}) {_SYNCED}",
                f"({ONE.latest('spconfig_job_state', f'{JOB}, state')} == 1) and on ({JOB}) {_SYNCED}",
            ),
            (
                Column("operation", "operation", wide(100)),
                Column("job_id", "job_id", _TO_JOB),
                Column("state", "state", by_text(STATE_COLORS) | wide(120)),
                Column("Value #A", "in cloud storage", by_value(YES_NO) | wide(130)),
                Column("Value #B", "started", {"unit": "dateTimeAsIso"} | wide(175)),
            ),
            sort="started",
            descending=True,
            width=12,
        ),
    ),
)

_API = Row(
    "API and rate limit",
    (
        timeline(
            "When did the tenant answer?",
            "Green while the tenant answered, red while it did not; nothing where it was not watched.",
            Query(ONE.latest("spconfig_tenant_up", "tenant"), "answers"),
            texts=YES_NO,
            height=4,
        ),
        chart(
            "Requests by endpoint",
            "HTTP exchanges with the tenant in each second.",
            Query(ONE.rate("spexporter_api_requests_total", "endpoint"), "{{endpoint}}"),
            unit="reqps",
            stacked=True,
            width=8,
        ),
        chart(
            "Answers that are not 200",
            "Exchanges in each second whose status is another; none means that no whole answer came.",
            Query(f"{ONE.rate('spexporter_api_requests_total', 'code', _NOT_OK)} > 0", "{{code}}"),
            unit="reqps",
            stacked=True,
            width=8,
            no_value=NOTHING,
        ),
        chart(
            "Looks that failed",
            "Looks at the tenant that failed in each step, by reason; docs/operations.md tells what the exporter does"
            " then.",
            Query(f"{ONE.increase('spexporter_api_errors_total', 'reason', STEP)} > 0", "{{reason}}"),
            bars=True,
            width=8,
            no_value=NOTHING,
        ),
        chart(
            "Rate limit window",
            "Places taken in the present window, and places that the exporter allows itself: fewer after a 429.",
            Query(ONE.latest("spexporter_rate_limit_requests", "tenant"), "used"),
            Query(ONE.latest("spexporter_rate_limit_allowed_requests", "tenant"), "allowed"),
            colors={"allowed": RED, "used": BLUE},
            width=8,
        ),
        chart(
            "Requests that wait",
            "Seconds of waiting for a place in the window, of all requests together, in each second.",
            Query(ONE.rate("spexporter_rate_limit_wait_seconds_total", "tenant"), "waiting"),
            unit="s",
            width=8,
            at_least=1,
        ),
        chart(
            "The tenant's clock",
            "The tenant's clock minus ours. Far from 0, one of the two is wrong; durations of jobs are right all the"
            " same.",
            Query(ONE.latest("spconfig_tenant_clock_offset_seconds", "tenant"), "offset"),
            unit="s",
            width=8,
            centered=True,
        ),
        rows(
            "What the credential may do",
            "Endpoints tried so far; no means 403: a scope or the user level is missing. The log and the exporter's"
            " own page name what helps.",
            (ONE.latest("spconfig_tenant_access", "endpoint"),),
            (Column("endpoint", "endpoint"), Column("Value", "allowed", by_value(YES_NO))),
            sort="allowed",
            width=8,
        ),
        chart(
            "Access token",
            "When the present access token expires; it is renewed before that. Below 0 it could not be renewed.",
            Query(
                f"{ONE.latest('spconfig_tenant_token_expiration_timestamp_seconds', 'tenant')} - time()", "expires in"
            ),
            unit="s",
            width=8,
            centered=True,
        ),
        gauges(
            "Deprecated answers",
            "Answers in the time shown that SailPoint marked as deprecated, by endpoint: its API version will go away.",
            Query(
                f"{ONE.increase('spexporter_api_deprecated_responses_total', 'endpoint', RANGE)} > 0", "{{endpoint}}"
            ),
            steps=((0, ORANGE),),
            width=8,
            no_value=NOTHING,
        ),
    ),
)

DASHBOARD = Dashboard(
    uid="spexporter-tenant",
    title="spexporter / Tenant",
    description="One tenant: its health, jobs, imports, backups and how its API is used.",
    rows=(WELL, _JOBS, _IMPORTS, _HUB, _API),
    variables=(
        Variable(
            "tenant",
            "Tenant",
            "label_values(spconfig_tenant_info, tenant)",
            description="Which tenant is shown",
        ),
    ),
    marks=(
        Marks(
            "Jobs that failed or were cancelled",
            RED,
            ends_with_state(ONE, "FAILED", "CANCELLED"),
            "{{operation}} {{state}}",
            "{{job_id}}",
            "operation,state",
        ),
        Marks(
            "Jobs that are complete",
            GREEN,
            ends_with_state(ONE, "COMPLETE"),
            "{{operation}} {{state}}",
            "{{job_id}}",
            "operation",
        ),
    ),
)
