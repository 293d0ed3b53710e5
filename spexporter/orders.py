"""Jobs handed in, or taken back, at a replica that does not watch their tenant: whoever does is told in the store."""

import structlog

from spexporter.clock import Clock
from spexporter.domain.errors import (
    NamedElsewhere,
    StoreError,
    TenantElsewhere,
    TooManyJobs,
    UnknownJob,
    WatchError,
)
from spexporter.domain.job import JobKey, WatchedJob
from spexporter.domain.ports import JobDesk, Order, OrderBook
from spexporter.fleet import Fleet

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_ANSWERS_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.2
_NEW, _KNOWN = "new", "known"
_REFUSALS: dict[str, type[WatchError]] = {
    kind.__name__: kind for kind in (TenantElsewhere, TooManyJobs, UnknownJob, NamedElsewhere)
}


class SharedDesk:
    """Satisfies `JobDesk` for the tenants of all replicas.

    What another one must do is an order in the store, which outlives all of them: where nobody answers in time, whoever
    watches the tenant next does it.
    """

    def __init__(self, desk: JobDesk, book: OrderBook, clock: Clock) -> None:
        self._desk = desk
        self._book = book
        self._clock = clock

    async def add_job(self, job: WatchedJob) -> bool:
        """See `JobDesk.add_job`."""
        try:
            return await self._desk.add_job(job)
        except TenantElsewhere:
            return await self._ordered(job.key, job) != _KNOWN

    async def remove_job(self, key: JobKey) -> None:
        """See `JobDesk.remove_job`."""
        try:
            await self._desk.remove_job(key)
        except TenantElsewhere:
            await self._ordered(key, None)

    async def _ordered(self, key: JobKey, job: WatchedJob | None) -> str:
        """Leave an order, and return what whoever watches the tenant answers; nothing where nobody does in time."""
        number = await self._book.place(key, job)
        until_s = self._clock.monotonic() + _ANSWERS_WITHIN_S
        while self._clock.monotonic() < until_s:
            await self._clock.sleep_until(self._clock.monotonic() + _LOOK_EVERY_S)
            if (answer := await self._book.answer(number)) is not None:
                return _understood(answer)
        return ""


def _understood(answer: str) -> str:
    kind, _, text = answer.partition(": ")
    if refusal := _REFUSALS.get(kind):
        raise refusal(text)
    return answer


async def carry_out(book: OrderBook, fleet: Fleet) -> None:
    """Do what other replicas were asked for about the tenants that run here.

    What is not done now, because the tenant has left meanwhile or something of it cannot be read, is done later.

    Raises:
        StoreError: the store does not answer.
    """
    for order in await book.open(list(fleet.tenants)):
        try:
            answer = await _done(order, fleet.desk)
        except (TenantElsewhere, StoreError):
            continue
        except WatchError as error:
            answer = f"{type(error).__name__}: {error}"
            log.warning("order_refused", tenant=order.key.tenant, job_id=order.key.job_id, error=str(error))
        await book.settle(order.number, answer)


async def _done(order: Order, desk: JobDesk) -> str:
    if order.job is None:
        await desk.remove_job(order.key)
        return _KNOWN
    return _NEW if await desk.add_job(order.job) else _KNOWN
