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
    """Merges sources: what an earlier member of `Source` says of a job wins over a later one."""

    def __init__(self) -> None:
        self._named: dict[tuple[Source, str], dict[JobKey, WatchedJob]] = {}

    def restore(self, tenant: str, jobs: Iterable[WatchedJob]) -> None:
        """Know what was watched before, by the sources that named it then."""
        for job in jobs:
            own = replace(job, by_api=False)
            self._named.setdefault((job.source, tenant), {})[job.key] = own
            if job.by_api:
                self._named.setdefault((Source.API, tenant), {})[job.key] = replace(own, source=Source.API)

    def drop(self, tenant: str) -> None:
        """Forget what all sources name for `tenant`."""
        self._named = {(source, name): jobs for (source, name), jobs in self._named.items() if name != tenant}

    def replace(self, source: Source, tenant: str, jobs: Iterable[WatchedJob]) -> Delta:
        """Make `jobs` all that `source` names for `tenant`, and return what that changes."""
        before = self._merged(tenant)
        self._named[source, tenant] = {job.key: job for job in jobs}
        after = self._merged(tenant)
        return Delta(
            added=tuple(job for key, job in after.items() if before.get(key) != job),
            removed=tuple(key for key in before if key not in after),
        )

    def named(self, source: Source, tenant: str) -> Mapping[JobKey, WatchedJob]:
        """Return what `source` names for `tenant`, in its order; may be empty."""
        return dict(self._named.get((source, tenant), {}))

    def sources(self, key: JobKey) -> tuple[Source, ...]:
        """Return the sources that name a job, the strongest first; empty where nobody does."""
        return tuple(source for source in Source if key in self._named.get((source, key.tenant), {}))

    def _merged(self, tenant: str) -> dict[JobKey, WatchedJob]:
        merged: dict[JobKey, WatchedJob] = {}
        for source in reversed(Source):
            merged |= self._named.get((source, tenant), {})
        for key in self._named.get((Source.API, tenant), {}):
            if merged[key].source is not Source.API:
                merged[key] = replace(merged[key], by_api=True)
        return merged
