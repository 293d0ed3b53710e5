"""Metrics about ourselves, kept with prometheus-client in a registry of their own."""

import platform
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.registry import Collector

from spexporter import __version__
from spexporter.clock import Clock
from spexporter.domain.errors import REASONS
from spexporter.domain.family import Family
from spexporter.domain.liveness import Liveness
from spexporter.domain.meter import Meter
from spexporter.domain.ports import Group

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
STORE_OPS = ("read", "write")
SKIP_REASONS = ("budget", "backoff", "lease")
_LATENESS_BUCKETS_S = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)

_REQUESTS = "spexporter_api_requests_total"
_ERRORS = "spexporter_api_errors_total"
_DEPRECATED = "spexporter_api_deprecated_responses_total"
_WAITS = "spexporter_rate_limit_wait_seconds_total"
_USED = "spexporter_rate_limit_requests"
_MAX_SERIES = "max_series"
_ALLOWED = "spexporter_rate_limit_allowed_requests"

_BATCH = 500  # values of one histogram

M = TypeVar("M", Counter, Gauge, Histogram)


class _First(Collector):
    """Does something before a page collects what was registered later."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do

    def collect(self) -> Iterable[Metric]:
        """See `Collector.collect`."""
        self._do()
        return ()


class Telemetry:
    """Counts what happens to us; satisfies `Exchanges` and `StoreWatch` of `spexporter.domain.ports`.

    `families` is the table that names every metric and its labels.
    """

    def __init__(self, families: Iterable[Family], *, revision: str = "unknown") -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_First(self._observe))  # of all that a page collects
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._families = {family.name: family for family in families}
        self._metered = [family for family in self._families.values() if "tenant" in family.labels]
        self.meters: dict[str, Meter] = {}
        self._durations = self._new(Histogram, "spexporter_api_request_duration_seconds")
        self._lateness = self._new(Histogram, "spexporter_poll_lateness_seconds", buckets=_LATENESS_BUCKETS_S)
        self._skipped = self._new(Counter, "spexporter_polls_skipped_total")
        self._heartbeat = self._new(Gauge, "spexporter_scheduler_heartbeat_timestamp_seconds")
        self._reload_ok = self._new(Gauge, "spexporter_config_last_reload_successful")
        self._reload_time = self._new(Gauge, "spexporter_config_last_reload_success_timestamp_seconds")
        self._config_hash = self._new(Gauge, "spexporter_config_hash")
        self._watched_files = self._new(Gauge, "spexporter_watched_files")
        self._bad_files = self._new(Gauge, "spexporter_watched_files_bad")
        self._late_s: list[float] = []
        self._took_s: defaultdict[str, list[float]] = defaultdict(list)
        self._store_up = self._new(Gauge, "spexporter_store_up")
        self._store_errors = self._new(Counter, "spexporter_store_errors_total")
        self._lease_tenants = self._new(Gauge, "spexporter_lease_tenants")
        self._unwatched = self._new(Gauge, "spexporter_unwatched_tenants")
        self._replicas = self._new(Gauge, "spexporter_replicas")
        self._replicas.set(1)
        self._unknown = self._new(Counter, "spexporter_unknown_values_total")
        self._log_messages = self._new(Counter, "spexporter_log_messages_total")
        self._series = self._new(Gauge, "spexporter_series")
        self._series_limit = self._new(Gauge, "spexporter_series_limit")
        self._series_dropped = self._new(Counter, "spexporter_series_dropped_total")
        build = self._new(Gauge, "spexporter_build_info")
        build.labels(__version__, revision, platform.python_version()).set(1)
        for level in LOG_LEVELS:
            self._log_messages.labels(level)
        self._store_up.set(1)
        for op in STORE_OPS:
            self._store_errors.labels(op)
        self._series_dropped.labels(_MAX_SERIES)
        for reason in SKIP_REASONS:
            self._skipped.labels(reason)

    def begin_tenant(
        self,
        tenant: str,
        endpoints: Iterable[str],
        used: Callable[[], int],
        allowed: Callable[[], int],
        *,
        at_s: float,
    ) -> None:
        """Start every closed label set of a tenant at 0, at `at_s` (Unix seconds).

        `used` and `allowed` tell, at each scrape, the places taken and allowed in its present rate limit window.
        """
        counters = [family.name for family in self._metered if family.type == "counter"]
        meter = self.meters.setdefault(tenant, Meter(counters, at_s))  # a tenant that has changed counts on
        meter.gauges = {_USED: used, _ALLOWED: allowed}
        for reason in REASONS:
            meter.begin(_ERRORS, (reason,))
        for endpoint in endpoints:
            meter.begin(_DEPRECATED, (endpoint,))
            self._durations.labels(endpoint)
        meter.begin(_WAITS, ())

    def end_tenant(self, tenant: str) -> None:
        """Take everything that belongs to a tenant off the page."""
        self.meters.pop(tenant, None)

    def config_loaded(self, digest: int, at_s: float) -> None:
        """Take note of the configuration in use: a number that stands for its text, and when it was read."""
        self._reload_ok.set(1)
        self._reload_time.set(at_s)
        self._config_hash.set(digest)

    def config_refused(self) -> None:
        """Take note that a configuration was not taken over: the one before goes on."""
        self._reload_ok.set(0)

    def show_heartbeat(self, last_beat_s: Callable[[], float]) -> None:
        """Show what `last_beat_s` returns (Unix seconds) at each scrape."""
        self._heartbeat.set_function(last_beat_s)

    def show_unwatched(self, tenants: Callable[[], int]) -> None:
        """Show what `tenants` returns at each scrape: how many nobody watches."""
        self._unwatched.set_function(tenants)

    def ended(self, tenant: str, endpoint: str, code: str, took_s: float, *, deprecated: bool) -> None:
        """See `Exchanges.ended`."""
        self._count(tenant, _REQUESTS, (endpoint, code))
        gathered = self._took_s[endpoint]
        gathered.append(took_s)
        if len(gathered) == _BATCH:
            self._observe()
        if deprecated:
            self._count(tenant, _DEPRECATED, (endpoint,))

    def failed(self, tenant: str, reason: str) -> None:
        """See `Exchanges.failed`."""
        self._count(tenant, _ERRORS, (reason,))

    def waited(self, tenant: str, wait_s: float) -> None:
        """See `Exchanges.waited`."""
        self._count(tenant, _WAITS, (), wait_s)
        self.skipped("budget")

    def unknown(self, field_name: str) -> None:
        """See `Exchanges.unknown`."""
        self._unknown.labels(field_name).inc()

    def watched_files(self, files: int, bad: int) -> None:
        """Take note of how many files of jobs and tenants are read, and how many are bad."""
        self._watched_files.set(files)
        self._bad_files.set(bad)

    def store_up(self, *, up: bool) -> None:
        """See `StoreWatch.store_up`."""
        self._store_up.set(up)

    def lease_tenants(self, tenants: int) -> None:
        """Take note of how many tenants are this replica's."""
        self._lease_tenants.set(tenants)

    def replicas(self, alive: int) -> None:
        """Take note of how many replicas share the tenants."""
        self._replicas.set(alive)

    def store_failed(self, op: str) -> None:
        """See `StoreWatch.store_failed`."""
        self._store_errors.labels(op).inc()

    def series(self, shown: int, limit: int, *, dropped: int) -> None:
        """See `SeriesWatch.series`."""
        self._series.set(shown)
        self._series_limit.set(limit)
        self._series_dropped.labels(_MAX_SERIES).inc(dropped)

    def started(self, late_s: float) -> None:
        """See `Pulse.started`."""
        self._late_s.append(late_s)
        if len(self._late_s) == _BATCH:
            self._observe()

    def skipped(self, reason: str) -> None:
        """See `Pulse.skipped`."""
        self._skipped.labels(reason).inc()

    def count_log_line(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        """Count a log line by level; a structlog processor."""
        self._log_messages.labels(event.get("level", "info")).inc()
        return event

    def _observe(self) -> None:
        """Let the histograms have what was gathered for them: many in a row take a third of the time."""
        for late_s in self._late_s:
            self._lateness.observe(late_s)
        self._late_s.clear()
        for endpoint, took_s in self._took_s.items():
            histogram = self._durations.labels(endpoint)
            for each_s in took_s:
                histogram.observe(each_s)
            took_s.clear()

    def _count(self, tenant: str, name: str, labels: tuple[str, ...], amount: float = 1.0) -> None:
        """Count for a tenant; what comes back after it has left is nobody's."""
        if meter := self.meters.get(tenant):
            meter.add(name, labels, amount)

    def _new(self, kind: type[M], name: str, **options: Any) -> M:  # noqa: ANN401 (prometheus-client's own options)
        family = self._families[name]
        return kind(name, family.help, family.labels, registry=self.registry, **options)


class GroupPulse:
    """Satisfies `spexporter.domain.ports.Pulse` for one group: to telemetry and to liveness."""

    def __init__(self, group: Group, telemetry: Telemetry, liveness: Liveness, clock: Clock) -> None:
        self._group = group
        self._telemetry = telemetry
        self._liveness = liveness
        self._clock = clock

    def beat(self) -> None:
        """See `Pulse.beat`."""
        self._liveness.beat(self._group, self._clock.monotonic())

    def started(self, late_s: float) -> None:
        """See `Pulse.started`."""
        self._telemetry.started(late_s)

    def skipped(self, reason: str) -> None:
        """See `Pulse.skipped`."""
        self._telemetry.skipped(reason)

    def attempted(self, tenant: str) -> None:
        """See `Pulse.attempted`."""
        self._liveness.attempted(tenant)
