"""The one table of all metric families: names, types, labels and help. docs/metrics.md is made from it.

`TENANT_FAMILIES` are rendered from views by the functions of `samples`; `OWN_FAMILIES` are kept by `telemetry`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spexporter.domain import counting
from spexporter.domain.family import Family
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView
from spexporter.exposition import samples
from spexporter.exposition.samples import Row

_JOB = ("tenant", "operation", "job_id")


@dataclass(frozen=True, slots=True)
class TenantFamily(Family):
    """A family about tenants and how its samples are read from one tenant's view."""

    rows: Callable[[TenantView, Moment], Iterator[Row]]

    def shown(self, view: TenantView) -> bool:
        """Whether the family has series of this tenant at all: those of single jobs can be left out."""
        return view.per_job or "job_id" not in self.labels


TENANT_FAMILIES: tuple[TenantFamily, ...] = (
    TenantFamily(
        "spconfig_job_state",
        "gauge",
        (*_JOB, "state"),
        "State of a job: 1 for the present state, 0 for all others. Absent before the first answer.",
        samples.job_state,
    ),
    TenantFamily(
        "spconfig_job_info",
        "gauge",
        (*_JOB, "name", "description", "source", "preview"),
        "Facts about a job, always 1. source says who named its id; preview is unknown until the result was read.",
        samples.job_info,
    ),
    TenantFamily(
        "spconfig_job_duration_seconds",
        "gauge",
        _JOB,
        "How long a job has run by the tenant's clock (standing still while the tenant is not up), or took.",
        samples.job_duration,
    ),
    TenantFamily(
        "spconfig_job_created_timestamp_seconds",
        "gauge",
        _JOB,
        "When the job was started, as the API tells.",
        samples.job_created,
    ),
    TenantFamily(
        "spconfig_job_modified_timestamp_seconds",
        "gauge",
        _JOB,
        "When the job was last changed, as the API tells.",
        samples.job_modified,
    ),
    TenantFamily(
        "spconfig_job_completed_timestamp_seconds",
        "gauge",
        _JOB,
        "When the job ended: `completed` of the API, else `modified` as it was when the end was first seen.",
        samples.job_completed,
    ),
    TenantFamily(
        "spconfig_job_expiration_timestamp_seconds",
        "gauge",
        _JOB,
        "Until when the tenant keeps the job's artefacts, as the API tells.",
        samples.job_expiration,
    ),
    TenantFamily(
        "spconfig_job_end_seen_timestamp_seconds",
        "gauge",
        _JOB,
        "When this exporter first saw the job's final state.",
        samples.job_end_seen,
    ),
    TenantFamily(
        "spconfig_job_last_observed_timestamp_seconds",
        "gauge",
        _JOB,
        "When the tenant last answered about this job; stands still once the job has ended.",
        samples.job_last_observed,
    ),
    TenantFamily(
        "spconfig_job_max_age_seconds",
        "gauge",
        _JOB,
        "After this long a job that still runs counts as stuck; from max_age in the configuration.",
        samples.job_max_age,
    ),
    TenantFamily(
        "spconfig_import_messages",
        "gauge",
        (*_JOB, "object_type", "severity", "preview"),
        "Messages in this import's result, by severity: error, warning or info.",
        samples.import_messages,
    ),
    TenantFamily(
        "spconfig_import_objects",
        "gauge",
        (*_JOB, "object_type", "preview"),
        "Objects that this import created or updated.",
        samples.import_objects,
    ),
    TenantFamily(
        "spconfig_import_result_read",
        "gauge",
        _JOB,
        "Whether the result of this ended import was downloaded and understood (1) or not, or not yet (0).",
        samples.import_result_read,
    ),
    TenantFamily(
        counting.IMPORT_ERRORS,
        "counter",
        ("tenant", "object_type"),
        "Errors in the results of ended imports; each import once, previews not.",
        samples.cells(counting.IMPORT_ERRORS, "object_type"),
    ),
    TenantFamily(
        counting.IMPORT_WARNINGS,
        "counter",
        ("tenant", "object_type"),
        "Warnings in the results of ended imports; each import once, previews not.",
        samples.cells(counting.IMPORT_WARNINGS, "object_type"),
    ),
    TenantFamily(
        counting.IMPORTED_OBJECTS,
        "counter",
        ("tenant", "object_type"),
        "Objects that ended imports created or updated; each import once, previews not.",
        samples.cells(counting.IMPORTED_OBJECTS, "object_type"),
    ),
    TenantFamily(
        counting.IMPORT_RESULTS,
        "counter",
        ("tenant", "outcome"),
        "What became of the results of ended imports; each import has exactly one outcome.",
        samples.cells(counting.IMPORT_RESULTS, "outcome"),
    ),
    TenantFamily(
        "spconfig_jobs",
        "gauge",
        ("tenant", "operation", "state"),
        "Watched jobs by state; UNOBSERVED before the first answer, and once the tenant was silent for max_staleness.",
        samples.jobs,
    ),
    TenantFamily(
        counting.JOBS_FINISHED,
        "counter",
        ("tenant", "operation", "state"),
        "Jobs that ended, by final state; each job once, previews included.",
        samples.cells(counting.JOBS_FINISHED, "operation", "state"),
    ),
    TenantFamily(
        counting.RUN_SECONDS,
        "histogram",
        ("tenant", "operation"),
        "How long jobs took that ended COMPLETE and whose beginning and end are known.",
        samples.run_seconds,
    ),
    TenantFamily(
        "spconfig_job_usual_duration_seconds",
        "gauge",
        ("tenant", "operation", "level"),
        "How long COMPLETE jobs of late took: half of them (p50), or 95 of 100 (p95), took at most this.",
        samples.usual_duration,
    ),
    TenantFamily(
        "spconfig_last_success_timestamp_seconds",
        "gauge",
        ("tenant", "operation"),
        "End of the newest COMPLETE job that did all it is for: for imports a result without errors, no preview; no"
        " backup that is partial, another tenant's or made for an import.",
        samples.last_success,
    ),
    TenantFamily(
        "spconfig_last_success_objects",
        "gauge",
        ("tenant", "operation"),
        "Objects in the backup or upload of spconfig_last_success_timestamp_seconds, where the API tells.",
        samples.last_success_objects,
    ),
    TenantFamily(
        "spconfig_expected_interval_seconds",
        "gauge",
        ("tenant", "operation"),
        "How often a success is expected; from expect in the configuration.",
        samples.expected_interval,
    ),
    TenantFamily(
        "spconfig_backup_synced",
        "gauge",
        _JOB,
        "Whether cloud storage has what this job of Configuration Hub made; absent where the API does not tell.",
        samples.backup_synced,
    ),
    TenantFamily(
        "spconfig_drafts_pending_approval",
        "gauge",
        ("tenant",),
        "Drafts of Configuration Hub that wait for approval.",
        samples.drafts_pending,
    ),
    TenantFamily(
        "spconfig_drafts_oldest_pending_timestamp_seconds",
        "gauge",
        ("tenant",),
        "Since when the first of these waits, where a comment on it tells.",
        samples.drafts_oldest_pending,
    ),
    TenantFamily(
        "spconfig_tenant_up",
        "gauge",
        ("tenant",),
        "Whether the tenant answers: 0 after no answer, 5xx, an unreadable answer or a refused credential.",
        samples.tenant_up,
    ),
    TenantFamily(
        "spconfig_tenant_access",
        "gauge",
        ("tenant", "endpoint"),
        "Whether the credential may use this endpoint; absent until tried.",
        samples.tenant_access,
    ),
    TenantFamily(
        "spconfig_tenant_info",
        "gauge",
        ("tenant", "base_url", "api_version"),
        "Facts about a tenant, always 1. api_version is unknown while it is being found out.",
        samples.tenant_info,
    ),
    TenantFamily(
        "spconfig_tenant_last_success_timestamp_seconds",
        "gauge",
        ("tenant",),
        "When the tenant last gave a good answer.",
        samples.tenant_last_success,
    ),
    TenantFamily(
        "spconfig_tenant_throttled_until_timestamp_seconds",
        "gauge",
        ("tenant",),
        "End of the newest pause after a 429; absent before the first.",
        samples.tenant_throttled_until,
    ),
    TenantFamily(
        "spconfig_tenant_token_expiration_timestamp_seconds",
        "gauge",
        ("tenant",),
        "When the present access token expires; it is renewed before.",
        samples.tenant_token_expiration,
    ),
    TenantFamily(
        "spconfig_tenant_credential_expiration_timestamp_seconds",
        "gauge",
        ("tenant",),
        "When the personal access token itself ends, as credential_expires says or the API; absent if never.",
        samples.tenant_credential_expiration,
    ),
    TenantFamily(
        "spconfig_tenant_clock_offset_seconds",
        "gauge",
        ("tenant",),
        "The tenant's clock minus ours, from the Date header of its answers.",
        samples.tenant_clock_offset,
    ),
)

