"""One job: its state, how long it takes, what it did to which objects, and all its times."""

from scripts.dashboards.frame import Dashboard, Marks, Row, Variable
from scripts.dashboards.panels import (
    BLUE,
    GREEN,
    GREY,
    NONE_IS_BEST,
    NONE_IS_GOOD,
    ORANGE,
    RED,
    STATE_TEXTS,
    YES_NO,
    Column,
    Query,
    by_step,
    chart,
    figure,
    gauges,
    rows,
    timeline,
    wide,
)
from scripts.dashboards.queries import JOB, KIND, SLOW, THIS, state_code, where

_DURATION = THIS.latest("spconfig_job_duration_seconds", JOB)
_P95 = KIND.latest("spconfig_job_usual_duration_seconds", "tenant, operation", where("level", "p95"))
_P50 = KIND.latest("spconfig_job_usual_duration_seconds", "tenant, operation", where("level", "p50"))
_LIMIT = THIS.latest("spconfig_job_max_age_seconds", JOB)


def _messages(severity: str) -> str:
    found = THIS.latest("spconfig_import_messages", f"{JOB}, object_type", where("severity", severity))
    return f"sum({found})"


def _of(family: str) -> str:
    return THIS.latest(f"spconfig_job_{family}_timestamp_seconds", JOB)


_NOW = Row(
    "How is it?",
    (
        figure(
            "State",
            "The state that the tenant last told. NOT_FOUND means 404: a wrong id or tenant, or the job has expired.",
            state_code(THIS),
            texts=STATE_TEXTS,
            no_value="no answer yet",
        ),
        figure(
            "Name",
            "What whoever named the job calls it.",
            f"topk(1, {THIS.latest('spconfig_job_info', f'{JOB}, name')})",
            legend="{{name}}",
            width=6,
        ),
        figure(
            "Duration",
            "How long the job has run by the tenant's clock, or took. It stands still while the tenant does not"
            " answer.",
            _DURATION,
            unit="dthms",
        ),
        figure(
            "Of usual p95",
            "The duration as a share of what 95 of 100 jobs of this kind take at most. Orange from 100 %, red from"
            f" {SLOW}00 % on. Known after three complete jobs.",
            f"{_DURATION} / on (tenant, operation) group_left () {_P95}",
            unit="percentunit",
            steps=((0, GREEN), (1, ORANGE), (SLOW, RED)),
            decimals=0,
        ),
        figure(
            "Of max_age",
            "The duration as a share of the job's own limit. Red from 100 % on: if it still runs, it is stuck.",
            f"{_DURATION} / on ({JOB}) {_LIMIT}",
            unit="percentunit",
            steps=((0, GREEN), (0.8, ORANGE), (1, RED)),
            no_value="no max_age",
            decimals=0,
        ),
        figure(
            "Errors",
            "Errors in the result of this import. Red from 1 on, also where the job is COMPLETE.",
            _messages("error"),
            steps=NONE_IS_GOOD,
        ),
        figure(
            "Warnings",
            "Warnings in the result of this import. Orange from 1 on.",
            _messages("warning"),
            steps=NONE_IS_BEST,
        ),
        figure(
            "Objects",
            "Objects that this import created or updated.",
            f"sum({THIS.latest('spconfig_import_objects', f'{JOB}, object_type')})",
            quiet=True,
        ),
        figure(
            "Result read",
            "Whether the result of this ended import was downloaded and understood. While it is not, its errors are"
            " not known.",
            THIS.latest("spconfig_import_result_read", JOB),
            texts=YES_NO,
            no_value="not ended, or no import",
            quiet=True,
        ),
        figure(
            "Preview",
            "A preview (dry run) changes nothing in the tenant and counts in no counter of imports.",
            f"topk(1, {THIS.latest('spconfig_job_info', f'{JOB}, preview')})",
            legend="{{preview}}",
            quiet=True,
        ),
        figure(
            "Named by",
            "Who named the id: the configuration, a file of jobs, the API, a list of Configuration Hub, or an import"
            " that made this backup.",
            f"topk(1, {THIS.latest('spconfig_job_info', f'{JOB}, source')})",
            legend="{{source}}",
            quiet=True,
        ),
        figure(
            "In cloud",
            "Whether Configuration Hub's cloud storage has what this job made.",
            THIS.latest("spconfig_backup_synced", JOB),
            texts=YES_NO,
            no_value="no backup or deploy",
            quiet=True,
        ),
        figure(
            "Last answer",
            "How long ago the tenant last answered about this job. It goes on growing once the job has ended.",
            f"time() - {_of('last_observed')}",
            unit="s",
            no_value="never",
            decimals=0,
            quiet=True,
        ),
        figure(
            "Ended",
            "How long ago the exporter first saw that the job had ended.",
            f"time() - {_of('end_seen')}",
            unit="s",
            no_value="not yet",
            decimals=0,
            quiet=True,
        ),
        figure(
            "Kept for",
            "Until when the tenant keeps the job and its result. Orange within a day: download by then what is needed.",
            f"{_of('expiration')} - time()",
            unit="s",
            steps=((0, GREY), (0, ORANGE), (86_400, GREEN)),
            quiet=True,
        ),
    ),
)

