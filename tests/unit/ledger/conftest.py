"""Ledgers for the tests of this folder."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from tests.support.ledgers import BENCHES, DURABLE, Bench, PostgresBench, SqliteBench
from tests.support.postgres import Server, find_binaries, serving

REMEMBER_S = 30 * 86400.0


@pytest.fixture(scope="session")
def pg_server() -> Iterator[Server]:
    """A server for all tests of this process that need one; only the end-to-end tests insist on it."""
    if find_binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    with serving() as server:
        PostgresBench.server = server
        yield server


@pytest.fixture(params=BENCHES)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Each kind of ledger in turn."""
    needs_server(request)
    made = BENCHES[request.param](tmp_path, FakeClock(), REMEMBER_S)
    yield made
    await made.close()


@pytest.fixture(params=DURABLE)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteBench]:
    """Each kind of ledger that outlives the process in turn."""
    needs_server(request)
    made = DURABLE[request.param](tmp_path, FakeClock(), REMEMBER_S)
    yield made
    async with asyncio.timeout(30):
        await made.close()


def needs_server(request: pytest.FixtureRequest) -> None:
    """Start the server for a test of PostgreSQL."""
    if request.param == "postgresql":
        request.getfixturevalue("pg_server")
