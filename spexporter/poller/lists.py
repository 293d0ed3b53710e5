"""What a reading of one of Configuration Hub's lists changes about the jobs that we watch.

A list names its jobs and tells all of them at once, so its readings say both what is watched and what was seen. A job
that is on a list no more keeps its series until its retention is over, if it has ended; else nobody knows it any more.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from spexporter.domain.hub import ListedJob, Listing, pending_drafts
from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, Source, WatchedJob
from spexporter.domain.ports import Change
from spexporter.domain.values import replace

_CONFIRMATIONS = 3  # readings without a job until we say that it is not found: one list may come short
_Entries = Mapping[JobKey, ListedJob]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading of a list changes: `change` is all of it, `known` the jobs that the list then answers for.

    `left_out` is how many jobs are not watched because the tenant has too many that have not ended.
    """

    operation: Operation
    change: Change
    known: frozenset[JobKey]
    left_out: int

    @property
    def without_new_jobs(self) -> Change:
        """What can be applied while it is not known whether new jobs were counted before."""
        listing = replace(self.change.listing, whole=False) if self.change.listing else None
        return Change(observations=self.change.observations, listing=listing)


class Lists:
    """Knows which jobs each list of one tenant has named; of those that have not ended `max_jobs` are watched."""

    def __init__(self, max_jobs: int) -> None:
        self._max_jobs = max_jobs
        self._known: dict[Operation, frozenset[JobKey]] = {}
        self._missed: Counter[JobKey] = Counter()  # readings in a row

    def read(
        self, operation: Operation, listed: Iterable[ListedJob], jobs: Mapping[JobKey, Job], now_s: float
    ) -> Reading:
        """Return what `listed` changes, `jobs` being all that are watched; `now_s` is Unix seconds by our clock."""
        entries = {entry.observation.key: entry for entry in listed}
        told = {key: entry for key, entry in entries.items() if entry.tells_state}
        before = self._known.get(operation, frozenset())
        live = {key: job for key, job in jobs.items() if key.operation is operation}
        added, left_out = self._new(told, before, jobs)
        new = {job.key for job in added}
        gone = (before | live.keys()) - entries.keys()
        self._count_missed(entries, gone)
        # Those that have left the pages, and are on no list, are nobody's any more.
        removed = tuple(key for key in gone if key not in live or live[key].left)
        change = Change(
            added=added,
            removed=removed,
            observations=tuple(self._not_found(live, gone, now_s)),
            listing=Listing(
                operation,
                tuple(
                    entry
                    for key, entry in told.items()
                    if key not in left_out and (key in new or _says_more(live.get(key), entry))
                ),
                pending_drafts(tuple(entries.values())) if operation is Operation.DRAFT else None,
            ),
        )
        known = (before | live.keys() | told.keys()) - left_out
        return Reading(operation, change, frozenset(known.difference(removed)), len(left_out))

    def took(self, reading: Reading) -> None:
        """Take note that all of `reading` was applied."""
        self._known[reading.operation] = reading.known
        for key in reading.change.removed:
            self._missed.pop(key, None)

    def _new(
        self, entries: _Entries, before: AbstractSet[JobKey], jobs: Mapping[JobKey, Job]
    ) -> tuple[tuple[WatchedJob, ...], AbstractSet[JobKey]]:
        """Return the jobs to watch from now on, or by another name, and those for which there is no room.

        One that has left, as it was not found for long, and is there again takes room like a new one.
        """
        room = self._max_jobs - sum(job.end_seen_s is None and not job.left for job in jobs.values())
        added, left_out = [], set()
        for key, entry in entries.items():
            again = key in jobs and jobs[key].left and not entry.observation.state.ended
            if again and room <= 0:
                left_out.add(key)
            elif key in jobs or key in before:
                room -= again
                if key in jobs and jobs[key].watched.name != entry.name:
                    added.append(_watched(entry))
            elif room > 0 or entry.observation.state.ended:
                room -= not entry.observation.state.ended
                added.append(_watched(entry))
            else:
                left_out.add(key)
        return tuple(added), left_out

    def _count_missed(self, entries: _Entries, gone: AbstractSet[JobKey]) -> None:
        for key in entries:
            self._missed.pop(key, None)
        self._missed.update(gone)

    def _not_found(self, live: Mapping[JobKey, Job], gone: AbstractSet[JobKey], now_s: float) -> Iterable[Observation]:
        for key in gone & live.keys():
            lost = live[key].end_seen_s is None and live[key].state is not JobState.NOT_FOUND
            if lost and self._missed[key] >= _CONFIRMATIONS:
                yield Observation(key, JobState.NOT_FOUND, "", observed_s=now_s)


def _watched(entry: ListedJob) -> WatchedJob:
    return WatchedJob(entry.observation.key, Source.DISCOVERY, entry.name)


def _says_more(job: Job | None, entry: ListedJob) -> bool:
    """Whether an entry tells anything of a watched job that is not believed yet: an ended one keeps its state."""
    return job is not None and (job.end_seen_s is None or job.hub != entry.facts)
