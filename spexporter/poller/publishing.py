"""What is believed of one tenant: written into the ledger, and shown on the board as far as pages may show it."""

import math
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress

from msgspec.structs import replace

from spexporter.clock import Clock
from spexporter.domain.baseline import Baselines
from spexporter.domain.breaker import BreakerState
from spexporter.domain.chronicle import Chronicle
from spexporter.domain.counting import Cell, SeriesKey
from spexporter.domain.durations import UNKNOWN
from spexporter.domain.errors import LeaseEnded, StoreError, TenantElsewhere
from spexporter.domain.job import Job, JobKey, JobState
from spexporter.domain.patience import Patience
from spexporter.domain.ports import Board, Change, Group, Lease, Ledger
from spexporter.domain.schedule import Outlook
from spexporter.domain.view import TenantState, TenantView
from spexporter.poller.care import Care
from spexporter.sailpoint.vitals import Vitals

STORE_RETRY_S = 5.0  # until what the store could not tell or take is tried again


class Publisher:
    """Keeps one tenant's state; counters rise on pages only after they have shown where they stood before."""

    def __init__(
        self,
        tenant: str,
        group: Group,
        care: Care,
        *,
        vitals: Vitals,
        patience: Patience,
        ledger: Ledger,
        board: Board,
        lease: Lease,
        clock: Clock,
        chronicle: Chronicle,
    ) -> None:
        self.state = TenantState()
        self.credential_expires_s = care.credential_expires_s
        self._tenant = tenant
        self._group = group
        self._care = care
        self._vitals = vitals
        self._patience = patience
        self._ledger = ledger
        self._board = board
        self._lease = lease
        self._clock = clock
        self._chronicle = chronicle
        self._baselines = Baselines(care.hold_s)
        self._version = board.newest_version
        self._veils: list[AbstractSet[SeriesKey]] = []
        self._behind = False
        self._all_published: Mapping[SeriesKey, Cell] | None = None

    def restore(self, state: TenantState) -> None:
        """Believe what the ledger knows."""
        self.state = state
        self._baselines.appeared(state.totals, self._clock.monotonic(), self._version + 1, born=False)

    @property
    def jobs(self) -> Mapping[JobKey, Job]:
        """What is watched and has not left the pages for ever."""
        return self.state.jobs

    async def apply(self, change: Change) -> None:
        """Write `change`, let pages show what it counted, and believe what the ledger says then.

        What is not ours any more stays as it is, until it is taken off the pages.

        Raises:
            StoreError: it is not known whether jobs that are added were counted before; nothing has changed.
        """
        fence = self._lease.held(self._group)
        if fence is None:
            return
        dated, before = self._dated(change), self.state.jobs
        try:
            if dated.unseen and (dated.observations or dated.results or dated.listing):
                with self._veiled(dated.unseen):
                    self.state = await self._ledger.apply(self._tenant, dated, fence=fence)
            else:
                self.state = await self._ledger.apply(self._tenant, dated, fence=fence)
            self._chronicle.compare(dated.observed, before, self.state.jobs)
            # What began with this change is new to pages, too: it shows 0 first.
            self._baselines.appeared(self.state.totals, self._clock.monotonic(), self._version + 1)
            if unpublished := self._to_publish():
                self.state = await self._ledger.publish(self._tenant, unpublished, fence=fence)
                self._behind = bool(self._to_publish())
        except LeaseEnded:
            return

    def check_ours(self) -> None:
        """Make sure that what is applied now will be written.

        Raises:
            TenantElsewhere: another replica may look after the tenant now.
        """
        if self._lease.held(self._group) is None:
            raise TenantElsewhere(f"another replica looks after tenant {self._tenant} now; ask that one, or try again")

    def check_kept(self) -> None:
        """Make sure that what was applied is stored.

        Raises:
            TenantElsewhere: another replica may look after the tenant now.
            StoreError: the store fails now.
        """
        self.check_ours()
        if self._ledger.failing:
            wrong = "what was asked for is not stored, and a restart would forget it"
            raise StoreError(wrong, cure="ask again when spexporter_store_up is 1")

    def show(self) -> None:
        """Put the present view on the board."""
        self._version += 1
        now_s, care, patience = self._clock.monotonic(), self._care, self._patience
        self._baselines.appeared(self.state.totals, now_s, self._version)
        view = TenantView(
            self._tenant,
            self._version,
            self._shown_state() if self._veils else self.state,
            self._vitals.health,
            max_staleness_s=care.max_staleness_s,
            expect=care.expect,
            credential_expires_s=self.credential_expires_s,
            per_job=care.per_job,
            breaker=BreakerState.CLOSED if patience.well else patience.breaker(now_s),
            next_try_monotonic_s=None if patience.well else patience.tenant_waits_until_s(now_s),
        )
        self._board.put(view)

    @property
    def releasable(self) -> bool:
        """Whether counters have shown their baseline long enough: the next change lets pages show what came since."""
        return self._baselines.releasable(self._clock.monotonic(), self._board.served_version(self._tenant))

    @property
    def behind(self) -> bool:
        """Whether the store did not allow pages to show what they could."""
        return self._behind

    def release(self) -> None:
        """Let go of the counters that are `releasable`."""
        self._baselines.release(self._clock.monotonic(), self._board.served_version(self._tenant))

    async def leave(self) -> None:
        """Take back what was published since the last page: the next process may have another address."""
        fence, shown = self._lease.held(self._group), self._board.shown(self._tenant)
        if fence is not None and shown is not None:
            values = {key: cell.published for key, cell in shown.state.totals.items()}
            with suppress(LeaseEnded):
                await self._ledger.withdraw(self._tenant, values, fence=fence)

    def outlook(self, job: Job) -> Outlook:
        """Return what is expected of a job that has not ended; one that tells no beginning began when it was given."""
        usual, latest = self.state.usual.get(job.watched.key.operation), job.latest
        if latest and latest.created_s is not None and latest.state is not JobState.NOT_FOUND:
            age_s = self._vitals.tenant_now_s() - latest.created_s
        else:
            age_s = 0.0 if job.given_s is None else self._clock.wall() - job.given_s
        return Outlook(usual.fit if usual else UNKNOWN, max(0.0, age_s))

    @contextmanager
    def _veiled(self, unseen: AbstractSet[SeriesKey]) -> Iterator[None]:
        """Keep counters that no page has shown off the pages while a change may make them begin with what is late.

        A page in between would show 0, and the next one an increase that was none.
        """
        self._veils.append(unseen)
        self._baselines.reappear(unseen, math.inf)
        self.show()
        try:
            yield
        finally:
            self._veils.remove(unseen)
            self._baselines.reappear(unseen - frozenset().union(*self._veils), self._version + 1)

    def _dated(self, change: Change) -> Change:
        """Add what the ledger must know about this moment."""
        shown, health = self._board.shown(self._tenant), self._vitals.health
        return replace(
            change,
            unseen=self._baselines.unseen(shown.version if shown else 0),
            at_s=self._clock.wall(),
            answered_s=health.last_answer_s,
            tenant_offset_s=health.clock_offset_s,
            still_at_s=health.still_at_s,
        )

    def _to_publish(self) -> Mapping[SeriesKey, float]:
        """Return what pages are to show from now on: all that was counted, where the baseline was shown before."""
        if self.state.totals is self._all_published:
            return {}
        behind = {key: cell.due for key, cell in self.state.totals.items() if cell.due > cell.published}
        if not behind:
            self._all_published = self.state.totals
        held = self._baselines.held if behind else frozenset()
        return {key: due for key, due in behind.items() if key not in held}

    def _shown_state(self) -> TenantState:
        veiled = frozenset().union(*self._veils)
        return replace(self.state, totals={key: cell for key, cell in self.state.totals.items() if key not in veiled})
