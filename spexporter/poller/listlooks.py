"""Readings of Configuration Hub's lists."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping

import structlog

from spexporter.clock import Clock
from spexporter.domain.errors import StoreError, TenantForbidden
from spexporter.domain.hub import ListedJob, Listing
from spexporter.domain.job import Job, JobKey, Operation
from spexporter.domain.ports import Change
from spexporter.domain.schedule import Pace, Target
from spexporter.poller.asks import Asks, Following
from spexporter.poller.experience import Experience
from spexporter.poller.joblooks import log_state
from spexporter.poller.lists import Lists, Reading
from spexporter.poller.publishing import STORE_RETRY_S, Publisher
from spexporter.sailpoint.endpoints import LIST_ENDPOINT

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_STATES_LOGGED = 10  # of one reading of a list, each in a line of its own


class ListLooks:
    """Reads one tenant's lists, each of which answers for all jobs of one operation."""

    def __init__(
        self,
        client: Asks,
        pace: Pace,
        max_jobs: int,
        *,
        publisher: Publisher,
        experience: Experience,
        clock: Clock,
    ) -> None:
        self._client = client
        self._pace = pace
        self._publisher = publisher
        self._experience = experience
        self._clock = clock
        self._lists = Lists(max_jobs)
        self._nameless = False
        self._turn = asyncio.Lock()  # they share the room for jobs that have not ended
        self._crowded: set[Operation] = set()  # the lists that have more unfinished jobs than there is room for

    async def look(self, target: Target, operation: Operation) -> Following:
        """Read the list of `operation` and believe what it says."""
        try:
            listed = await self._client.listed(operation)
        except TenantForbidden:
            if operation is Operation.DRAFT:
                await self.forget_drafts()
            raise
        self._experience.worked(target, LIST_ENDPOINT[operation])
        self._log_nameless(listed)
        async with self._turn:
            taken = await self._take_in(operation, listed)
        if not taken:
            return Following(target, STORE_RETRY_S)
        running = [job for job in self._publisher.jobs.values() if job.running and job.key.operation in LIST_ENDPOINT]
        if own := [job for job in running if job.key.operation is operation]:
            return Following(target, outlooks=[self._publisher.outlook(job) for job in own])
        # Now and then while one of another list runs, as one leads to the next, and rarely while none does.
        return Following(target, self._pace.slowest_s if running else self._pace.probe_s)

    async def _take_in(self, operation: Operation, listed: tuple[ListedJob, ...]) -> bool:
        """Believe what a list says, and tell whether that is so of its new jobs, too."""
        before = self._publisher.jobs
        reading = self._lists.read(operation, listed, before, self._clock.wall())
        try:
            await self._publisher.apply(reading.change)
        except StoreError:
            await self._publisher.apply(reading.without_new_jobs)
            self._log_changes(reading, before)
            return False
        self._lists.took(reading)
        self._log_changes(reading, before)
        self._log_room(reading)
        return True

    def _log_changes(self, reading: Reading, before: Mapping[JobKey, Job]) -> None:
        """Log what has changed: each job, or only how many where they are many, or had ended before we could tell."""
        listed = [entry.observation for entry in reading.change.listing.jobs] if reading.change.listing else []
        keys = [observation.key for observation in (*listed, *reading.change.observations)]
        now = (self._publisher.jobs[key] for key in keys if key in self._publisher.jobs)
        changed = [job for job in now if job.key not in before or before[job.key].state is not job.state]
        news = [job for job in changed if not job.late]
        for job in news if len(news) <= _STATES_LOGGED else ():
            log_state(job)
        if rest := [job for job in changed if job.late or len(news) > _STATES_LOGGED]:
            counts = Counter(str(job.state) for job in rest)
            states = ", ".join(f"{state} {count}" for state, count in sorted(counts.items()))
            log.info("jobs_listed", operation=reading.operation.value, jobs=len(rest), states=states)

    def _log_nameless(self, listed: Iterable[ListedJob]) -> None:
        """Log, once, why no backup is a success where we do not know what the tenant calls itself."""
        if not self._nameless and any(entry.facts.of_other_tenant is None for entry in listed):
            self._nameless = True
            cure = "let base_url be the host that SailPoint gives the tenant, as in https://acme.api.identitynow.com"
            log.warning("own_name_unknown", cure=cure)

    def _log_room(self, reading: Reading) -> None:
        """Log that jobs are left out when that begins and when it ends: their number can change with each reading."""
        if bool(reading.left_out) == (reading.operation in self._crowded):
            return
        self._crowded ^= {reading.operation}
        say = log.warning if reading.left_out else log.info
        say("jobs_left_out", operation=reading.operation.value, jobs=reading.left_out)

    async def forget_drafts(self) -> None:
        """Say nothing more about drafts that wait: nobody tells."""
        if self._publisher.state.drafts is not None:
            await self._publisher.apply(Change(listing=Listing(Operation.DRAFT)))
