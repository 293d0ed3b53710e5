"""The first row of the overview: is all well?"""

from scripts.dashboards.frame import Row
from scripts.dashboards.panels import (
    GREEN,
    NONE_IS_BEST,
    NONE_IS_GOOD,
    ORANGE,
    RED,
    figure,
)
from scripts.dashboards.queries import (
    JOB,
    MANY,
    RANGE,
    age,
    bad_ends,
    in_state,
    number,
    overdue,
    stuck,
    unfinished,
    where,
)

WELL = Row(
    "Is all well?",
    (
        figure(
            "Tenants down",
            "Tenants whose last exchange went wrong: no answer, 5xx, an unreadable answer or a refused credential."
            " What the exporter shows of them is as old as their last good answer. Red from 1 on.",
            number(f"{MANY.latest('spconfig_tenant_up', 'tenant')} == 0", MANY),
            steps=NONE_IS_GOOD,
        ),
        figure(
            "Jobs stuck",
            "Jobs that still run and are older than their own max_age. Red from 1 on. Jobs without a max_age never"
            " are.",
            number(stuck(MANY), MANY),
            steps=NONE_IS_GOOD,
        ),
        figure(
            "Jobs failed",
            "Jobs that ended FAILED or CANCELLED in the time shown, previews included. Red from 1 on.",
            bad_ends(MANY, "", RANGE),
            steps=NONE_IS_GOOD,
            decimals=0,
        ),
        figure(
            "Import errors",
            "Errors in the results of imports that ended in the time shown, also of those that are COMPLETE; previews"
            " do not count. Red from 1 on.",
            MANY.increase("spconfig_import_errors_total", "", RANGE),
            steps=NONE_IS_GOOD,
            decimals=0,
        ),
        figure(
            "Overdue",
            "Operations whose newest success is older than `expect` in the configuration allows, or of which no"
            " success is known. Red from 1 on.",
            number(overdue(MANY), MANY),
            steps=NONE_IS_GOOD,
        ),
        figure(
            "Access refused",
            "Endpoints that a credential may not use (403): a scope or the user level is missing. Orange from 1 on:"
            " the rest of the tenant goes on.",
            number(f"{MANY.latest('spconfig_tenant_access', 'tenant, endpoint')} == 0", MANY),
            steps=NONE_IS_BEST,
        ),
        figure(
            "Oldest answer",
            "How long ago the tenant that has been silent for longest gave a good answer. An idle tenant is asked"
            " every poll.probe (5 min): orange from 10 min, red from 30 min on.",
            f"max({age(MANY, 'spconfig_tenant_last_success_timestamp_seconds', 'tenant')})",
            unit="s",
            steps=((0, GREEN), (600, ORANGE), (1800, RED)),
            decimals=0,
        ),
        figure(
            "Exporter's pulse",
            "How long ago the schedulers of the exporter last showed that they are alive, the slowest of all replicas."
            " Orange from 60 s, red from 120 s on, and no number at all where no exporter is scraped: then nothing on"
            " this page can be trusted.",
            "max(time() - spexporter_scheduler_heartbeat_timestamp_seconds)",
            unit="s",
            steps=((0, GREEN), (60, ORANGE), (120, RED)),
            no_value="no exporter",
            decimals=0,
        ),
        figure(
            "Jobs unfinished",
            "Jobs that run or wait to run, by the last answer about each. A number to know, not one to worry about.",
            unfinished(MANY),
            quiet=True,
        ),
        figure(
            "Not counted",
            "Results of imports that ended in the time shown and could not be read: missing, forbidden, malformed or"
            " too large. Nobody knows what these imports did. Orange from 1 on.",
            MANY.increase("spconfig_import_results_total", "", RANGE, 'outcome!~"counted|preview"'),
            steps=NONE_IS_BEST,
            decimals=0,
            quiet=True,
        ),
        figure(
            "Not in cloud",
            "Backups and deploys that Configuration Hub lists as COMPLETE and that its cloud storage does not have."
            " Orange from 1 on; right after its end one may still be on its way.",
            number(
                f"({MANY.latest('spconfig_backup_synced', JOB)} == 0) and on ({JOB})"
                f" ({in_state(MANY, where('state', 'COMPLETE'))})",
                MANY,
            ),
            steps=NONE_IS_BEST,
            quiet=True,
        ),
        figure(
            "Drafts waiting",
            "Drafts of Configuration Hub that wait for somebody's approval. Not known where no list of drafts is read.",
            f"sum({MANY.latest('spconfig_drafts_pending_approval', 'tenant')})",
            steps=((0, GREEN), (1, "blue")),
            quiet=True,
        ),
        figure(
            "Ending soon",
            "Personal access tokens that end within 30 days. Orange from 1 on: make new ones in time. Known only where"
            " credential_expires is set.",
            number(
                f"{MANY.latest('spconfig_tenant_credential_expiration_timestamp_seconds', 'tenant')}"
                " < time() + 30 * 86400",
                MANY,
            ),
            steps=NONE_IS_BEST,
            quiet=True,
        ),
        figure(
            "Throttled",
            "Tenants that answered 429 in the time shown: somebody uses the same client id, or the budget is set too"
            " high. Orange from 1 on.",
            number(
                f"{MANY.increase('spexporter_api_errors_total', 'tenant', RANGE, where('reason', 'throttled'))} > 0",
                MANY,
            ),
            steps=NONE_IS_BEST,
            quiet=True,
        ),
        figure(
            "Deprecated",
            "Answers that SailPoint marked as deprecated in the time shown: the API version will be switched off."
            " Orange from 1 on.",
            MANY.increase("spexporter_api_deprecated_responses_total", "", RANGE),
            steps=NONE_IS_BEST,
            decimals=0,
            quiet=True,
        ),
        figure(
            "Tenants",
            "Tenants that the exporter looks after, of those chosen above.",
            f"count({MANY.latest('spconfig_tenant_info', 'tenant')})",
            quiet=True,
        ),
    ),
)
