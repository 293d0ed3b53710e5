"""PromQL that several panels ask, in the words of an operator.

While a tenant moves from one replica to another both may show it for a scrape, so gauges of tenants are joined by
`max by` before anything else is done with them, and counters by `sum by` after `increase` or `rate`.
A number of things that are wrong is 0 only where the exporter tells of the tenants at all; else there is no result:
absent means not known.
"""

from dataclasses import dataclass

JOB = "tenant, operation, job_id"
RANGE, STEP = "$__range", "$__rate_interval"
SLOW = 3  # times the usual p95
NEVER = 1e9  # an age that is so many times what is expected stands for one that is not known: it sorts as the worst


def where(label: str, *values: str) -> str:
    """Return a matcher for any of these values."""
    return f'{label}="{values[0]}"' if len(values) == 1 else f'{label}=~"{"|".join(values)}"'


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else " "


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose series a query asks for: `matcher` stands in every selector."""

    matcher: str

    def series(self, metric: str, *more: str) -> str:
        """Return a selector."""
        return f"{metric}{{{', '.join((self.matcher, *more))}}}"

    def latest(self, metric: str, by: str, *more: str) -> str:
        """Return a gauge without the labels of whoever shows it."""
        return f"max by ({by}) ({self.series(metric, *more)})"

    def increase(self, metric: str, by: str, over: str, *more: str) -> str:
        """Return how much a counter has grown in the window `over`."""
        return f"sum{_by(by)}(increase({self.series(metric, *more)}[{over}]))"

    def rate(self, metric: str, by: str, *more: str) -> str:
        """Return how fast a counter grows, in each second."""
        return f"sum{_by(by)}(rate({self.series(metric, *more)}[{STEP}]))"

    def quantile(self, share: float, metric: str, by: str, *more: str) -> str:
        """Return a quantile of a histogram."""
        labels = f"{by}, le" if by else "le"
        return f"histogram_quantile({share}, {self.rate(f'{metric}_bucket', labels, *more)})"


UNFINISHED = where("state", "NOT_STARTED", "IN_PROGRESS")
MANY = Scope('tenant=~"$tenant"')
ONE = Scope('tenant="$tenant"')
THIS = Scope('tenant="$tenant", operation="$operation", job_id="$job_id"')
KIND = Scope('tenant="$tenant", operation="$operation"')
REPLICAS = Scope('job=~"$job", instance=~"$instance"')


def number(found: str, scope: Scope, by: str = "") -> str:
    """Return how many series `found` has; 0 where it has none of a tenant that is known."""
    return f"count{_by(by)}({found}) or 0 * max{_by(by)}({scope.series('spconfig_tenant_info')})"


def age(scope: Scope, metric: str, by: str) -> str:
    """Return how long ago a moment was, in seconds."""
    return f"time() - {scope.latest(metric, by)}"


def in_state(scope: Scope, matcher: str) -> str:
    """Return the jobs that are in one of the states that `matcher` names, each with the value 1."""
    return f"{scope.latest('spconfig_job_state', JOB, matcher)} == 1"


def stuck(scope: Scope) -> str:
    """Return how long the jobs run that have run longer than their `max_age`."""
    duration = scope.latest("spconfig_job_duration_seconds", JOB)
    limit = scope.latest("spconfig_job_max_age_seconds", JOB)
    return f"({duration} > {limit}) and on ({JOB}) ({in_state(scope, UNFINISHED)})"


def slow(scope: Scope) -> str:
    """Return how long the jobs run that have run several times as long as nearly all others do."""
    duration = scope.latest("spconfig_job_duration_seconds", JOB)
    usual = scope.latest("spconfig_job_usual_duration_seconds", "tenant, operation", where("level", "p95"))
    late = f"{duration} > on (tenant, operation) group_left () {SLOW} * {usual}"
    return f"({late}) and on ({JOB}) ({in_state(scope, UNFINISHED)})"


def overdue(scope: Scope) -> str:
    """Return the operations whose newest success is older than expected, or not known at all."""
    by = "tenant, operation"
    late = f"{age(scope, 'spconfig_last_success_timestamp_seconds', by)}"
    expected = scope.latest("spconfig_expected_interval_seconds", by)
    never = f"{expected} unless on ({by}) {scope.latest('spconfig_last_success_timestamp_seconds', by)}"
    return f"({late} > {expected}) or ({never})"


def share_of_expected(scope: Scope) -> str:
    """Return the age of each newest success as a share of what is expected; `NEVER` where none is known."""
    by = "tenant, operation"
    expected = scope.latest("spconfig_expected_interval_seconds", by)
    last = "spconfig_last_success_timestamp_seconds"
    never = f"0 * ({expected} unless on ({by}) {scope.latest(last, by)}) + {NEVER:g}"
    return f"({age(scope, last, by)}) / {expected} or {never}"


def unfinished(scope: Scope, by: str = "") -> str:
    """Return how many jobs run or wait to run; also where the series of single jobs are switched off."""
    return f"sum{_by(by)}({scope.latest('spconfig_jobs', 'tenant, operation, state', UNFINISHED)})"


def budget_used(scope: Scope) -> str:
    """Return the share of the rate limit window that is taken."""
    used = scope.latest("spexporter_rate_limit_requests", "tenant")
    return f"{used} / {scope.latest('spexporter_rate_limit_allowed_requests', 'tenant')}"


def bad_ends(scope: Scope, by: str, over: str) -> str:
    """Return how many jobs ended FAILED or CANCELLED."""
    return scope.increase("spconfig_jobs_finished_total", by, over, where("state", "FAILED", "CANCELLED"))


def named(found: str, scope: Scope) -> str:
    """Add the name of each job; of two names, while a file gives it another one, any."""
    names = f"topk by ({JOB}) (1, {scope.latest('spconfig_job_info', f'{JOB}, name')})"
    return f"({found}) * on ({JOB}) group_left (name) {names}"


def because(*found: tuple[str, str]) -> str:
    """Say in a label why each is shown: pairs of reason and query, of which the first that has a job counts."""
    return f" or on ({JOB}) ".join(f'label_replace({query}, "why", "{why}", "", "")' for why, query in found)


def ends_in_range(scope: Scope) -> str:
    """Return when the end of each job was first seen, in milliseconds, of those that ended in the time shown."""
    return f"1000 * {scope.latest('spconfig_job_end_seen_timestamp_seconds', JOB)} > $__from"


def ends_with_state(scope: Scope, *states: str) -> str:
    """Return the same for jobs that ended in one of `states`, with the state as a label."""
    state = scope.latest("spconfig_job_state", f"{JOB}, state", where("state", *states))
    return f"({ends_in_range(scope)}) * on ({JOB}) group_left (state) ({state} == 1)"


STATE_CODES = ("NOT_STARTED", "IN_PROGRESS", "COMPLETE", "CANCELLED", "FAILED", "NOT_FOUND", "UNKNOWN")


def state_code(scope: Scope) -> str:
    """Return the state of each job as a number, from 1 on, in the order of `STATE_CODES`."""
    return " or ".join(
        f"{code} * ({in_state(scope, where('state', state))})" for code, state in enumerate(STATE_CODES, 1)
    )
