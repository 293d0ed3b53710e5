"""The latest view of every tenant, in memory: what scrapes and pages for people read."""

from collections.abc import Callable, Mapping, Sequence

from spexporter.domain.view import TenantView


class LatestViews:
    """Satisfies `spexporter.domain.ports.Board`. A scrape never waits for a poll, nor a poll for a scrape.

    `on_served` is called after each whole page. While what is here is not `ours` to show, nothing is shown.
    """

    def __init__(self, on_served: Callable[[], None] = lambda: None, ours: Callable[[], bool] = lambda: True) -> None:
        self._on_served = on_served
        self._ours = ours
        self._views: dict[str, TenantView] = {}
        self._shown: dict[str, TenantView] = {}
        self._served: dict[str, int] = {}
        self.newest_version = 0
        self.last_served_s: float | None = None

    def put(self, view: TenantView) -> None:
        """See `Board.put`."""
        self.newest_version = max(self.newest_version, view.version)
        self._views[view.tenant] = view

    def drop(self, tenant: str) -> None:
        """See `Board.drop`."""
        self._views.pop(tenant, None)
        self._shown.pop(tenant, None)
        self._served.pop(tenant, None)

    def snapshot(self) -> Sequence[TenantView]:
        """See `Board.snapshot`."""
        return [self._views[tenant] for tenant in sorted(self._views)] if self._ours() else []

    def begin_page(self, tenant: str | None = None) -> Sequence[TenantView]:
        """See `Board.begin_page`."""
        if tenant is not None:
            view = self._views.get(tenant) if self._ours() else None
            self._shown |= {tenant: view} if view else {}
            return [view] if view else []
        if self._ours():
            self._shown = dict(self._views)
        return self.snapshot()

    def served(self, versions: Mapping[str, int], at_s: float) -> None:
        """See `Board.served`. Pages can end out of order: an older one takes nothing back."""
        self.last_served_s = at_s
        for tenant, version in versions.items():
            if tenant in self._views:
                self._served[tenant] = max(version, self._served.get(tenant, 0))
        self._on_served()

    def served_version(self, tenant: str) -> int:
        """See `Board.served_version`."""
        return self._served.get(tenant, 0)

    def shown(self, tenant: str) -> TenantView | None:
        """See `Board.shown`."""
        return self._shown.get(tenant)
