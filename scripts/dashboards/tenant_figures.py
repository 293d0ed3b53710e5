"""The first row of a tenant's dashboard: is it well?"""

from scripts.dashboards.frame import Row
from scripts.dashboards.panels import (
    GREEN,
    NONE_IS_BEST,
    NONE_IS_GOOD,
    ORANGE,
    RED,
    YES_NO,
    figure,
)
from scripts.dashboards.queries import (
    JOB,
    ONE,
    RANGE,
    age,
    bad_ends,
    budget_used,
    in_state,
    number,
    overdue,
    stuck,
    unfinished,
    where,
)

_DAY_S = 86_400
_SYNCED = ONE.latest("spconfig_backup_synced", JOB)
_UNSYNCED = f"({_SYNCED} == 0) and on ({JOB}) ({in_state(ONE, where('state', 'COMPLETE'))})"

WELL = Row(
    "Is this tenant well?",
    (
        figure(
            "Answers",
            "Whether the last exchange went well: no after no answer, 5xx, an unreadable answer or a refused"
            " credential. 403, 404 and 429 leave it as it was.",
            f"{ONE.latest('spconfig_tenant_up', 'tenant')}",
            texts=YES_NO,
            no_value="not asked yet",
        ),
        figure(
            "Last answer",
            "How long ago the tenant last gave a good answer. An idle tenant is asked every poll.probe (5 min): orange"
            " from 10 min, red from 30 min on. After max_staleness the series of unfinished jobs go.",
            age(ONE, "spconfig_tenant_last_success_timestamp_seconds", "tenant"),
            unit="s",
            steps=((0, GREEN), (600, ORANGE), (1800, RED)),
            no_value="never",
            decimals=0,
        ),
        figure(
            "Access refused",
            "Endpoints that the credential may not use (403); below is which. Orange from 1 on.",
            number(f"{ONE.latest('spconfig_tenant_access', 'tenant, endpoint')} == 0", ONE),
            steps=NONE_IS_BEST,
        ),
        figure(
            "Jobs stuck",
            "Jobs that still run and are older than their own max_age. Red from 1 on.",
            number(stuck(ONE), ONE),
            steps=NONE_IS_GOOD,
        ),
        figure(
            "Jobs failed",
            "Jobs that ended FAILED or CANCELLED in the time shown, previews included. Red from 1 on.",
            bad_ends(ONE, "", RANGE),
            steps=NONE_IS_GOOD,
            decimals=0,
        ),
        figure(
            "Import errors",
            "Errors in the results of imports that ended in the time shown, previews not. Red from 1 on.",
            ONE.increase("spconfig_import_errors_total", "", RANGE),
            steps=NONE_IS_GOOD,
            decimals=0,
        ),
        figure(
            "Overdue",
            "Operations whose newest success is older than `expect` allows, or of which none is known. Red from 1 on.",
            number(overdue(ONE), ONE),
            steps=NONE_IS_GOOD,
        ),
        figure(
            "Credential",
            "When the personal access token itself ends: orange within 30 days, red within 7. Not known where"
            " credential_expires is not set or the token never ends.",
            f"{ONE.latest('spconfig_tenant_credential_expiration_timestamp_seconds', 'tenant')} - time()",
            unit="s",
            steps=((0, RED), (7 * _DAY_S, ORANGE), (30 * _DAY_S, GREEN)),
            no_value="not known, or never",
        ),
        figure(
            "Jobs unfinished",
            "Jobs that run or wait to run, by the last answer about each.",
            unfinished(ONE),
            quiet=True,
        ),
        figure(
            "Unread results",
            "Ended imports on the page whose result was not read: not yet, lost, or none was made. Orange from 1 on.",
            number(f"{ONE.latest('spconfig_import_result_read', JOB)} == 0", ONE),
            steps=NONE_IS_BEST,
            quiet=True,
        ),
        figure(
            "Not in cloud",
            "Backups and deploys that are COMPLETE and that cloud storage does not have. Orange from 1 on.",
            number(_UNSYNCED, ONE),
            steps=NONE_IS_BEST,
            quiet=True,
        ),
        figure(
            "Drafts waiting",
            "Drafts of Configuration Hub that wait for approval. Not known where the list of drafts is not read.",
            f"{ONE.latest('spconfig_drafts_pending_approval', 'tenant')}",
            quiet=True,
        ),
        figure(
            "Oldest draft",
            "How long the oldest of them has waited, where a comment on it tells. Orange from a day, red from a week"
            " on.",
            age(ONE, "spconfig_drafts_oldest_pending_timestamp_seconds", "tenant"),
            unit="s",
            steps=((0, GREEN), (_DAY_S, ORANGE), (7 * _DAY_S, RED)),
            no_value="none, or not known",
            quiet=True,
        ),
        figure(
            "Last pause",
            "How long ago the newest pause after a 429 ended. Orange within an hour of it, red while it lasts (below"
            " 0).",
            age(ONE, "spconfig_tenant_throttled_until_timestamp_seconds", "tenant"),
            unit="s",
            steps=((0, RED), (0, ORANGE), (3600, GREEN)),
            no_value="never paused",
            decimals=0,
            quiet=True,
        ),
        figure(
            "Budget used",
            "Places taken in the present rate limit window, as a share of those that the exporter allows itself."
            " Orange from 80 %, red at 100 %: looks come late then.",
            budget_used(ONE),
            unit="percentunit",
            steps=((0, GREEN), (0.8, ORANGE), (1, RED)),
            decimals=0,
            quiet=True,
        ),
        figure(
            "API version",
            "The version of SailPoint's API that is asked; unknown while it is being found out.",
            f"topk(1, {ONE.latest('spconfig_tenant_info', 'tenant, api_version')})",
            legend="{{api_version}}",
            quiet=True,
        ),
    ),
)
