"""Orders of one replica to another, in a real PostgreSQL, and what becomes of those that cannot be carried out."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from spexporter.domain.errors import StoreError, TenantElsewhere, UnknownJob
from spexporter.domain.job import JobKey, Operation, WatchedJob
from spexporter.ledger.orders import OrderTable
from spexporter.ledger.postgres import PostgresDatabase, PostgresServer
from spexporter.orders import carry_out
from tests.support.postgres import Server

KEY = JobKey("acme", Operation.IMPORT, "synthetic")
OTHER = JobKey("acme", Operation.EXPORT, "synthetic-2")


@dataclass
class Bench:
    """Orders, and a way to the database behind them."""

    table: OrderTable
    server: Server
    name: str

    def do(self, statement: str) -> str:
        return self.server.execute(statement, self.name)


@pytest.fixture
async def bench(pg_server: Server) -> AsyncIterator[Bench]:
    url = pg_server.fresh()
    backend = PostgresServer(url, "postgresql://bench", 5.0)
    database, table = PostgresDatabase(backend), OrderTable(backend)
    await database.prepare()
    yield Bench(table, pg_server, url.rpartition("/")[2])
    await table.close()
    await database.close()


@dataclass
class PlannedDesk:
    """Fails as planned, and remembers what it was asked for."""

    failing: dict[JobKey, Exception] = field(default_factory=dict)
    done: list[JobKey] = field(default_factory=list)

    async def add_job(self, job: WatchedJob) -> bool:
        if error := self.failing.get(job.key):
            raise error
        self.done.append(job.key)
        return True

    async def remove_job(self, key: JobKey) -> None:
        raise UnknownJob(f"nobody has named {key.job_id}")


def fleet(desk: PlannedDesk) -> Any:  # noqa: ANN401 - as much of a fleet as is asked for
    return SimpleNamespace(tenants=["acme"], desk=desk)


@pytest.mark.parametrize(
    "spoilt", ["operation = 'restore'", "job = '[1, 2]'", "job = 'synthetic'"], ids=["operation", "shape", "no-json"]
)
async def test_order_of_another_version_is_refused_and_holds_up_no_other(bench: Bench, spoilt: str) -> None:
    """The process that cannot read it goes on, and whoever waits for it is told to try again."""
    number = await bench.table.place(KEY, WatchedJob(KEY))
    bench.do(f"UPDATE orders SET {spoilt}")  # noqa: S608 - its own
    await bench.table.place(OTHER, WatchedJob(OTHER))
    desk = PlannedDesk()
    await carry_out(bench.table, fleet(desk))
    assert desk.done == [OTHER]
    assert (await bench.table.answer(number) or "").startswith("TenantElsewhere: whoever watches the tenant runs")
    assert await bench.table.open(["acme"]) == []


@pytest.mark.parametrize(
    "error", [StoreError("damaged", cure="none"), TenantElsewhere("it has left")], ids=["store", "elsewhere"]
)
async def test_order_that_cannot_be_carried_out_now_stays_and_holds_up_no_other(bench: Bench, error: Exception) -> None:
    await bench.table.place(KEY, WatchedJob(KEY))
    await bench.table.place(OTHER, WatchedJob(OTHER))
    desk = PlannedDesk({KEY: error})
    await carry_out(bench.table, fleet(desk))
    assert desk.done == [OTHER]
    assert [order.key for order in await bench.table.open(["acme"])] == [KEY]
    desk.failing.clear()
    await carry_out(bench.table, fleet(desk))
    assert desk.done == [OTHER, KEY]
    assert await bench.table.open(["acme"]) == []


async def test_what_nobody_has_done_for_a_day_is_forgotten(bench: Bench) -> None:
    """The tenant is not configured any more; should it come back months later, nobody means that job."""
    await bench.table.place(KEY, WatchedJob(KEY))
    bench.do("UPDATE orders SET made_at = made_at - interval '23 hours'")
    assert len(await bench.table.open(["acme"])) == 1
    bench.do("UPDATE orders SET made_at = made_at - interval '2 hours'")
    assert await bench.table.open(["globex"]) == []
    assert bench.do("SELECT count(*) FROM orders") == "0"
