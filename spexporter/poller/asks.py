"""What looks at a tenant need of others, and what they lead to."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from spexporter.domain.hub import ListedJob
from spexporter.domain.job import JobKey, Observation, Operation, WatchedJob
from spexporter.domain.result import ImportResult
from spexporter.domain.schedule import Outlook, Target, TargetKind
from spexporter.sailpoint.endpoints import LIST_ENDPOINT, STATUS_ENDPOINT, Endpoint
from spexporter.sailpoint.vitals import Vitals

# Watches a job that SailPoint has started by the way.
Follow = Callable[[WatchedJob], Awaitable[None]]


class Asks(Protocol):
    """What polling needs of a tenant's client; every method raises `TenantError` and nothing else."""

    @property
    def vitals(self) -> Vitals:
        """The tenant's health, kept by the client."""
        ...

    async def object_types(self) -> frozenset[str]:
        """Return the object types that the tenant knows."""
        ...

    def status(self, key: JobKey) -> Awaitable[Observation]:
        """Return what the tenant says of a job now."""
        ...

    async def result(self, key: JobKey) -> ImportResult:
        """Return an ended import's result."""
        ...

    async def listed(self, operation: Operation) -> tuple[ListedJob, ...]:
        """Return what one of Configuration Hub's lists has now."""
        ...

    async def credential_expires(self) -> float | None:
        """Return when the personal access token ends, Unix seconds; None for never, or where that is not told."""
        ...

    def opens_s(self, looks: int) -> float:
        """When the budget lets another look start, monotonic seconds, with `looks` that share it under way."""
        ...

    def secret_changed(self) -> bool:
        """Tell whether the secret is another one than that of the last token request."""
        ...


class Following(msgspec.Struct, frozen=True):
    """The look that follows one: in so many seconds, or, where it answers for jobs that run, when it is worth it."""

    target: Target
    after_s: float = 0.0
    outlooks: Sequence[Outlook] = ()


def endpoint_of(target: Target) -> Endpoint:
    """Return what is asked for `target`."""
    if target.operation is not None:
        return LIST_ENDPOINT[target.operation]
    if target.key is None:
        return Endpoint.PERSONAL_ACCESS_TOKENS if target.kind is TargetKind.CREDENTIAL else Endpoint.CONFIG_OBJECTS
    return Endpoint.IMPORT_RESULT if target.kind is TargetKind.RESULT else STATUS_ENDPOINT[target.key.operation]
