"""What the board holds and pages render: immutable, swapped whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spexporter.domain.counting import Cell, SeriesKey
from spexporter.domain.job import Job, JobKey, Operation, seconds_between
from spexporter.domain.tenanttime import Moment, TenantTime


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that does not work with a tenant now, in words, with what an operator can do about it.

    `since_s` is when it began (Unix seconds); `tracking_id` is for SailPoint's support, may be empty.
    """

    endpoint: str
    reason: str
    message: str
    cure: str
    tracking_id: str
    since_s: float


@dataclass(frozen=True, slots=True)
class TenantHealth:
    """How a tenant answers. Times are Unix seconds by our clock; None and absent keys mean not known.

    `troubles` by what they concern: an endpoint, or an endpoint and a job. `still_at_s` is the tenant's time at which
    the durations of its running jobs stand still because it is not up.
    """

    base_url: str
    api_version: str | None = None
    up: bool | None = None
    last_answer_s: float | None = None
    throttled_until_s: float | None = None
    token_expires_s: float | None = None
    time: TenantTime | None = None
    still_at_s: float | None = None
    access: Mapping[str, bool] = field(default_factory=dict)
    troubles: Mapping[str, Trouble] = field(default_factory=dict)

    def tenant_now_s(self, now: Moment) -> float:
        """Return the tenant's time, ours where it has not told its own yet."""
        if self.still_at_s is not None:
            return self.still_at_s
        return self.time.at(now.monotonic_s) if self.time else now.wall_s


@dataclass(frozen=True, slots=True)
class TenantState:
    """What the ledger knows of one tenant: its watched jobs, its counters, and when each operation last succeeded."""

    jobs: Mapping[JobKey, Job] = field(default_factory=dict)
    totals: Mapping[SeriesKey, Cell] = field(default_factory=dict)
    successes: Mapping[Operation, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TenantView:
    """Everything that pages show of one tenant; `version` grows with every change."""

    tenant: str
    version: int
    state: TenantState
    health: TenantHealth

    def elapsed_s(self, job: Job, now: Moment) -> float | None:
        """Return how long `job` has run or took, in seconds, None where that is not known."""
        if job.end_seen_s is not None:
            return job.duration_s
        if job.latest is None or job.latest.created_s is None or not job.running:
            return None
        return seconds_between(job.latest.created_s, self.health.tenant_now_s(now))
