"""The exporter itself: is it alive, are looks on time, is there room in the budget, does the store work?"""

from scripts.dashboards.frame import Dashboard, Marks, Row, Variable
from scripts.dashboards.panels import (
    BLUE,
    GREEN,
    NONE_IS_BEST,
    NOTHING,
    ORANGE,
    PURPLE,
    RED,
    YELLOW,
    YES_NO,
    Column,
    Query,
    by_step,
    by_value,
    chart,
    figure,
    gauges,
    rows,
    timeline,
)
from scripts.dashboards.queries import RANGE, REPLICAS, STEP, where

_HEARTBEAT = f"time() - {REPLICAS.series('spexporter_scheduler_heartbeat_timestamp_seconds')}"
_STARTED = REPLICAS.series("process_start_time_seconds")
_READ = REPLICAS.series("spexporter_config_last_reload_success_timestamp_seconds")
_RELOADED = REPLICAS.series("spexporter_config_last_reload_successful")
_SLOWEST = (
    "histogram_quantile(0.95, "
    + REPLICAS.increase("spexporter_api_request_duration_seconds_bucket", "endpoint, le", RANGE)
    + ")"
)
_LEVEL_COLORS = {"debug": "#808080", "info": BLUE, "warning": ORANGE, "error": RED, "critical": PURPLE}


_ALIVE = Row(
    "Is it well?",
    (
        figure(
            "Scraped",
            "Replicas that Prometheus could scrape the last time, as a share of all. Red below 100 %.",
            f"avg({REPLICAS.series('up')})",
            unit="percentunit",
            steps=((0, RED), (1, GREEN)),
            no_value="no replica",
        ),
        figure(
            "Heartbeat",
            "How long ago the slowest scheduler of any replica last showed that it is alive. Orange from 60 s, red"
            " from 120 s on: /-/healthy answers 503 after 30 s, so something should have restarted it.",
            f"max({_HEARTBEAT})",
            unit="s",
            steps=((0, GREEN), (60, ORANGE), (120, RED)),
            decimals=0,
        ),
        figure(
            "Looks on time",
            "How late 95 of 100 looks at tenants started against their due time, now. Orange from 5 s, red from 60 s"
            " on: the budget is too small for what is watched, or a tenant throttles.",
            REPLICAS.quantile(0.95, "spexporter_poll_lateness_seconds", ""),
            unit="s",
            steps=((0, GREEN), (5, ORANGE), (60, RED)),
        ),
        figure(
            "Store works",
            "Whether the store can be read and written, in all replicas. While it cannot, counters stand still; of"
            " several replicas, one that cannot watches nothing.",
            f"min({REPLICAS.series('spexporter_store_up')})",
            texts=YES_NO,
        ),
        figure(
            "Config good",
            "Whether the configuration was read without a mistake the last time, in all replicas. If not, the one"
            " before goes on.",
            f"min({_RELOADED})",
            texts=YES_NO,
        ),
        figure(
            "Bad files",
            "Files of jobs and tenants that cannot be used as they are; what they said when they were good goes on."
            " Orange from 1 on.",
            f"max({REPLICAS.series('spexporter_watched_files_bad')})",
            steps=NONE_IS_BEST,
        ),
        figure(
            "Series dropped",
            "Series left out in the time shown because there were more than limits.max_series. Orange from 1 on: what"
            " is shown of ended jobs is not all.",
            REPLICAS.increase("spexporter_series_dropped_total", "", RANGE),
            steps=NONE_IS_BEST,
            decimals=0,
        ),
        figure(
            "Errors in the log",
            "Log lines of level error or critical in the time shown. Orange from 1 on: docs/operations.md says what to"
            " do about each event.",
            REPLICAS.increase("spexporter_log_messages_total", "", RANGE, where("level", "error", "critical")),
            steps=NONE_IS_BEST,
            decimals=0,
        ),
        timeline(
            "Scraped and alive",
            "When Prometheus could scrape each replica, when its store worked and when its configuration was good.",
            Query(REPLICAS.series("up"), "{{instance}} scraped"),
            Query(REPLICAS.series("spexporter_store_up"), "{{instance}} store works"),
            Query(_RELOADED, "{{instance}} config good"),
            texts=YES_NO,
            width=24,
            height=6,
        ),
        rows(
            "Replicas",
            "Each replica that was scraped. All should have one version and one configuration; the hash is 48 bits of"
            " a digest of the file.",
            (
                f"max by (instance, version, revision, pythonversion) ({REPLICAS.series('spexporter_build_info')})",
                f"time() - max by (instance) ({_STARTED})",
                f"max by (instance) ({REPLICAS.series('spexporter_config_hash')})",
                f"time() - max by (instance) ({_READ})",
                f"max by (instance) ({_RELOADED})",
                f"max by (instance) ({REPLICAS.series('spexporter_watched_files')})",
                f"max by (instance) ({REPLICAS.series('spexporter_watched_files_bad')})",
                f"max by (instance) ({REPLICAS.series('spexporter_lease_tenants')})",
                f"max by (instance) ({REPLICAS.series('spexporter_replicas')})",
                f"max by (instance) ({REPLICAS.series('spexporter_unwatched_tenants')})",
            ),
            (
                Column("instance", "instance"),
                Column("version", "version"),
                Column("revision", "revision"),
                Column("pythonversion", "Python"),
                Column("Value #B", "up for", {"unit": "s", "decimals": 1}),
                Column("Value #C", "configuration hash", {"unit": "hex", "decimals": 0}),
                Column("Value #D", "read", {"unit": "s", "decimals": 1}),
                Column("Value #E", "good", by_value(YES_NO)),
                Column("Value #F", "files watched"),
                Column("Value #G", "files bad", by_step(NONE_IS_BEST)),
                Column("Value #H", "tenants watched"),
                Column("Value #I", "replicas it knows of"),
                Column("Value #J", "tenants nobody watches", by_step(NONE_IS_BEST)),
            ),
            height=4,
        ),
    ),
)

