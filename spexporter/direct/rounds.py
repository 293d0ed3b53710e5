"""One round of polling: every job of every tenant is asked for once."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from spexporter.clock import Clock
from spexporter.config.values import Tenant
from spexporter.connect import Visitors
from spexporter.direct.looks import Sight, concerns_tenant, look_at_list, look_with_result
from spexporter.domain.errors import TenantError
from spexporter.domain.job import Job, WatchedJob
from spexporter.sailpoint.client import TenantClient
from spexporter.sailpoint.endpoints import listed_operations

_TENANTS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class TenantRound:
    """What one tenant said of its jobs, in their order, those on lists last; `trouble` is why it does not answer.

    `unread` is why lists of Configuration Hub could not be read that were to be read.
    """

    tenant: str
    sights: tuple[Sight, ...]
    trouble: TenantError | None = None
    unread: tuple[TenantError, ...] = ()

    @property
    def well(self) -> bool:
        """Whether everything is known and no job has failed."""
        if self.trouble or self.unread:
            return False
        return not any(sight.failed or sight.trouble for sight in self.sights)


async def ask_round(
    tenants: Sequence[Tenant],
    jobs: Mapping[str, Sequence[WatchedJob]],
    visitors: Visitors,
    clock: Clock,
    asked: Callable[[], None],
) -> list[TenantRound]:
    """Ask every tenant about its `jobs`, some tenants at once and one job after the other; in the order of `tenants`.

    `asked` hears of each job that is done with.
    """
    places = asyncio.Semaphore(_TENANTS_AT_ONCE)

    async def ask(tenant: Tenant) -> TenantRound:
        async with places:
            return await _ask_tenant(tenant, jobs[tenant.name], visitors, clock, asked)

    async with asyncio.TaskGroup() as tasks:
        rounds = [tasks.create_task(ask(tenant), name=f"ask {tenant.name}") for tenant in tenants]
    return [task.result() for task in rounds]


async def _ask_tenant(
    tenant: Tenant, jobs: Sequence[WatchedJob], visitors: Visitors, clock: Clock, asked: Callable[[], None]
) -> TenantRound:
    client = visitors.client(tenant)
    sights: list[Sight] = []
    trouble: TenantError | None = None
    for watched in jobs:
        sight = Sight(Job(watched))
        if trouble is None:
            try:
                sight = await look_with_result(client, watched, clock)
            except TenantError as error:
                if concerns_tenant(error):
                    trouble = error
                else:
                    sight = Sight(Job(watched), trouble=error)
            else:
                if isinstance(sight.trouble, TenantError) and concerns_tenant(sight.trouble):
                    trouble = sight.trouble
        sights.append(sight)
        asked()
    if trouble is not None:
        return TenantRound(tenant.name, tuple(sights), trouble)
    listed, unread = await _read_lists(tenant, client, clock)
    return TenantRound(tenant.name, (*sights, *listed), unread=unread)


async def _read_lists(
    tenant: Tenant, client: TenantClient, clock: Clock
) -> tuple[Sequence[Sight], tuple[TenantError, ...]]:
    """Return the jobs on all lists that the tenant's configuration names, and why some could not be read."""
    sights: list[Sight] = []
    unread: list[TenantError] = []
    for operation in listed_operations(tenant.discover):
        try:
            sights.extend(await look_at_list(client, operation, clock))
        except TenantError as error:
            unread.append(error)
            if concerns_tenant(error):
                break
    return sights, tuple(unread)
