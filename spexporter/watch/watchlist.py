"""Which jobs are watched, merged from every source that names job ids."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from spexporter.domain.job import JobKey, Source, WatchedJob
from spexporter.domain.values import replace


@dataclass(frozen=True, slots=True)
class Delta:
    """What a change of one source changes for one tenant; `added` also holds jobs whose description changed."""

    added: tuple[WatchedJob, ...]
    removed: tuple[JobKey, ...]


class Watchlist:
    """Merges sources: what an earlier member of `Source` says of a job wins over a later one.

    Each source's jobs are kept as a row, in its order: they are the same objects as in the ledger, and a dictionary of
    them would take as much room again, to be looked into only where what is named changes.
    """

    def __init__(self) -> None:
        self._named: dict[tuple[Source, str], tuple[WatchedJob, ...]] = {}

    def restore(self, tenant: str, jobs: Iterable[WatchedJob]) -> None:
        """Know what was watched before, by the sources that named it then."""
        named: dict[Source, list[WatchedJob]] = {}
        for job in jobs:
            own = replace(job, by_api=False) if job.by_api else job
            named.setdefault(job.source, []).append(own)
            if job.by_api:
                named.setdefault(Source.API, []).append(replace(own, source=Source.API))
        for source, own_jobs in named.items():
            self._named[source, tenant] = _row({**self.named(source, tenant), **_by_key(own_jobs)})

    def drop(self, tenant: str) -> None:
        """Forget what all sources name for `tenant`."""
        self._named = {(source, name): jobs for (source, name), jobs in self._named.items() if name != tenant}

    def replace(self, source: Source, tenant: str, jobs: Iterable[WatchedJob]) -> Delta:
        """Make `jobs` all that `source` names for `tenant`, and return what that changes."""
        before, known = self._merged(tenant), self.named(source, tenant)
        # What is said again is the object that is known, which the ledger has, too.
        self._named[source, tenant] = _row({key: _same(known.get(key), job) for key, job in _by_key(jobs).items()})
        after = self._merged(tenant)
        return Delta(
            added=tuple(job for key, job in after.items() if before.get(key) != job),
            removed=tuple(key for key in before if key not in after),
        )

    def named(self, source: Source, tenant: str) -> Mapping[JobKey, WatchedJob]:
        """Return what `source` names for `tenant`, in its order; may be empty."""
        return _by_key(self._named.get((source, tenant), ()))

    def sources(self, key: JobKey) -> tuple[Source, ...]:
        """Return the sources that name a job, the strongest first; empty where nobody does."""
        return tuple(source for source in Source if key in self.named(source, key.tenant))

    def _merged(self, tenant: str) -> dict[JobKey, WatchedJob]:
        merged: dict[JobKey, WatchedJob] = {}
        for source in reversed(Source):
            merged |= self.named(source, tenant)
        for key in self.named(Source.API, tenant):
            if merged[key].source is not Source.API:
                merged[key] = replace(merged[key], by_api=True)
        return merged


def _by_key(jobs: Iterable[WatchedJob]) -> dict[JobKey, WatchedJob]:
    return {job.key: job for job in jobs}


def _row(named: Mapping[JobKey, WatchedJob]) -> tuple[WatchedJob, ...]:
    return tuple(named.values())


def _same(known: WatchedJob | None, job: WatchedJob) -> WatchedJob:
    return known if known is not None and known == job else job