_POLLS = Row(
    "Looks at tenants",
    (
        chart(
            "How late looks start",
            "How late half, 95 of 100 and 99 of 100 looks started against their due time. The dashed lines are at 5 s"
            " and 60 s: above, what is shown of jobs is old.",
            *(
                Query(REPLICAS.quantile(share, "spexporter_poll_lateness_seconds", ""), f"p{round(100 * share)}")
                for share in (0.5, 0.95, 0.99)
            ),
            unit="s",
            steps=((0, GREEN), (5, ORANGE), (60, RED)),
            width=8,
        ),
        chart(
            "Looks put off",
            "Looks put off in each step: no budget, the tenant is in trouble and left alone, or it is another"
            " replica's.",
            Query(REPLICAS.increase("spexporter_polls_skipped_total", "reason", STEP), "{{reason}}"),
            bars=True,
            colors={"budget": ORANGE, "backoff": RED, "lease": BLUE},
            width=8,
        ),
        chart(
            "Failed looks by reason",
            "Looks that failed in each step, of all tenants, by reason.",
            Query(f"{REPLICAS.increase('spexporter_api_errors_total', 'reason', STEP)} > 0", "{{reason}}"),
            bars=True,
            width=8,
            no_value=NOTHING,
        ),
        chart(
            "Requests by status",
            "HTTP exchanges with all tenants in each second, by status code; none means that no whole answer came.",
            Query(REPLICAS.rate("spexporter_api_requests_total", "code"), "{{code}}"),
            unit="reqps",
            stacked=True,
            colors={"200": GREEN, "none": RED},
            width=8,
        ),
        chart(
            "How long exchanges take",
            "How long half, 95 of 100 and 99 of 100 exchanges with tenants took, time spent waiting for budget not"
            " included.",
            *(
                Query(REPLICAS.quantile(share, "spexporter_api_request_duration_seconds", ""), f"p{round(100 * share)}")
                for share in (0.5, 0.95, 0.99)
            ),
            unit="s",
            width=8,
        ),
        gauges(
            "Slowest endpoints",
            "How long 95 of 100 exchanges in the time shown took, by endpoint: the six slowest.",
            Query(f"topk(6, {_SLOWEST})", "{{endpoint}}"),
            unit="s",
            width=8,
        ),
    ),
)

_BUDGET = Row(
    "Budget",
    (
        chart(
            "Share of the budget in use",
            "Places taken in the present rate limit window as a share of those allowed, by tenant; tenants with one"
            " client id share a window. At 100 % looks have to wait.",
            Query(
                f"max by (tenant) ({REPLICAS.series('spexporter_rate_limit_requests')}"
                f" / {REPLICAS.series('spexporter_rate_limit_allowed_requests')})",
                "{{tenant}}",
            ),
            unit="percentunit",
            steps=((0, GREEN), (0.8, ORANGE), (1, RED)),
            width=8,
        ),
        chart(
            "Places allowed",
            "Places that the exporter allows itself in one window: a 429 halves them, and they grow back within"
            " minutes.",
            Query(f"max by (tenant) ({REPLICAS.series('spexporter_rate_limit_allowed_requests')})", "{{tenant}}"),
            width=8,
        ),
        chart(
            "Waiting for budget",
            "Seconds that requests waited for a place, in each second, by tenant.",
            Query(REPLICAS.rate("spexporter_rate_limit_wait_seconds_total", "tenant"), "{{tenant}}"),
            unit="s",
            width=8,
            at_least=1,
        ),
        gauges(
            "Tenants with most failed looks",
            "Looks that failed in the time shown, by tenant: the six with most.",
            Query(f"topk(6, {REPLICAS.increase('spexporter_api_errors_total', 'tenant', RANGE)} > 0)", "{{tenant}}"),
            steps=((0, ORANGE),),
            no_value=NOTHING,
        ),
        gauges(
            "Tenants with most requests",
            "Exchanges with tenants in the time shown, by tenant: the six with most.",
            Query(f"topk(6, {REPLICAS.increase('spexporter_api_requests_total', 'tenant', RANGE)})", "{{tenant}}"),
        ),
    ),
)

