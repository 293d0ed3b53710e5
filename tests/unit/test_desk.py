"""Jobs that are handed in at the same time."""

import asyncio
from collections.abc import Mapping
from typing import Any

from spexporter.desk import Desk
from spexporter.domain.job import Job, JobKey, Operation, Source, WatchedJob


class SlowPoller:
    """Begins jobs once it may: the store is slow. As much of `Poller` as is needed here."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.begun: dict[JobKey, Job] = {}

    async def begin(self, _tenant: str, job: WatchedJob) -> None:
        """See `Poller.begin`."""
        await self.may.wait()
        self.begun[job.key] = Job(job)

    def check_ours(self, _tenant: str) -> None:
        """See `Poller.check_ours`."""

    def check_kept(self, _tenant: str) -> None:
        """See `Poller.check_kept`."""

    async def watch(self, _tenant: str, _added: object, _removed: object) -> None:
        """See `Poller.watch`."""

    def jobs(self, _tenant: str) -> Mapping[JobKey, Job]:
        """See `Poller.jobs`."""
        return self.begun


def handed_in(tenant: str) -> WatchedJob:
    """Return a synthetic job of a pipeline."""
    return WatchedJob(JobKey(tenant, Operation.IMPORT, "i1"), Source.API)


async def test_a_job_does_not_wait_for_one_of_another_tenant() -> None:
    """A thousand tenants' pipelines would else wait for a thousand times two writes, one after another."""
    pollers = {"slow": SlowPoller(), "quick": SlowPoller()}
    slow_pollers: dict[str, Any] = dict(pollers)
    desk = Desk(slow_pollers.__getitem__)
    desk.max_jobs = 10
    pollers["quick"].may.set()
    waiting = asyncio.create_task(desk.add_job(handed_in("slow")))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert await desk.add_job(handed_in("quick"))
        assert not waiting.done()
        pollers["slow"].may.set()
        assert await waiting
