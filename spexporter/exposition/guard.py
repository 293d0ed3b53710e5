"""How many series a page may have, and which it leaves out where there would be more.

Series of single jobs go, never those that tell how a tenant or its counters do: first those of the jobs that ended
COMPLETE longest ago, then of jobs that ended otherwise or were not found, then of unfinished ones.
"""

import heapq
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from spexporter.clock import Pace
from spexporter.domain.job import Job, JobKey, JobState
from spexporter.domain.values import replace
from spexporter.domain.view import TenantView
from spexporter.exposition.joblines import series_of

_SHARE = 0.95  # of the limit is shown once something is left out, so that jobs do not come and go with each page


class Guard:
    """Knows which jobs pages leave out; they are shown again as soon as there is room."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._left_out: Mapping[str, AbstractSet[JobKey]] = {}
        self._limited: dict[str, tuple[TenantView, TenantView]] = {}

    def limited(self, view: TenantView) -> TenantView:
        """Return `view` without the jobs that are left out now; of the same view the same one."""
        left_out = self._left_out.get(view.tenant)
        if not left_out:
            return view
        before, shown = self._limited.get(view.tenant, (None, view))
        if before is not view or shown.left_out != left_out:
            shown = replace(view, left_out=left_out)
            self._limited[view.tenant] = view, shown
        return shown

    async def adapt(self, views: Sequence[TenantView], series: int, pace: Pace) -> int | None:
        """Leave more out where `views`, as `limited`, have too many series, or less where there is room again.

        Return how many series fewer there are now, None where nothing has changed.
        """
        room = int(self.limit * _SHARE) - series
        if series > self.limit:
            return await self._leave_out(views, -room, pace)
        if self._left_out and room > 0:
            return await self._take_back(views, room, pace)
        return None

    async def _leave_out(self, views: Sequence[TenantView], excess: int, pace: Pace) -> int | None:
        dropped, keys = 0, {view.tenant: set(view.left_out) for view in views}
        shown = [
            [job for job in view.state.jobs.values() if job.key not in view.left_out] for view in views if view.per_job
        ]
        async for job in _ranked(shown, pace):
            if dropped >= excess:
                break
            keys[job.key.tenant].add(job.key)
            dropped += series_of(job)
        return self._keep(keys, dropped)

    async def _take_back(self, views: Sequence[TenantView], room: int, pace: Pace) -> int | None:
        """Show jobs again, the most wanted first; those that are there no more need not be remembered."""
        left_out = [[job for key in view.left_out if (job := view.state.jobs.get(key))] for view in views]
        keys = {view.tenant: set[JobKey]() for view in views if view.left_out}
        back = 0
        async for job in _ranked(left_out, pace, reverse=True):
            if back + (series := series_of(job)) <= room:
                back += series
            else:
                room = back  # what is worth less must not take its place
                keys[job.key.tenant].add(job.key)
        return self._keep(keys, -back)

    def _keep(self, keys: Mapping[str, AbstractSet[JobKey]], dropped: int) -> int | None:
        left_out = {tenant: frozenset(some) for tenant, some in keys.items() if some}
        if left_out == self._left_out:
            return None
        self._left_out = left_out
        self._limited = {tenant: pair for tenant, pair in self._limited.items() if tenant in left_out}
        return dropped


async def _ranked(by_tenant: Iterable[Collection[Job]], pace: Pace, *, reverse: bool = False) -> AsyncIterator[Job]:
    """Yield all jobs in the order of their worth, sorted by tenant: to sort all at once would make everybody wait."""
    runs = []
    for jobs in by_tenant:
        runs.append(sorted(jobs, key=_worth, reverse=reverse))
        await pace.did(2 * len(jobs))
    for job in heapq.merge(*runs, key=_worth, reverse=reverse):
        await pace.did(10)
        yield job


def _worth(job: Job) -> tuple[int, float, str]:
    """Rank jobs by how much somebody would miss them, least first."""
    if job.end_seen_s is not None:
        return int(job.state is not JobState.COMPLETE), job.end_seen_s, str(job.key)
    if job.missing_s is not None:
        return 1, job.missing_s, str(job.key)
    return 2, 0.0, str(job.key)
