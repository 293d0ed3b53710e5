"""What the board holds and pages render: immutable, swapped whole."""

import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import msgspec

from spexporter.domain.breaker import BreakerState
from spexporter.domain.counting import Cell, SeriesKey
from spexporter.domain.durations import Usual
from spexporter.domain.hub import Drafts
from spexporter.domain.job import Job, JobKey, JobState, Operation, seconds_between
from spexporter.domain.tenanttime import Moment, TenantTime


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that does not work with a tenant now, in words, with what an operator can do about it.

    `since_s` is when it began (Unix seconds); `tracking_id` is for SailPoint's support, may be empty. A `quiet` one is
    not logged, as others like it are.
    """

    endpoint: str
    reason: str
    message: str
    cure: str
    tracking_id: str
    since_s: float
    quiet: bool = False


class TenantHealth(msgspec.Struct, frozen=True):
    """How a tenant answers. Times are Unix seconds by our clock; None and absent keys mean not known.

    `last_answer_monotonic_s` is the moment of `last_answer_s` on the clock that does not jump. `troubles` by what they
    concern: an endpoint, or a job. `clock_offset_s` is how far the tenant's clock was ahead of ours at its last answer.
    `still_at_s` is the tenant's time at which the durations of its running jobs stand still because it is not up.
    """

    base_url: str
    api_version: str | None = None
    up: bool | None = None
    last_answer_s: float | None = None
    last_answer_monotonic_s: float | None = None
    throttled_until_s: float | None = None
    token_expires_s: float | None = None
    time: TenantTime | None = None
    clock_offset_s: float | None = None
    still_at_s: float | None = None
    access: Mapping[str, bool] = msgspec.field(default_factory=dict)
    troubles: Mapping[str, Trouble] = msgspec.field(default_factory=dict)

    def tenant_now_s(self, now: Moment) -> float:
        """Return the tenant's time, ours where it has not told its own yet."""
        if self.still_at_s is not None:
            return self.still_at_s
        return self.time.at(now.monotonic_s) if self.time else now.wall_s


class TenantState(msgspec.Struct, frozen=True):
    """What the ledger knows of one tenant: its watched jobs, its counters, and how each operation does.

    `successes` are the ends of the newest ones, by the tenant's clock, and `success_objects` how many objects they
    hold; `last_answer_s` is by our clock, and `tenant_offset_s` how far the tenant's clock was ahead of it then;
    `still_at_s` as in `TenantHealth`. `drafts` is None where their list was not read. The first job leaves the pages
    at `leaves_s`.
    """

    jobs: Mapping[JobKey, Job] = msgspec.field(default_factory=dict)
    totals: Mapping[SeriesKey, Cell] = msgspec.field(default_factory=dict)
    successes: Mapping[Operation, float] = msgspec.field(default_factory=dict)
    success_objects: Mapping[Operation, int] = msgspec.field(default_factory=dict)
    drafts: Drafts | None = None
    usual: Mapping[Operation, Usual] = msgspec.field(default_factory=dict)
    last_answer_s: float | None = None
    tenant_offset_s: float | None = None
    still_at_s: float | None = None
    leaves_s: float = math.inf


class TenantView(msgspec.Struct, frozen=True):
    """Everything that pages show of one tenant; `version` grows with every change.

    `expect` is how often each operation is expected to succeed, in seconds; `credential_expires_s` is when the personal
    access token ends (Unix seconds). Series of single jobs are shown only with `per_job`,
    and not of those that are `left_out` because there would be too many. `next_try_monotonic_s` is
    when a tenant in trouble is asked again, None where it is asked as usual.
    """

    tenant: str
    version: int
    state: TenantState
    health: TenantHealth
    max_staleness_s: float = math.inf
    expect: Mapping[Operation, float] = msgspec.field(default_factory=dict)
    credential_expires_s: float | None = None
    per_job: bool = True
    left_out: AbstractSet[JobKey] = frozenset()
    breaker: BreakerState = BreakerState.CLOSED
    next_try_monotonic_s: float | None = None

    def stale(self, now: Moment) -> bool:
        """Whether the tenant has been silent for so long that nothing can be said of its unfinished jobs."""
        since_s = self.health.last_answer_monotonic_s
        return since_s is not None and now.monotonic_s - since_s > self.max_staleness_s

    def shown_jobs(self, now: Moment) -> Iterable[Job]:
        """Return the jobs of which something is to be said; only those that have ended while the tenant is stale."""
        return self._shown(stale=self.stale(now))

    def charted(self, *, stale: bool) -> Iterable[Job]:
        """Return the jobs that have series of their own: those shown that no limit leaves out."""
        jobs = self._shown(stale=stale)
        return [job for job in jobs if job.key not in self.left_out] if self.left_out else jobs

    def _shown(self, *, stale: bool) -> Sequence[Job]:
        return [job for job in self.state.jobs.values() if not job.left and not (stale and job.end_seen_s is None)]

    def elapsed_s(self, job: Job, now: Moment) -> float | None:
        """Return how long `job` has run or took, in seconds, None where that is not known."""
        return elapsed_s(job, self.health, now)


def elapsed_s(job: Job, health: TenantHealth, now: Moment) -> float | None:
    """Return how long `job` of a tenant has run or took, in seconds, None where that is not known."""
    if job.end_seen_s is not None:
        return job.duration_s
    if job.latest is None or job.latest.created_s is None or job.latest.state is JobState.NOT_FOUND:
        return None
    return seconds_between(job.latest.created_s, health.tenant_now_s(now))
