"""One tenant's Configuration Hub: what its lists hold by the time somebody asks."""

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence

from spexporter.simulator.chance import chance
from spexporter.simulator.hub_jobs import AUTOMATED, BACKUP, DRAFT, MANUAL, Backup, HubJob, HubKind
from spexporter.simulator.hub_orders import HUB_OPENINGS, HubOptions, Maker, check, draw_options
from spexporter.simulator.jobs import FAILED
from spexporter.simulator.plan import DAY_S, TenantPlan

HOUR_S = 3600.0
QUARTER = 0.25
"""How many jobs of Configuration Hub begin for each of SP-Config."""
LIMITS = {MANUAL: 10, AUTOMATED: 5, "upload": 10, "draft": 50, "deploy": 50}
"""How many are kept, by type of backup and by kind; of drafts and deploys nothing is published, these are made up."""


class Hub:
    """The Configuration Hub of one tenant, whose jobs come into being when somebody looks, as SP-Config's do."""

    def __init__(self, plan: TenantPlan, *, seed: int, speed: float, start_s: float) -> None:
        self._plan = plan
        self._seed = seed
        self._speed = speed
        self._jobs: dict[tuple[str, str], HubJob] = {}
        self._drawn: dict[str, HubJob] = {}
        """The newest that began by itself, by kind: what others start changes nothing about the rest."""
        self._ordered = 0
        for number in range(plan.hub_old_failures):
            self._add(self._old_failure(number, start_s))
        at_start = plan.jobs_at_start if plan.hub_jobs_at_start is None else plan.hub_jobs_at_start
        for number in range(at_start):
            self._add_drawn(self._opening_job(number, start_s))
        self._next_number = at_start
        self._next_s = start_s + self._gap_s(self._next_number)

    def advance(self, now_s: float) -> None:
        """Make the jobs that began by themselves until `now_s`, Unix seconds."""
        while self._next_s <= now_s:
            rng = self._dice(self._next_number)
            kind, options = draw_options(rng)
            self._add_drawn(self._maker().make(kind, options, rng, created_s=self._next_s))
            self._next_number += 1
            self._next_s += self._gap_s(self._next_number)

    def start(self, kind: HubKind, options: HubOptions, now_s: float) -> HubJob:
        """Make the job that `options` ask for, and let it begin at their `created_s` or at `now_s`.

        Raises:
            ValueError: there cannot be such a job, or there is one of that kind and id already.
        """
        check(kind, options)
        job_id, created_s = options.get("job_id"), options.get("created_s")
        if (kind, job_id) in self._jobs:
            raise ValueError(f"{self._plan.name} has a {kind} {job_id} already")
        rng = self._dice("ordered", self._ordered)
        self._ordered += 1
        job = self._maker().make(kind, options, rng, created_s=now_s if created_s is None else created_s)
        self._add(job)
        return job

    def all_jobs(self, now_s: float) -> Sequence[HubJob]:
        """Return every job that began until `now_s`, oldest first, also those that no list has any more."""
        self.advance(now_s)
        begun = (job for job in self._jobs.values() if job.created_s <= now_s + 0.001)
        return sorted(begun, key=lambda job: job.created_s)

    def listed(self, now_s: float) -> Sequence[HubJob]:
        """Return the jobs that the lists have at `now_s`, oldest first."""
        there = [job for job in self.all_jobs(now_s) if job.exists_at(now_s)]
        return there if not self._plan.hub_limits else sorted(self._newest(there), key=lambda job: job.created_s)

    def _newest(self, jobs: Sequence[HubJob]) -> Iterator[HubJob]:
        seen = Counter[str]()
        for job in reversed(jobs):
            about = job.about
            group = about.backup_type if job.kind == BACKUP and isinstance(about, Backup) else job.kind
            seen[group] += not is_of_other_tenant(job)
            if is_of_other_tenant(job) or seen[group] <= LIMITS.get(group, math.inf):
                yield job

    def _add(self, job: HubJob) -> None:
        self._jobs[job.kind, job.id] = job

    def _add_drawn(self, job: HubJob) -> None:
        self._add(job)
        self._drawn[job.kind] = job

    def _maker(self) -> Maker:
        return Maker(self._plan, self._speed, backup=self._drawn.get(BACKUP), draft=self._drawn.get(DRAFT))

    def _gap_s(self, number: int) -> float:
        told = self._plan.hub_starts_per_minute
        pace = (self._plan.starts_per_minute * QUARTER if told is None else told) / 60 * self._speed
        return self._dice("gap", number).expovariate(pace) if pace else math.inf

    def _opening_job(self, number: int, start_s: float) -> HubJob:
        rng = self._dice(number)
        if number < len(HUB_OPENINGS):
            kind, options, age_h = HUB_OPENINGS[number]
        else:
            kind, options = draw_options(rng)
            age_h = rng.uniform(30, 200)
        return self._maker().make(kind, options, rng, created_s=start_s - (age_h + rng.random()) * HOUR_S)

    def _old_failure(self, number: int, start_s: float) -> HubJob:
        options: HubOptions = {"final_state": FAILED, "backup_type": AUTOMATED, "name": f"Old backup {number + 1}"}
        age_s = (self._plan.hub_old_failures - number + 10) * DAY_S
        return self._maker().make(BACKUP, options, self._dice("old", number), created_s=start_s - age_s)

    def _dice(self, *purpose: object) -> random.Random:
        return chance(self._seed, self._plan.name, "hub", *purpose)


def is_of_other_tenant(job: HubJob) -> bool:
    """Tell whether it is a backup of another tenant's configuration."""
    return isinstance(job.about, Backup) and job.about.tenant != job.tenant
