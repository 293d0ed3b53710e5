"""What a change does to one tenant's jobs and counters: the rules of counting once, without any storage."""

import heapq
import math
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from spexporter.domain.counting import (
    Cell,
    SeriesKey,
    exemplars,
    finished,
    object_type_baseline,
    operation_baseline,
    result_counted,
)
from spexporter.domain.durations import Usual, learned, usual
from spexporter.domain.hub import Drafts, Listing
from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.ports import Change, Counted, Terms
from spexporter.domain.view import TenantState
from spexporter.ledger.tally import Tally
from spexporter.ledger.versions import Versions


class Remembered(msgspec.Struct, frozen=True, gc=False):
    """A job as it is stored. Of one that has left the pages for ever only `wanted_s` is left, and `job` is None.

    `wanted_s` is when its id was last configured, listed or asked for; at `leaves_s`, where nothing is left to ask, it
    leaves the pages (Unix seconds).
    """

    job: Job | None
    watched: bool
    wanted_s: float = 0.0
    leaves_s: float | None = None


class Facts(msgspec.Struct, frozen=True):
    """What is stored of a tenant as a whole; `runs_s` are the newest durations, oldest first.

    `listed` are the operations whose lists were ever read; the others are as in `TenantState`.
    """

    successes: Mapping[Operation, float] = msgspec.field(default_factory=dict)
    success_objects: Mapping[Operation, int] = msgspec.field(default_factory=dict)
    listed: tuple[Operation, ...] = ()
    drafts: Drafts | None = None
    runs_s: Mapping[Operation, tuple[float, ...]] = msgspec.field(default_factory=dict)
    last_answer_s: float | None = None
    tenant_offset_s: float | None = None
    still_at_s: float | None = None

    def adopting(self, other: "Facts") -> "Facts":
        """Return these with what is known under a former name: the newer successes, and whatever was missing here."""
        ours = {of: end_s for of, end_s in self.successes.items() if end_s >= other.successes.get(of, -math.inf)}
        mine = self.last_answer_s is not None
        return Facts(
            successes={**other.successes, **ours},
            success_objects={
                **{of: count for of, count in other.success_objects.items() if of not in ours},
                **{of: count for of, count in self.success_objects.items() if of in ours},
            },
            listed=tuple(dict.fromkeys((*self.listed, *other.listed))),
            drafts=self.drafts if mine else other.drafts,
            runs_s={**other.runs_s, **self.runs_s},
            last_answer_s=self.last_answer_s if mine else other.last_answer_s,
            tenant_offset_s=self.tenant_offset_s if mine else other.tenant_offset_s,
            still_at_s=self.still_at_s if mine else other.still_at_s,
        )


class Rows(msgspec.Struct, frozen=True):
    """All of one tenant that is to be stored together, or is stored."""

    jobs: Mapping[JobKey, Remembered] = msgspec.field(default_factory=dict)
    cells: Mapping[SeriesKey, Cell] = msgspec.field(default_factory=dict)
    facts: Facts | None = None

    def __bool__(self) -> bool:
        return bool(self.jobs or self.cells or self.facts)


