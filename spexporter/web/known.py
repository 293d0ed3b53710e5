"""What is known of tenants and jobs now, for the API and for the pages for people: both say the same."""

from collections.abc import Callable, Mapping, Sequence

from spexporter.clock import Clock
from spexporter.domain.chronicle import Chronicle
from spexporter.domain.errors import TenantElsewhere, UnknownTenant
from spexporter.domain.job import Job
from spexporter.domain.ports import Board, Prospects
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView
from spexporter.web.answers import (
    JobAnswer,
    JobDetailAnswer,
    TenantAnswer,
    job_answer,
    job_detail,
    tenant_answer,
)


class Known:
    """Puts together what the board shows, what is to come, and what is remembered; everything from memory.

    Of several replicas, `others` returns which other one watches each tenant that is configured, empty where none does.
    """

    def __init__(
        self,
        board: Board,
        prospects: Prospects,
        chronicle: Chronicle,
        clock: Clock,
        others: Callable[[], Mapping[str, str]] = dict[str, str],
    ) -> None:
        self._others = others
        self._board = board
        self._prospects = prospects
        self._chronicle = chronicle
        self._clock = clock

    def now(self) -> Moment:
        """Return the present moment, for all that one answer says."""
        return Moment(self._clock.wall(), self._clock.monotonic())

    def views(self) -> Sequence[TenantView]:
        """Return all views, ordered by tenant."""
        return self._board.snapshot()

    def elsewhere(self) -> Mapping[str, str]:
        """Return who watches the tenants that this replica does not show, by tenant; empty where nobody does."""
        here = {view.tenant for view in self.views()}
        return {tenant: watcher for tenant, watcher in self._others().items() if tenant not in here}

    def view(self, tenant: str) -> TenantView:
        """Return the view of one tenant.

        Raises:
            UnknownTenant: there is none.
            TenantElsewhere: another replica has it, or none has it yet.
        """
        views = {view.tenant: view for view in self.views()}
        if tenant in views:
            return views[tenant]
        others = self._others()
        watcher = others.get(tenant)
        if watcher is None:
            raise UnknownTenant(tenant, tuple(dict.fromkeys((*views, *others))))
        if not watcher:
            raise TenantElsewhere(f"no replica watches tenant {tenant} yet; try again")
        raise TenantElsewhere(f"another replica ({watcher}) watches tenant {tenant} now; ask that one, or try again")

    def next_look_s(self, job: Job) -> float | None:
        """Return when a look at a job is due, monotonic seconds; None where none is queued, or worth anything."""
        return None if job.settled else self._prospects.next_look_s(job.key)

    def tenant(self, view: TenantView, now: Moment) -> TenantAnswer:
        """Say what is known of a tenant."""
        return tenant_answer(view, now, self._prospects.budget(view.tenant))

    def job(self, job: Job, view: TenantView, now: Moment) -> JobAnswer:
        """Say what is known of one of the view's jobs."""
        return job_answer(job, view, now, self.next_look_s(job))

    def detail(self, job: Job, view: TenantView, now: Moment) -> JobDetailAnswer:
        """Say the same, with what is remembered of it."""
        return job_detail(
            job,
            view,
            now,
            self.next_look_s(job),
            states=self._chronicle.states(job.key),
            texts=self._chronicle.texts(job.key),
        )
