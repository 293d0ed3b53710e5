"""Rules over all files: what the tenants of one file have taken is not for those of another."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from spexporter.config.nodes import Block, Complaints, Text, blocks, texts
from spexporter.config.values import Tenant
from spexporter.domain.budget import RateLimit
from spexporter.domain.values import replace


class Taken:
    """Names, former names and clients of the tenants of all files so far, each with its place, `file:line`."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._former: dict[str, str] = {}
        self._limits: dict[str, tuple[str, RateLimit]] = {}

    def complain(self, root: Block, limits: Mapping[str, RateLimit], complaints: Complaints) -> None:
        """Note what a later file cannot have; `limits` are those of its clients, as far as they could be read."""
        for tenant in blocks(root, "tenants"):
            if isinstance(name := tenant.entries.get("name"), Text):
                self._complain_of_name(name, complaints)
            for former in texts(tenant, "former_names"):
                self._complain_of_former(former, complaints)
            self._complain_of_limit(tenant, limits, complaints)

    def _complain_of_name(self, name: Text, complaints: Complaints) -> None:
        shown = name.shown or "this name"
        if place := self._names.get(name.text):
            complaints.about(name, f"{shown} is used in {place}; give each tenant a name of its own")
        elif place := self._former.get(name.text):
            complaints.about(name, f"{shown} is a former name of the tenant in {place}; choose another name")

    def _complain_of_former(self, former: Text, complaints: Complaints) -> None:
        shown = former.shown or "this name"
        if place := self._names.get(former.text):
            complaints.about(former, f"{shown} is the name of the tenant in {place}; leave it out or rename that one")
        elif place := self._former.get(former.text):
            complaints.about(former, f"{shown} is claimed by the tenant in {place}; keep it in one of the two")

    def _complain_of_limit(self, tenant: Block, limits: Mapping[str, RateLimit], complaints: Complaints) -> None:
        client_id = tenant.text("client_id") or ""
        if client_id not in self._limits or client_id not in limits:
            return
        place, limit = self._limits[client_id]
        if limits[client_id] != limit:
            message = (
                f"the tenant in {place} has the same client_id but another rate_limit;"
                " they share one budget, so give both the same"
            )
            complaints.about_key(tenant, "rate_limit", message)

    def take(self, root: Block, limits: Mapping[str, RateLimit]) -> None:
        """Know what the tenants of a file have, from now on; `limits` as in `complain`."""
        for tenant in blocks(root, "tenants"):
            if isinstance(name := tenant.entries.get("name"), Text):
                self._names.setdefault(name.text, _place(name))
            for former in texts(tenant, "former_names"):
                self._former.setdefault(former.text, _place(former))
            client_id = tenant.text("client_id") or ""
            if client_id in limits:
                self._limits.setdefault(client_id, (_place(tenant), limits[client_id]))

    def keep(self, tenants: Iterable[Tenant], file: Path) -> None:
        """Know what tenants of an older configuration have, from now on."""
        for tenant in tenants:
            self._names.setdefault(tenant.name, str(file))
            self._former |= dict.fromkeys(tenant.former_names, str(file))
            self._limits.setdefault(tenant.client_id, (str(file), tenant.rate_limit))

    def fit(self, tenants: Iterable[Tenant], remembered_s: float) -> tuple[Tenant, ...]:
        """Return what an older configuration knew of `tenants`, as far as the present one leaves room for it.

        A tenant that is found elsewhere now, under this name or as one with another, is left out.
        """
        free = (it for it in tenants if it.name not in self._names and it.name not in self._former)
        return tuple(self._fitted(tenant, remembered_s) for tenant in free)

    def _fitted(self, tenant: Tenant, remembered_s: float) -> Tenant:
        former_names = tuple(it for it in tenant.former_names if it not in self._names | self._former)
        _, rate_limit = self._limits.get(tenant.client_id, ("", tenant.rate_limit))
        retention_s = min(tenant.retention_s, remembered_s)
        return replace(tenant, former_names=former_names, rate_limit=rate_limit, retention_s=retention_s)


def _place(node: Block | Text) -> str:
    return f"{node.file}:{node.line}"