_TIMELINE = Row(
    "Timeline",
    (
        timeline(
            "State over time",
            "Which state the tenant told when; nothing before the first answer.",
            Query(state_code(THIS), "state"),
            texts=STATE_TEXTS,
            height=4,
        ),
        chart(
            "Duration",
            "How long the job had run at each moment, until it ended. Beside it what half (p50) and nearly all (p95)"
            " jobs of this kind take, and its own max_age: above that it is stuck.",
            Query(_P50, "usual p50"),
            Query(_P95, "usual p95"),
            Query(_LIMIT, "max_age"),
            Query(_DURATION, "this job"),
            unit="s",
            width=16,
            height=9,
            colors={"this job": BLUE, "usual p50": GREEN, "usual p95": ORANGE, "max_age": RED},
        ),
        rows(
            "All its times",
            "As the tenant tells them; `end seen` and `last answer` are the exporter's own. Of exports and imports"
            " that do not tell when they were completed, that is when they were last changed.",
            tuple(
                f'label_replace(1000 * {_of(family)}, "moment", "{said}", "", "")'
                for family, said in (
                    ("created", "created"),
                    ("modified", "last changed"),
                    ("completed", "completed"),
                    ("end_seen", "end seen"),
                    ("last_observed", "last answer"),
                    ("expiration", "kept until"),
                )
            ),
            (
                Column("moment", "moment", wide(140)),
                Column("Value", "at", {"unit": "dateTimeAsIso"}),
            ),
            joined=" or ",
            sort="at",
            width=8,
            height=9,
        ),
    ),
)

_RESULT = Row(
    "What the import did",
    (
        rows(
            "Messages by object type",
            "Errors, warnings and infos in the result, and objects created or updated, for each object type in it."
            " Empty until the result was read, and for anything but imports.",
            (
                *(
                    THIS.latest("spconfig_import_messages", "object_type", where("severity", severity))
                    for severity in ("error", "warning", "info")
                ),
                THIS.latest("spconfig_import_objects", "object_type"),
            ),
            (
                Column("object_type", "object type", wide(240)),
                Column("Value #A", "errors", by_step(NONE_IS_GOOD)),
                Column("Value #B", "warnings", by_step(NONE_IS_BEST)),
                Column("Value #C", "infos"),
                Column("Value #D", "objects"),
            ),
            sort="errors",
            descending=True,
            width=12,
            height=9,
        ),
        gauges(
            "Errors by object type",
            "Where the errors are. Not known until the result was read.",
            Query(
                THIS.latest("spconfig_import_messages", "object_type", where("severity", "error")), "{{object_type}}"
            ),
            steps=((0, RED),),
            width=6,
            height=9,
        ),
        gauges(
            "Objects by type",
            "What was created or updated.",
            Query(THIS.latest("spconfig_import_objects", "object_type"), "{{object_type}}"),
            width=6,
            height=9,
        ),
    ),
)

DASHBOARD = Dashboard(
    uid="spexporter-job",
    title="spexporter / Job",
    description="One job: its state over time, its duration against what is usual, and what its import did.",
    rows=(_NOW, _TIMELINE, _RESULT),
    variables=(
        Variable(
            "tenant", "Tenant", "label_values(spconfig_job_info, tenant)", description="Which tenant's job is shown"
        ),
        Variable(
            "operation",
            "Operation",
            'label_values(spconfig_job_info{tenant="$tenant"}, operation)',
            description="What kind of job is shown",
        ),
        Variable(
            "job_id",
            "Job id",
            'label_values(spconfig_job_info{tenant="$tenant", operation="$operation"}, job_id)',
            description="Which job is shown: its id as SailPoint answered when it was started",
        ),
    ),
    marks=(
        Marks("Job started", BLUE, f"1000 * {_of('created')} > $__from", "started", "{{job_id}}"),
        Marks("Job ended", GREEN, f"1000 * {_of('completed')} > $__from", "ended", "{{job_id}}"),
        Marks("End seen", GREY, f"1000 * {_of('end_seen')} > $__from", "end seen by the exporter", "{{job_id}}"),
    ),
    since="now-6h",
)
