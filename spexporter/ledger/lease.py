"""Whose groups are whose."""

from collections.abc import Collection

from spexporter.domain.ports import NOTHING, Group, Inheritance, Queued


class SoleOwner:
    """Satisfies `spexporter.domain.ports.Leases` where there is one process only: everything is its own."""

    def held(self, group: Group) -> int | None:
        """See `Lease.held`: always, with the lowest fence."""
        del group
        return 0

    def inherit(self, group: Group) -> Inheritance:
        """See `Leases.inherit`: the store alone knows what the process before has left."""
        del group
        return NOTHING

    def ends_soon(self) -> bool:
        """See `Leases.ends_soon`: never."""
        return False

    def bequeath(self, group: Group, queued: Collection[Queued]) -> None:
        """See `Leases.bequeath`: whoever starts next asks for everything soon."""
