"""The latest view of every tenant, in memory: what scrapes and pages for people read."""

from collections.abc import Mapping, Sequence

from spexporter.domain.view import TenantView


class LatestViews:
    """Satisfies `spexporter.domain.ports.Board`. A scrape never waits for a poll, nor a poll for a scrape."""

    def __init__(self) -> None:
        self._views: dict[str, TenantView] = {}
        self._served: dict[str, int] = {}
        self.last_served_s: float | None = None

    def put(self, view: TenantView) -> None:
        """See `Board.put`."""
        self._views[view.tenant] = view

    def drop(self, tenant: str) -> None:
        """See `Board.drop`."""
        self._views.pop(tenant, None)
        self._served.pop(tenant, None)

    def snapshot(self) -> Sequence[TenantView]:
        """See `Board.snapshot`."""
        return [self._views[tenant] for tenant in sorted(self._views)]

    def served(self, versions: Mapping[str, int], at_s: float) -> None:
        """See `Board.served`. Pages can end out of order: an older one takes nothing back."""
        self.last_served_s = at_s
        for tenant, version in versions.items():
            self._served[tenant] = max(version, self._served.get(tenant, 0))

    def served_version(self, tenant: str) -> int:
        """Return the newest version of a tenant's view that a whole page has shown, 0 before the first."""
        return self._served.get(tenant, 0)
