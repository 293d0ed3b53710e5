"""The table of all metric families about tenants: names, types, labels and help. docs/metrics.md is made from it.

They are rendered from views by the functions of `samples`; those about ourselves are in `ownfamilies`.
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
        question="Which jobs are running now, and which have failed?",
    ),
    TenantFamily(
        "spconfig_job_info",
        "gauge",
        (*_JOB, "name", "description", "source", "preview"),
        "Facts about a job, always 1. source says who named its id; preview is unknown until the result was read.",
        samples.job_info,
        question="What is this job called, and who told the exporter of it?",
    ),
    TenantFamily(
        "spconfig_job_duration_seconds",
        "gauge",
        _JOB,
        "How long a job has run by the tenant's clock (standing still while the tenant is not up), or took.",
        samples.job_duration,
        question="How long has this job been running, or how long did it take?",
    ),
    TenantFamily(
        "spconfig_job_created_timestamp_seconds",
        "gauge",
        _JOB,
        "When the job was started, as the API tells.",
        samples.job_created,
        question="When did this job start?",
    ),
    TenantFamily(
        "spconfig_job_modified_timestamp_seconds",
        "gauge",
        _JOB,
        "When the job was last changed, as the API tells.",
        samples.job_modified,
        question="Does this job still get on, or has nothing changed for long?",
    ),
    TenantFamily(
        "spconfig_job_completed_timestamp_seconds",
        "gauge",
        _JOB,
        "When the job ended: `completed` of the API, else `modified` as it was when the end was first seen.",
        samples.job_completed,
        question="When did this job end?",
    ),
    TenantFamily(
        "spconfig_job_expiration_timestamp_seconds",
        "gauge",
        _JOB,
        "Until when the tenant keeps the job's artefacts, as the API tells.",
        samples.job_expiration,
        question="Until when can this job's result still be downloaded from SailPoint?",
    ),
    TenantFamily(
        "spconfig_job_end_seen_timestamp_seconds",
        "gauge",
        _JOB,
        "When this exporter first saw the job's final state.",
        samples.job_end_seen,
        question="Which jobs have ended since I last looked?",
    ),
    TenantFamily(
        "spconfig_job_last_observed_timestamp_seconds",
        "gauge",
        _JOB,
        "When the tenant last answered about this job; stands still once the job has ended.",
        samples.job_last_observed,
        question="How old is what is shown of this running job?",
    ),
    TenantFamily(
        "spconfig_job_max_age_seconds",
        "gauge",
        _JOB,
        "After this long a job that still runs counts as stuck; from max_age in the configuration.",
        samples.job_max_age,
        question="How long may this job run before somebody should look?",
    ),
    TenantFamily(
        "spconfig_import_messages",
        "gauge",
        (*_JOB, "object_type", "severity", "preview"),
        "Messages in this import's result, by severity: error, warning or info.",
        samples.import_messages,
        question="What did this import complain about, and for which object types?",
    ),
    TenantFamily(
        "spconfig_import_objects",
        "gauge",
        (*_JOB, "object_type", "preview"),
        "Objects that this import created or updated.",
        samples.import_objects,
        question="How much did this import change, and of what?",
    ),
    TenantFamily(
        "spconfig_import_result_read",
        "gauge",
        _JOB,
        "Whether the result of this ended import was downloaded and understood (1) or not, or not yet (0).",
        samples.import_result_read,
        question="Is it known what this import did?",
    ),
    TenantFamily(
        counting.IMPORT_ERRORS,
        "counter",
        ("tenant", "object_type"),
        "Errors in the results of ended imports; each import once, previews not.",
        samples.cells(counting.IMPORT_ERRORS, "object_type"),
        question="Do imports bring errors, in which tenants and object types, and since when?",
    ),
    TenantFamily(
        counting.IMPORT_WARNINGS,
        "counter",
        ("tenant", "object_type"),
        "Warnings in the results of ended imports; each import once, previews not.",
        samples.cells(counting.IMPORT_WARNINGS, "object_type"),
        question="Do imports bring more warnings than usual?",
    ),
    TenantFamily(
        counting.IMPORTED_OBJECTS,
        "counter",
        ("tenant", "object_type"),
        "Objects that ended imports created or updated; each import once, previews not.",
        samples.cells(counting.IMPORTED_OBJECTS, "object_type"),
        question="How much do imports change over the weeks?",
    ),
    TenantFamily(
        counting.IMPORT_RESULTS,
        "counter",
        ("tenant", "outcome"),
        "What became of the results of ended imports; each import has exactly one outcome.",
        samples.cells(counting.IMPORT_RESULTS, "outcome"),
        question="Is there an import of which nobody knows what it did?",
    ),
    TenantFamily(
        "spconfig_jobs",
        "gauge",
        ("tenant", "operation", "state"),
        "Watched jobs by state; UNOBSERVED before the first answer, and once the tenant was silent for max_staleness.",
        samples.jobs,
        question="How many jobs wait, run, have failed or cannot be found in each tenant?",
    ),
    TenantFamily(
        counting.JOBS_FINISHED,
        "counter",
        ("tenant", "operation", "state"),
        "Jobs that ended, by final state; each job once, previews included.",
        samples.cells(counting.JOBS_FINISHED, "operation", "state"),
        question="How many jobs succeed, fail and are cancelled over time?",
    ),
    TenantFamily(
        counting.RUN_SECONDS,
        "histogram",
        ("tenant", "operation"),
        "How long jobs took that ended COMPLETE and whose beginning and end are known.",
        samples.run_seconds,
        question="Do jobs take longer than they used to?",
    ),
    TenantFamily(
        "spconfig_job_usual_duration_seconds",
        "gauge",
        ("tenant", "operation", "level"),
        "How long COMPLETE jobs of late took: half of them (p50), or 95 of 100 (p95), took at most this.",
        samples.usual_duration,
        question="How long does a job like this one usually take?",
    ),
    TenantFamily(
        "spconfig_last_success_timestamp_seconds",
        "gauge",
        ("tenant", "operation"),
        "End of the newest COMPLETE job that did all it is for: for imports a result without errors, no preview; no"
        " backup that is partial, another tenant's or made for an import.",
        samples.last_success,
        question="How old is the newest good backup, export or import?",
    ),
    TenantFamily(
        "spconfig_last_success_objects",
        "gauge",
        ("tenant", "operation"),
        "Objects in the backup or upload of spconfig_last_success_timestamp_seconds, where the API tells.",
        samples.last_success_objects,
        question="Is the newest backup as large as those before, or has it shrunk?",
    ),
    TenantFamily(
        "spconfig_expected_interval_seconds",
        "gauge",
        ("tenant", "operation"),
        "How often a success is expected; from expect in the configuration.",
        samples.expected_interval,
        question="How often must this succeed, so that the last success is not too old?",
    ),
    TenantFamily(
        "spconfig_backup_synced",
        "gauge",
        _JOB,
        "Whether cloud storage has what this job of Configuration Hub made; absent where the API does not tell.",
        samples.backup_synced,
        question="Is this backup also where it survives the loss of the tenant?",
    ),
    TenantFamily(
        "spconfig_drafts_pending_approval",
        "gauge",
        ("tenant",),
        "Drafts of Configuration Hub that wait for approval.",
        samples.drafts_pending,
        question="Does somebody have to approve anything?",
    ),
    TenantFamily(
        "spconfig_drafts_oldest_pending_timestamp_seconds",
        "gauge",
        ("tenant",),
        "Since when the first of these waits, where a comment on it tells.",
        samples.drafts_oldest_pending,
        question="How long has the oldest draft been waiting for its approval?",
    ),
    TenantFamily(
        "spconfig_tenant_up",
        "gauge",
        ("tenant",),
        "Whether the tenant answers: 0 after no answer, 5xx, an unreadable answer or a refused credential.",
        samples.tenant_up,
        question="Does the tenant answer?",
    ),
    TenantFamily(
        "spconfig_tenant_access",
        "gauge",
        ("tenant", "endpoint"),
        "Whether the credential may use this endpoint; absent until tried.",
        samples.tenant_access,
        question="May the credential do what the exporter needs, or is a scope missing?",
    ),
    TenantFamily(
        "spconfig_tenant_info",
        "gauge",
        ("tenant", "base_url", "api_version"),
        "Facts about a tenant, always 1. api_version is unknown while it is being found out.",
        samples.tenant_info,
        question="Which address and API version does the exporter talk to?",
    ),
    TenantFamily(
        "spconfig_tenant_last_success_timestamp_seconds",
        "gauge",
        ("tenant",),
        "When the tenant last gave a good answer.",
        samples.tenant_last_success,
        question="How old is all that is shown of this tenant?",
    ),
    TenantFamily(
        "spconfig_tenant_throttled_until_timestamp_seconds",
        "gauge",
        ("tenant",),
        "End of the newest pause after a 429; absent before the first.",
        samples.tenant_throttled_until,
        question="Does SailPoint tell the exporter to slow down, and until when?",
    ),
    TenantFamily(
        "spconfig_tenant_token_expiration_timestamp_seconds",
        "gauge",
        ("tenant",),
        "When the present access token expires; it is renewed before.",
        samples.tenant_token_expiration,
        question="Are access tokens renewed in time?",
    ),
    TenantFamily(
        "spconfig_tenant_credential_expiration_timestamp_seconds",
        "gauge",
        ("tenant",),
        "When the personal access token itself ends, as credential_expires says or the API; absent if never.",
        samples.tenant_credential_expiration,
        question="By when must somebody make a new personal access token?",
    ),
    TenantFamily(
        "spconfig_tenant_clock_offset_seconds",
        "gauge",
        ("tenant",),
        "The tenant's clock minus ours, from the Date header of its answers.",
        samples.tenant_clock_offset,
        question="Is one of the two clocks wrong?",
    ),
)

# How the names of samples begin that only ever grow.
COUNTER_FAMILIES = tuple(
    family.name.removesuffix("_total") for family in TENANT_FAMILIES if family.type in {"counter", "histogram"}
)
