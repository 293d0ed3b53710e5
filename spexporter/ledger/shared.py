"""A store that several replicas share: the ledger in it, and this process as one of them."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from spexporter.clock import Clock
from spexporter.config.urls import server_place
from spexporter.domain.errors import StoreError
from spexporter.domain.ports import StoreWatch
from spexporter.ledger.health import StoreHealth
from spexporter.ledger.leases import LeaseTable
from spexporter.ledger.orders import OrderTable
from spexporter.ledger.postgres import PostgresDatabase, PostgresServer
from spexporter.ledger.replica import Replica
from spexporter.ledger.sql import SqlLedger, keeping

_LONGEST_PATIENCE_S = 5.0


@asynccontextmanager
async def opened(
    url: str, *, remember_s: float, lease_s: float, clock: Clock, watch: StoreWatch
) -> AsyncIterator[tuple[SqlLedger, Replica]]:
    """Have the ledger and the replica at hand for as long as the block lasts.

    At its end all that is left is written, and what was ours is let go.
    """
    server = PostgresServer(url, server_place(url), min(_LONGEST_PATIENCE_S, lease_s / 3))
    database, table, orders = PostgresDatabase(server), LeaseTable(server, lease_s), OrderTable(server)
    name = f"{socket.gethostname()}/{os.getpid()}"
    health = StoreHealth(watch, clock)
    replica = Replica(database, table, health=health, orders=orders, name=name, lease_s=lease_s, clock=clock)
    try:
        async with keeping(SqlLedger(database, remember_s=remember_s, clock=clock, health=health)) as ledger:
            yield ledger, replica
        with suppress(StoreError):  # then its leases end by themselves
            await replica.leave()
    finally:
        await table.close()
        await orders.close()
        await database.close()