class Book:
    """One tenant's jobs and counters.

    A job that is not watched any more is kept aside: watched again, it is neither asked for nor counted anew.
    """

    def __init__(self, terms: Terms, rows: Rows | None = None) -> None:
        rows = rows or Rows()
        self._terms = terms
        self.facts = rows.facts or Facts()
        self._tally = Tally(rows.cells)
        self._jobs: Versions[JobKey, Job] = Versions()
        self._aside: dict[JobKey, Remembered] = {}
        self._leaving: list[tuple[float, str, JobKey]] = []
        self._leaves_s: dict[JobKey, float] = {}
        self._changed: set[JobKey] = set()
        self._learned_from: Mapping[Operation, tuple[float, ...]] = {}
        self._learned: Mapping[Operation, Usual] = {}
        self._facts_changed = rows.facts is None  # each tenant has a row, by which the store knows it
        self.recall(rows.jobs)

    def agree(self, terms: Terms) -> None:
        """Go on under other terms: a tenant's configuration has changed."""
        self._terms = terms
        self._leaves_s.clear()
        self._leaving.clear()
        for job in self._jobs.version().values():
            self._enter(job)

    def state(self) -> TenantState:
        """Return what is watched and counted now; it stays as it is."""
        facts = self.facts
        return TenantState(
            jobs=self._jobs.version(),
            totals=self._tally.cells,
            successes=facts.successes,
            success_objects=facts.success_objects,
            drafts=facts.drafts,
            usual=self._usual(),
            last_answer_s=facts.last_answer_s,
            tenant_offset_s=facts.tenant_offset_s,
            still_at_s=facts.still_at_s,
            leaves_s=self._leaving[0][0] if self._leaving else math.inf,
        )

    def _usual(self) -> Mapping[Operation, Usual]:
        if self._learned_from is not self.facts.runs_s:
            self._learned_from = self.facts.runs_s
            learnt = {operation: usual(runs_s) for operation, runs_s in self._learned_from.items()}
            self._learned = {operation: found for operation, found in learnt.items() if found}
        return self._learned

    def knows(self, key: JobKey) -> bool:
        """Whether a job need not be recalled from the store."""
        return key in self._jobs or key in self._aside

    def recall(self, remembered: Mapping[JobKey, Remembered]) -> None:
        """Know again what the store remembers of jobs."""
        for key, row in remembered.items():
            if row.watched and row.job:
                self._enter(row.job)
            else:
                self._aside[key] = row

    def apply(self, change: Change) -> None:
        """Apply `change`; applying it again changes nothing."""
        self._tally.settle()
        for key in change.removed:
            self._forget(key, change)
        for operation in change.operations:
            self._tally.begin(operation_baseline(operation), change.at_s)
        for watched in change.added:
            self._watch(watched, change)
        for object_type in change.object_types:
            self._tally.begin(object_type_baseline(object_type), change.at_s)
        for observation in change.observations:
            self._observe(observation, change)
        for counted in change.results:
            self._count(counted, change)
        if change.listing:
            self._list(change.listing, change)
        self._answered(change)
        self._let_go(change)

    def publish(self, upto: Mapping[SeriesKey, float]) -> None:
        """Move what pages may show up to these values, as soon as that is stored."""
        self._tally.publish(upto)

    def withdraw(self, shown: Mapping[SeriesKey, float]) -> None:
        """Take back what pages may show beyond what they have `shown`."""
        self._tally.withdraw(shown)

    def adopt(self, other: "Book") -> None:
        """Take over what is known under a former name."""
        for key, row in other.remembered().items():
            ours = replace(key, tenant=self._terms.tenant)
            if not self.knows(ours):
                self.recall({ours: replace(row, job=row.job and row.job.under(ours))})
                self._changed.add(ours)
        self._tally.adopt(other.state().totals)
        self.facts = self.facts.adopting(other.facts)
        self._facts_changed = True

    def remembered(self) -> Mapping[JobKey, Remembered]:
        """Return every job that is known, watched or not."""
        return {key: row for key in (*self._aside, *self._jobs) if (row := self._row(key))}

    def changed(self) -> Rows:
        """Return what is to be stored, and call it stored: `unwritten` takes it back."""
        jobs = {key: row for key in self._changed if (row := self._row(key))}
        rows = Rows(jobs, self._tally.changed(), self.facts if self._facts_changed else None)
        self._changed.clear()
        self._facts_changed = False
        return rows

    def keep(self) -> None:
        """Take note that all of this is as good as stored: there is nowhere to store it."""
        self._changed.clear()
        self._facts_changed = False
        if cells := self._tally.changed():
            self._tally.written(cells)

    def unwritten(self, rows: Rows) -> None:
        """Take note that `rows` could not be stored."""
        self._changed.update(rows.jobs)
        self._tally.unwritten(rows.cells)
        self._facts_changed |= rows.facts is not None

    def written(self, rows: Rows, *, forget: bool = False) -> None:
        """Take note that `rows` are stored; with `forget`, jobs kept aside need no place in memory any more."""
        self._tally.written(rows.cells)
        if forget:
            self._aside = {key: row for key, row in self._aside.items() if key in self._changed}

    def rewrite(self) -> None:
        """Take note that nothing is stored any more."""
        self._changed.update(self._jobs, self._aside)
        self._tally.rewrite()
        self._facts_changed = True

    def prune(self, wanted_since_s: float) -> None:
        """Forget the jobs kept aside that nobody has wanted for long."""
        kept = {key: row for key, row in self._aside.items() if row.wanted_s >= wanted_since_s or row.watched}
        self._aside = kept

    def _watch(self, watched: WatchedJob, change: Change) -> None:
        self._tally.begin(operation_baseline(watched.key.operation), change.at_s)
        aside = self._aside.pop(watched.key, None)
        self._changed.add(watched.key)
        if aside and not aside.job:
            self._aside[watched.key] = Remembered(None, watched=True, wanted_s=change.at_s or aside.wanted_s)
            return
        known = self._jobs.get(watched.key) or (aside and aside.job) or Job(watched, given_s=change.at_s)
        self._put(replace(known, watched=watched))

    def _forget(self, key: JobKey, change: Change) -> None:
        if row := self._row(key):
            self._aside[key] = replace(row, watched=False, wanted_s=change.at_s or 0.0)
            self._jobs.pop(key)
            self._leaves_s.pop(key, None)
            self._changed.add(key)

    def _list(self, listing: Listing, change: Change) -> None:
        first = listing.operation not in self.facts.listed
        for entry in listing.jobs:
            if job := self._jobs.get(entry.observation.key):
                self._put(told := replace(job, hub=entry.facts))
                self._observe(entry.observation, change, first_reading=first)
                self._succeed(told)
        if first and listing.whole:
            self._set(listed=(*self.facts.listed, listing.operation))
        if listing.operation is Operation.DRAFT and listing.drafts != self.facts.drafts:
            self._set(drafts=listing.drafts)

    def _observe(self, observation: Observation, change: Change, *, first_reading: bool = False) -> None:
        before = self._jobs.get(observation.key)
        if before is None or before.end_seen_s is not None:
            return
        job = before.seen(observation, self._terms.count_new_within_s, change.tenant_offset_s or 0.0)
        if first_reading and job.end_seen_s is not None and not before.running:
            job = replace(job, late=True)
        self._put(job)
        if job.end_seen_s is None:
            return
        self._add(job, finished(job), change)
        if job.state is JobState.COMPLETE and job.duration_s is not None:
            operation = job.key.operation
            runs_s = learned(self.facts.runs_s.get(operation, ()), job.duration_s)
            self._set(runs_s={**self.facts.runs_s, operation: runs_s})
        self._succeed(job)

    def _count(self, counted: Counted, change: Change) -> None:
        job = self._jobs.get(counted.key)
        if job is None or job.outcome is not None:
            return
        job = replace(job, outcome=counted.outcome, result=counted.result)
        self._put(job)
        self._add(job, result_counted(counted.outcome, counted.result), change)
        self._succeed(job)

    def _add(self, job: Job, increments: Mapping[SeriesKey, float], change: Change) -> None:
        if job.late:
            self._tally.add_late(increments, change.unseen)
        else:
            examples = {} if change.at_s is None else exemplars(job, increments, change.at_s)
            self._tally.add(increments, examples, change.at_s)

    def _succeed(self, job: Job) -> None:
        operation, facts = job.key.operation, self.facts
        if not job.succeeded or job.ended_s is None or job.ended_s < facts.successes.get(operation, -math.inf):
            return
        objects = {of: count for of, count in facts.success_objects.items() if of is not operation}
        if job.hub and job.hub.object_count is not None:
            objects[operation] = job.hub.object_count
        if (facts.successes.get(operation), facts.success_objects) != (job.ended_s, objects):
            self._set(successes={**facts.successes, operation: job.ended_s}, success_objects=objects)

    def _answered(self, change: Change) -> None:
        facts, answered_s = self.facts, change.answered_s
        if answered_s is not None and (answered_s != facts.last_answer_s or change.still_at_s != facts.still_at_s):
            self._facts_changed = True
            self.facts = replace(
                facts,
                last_answer_s=answered_s,
                tenant_offset_s=change.tenant_offset_s,
                still_at_s=change.still_at_s,
            )

    def _put(self, job: Job) -> None:
        self._enter(job)
        self._changed.add(job.key)

    def _enter(self, job: Job) -> None:
        key = job.key
        self._jobs.put(key, job)
        since_s = job.end_seen_s if job.settled else job.missing_s
        if since_s is None or job.left:
            self._leaves_s.pop(key, None)
        elif self._leaves_s.get(key) != (leaves_s := since_s + self._terms.retention_s):
            self._leaves_s[key] = leaves_s
            heapq.heappush(self._leaving, (leaves_s, str(key), key))

    def _let_go(self, change: Change) -> None:
        """Let the jobs leave the pages whose time has come; a missing one is asked for all the same."""
        while self._leaving and change.at_s is not None and self._leaving[0][0] <= change.at_s:
            leaves_s, _, key = heapq.heappop(self._leaving)
            job = self._jobs.get(key)
            if job is None or self._leaves_s.get(key) != leaves_s:
                continue  # it has left by another way, or was found again
            del self._leaves_s[key]
            self._changed.add(key)
            if job.settled:
                self._jobs.pop(key)
                self._aside[key] = Remembered(None, watched=True, wanted_s=change.at_s)
            else:
                self._jobs.put(key, replace(job, left=True))

    def _row(self, key: JobKey) -> Remembered | None:
        job = self._jobs.get(key)
        if job is None:
            return self._aside.get(key)
        return Remembered(job, watched=True, leaves_s=self._leaves_s.get(key) if job.settled else None)

    def _set(self, **changes: object) -> None:
        self.facts = replace(self.facts, **changes)
        self._facts_changed = True
