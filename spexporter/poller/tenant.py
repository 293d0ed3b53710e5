"""Looks after one tenant: what is asked of it, and what follows from the answers."""

import math
from collections.abc import Iterable, Mapping

import structlog

from spexporter.clock import Clock
from spexporter.domain.chronicle import Chronicle
from spexporter.domain.errors import StoreError, TenantError
from spexporter.domain.job import Job, JobKey, Operation, Source, WatchedJob
from spexporter.domain.ports import Board, Change, Exchanges, Group, Lease, Ledger
from spexporter.domain.schedule import Target, TargetKind, spread_s
from spexporter.domain.view import TenantState
from spexporter.poller.asks import Asks, Follow, Following, endpoint_of
from spexporter.poller.care import Care
from spexporter.poller.experience import Experience
from spexporter.poller.joblooks import JobLooks
from spexporter.poller.listlooks import ListLooks
from spexporter.poller.publishing import STORE_RETRY_S, Publisher
from spexporter.poller.troubles import subject_of
from spexporter.sailpoint.endpoints import Endpoint

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LOOKS_PER_TENANT = 4  # a tenant that hangs holds no more of its group than this
_CREDENTIAL_EVERY_S = 3600.0  # a token's end changes by hand, and an alert on it comes days before


class TenantPolling:
    """One tenant: what is believed of its jobs, and how a look at it changes that."""

    def __init__(
        self,
        tenant: str,
        group: Group,
        client: Asks,
        care: Care,
        *,
        ledger: Ledger,
        board: Board,
        lease: Lease,
        clock: Clock,
        exchanges: Exchanges,
        follow: Follow | None = None,
        chronicle: Chronicle | None = None,
    ) -> None:
        self.pace = care.pace
        self._care = care
        self._tenant = tenant
        self._client = client
        self._clock = clock
        self._exchanges = exchanges
        self._knows_types = False
        # What could not be watched while the store failed.
        self._unwatched: dict[JobKey, WatchedJob] = {}
        self._store_retry_s = -math.inf
        self._experience = Experience(tenant, care.pace, vitals=client.vitals, clock=clock, exchanges=exchanges)
        self._publisher = Publisher(
            tenant,
            group,
            care,
            vitals=client.vitals,
            patience=self._experience.patience,
            ledger=ledger,
            board=board,
            lease=lease,
            clock=clock,
            chronicle=chronicle or Chronicle(),
        )
        self._jobs = JobLooks(
            client, care.pace, publisher=self._publisher, experience=self._experience, clock=clock, follow=follow
        )
        self._lists = ListLooks(
            client, care.pace, care.max_jobs, publisher=self._publisher, experience=self._experience, clock=clock
        )

    async def restore(self, state: TenantState) -> list[Target]:
        """Believe what the ledger knows, and return what is to be asked about its jobs, and of the tenant."""
        self._publisher.restore(state)
        if state.last_answer_s is not None:
            self._client.vitals.restore(state.last_answer_s, state.tenant_offset_s, state.still_at_s)
        await self._publisher.apply(Change(operations=frozenset(self._care.expect)))
        # Not those of `state`: a reading may have ended since that was read.
        discovered = [key for key, job in self.jobs.items() if job.watched.source is Source.DISCOVERY]
        if forgotten := tuple(key for key in discovered if key.operation not in self._care.discover):
            await self._publisher.apply(Change(removed=forgotten))
        if Operation.DRAFT not in self._care.discover:
            await self._lists.forget_drafts()
        self.show()
        lists = [Target(self._tenant, TargetKind.LIST, operation=operation) for operation in self._care.discover]
        credential = [Target(self._tenant, TargetKind.CREDENTIAL)] if self._care.asks_credential_end else []
        return [*lists, *credential, *self._left_to_ask(self.jobs)]

    async def watch(self, added: tuple[WatchedJob, ...], removed: tuple[JobKey, ...]) -> list[Target]:
        """Watch the jobs `added` from now on, and those `removed` no more; return what is to be asked about them.

        Where the store cannot tell whether they were counted before, `tend` will watch them.
        """
        gone = frozenset(removed)
        self._unwatched = {key: job for key, job in self._unwatched.items() if key not in gone}
        self._unwatched |= {job.key: job for job in added}
        added = tuple(self._unwatched.values())
        try:
            await self._publisher.apply(Change(added=added, removed=removed))
        except StoreError:
            self._store_retry_s = self._clock.monotonic() + STORE_RETRY_S
            await self._publisher.apply(Change(removed=removed))
            added = ()
        done = {job.key: job for job in added}
        self._unwatched = {key: job for key, job in self._unwatched.items() if done.get(key) != job}
        self._experience.troubles.forget([subject_of(key) for key in removed])
        self.show()
        return self._left_to_ask(watched.key for watched in added)

    async def begin(self, job: WatchedJob) -> list[Target]:
        """Watch one job from now on, or not at all; return what is to be asked about it.

        Raises:
            StoreError: it is not known whether the job was counted before; it is not watched.
        """
        await self._publisher.apply(Change(added=(job,)))
        self._unwatched.pop(job.key, None)
        self.show()
        return self._left_to_ask([job.key])

    def check_ours(self) -> None:
        """Make sure that what is watched from now on will be.

        Raises:
            TenantElsewhere: another replica may look after the tenant now.
        """
        self._publisher.check_ours()

    def check_kept(self) -> None:
        """Make sure that what is watched will be after a restart, too.

        Raises:
            TenantElsewhere: another replica may look after the tenant now.
            StoreError: the store fails now.
        """
        self._publisher.check_kept()

    @property
    def jobs(self) -> Mapping[JobKey, Job]:
        """What is watched and has not left the pages for ever."""
        return self._publisher.jobs

    @property
    def waiting(self) -> Mapping[JobKey, WatchedJob]:
        """Those that are watched as soon as the store can tell whether they were counted before."""
        return dict(self._unwatched)

    def needs_care(self) -> bool:
        """Whether something is due that is no look.

        A job leaves, counters are let go, the tenant went down or came back, or the store may be back.
        """
        now_s = self._clock.monotonic()
        if self._publisher.releasable:
            return True
        state = self._publisher.state
        if self._clock.wall() >= state.leaves_s:
            return True
        went_or_came = state.last_answer_s is not None and self._client.vitals.health.still_at_s != state.still_at_s
        return (went_or_came or bool(self._unwatched) or self._publisher.behind) and now_s >= self._store_retry_s

    async def tend(self) -> list[Target]:
        """Do what `needs_care`, and return what is to be asked about jobs that are watched from now on."""
        self._store_retry_s = self._clock.monotonic() + STORE_RETRY_S
        self._publisher.release()
        return await self.watch((), ())

    def _left_to_ask(self, keys: Iterable[JobKey]) -> list[Target]:
        targets = (self._jobs.next_target(self.jobs[key]) for key in keys if key in self.jobs)
        return [target for target in targets if target is not None]

    @property
    def refused(self) -> bool:
        """Whether a credential that was refused may have changed since."""
        return self._experience.patience.refused or bool(self._experience.off)

    def reconsider(self) -> list[Target]:
        """Return what is to be asked at once because a credential that was refused has changed; mostly nothing."""
        if not (self.refused and self._client.secret_changed()):
            return []
        self._experience.patience.relent()
        log.info("secret_changed")
        return [Target(self._tenant, TargetKind.PROBE), *self.reloaded(), *self._left_to_ask(self.jobs)]

    def reloaded(self) -> list[Target]:
        """Return what was switched off and is to be asked again."""
        return self._experience.reloaded()

    @property
    def waits_until_s(self) -> float | None:
        """Until when nothing is to be asked of the tenant (monotonic seconds), None when it is asked as usual."""
        return self._experience.patience.tenant_waits_until_s(self._clock.monotonic())

    @property
    def most_looks(self) -> int:
        """How many looks may be in flight: one, to find out, while the tenant's circuit breaker is not closed."""
        return _LOOKS_PER_TENANT if self._experience.patience.trusts else 1

    def opens_s(self, looks: int) -> float:
        """When the budget lets another look start, monotonic seconds, with `looks` of its group under way."""
        return self._client.opens_s(looks)

    def waited(self, wait_s: float) -> None:
        """Take note of how long a look waited for budget."""
        self._exchanges.waited(self._tenant, wait_s)

    def watches(self, target: Target) -> bool:
        """Whether `target` is still worth a look: its job may have left while one was under way."""
        return target not in self._experience.off and (target.key is None or target.key in self.jobs)

    def show(self) -> None:
        """Put the present view on the board."""
        self._publisher.show()

    async def leave(self) -> None:
        """Take back what was published since the last page: the next process may have another address."""
        await self._publisher.leave()

    async def look(self, target: Target) -> Following | None:
        """Make one look and return the one that follows, None when the job has nothing more to tell.

        Raises:
            TenantError: there was no good answer; `failed` is to be told.
        """
        patience = self._experience.patience
        if not patience.well and (waits_s := patience.endpoint_waits_s(endpoint_of(target), self._clock.monotonic())):
            return Following(target, waits_s + spread_s(self.pace, str(target)))
        if target.key is not None:
            return await self._jobs.look(target, target.key)
        if target.kind is TargetKind.PROBE:
            return await self._probe(target)
        if target.kind is TargetKind.CREDENTIAL:
            return await self._look_at_credential(target)
        return await self._lists.look(target, target.operation) if target.operation else None

    def failed(self, target: Target, error: TenantError) -> float:
        """Take note of a failure and return when to try again, in seconds."""
        return self._experience.failed(target, error, wanted=self.watches(target))

    async def _look_at_credential(self, target: Target) -> Following:
        self._publisher.credential_expires_s = await self._client.credential_expires()
        self._experience.worked(target, Endpoint.PERSONAL_ACCESS_TOKENS)
        return Following(target, _CREDENTIAL_EVERY_S)

    async def _probe(self, target: Target) -> Following:
        health = self._client.vitals.health
        # Lists that are read as rarely come first, and show that the tenant is there.
        rest_s = self.pace.probe_s + (self.pace.fastest_s if self._care.discover else 0.0)
        well = self._knows_types and Endpoint.CONFIG_OBJECTS not in health.troubles
        if well and health.last_answer_monotonic_s is not None:
            quiet_s = self._clock.monotonic() - health.last_answer_monotonic_s
            if quiet_s < self.pace.probe_s:
                # Other answers show that the tenant is there; a moment at least, or it would be due again at once.
                return Following(target, max(self.pace.fastest_s, rest_s - quiet_s))
        await self._publisher.apply(Change(object_types=await self._client.object_types()))
        self._knows_types = True
        self._experience.worked(target, Endpoint.CONFIG_OBJECTS)
        return Following(target, rest_s)