# How the names of samples begin that only ever grow.
COUNTER_FAMILIES = tuple(
    family.name.removesuffix("_total") for family in TENANT_FAMILIES if family.type in {"counter", "histogram"}
)

OWN_FAMILIES: tuple[Family, ...] = (
    Family(
        "spexporter_api_requests_total",
        "counter",
        ("tenant", "endpoint", "code"),
        "HTTP exchanges with tenants by status code; none when no whole answer came.",
    ),
    Family("spexporter_api_errors_total", "counter", ("tenant", "reason"), "Looks at tenants that failed, by reason."),
    Family(
        "spexporter_api_request_duration_seconds",
        "histogram",
        ("endpoint",),
        "How long exchanges with tenants took, time spent waiting for budget not included.",
    ),
    Family(
        "spexporter_api_deprecated_responses_total",
        "counter",
        ("tenant", "endpoint"),
        "Answers that carry the header X-Deprecated: true.",
    ),
    Family(
        "spexporter_rate_limit_requests",
        "gauge",
        ("tenant",),
        "Places taken in the present rate limit window of the tenant's client id and API version.",
    ),
    Family(
        "spexporter_rate_limit_allowed_requests",
        "gauge",
        ("tenant",),
        "Places that we allow ourselves in one rate limit window.",
    ),
    Family(
        "spexporter_rate_limit_wait_seconds_total",
        "counter",
        ("tenant",),
        "Time that requests waited for a place in the rate limit window.",
    ),
    Family(
        "spexporter_poll_lateness_seconds",
        "histogram",
        (),
        "How late looks at tenants start against their due time.",
    ),
    Family(
        "spexporter_polls_skipped_total",
        "counter",
        ("reason",),
        "Looks put off: no budget, the tenant is in trouble, or it is another replica's.",
    ),
    Family(
        "spexporter_scheduler_heartbeat_timestamp_seconds",
        "gauge",
        (),
        "When the slowest of the schedulers last showed that it is alive.",
    ),
    Family(
        "spexporter_config_last_reload_successful",
        "gauge",
        (),
        "Whether the configuration was read without a mistake the last time.",
    ),
    Family(
        "spexporter_config_last_reload_success_timestamp_seconds",
        "gauge",
        (),
        "When the configuration was last read without a mistake.",
    ),
    Family(
        "spexporter_config_hash",
        "gauge",
        (),
        "48 bits of a digest of the configuration file: equal numbers, equal files.",
    ),
    Family("spexporter_watched_files", "gauge", (), "Files of jobs and of tenants that are watched for changes."),
    Family(
        "spexporter_watched_files_bad",
        "gauge",
        (),
        "Files of jobs and of tenants that cannot be used as they are now; what they said when they were good goes on.",
    ),
    Family(
        "spexporter_store_up",
        "gauge",
        (),
        "Whether the store can be read and written; while it cannot, counters stand still and nothing else does.",
    ),
    Family("spexporter_store_errors_total", "counter", ("op",), "Failures to read or write the store."),
    Family(
        "spexporter_unknown_values_total",
        "counter",
        ("field",),
        "API values that this version does not know, by field of the answer.",
    ),
    Family("spexporter_log_messages_total", "counter", ("level",), "Log lines by level."),
    Family(
        "spexporter_build_info",
        "gauge",
        ("version", "revision", "pythonversion"),
        "The running program, always 1.",
    ),
    Family("spexporter_series", "gauge", (), "Series about tenants on the page, limits.max_series applied."),
    Family(
        "spexporter_series_limit", "gauge", (), "Series about tenants that a page may have; from limits.max_series."
    ),
    Family(
        "spexporter_series_dropped_total",
        "counter",
        ("reason",),
        "Series of single jobs that pages left out because they would have had more than limits.max_series.",
    ),
)

# Those of ours that belong to a tenant: kept in its `Meter`.
METERED_FAMILIES = tuple(family for family in OWN_FAMILIES if "tenant" in family.labels)
