"""What people want to read about a job that no counter needs: how its state changed, and what its import said.

In memory alone, and bounded: it ends with the process, and the oldest goes first.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from spexporter.domain.job import Job, JobKey, JobState
from spexporter.domain.result import Texts

_MOST_JOBS, _MOST_CHANGES = 10_000, 12
_MOST_TEXTS = 10_000  # at most 500 characters each


class Seen(NamedTuple):
    """A state, and when we first saw it (Unix seconds, our clock)."""

    state: JobState
    at_s: float


class Chronicle:
    """Remembers the newest changes of each job's state, and the texts of the newest imports.

    Changes of at most `most_jobs` jobs, and `most_texts` texts of all imports together.
    """

    def __init__(self, most_jobs: int = _MOST_JOBS, most_texts: int = _MOST_TEXTS) -> None:
        self._most_jobs = most_jobs
        self._most_texts = most_texts
        self._changes: dict[JobKey, tuple[Seen, ...]] = {}
        self._texts: dict[JobKey, Mapping[str, Texts]] = {}
        self._held_texts = 0

    def states(self, key: JobKey) -> Sequence[Seen]:
        """Return the states that a job was seen to get, oldest first, may be empty."""
        return self._changes.get(key, ())

    def texts(self, key: JobKey) -> Mapping[str, Texts] | None:
        """Return what an import said, by object type; None where that is not remembered."""
        return self._texts.get(key)

    def compare(self, keys: Iterable[JobKey], before: Mapping[JobKey, Job], after: Mapping[JobKey, Job]) -> None:
        """Take note of those jobs among `keys` that have another state `after` than `before`."""
        for key in keys:
            job, known = after.get(key), before.get(key)
            if job is None or job.latest is None:
                continue
            state = job.latest.state
            if known is None or known.latest is None or known.latest.state is not state:
                self._see(key, Seen(state, _seen_s(job)))

    def told(self, key: JobKey, texts: Mapping[str, Texts]) -> None:
        """Take note of what an import said, and forget what the oldest ones said where that is too much."""
        self._forget(key)
        held = {name: found for name, found in texts.items() if found.errors or found.warnings}
        if not 0 < _size(held) <= self._most_texts:
            return
        self._texts[key] = held
        self._held_texts += _size(held)
        while self._held_texts > self._most_texts:
            self._forget(next(iter(self._texts)))

    def _see(self, key: JobKey, seen: Seen) -> None:
        known = self._changes.pop(key, ())
        if known and known[-1].state is seen.state:  # what two readings tell at once is one change
            seen, known = known[-1], known[:-1]
        self._changes[key] = (*known, seen)[-_MOST_CHANGES:]
        if len(self._changes) > self._most_jobs:
            del self._changes[next(iter(self._changes))]

    def _forget(self, key: JobKey) -> None:
        if (texts := self._texts.pop(key, None)) is not None:
            self._held_texts -= _size(texts)


def _seen_s(job: Job) -> float:
    """Return when the present state was first seen, as long as that is the newest observation."""
    if job.latest is not None and job.state is JobState.NOT_FOUND and job.missing_s is not None:
        return job.missing_s  # the observation may be the last one before
    return job.latest.observed_s if job.latest else 0.0


def _size(texts: Mapping[str, Texts]) -> int:
    return sum(len(found.errors) + len(found.warnings) for found in texts.values())
