"""What the engines of a store differ in, and what both of them raise."""

from collections.abc import Mapping
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from spexporter.domain.errors import StoreError
from spexporter.domain.ports import Group

Holds = Mapping[Group, int]
"""The groups that a transaction writes about, with the fence by which each is ours."""


class StoreReplaced(StoreError):
    """Another store has taken the place of the one that was opened, or an older state of it, or there is none."""


class LeaseLost(StoreError):
    """Groups that a transaction would have written about are another process's now; nothing was written."""

    def __init__(self, groups: frozenset[Group]) -> None:
        super().__init__(
            f"{len(groups)} groups of tenants are another replica's now", cure="none needed: it looks after them"
        )
        self.groups = groups


class Backend(Protocol):
    """One engine; `errors` are what it raises, and `tables` asks for the names of all tables."""

    errors: tuple[type[Exception], ...]
    tables: str

    @property
    def name(self) -> str:
        """What to call the store in messages; never with a password."""
        ...

    def engine(self, *, create: bool, patience_s: float) -> AsyncEngine:
        """Return a way to the store that waits for others no longer than `patience_s`; it may `create` the store."""
        ...

    def exists(self) -> bool:
        """Whether there is a store with anything in it, as far as can be seen without asking it."""
        ...

    def touched(self) -> bool:
        """Whether somebody else seems to have changed it since `stamp`."""
        ...

    def stamp(self) -> None:
        """Remember how it looks after a transaction of ours."""
        ...

    async def check(self, connection: AsyncConnection) -> None:
        """Make sure, as it is opened, that it is whole and that nobody else opens it in this moment.

        Raises:
            StoreError: it is damaged.
        """
        ...

    def damaged(self, found: object) -> StoreError:
        """Return what it means that something in it cannot be read."""
        ...

    def translate(self, error: Exception) -> StoreError:
        """Return what one of `errors` means."""
        ...
