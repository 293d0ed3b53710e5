"""Who names which job: files, our API, results of imports; and what is watched because of that."""

from collections.abc import Callable, Iterable, Mapping

from spexporter.config.values import Tenant
from spexporter.domain.errors import NamedElsewhere, TooManyJobs, UnknownJob
from spexporter.domain.job import Job, JobKey, Source, WatchedJob
from spexporter.domain.values import replace
from spexporter.poller import Poller
from spexporter.turns import Turns
from spexporter.watch.backups import backups_of
from spexporter.watch.watchlist import Watchlist

# What these say of a job wins over what our API says.
_STRONGER = tuple(Source)[: tuple(Source).index(Source.API)]


class Desk:
    """Satisfies `spexporter.domain.ports.JobDesk`; one change of what is watched of a tenant after another.

    `poller_of` returns who polls a tenant and raises WatchError where it is not ours. Of one tenant's jobs that have
    not ended at most `max_jobs` are taken through our API. Whoever changes tenants has the turns of all meanwhile.
    """

    def __init__(self, poller_of: Callable[[str], Poller]) -> None:
        self.turns = Turns()
        self.max_jobs = 0
        self._poller_of = poller_of
        self._watchlist = Watchlist()

    def restore(self, tenant: str) -> None:
        """Know who named the jobs of a tenant that begins; of those on a list the list itself tells."""
        jobs = [job.watched for job in self._poller_of(tenant).jobs(tenant).values()]
        self._watchlist.restore(tenant, [job for job in jobs if job.source is not Source.DISCOVERY])

    def drop(self, tenant: str) -> None:
        """Forget what is named for a tenant."""
        self._watchlist.drop(tenant)

    async def watch(self, source: Source, tenant: str, jobs: Iterable[WatchedJob]) -> None:
        """Make `jobs` all that `source` names for `tenant`."""
        async with self.turns.of(tenant):
            await self.name(source, tenant, jobs)

    async def name(self, source: Source, tenant: str, jobs: Iterable[WatchedJob]) -> None:
        """Make `jobs` all that `source` names for `tenant`; it must be the caller's turn."""
        delta = self._watchlist.replace(source, tenant, jobs)
        if delta.added or delta.removed:
            await self._poller_of(tenant).watch(tenant, delta.added, delta.removed)

    async def add_job(self, job: WatchedJob) -> bool:
        """See `spexporter.domain.ports.JobDesk.add_job`."""
        async with self.turns.of(job.key.tenant):
            key, poller = job.key, self._poller_of(job.key.tenant)
            poller.check_ours(key.tenant)
            sources = self._watchlist.sources(key)
            if sources and sources[0] in _STRONGER:
                return False
            if not sources:
                self._check_room(key.tenant, poller.jobs(key.tenant).values())
            named = self._watchlist.named(Source.API, key.tenant)
            job = _told_again(named.get(key), job)
            await poller.begin(key.tenant, job)
            await self._name(key.tenant, {**named, key: job}, begun=key)
            poller.check_kept(key.tenant)
            return not sources and key in poller.jobs(key.tenant)

    async def remove_job(self, key: JobKey) -> None:
        """See `spexporter.domain.ports.JobDesk.remove_job`."""
        async with self.turns.of(key.tenant):
            poller = self._poller_of(key.tenant)
            poller.check_ours(key.tenant)
            sources = self._watchlist.sources(key)
            if not sources and (job := poller.jobs(key.tenant).get(key)):
                sources = (job.watched.source,)
            if not sources:
                raise UnknownJob(f"nobody has named the {key.operation} job {key.job_id} of tenant {key.tenant}")
            if others := [source for source in sources if source is not Source.API]:
                raise NamedElsewhere(
                    f"the job is named by another source than the API ({', '.join(others)}); take it out there"
                )
            named = self._watchlist.named(Source.API, key.tenant)
            await self._name(key.tenant, {other: job for other, job in named.items() if other != key})
            poller.check_kept(key.tenant)

    async def _name(self, tenant: str, named: Mapping[JobKey, WatchedJob], begun: JobKey | None = None) -> None:
        """Make these, of which polling has `begun` one, all that our API names for `tenant`.

        Those that have left the pages for ever are let go: nobody takes them back by hand, and what pipelines hand in
        would grow without an end. The ledger remembers that they were counted.
        """
        poller = self._poller_of(tenant)
        live = poller.jobs(tenant)
        delta = self._watchlist.replace(Source.API, tenant, [job for key, job in named.items() if key in live])
        left_before = () if begun is None or begun in live or begun in delta.removed else (begun,)
        if gone := (*delta.removed, *left_before):
            await poller.watch(tenant, (), gone)

    async def watch_backups(self, tenant: Tenant) -> None:
        """Watch the backups that the tenant's imports name; a crash may have come before they were watched.

        It must be the caller's turn.
        """
        named = {}
        if tenant.follow_backups:
            imports = self._poller_of(tenant.name).jobs(tenant.name).values()
            named = {backup.key: backup for backup in (*backups_of(imports), *self._followed(tenant.name))}
        await self.name(Source.BACKUP, tenant.name, named.values())

    async def follow(self, backup: WatchedJob) -> None:
        """Watch a backup from now on, too."""
        tenant = backup.key.tenant
        async with self.turns.of(tenant):
            await self.name(Source.BACKUP, tenant, [*self._followed(tenant), backup])

    def _followed(self, tenant: str) -> list[WatchedJob]:
        """Return the backups that are watched and have not left the pages; one that has will not be found any more."""
        poller, known = self._poller_of(tenant), self._watchlist.named(Source.BACKUP, tenant)
        waiting = poller.waiting(tenant)
        kept = {key for key, job in poller.jobs(tenant).items() if not job.left}
        return [job for key, job in known.items() if key in kept or key in waiting]

    def _check_room(self, tenant: str, jobs: Iterable[Job]) -> None:
        unfinished = sum(job.end_seen_s is None and not job.left for job in jobs)
        if unfinished >= self.max_jobs:
            raise TooManyJobs(
                f"tenant {tenant} has {unfinished} jobs that have not ended, and limits.max_jobs_per_tenant is"
                f" {self.max_jobs}; wait until some have ended, or raise the limit"
            )


def _told_again(before: WatchedJob | None, job: WatchedJob) -> WatchedJob:
    """Return `job` with what it leaves open as it was said `before`."""
    if before is None:
        return job
    return replace(
        job,
        name=job.name or before.name,
        max_age_s=before.max_age_s if job.max_age_s is None else job.max_age_s,
        preview=before.preview if job.preview is None else job.preview,
    )
