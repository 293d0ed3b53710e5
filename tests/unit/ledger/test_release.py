"""A tenant leaves the configuration while what is known of it is just being written."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from spexporter.domain.errors import StoreError
from spexporter.domain.job import JobState
from spexporter.domain.ports import Change
from spexporter.ledger.backend import Holds
from spexporter.ledger.book import Rows
from tests.support.clock import START_WALL_S, FakeClock, settle
from tests.support.ledgers import IMPORT, TERMS, WATCH, WRITTEN_AFTER_S, FlakyDatabase, SqliteBench, durable, seen

ANSWERED = Change(observations=(seen(IMPORT, JobState.IN_PROGRESS, START_WALL_S),), answered_s=START_WALL_S)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteBench]:
    bench = SqliteBench(tmp_path, FakeClock())
    await bench.open(TERMS)
    await bench.apply(WATCH)
    yield bench
    async with asyncio.timeout(10):
        await bench.close()


@pytest.mark.parametrize("fails", [False, True], ids=["is-written", "fails"])
async def test_a_tenant_that_leaves_while_it_is_written_is_written(
    store: SqliteBench, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """Whoever lets go of it waits for that; where it fails, it stays in memory until the store is back."""
    go_on, write = asyncio.Event(), FlakyDatabase.write

    async def slow(database: FlakyDatabase, changed: Mapping[str, Rows], now_s: float, holds: Holds) -> None:
        await go_on.wait()
        if fails:
            raise StoreError("the store fails because a test says so", cure="none")
        await write(database, changed, now_s, holds)

    state = await store.apply(ANSWERED)
    with capture_logs() as logs:
        with monkeypatch.context() as patch:
            patch.setattr(FlakyDatabase, "write", slow)
            store.clock.jump_to(store.clock.monotonic() + WRITTEN_AFTER_S)
            await settle()
            releasing = asyncio.create_task(store.ledger.release("acme"))
            await settle()
            go_on.set()
            await releasing
            await store.settle()
        await store.move(WRITTEN_AFTER_S)
    assert [line["event"] for line in logs] == (["store_failed", "store_recovered"] if fails else [])
    assert durable((await store.on_disk(TERMS))["acme"]) == durable(state)
