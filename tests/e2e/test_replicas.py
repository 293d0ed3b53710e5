"""Three daemons that share a real PostgreSQL, and what can happen to them; benchmarks/replicas.py goes on longer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import Server, serving
from tests.support.replicas import REQUESTS, ordeal


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


async def test_whatever_happens_each_tenant_has_one_watcher_and_each_event_counts_once(
    server: Server, tmp_path: Path
) -> None:
    """Kills, pauses, cut connections and restarts of the database change nothing of what is true in the end."""
    found = await ordeal(tmp_path, server, tenants=24, lease_s=3.0, lasts_s=50.0, seed=3)
    print(found)  # noqa: T201 - what was measured
    assert found.differences == []
    assert found.falls == []
    assert found.steps_missing == 0
    assert (found.busiest <= REQUESTS, found.throttled) == (True, 0)
    assert found.stragglers <= found.connections_paused
    assert found.bad_news == []
    assert found.moves > 0
