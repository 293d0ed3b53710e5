"""Ledgers for the tests of this folder."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from tests.support.ledgers import BENCHES, DURABLE, Bench, SqliteBench

REMEMBER_S = 30 * 86400.0


@pytest.fixture(params=BENCHES)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Each kind of ledger in turn."""
    made = BENCHES[request.param](tmp_path, FakeClock(), REMEMBER_S)
    yield made
    await made.close()


@pytest.fixture(params=DURABLE)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteBench]:
    """Each kind of ledger that outlives the process in turn."""
    made = DURABLE[request.param](tmp_path, FakeClock(), REMEMBER_S)
    yield made
    async with asyncio.timeout(30):
        await made.close()