_PAGES = Row(
    "Store, pages and log",
    (
        chart(
            "Series on the page",
            "Series that a page has, and the most that it may have (limits.max_series): over it ended jobs are left"
            " out.",
            Query(f"max({REPLICAS.series('spexporter_series')})", "series"),
            Query(f"max({REPLICAS.series('spexporter_series_limit')})", "limit"),
            colors={"series": BLUE, "limit": RED},
            width=8,
        ),
        chart(
            "Series left out",
            "Series that were left out in each step, by reason.",
            Query(REPLICAS.increase("spexporter_series_dropped_total", "reason", STEP), "{{reason}}"),
            bars=True,
            width=8,
        ),
        chart(
            "Failures of the store",
            "Failures to read or write the store in each step. It is tried again every 5 s.",
            Query(REPLICAS.increase("spexporter_store_errors_total", "op", STEP), "{{op}}"),
            bars=True,
            colors={"read": ORANGE, "write": RED},
            width=8,
        ),
        chart(
            "Log lines",
            "Log lines in each step, by level.",
            Query(REPLICAS.increase("spexporter_log_messages_total", "level", STEP), "{{level}}"),
            bars=True,
            colors=_LEVEL_COLORS,
            width=8,
        ),
        gauges(
            "Unknown values",
            "Values in answers, in the time shown, that this version of the exporter does not know, by field. A newer"
            " one may.",
            Query(f"{REPLICAS.increase('spexporter_unknown_values_total', 'field', RANGE)} > 0", "{{field}}"),
            steps=((0, YELLOW),),
            width=8,
            no_value=NOTHING,
        ),
        gauges(
            "Deprecated answers",
            "Answers in the time shown that SailPoint marked as deprecated, by tenant.",
            Query(
                f"{REPLICAS.increase('spexporter_api_deprecated_responses_total', 'tenant', RANGE)} > 0", "{{tenant}}"
            ),
            steps=((0, ORANGE),),
            width=8,
            no_value=NOTHING,
        ),
    ),
)

_PROCESS = Row(
    "Process",
    (
        chart(
            "CPU",
            "CPU seconds used in each second, by replica.",
            Query(f"sum by (instance) (rate({REPLICAS.series('process_cpu_seconds_total')}[{STEP}]))", "{{instance}}"),
            unit="percentunit",
            width=8,
        ),
        chart(
            "Memory",
            "Resident memory, by replica.",
            Query(f"max by (instance) ({REPLICAS.series('process_resident_memory_bytes')})", "{{instance}}"),
            unit="bytes",
            width=8,
        ),
        chart(
            "Open files",
            "Open file descriptors as a share of those allowed, by replica.",
            Query(
                f"max by (instance) ({REPLICAS.series('process_open_fds')} / {REPLICAS.series('process_max_fds')})",
                "{{instance}}",
            ),
            unit="percentunit",
            width=8,
        ),
    ),
)

DASHBOARD = Dashboard(
    uid="spexporter-exporter",
    title="spexporter / Exporter",
    description="The exporter itself: is it alive, are its looks on time, its budget, errors, store and series.",
    rows=(_ALIVE, _POLLS, _BUDGET, _PAGES, _PROCESS),
    variables=(
        Variable(
            "job",
            "Scrape job",
            "label_values(spexporter_build_info, job)",
            many=True,
            description="The job of Prometheus that scrapes the exporter",
        ),
        Variable(
            "instance",
            "Replica",
            'label_values(spexporter_build_info{job=~"$job"}, instance)',
            many=True,
            description="Which replicas are shown",
        ),
    ),
    marks=(
        Marks(
            "Replica started",
            BLUE,
            f"1000 * {_STARTED} > $__from",
            "{{instance}} started",
            "",
            "instance",
        ),
        Marks(
            "Configuration read",
            GREEN,
            f"1000 * {_READ} > $__from",
            "{{instance}} read its configuration",
            "",
            "instance",
        ),
    ),
    since="now-6h",
)
