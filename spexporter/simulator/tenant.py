"""One simulated tenant: the jobs it has had, has, and will have by the time somebody asks."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from spexporter.simulator.chance import chance
from spexporter.simulator.hub import Hub
from spexporter.simulator.jobs import CANCELLED, COMPLETE, EXPORT, FAILED, IMPORT, SimulatedJob
from spexporter.simulator.orders import Order, draw_order, make_job
from spexporter.simulator.plan import TenantPlan

HOUR_S = 3600.0


class Tenant:
    """The SP-Config jobs of one tenant, which come into being when somebody looks; `hub` has the others.

    No task runs behind it: `advance` makes the jobs that have begun since the last look, each from dice of its own, so
    that it does not matter who looked when, or what else was started in between.
    """

    def __init__(self, plan: TenantPlan, *, seed: int, speed: float, start_s: float) -> None:
        self.plan = plan
        self.start_s = start_s
        self._seed = seed
        self._speed = speed
        self._jobs: list[SimulatedJob] = []
        self._by_key: dict[tuple[str, str], SimulatedJob] = {}
        self._ordered = 0
        for number in range(plan.jobs_at_start):
            self._add(self._opening_job(number, start_s))
        self._next_number = plan.jobs_at_start
        self._next_s = start_s + self._gap_s(self._next_number)

    @cached_property
    def hub(self) -> Hub:
        """The tenant's Configuration Hub, made when somebody first looks: of thousands most are never asked."""
        return Hub(self.plan, seed=self._seed, speed=self._speed, start_s=self.start_s)

    def advance(self, now_s: float) -> None:
        """Make the jobs that began by themselves until `now_s`, Unix seconds."""
        while self._next_s <= now_s:
            rng = self._dice(self._next_number)
            self._add(make_job(draw_order(rng), rng, self.plan, created_s=self._next_s, speed=self._speed))
            self._next_number += 1
            self._next_s += self._gap_s(self._next_number)

    def start(self, order: Order, created_s: float) -> SimulatedJob:
        """Make the job that `order` asks for.

        Raises:
            ValueError: the tenant has a job of that id already.
        """
        if (order.operation, order.job_id) in self._by_key:
            raise ValueError(f"{self.plan.name} has an {order.operation} {order.job_id} already")
        rng = self._dice("ordered", self._ordered)
        self._ordered += 1
        job = make_job(order, rng, self.plan, created_s=created_s, speed=self._speed)
        self._add(job)
        return job

    def started(self, now_s: float) -> Sequence[SimulatedJob]:
        """Return the jobs that somebody started and that exist at `now_s`, oldest first; backups are not among them."""
        self.advance(now_s)
        return sorted((job for job in self._jobs if job.exists_at(now_s)), key=lambda job: job.created_s)

    def all_jobs(self, now_s: float) -> Sequence[SimulatedJob]:
        """Return every job and backup that began until `now_s`, expired ones too, in no certain order."""
        self.advance(now_s)
        return [job for job in self._by_key.values() if job.created_s <= now_s + 0.001]

    def find(self, operation: str, job_id: str, now_s: float) -> SimulatedJob | None:
        """Return the job as the API would find it at `now_s`, backups too; None when it would not."""
        self.advance(now_s)
        job = self._by_key.get((operation, job_id))
        return job if job is not None and job.exists_at(now_s) else None

    def _add(self, job: SimulatedJob) -> None:
        self._jobs.append(job)
        self._by_key[job.operation, job.id] = job
        if job.backup is not None:
            self._by_key[EXPORT, job.backup.id] = job.backup

    def _gap_s(self, number: int) -> float:
        pace = self.plan.starts_per_minute / 60 * self._speed
        return self._dice("gap", number).expovariate(pace) if pace else math.inf

    def _opening_job(self, number: int, start_s: float) -> SimulatedJob:
        rng = self._dice(number)
        opening = OPENINGS[number] if number < len(OPENINGS) else Opening(draw_order(rng))
        order, age_s = opening.drawn(rng, self.plan, self._speed)
        return make_job(order, rng, self.plan, created_s=start_s - age_s, speed=self._speed)

    def _dice(self, *purpose: object) -> random.Random:
        return chance(self._seed, self.plan.name, *purpose)


@dataclass(frozen=True, slots=True)
class Opening:
    """A job that began before the simulator: ended long ago, unless one of the flags says otherwise."""

    order: Order
    running: bool = False
    queued: bool = False
    stuck: bool = False

    def drawn(self, rng: random.Random, plan: TenantPlan, speed: float) -> tuple[Order, float]:
        """Return the order with its times, and how many seconds ago it was given."""
        if self.stuck:
            return replace(self.order, duration_s=math.inf), rng.uniform(2, 5) * HOUR_S
        if self.running:
            order = replace(self.order, queue_s=2 / speed, duration_s=rng.uniform(90, 240) / speed)
            return order, rng.uniform(4, 40) / speed
        if self.queued:
            queue_s = rng.uniform(240, 600) / speed
            return replace(self.order, queue_s=queue_s, duration_s=queue_s + 30 / speed), 3 / speed
        longest_s = 20 * max(plan.export_median_s, plan.import_median_s) / speed
        return self.order, longest_s + rng.uniform(0.05, 6) * HOUR_S


OPENINGS = (
    Opening(Order(IMPORT, final_state=COMPLETE, troubled=True)),
    Opening(Order(EXPORT, final_state=COMPLETE, description="weekly full export")),
    Opening(Order(IMPORT, final_state=FAILED)),
    Opening(Order(IMPORT, name="source onboarding"), stuck=True),
    Opening(Order(EXPORT, final_state=CANCELLED)),
    Opening(Order(IMPORT, final_state=COMPLETE, troubled=False)),
    Opening(Order(IMPORT), running=True),
    Opening(Order(EXPORT, final_state=COMPLETE), queued=True),
    Opening(Order(IMPORT, preview=True, final_state=COMPLETE, troubled=True)),
    Opening(
        Order(
            EXPORT,
            final_state=FAILED,
            duration_s=0.125,
            message="java.lang.IllegalArgumentException: Supplied types are not supported: [WORKFLOWS]",
        )
    ),
    Opening(Order(IMPORT, final_state=COMPLETE, troubled=True, backup=True)),
    Opening(Order(EXPORT, final_state=COMPLETE), running=True),
)
"""How a tenant's history begins: every state and kind of result once, before chance takes over."""
