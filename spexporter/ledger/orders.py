"""Orders of one replica to another, in PostgreSQL: jobs to be watched, or to be let go."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, text

from spexporter.domain.job import JobKey, Operation, WatchedJob
from spexporter.domain.ports import Order
from spexporter.ledger.postgres import PostgresServer

_PLACE = text(
    "INSERT INTO orders (tenant, operation, job_id, job) VALUES (:tenant, :operation, :job_id, :job) RETURNING number"
)
_OPEN = text("SELECT * FROM orders WHERE answer IS NULL AND tenant = ANY(:tenants) ORDER BY number LIMIT 100")
_SETTLE = text("UPDATE orders SET answer = :answer WHERE number = :number")
# Nobody waits for an answer for so long; what nobody has done in a day is about a tenant that nobody has any more.
_FORGET = text("""
    DELETE FROM orders WHERE made_at < clock_timestamp() - interval '1 day'
        OR answer IS NOT NULL AND made_at < clock_timestamp() - interval '1 minute'
""")
_UNREADABLE = (
    "TenantElsewhere: whoever watches the tenant runs another version, which cannot read this; run one version"
)
_job = msgspec.json.Decoder(WatchedJob)


class OrderTable:
    """Satisfies `spexporter.domain.ports.OrderBook`; each method is a transaction, and raises StoreError."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._engine = server.engine(create=False, patience_s=0.0)

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._engine.dispose()

    async def place(self, key: JobKey, job: WatchedJob | None) -> int:
        """See `OrderBook.place`."""
        body = msgspec.json.encode(job).decode() if job else None
        of = {"tenant": key.tenant, "operation": key.operation.value, "job_id": key.job_id, "job": body}
        async with self._server.transaction(self._engine) as connection:
            return int((await connection.execute(_PLACE, of)).scalar_one())

    async def answer(self, number: int) -> str | None:
        """See `OrderBook.answer`."""
        asked = text("SELECT answer FROM orders WHERE number = :number")
        async with self._server.transaction(self._engine) as connection:
            return (await connection.execute(asked, {"number": number})).scalar_one_or_none()

    async def open(self, tenants: Collection[str]) -> Sequence[Order]:
        """See `OrderBook.open`."""
        async with self._server.transaction(self._engine) as connection:
            await connection.execute(_FORGET)
            found = (await connection.execute(_OPEN, {"tenants": list(tenants)})).all()
            orders = {row.number: _read(row) for row in found}
            for number in [number for number, order in orders.items() if order is None]:
                await connection.execute(_SETTLE, {"number": number, "answer": _UNREADABLE})
        return [order for order in orders.values() if order]

    async def settle(self, number: int, answer: str) -> None:
        """See `OrderBook.settle`."""
        async with self._server.transaction(self._engine) as connection:
            await connection.execute(_SETTLE, {"number": number, "answer": answer})


def _read(row: Row[Any]) -> Order | None:
    """Return an order, None where another version has written what this one does not know."""
    try:
        key = JobKey(row.tenant, Operation(row.operation), row.job_id)
        return Order(row.number, key, _job.decode(row.job) if row.job else None)
    except (ValueError, msgspec.DecodeError):
        return None
