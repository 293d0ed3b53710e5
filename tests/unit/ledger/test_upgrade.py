"""Stores of every version that was ever released open with the present code, and keep what they know.

The next schema version adds its file to `fixtures` (see `make.py` there) and its line to `RELEASED`, and nothing else.
"""

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from spexporter.domain import counting
from spexporter.domain.budget import BudgetState
from spexporter.domain.counting import SeriesKey
from spexporter.domain.durations import usual
from spexporter.domain.job import JobState, Operation, WatchedJob
from spexporter.domain.ports import Change, StoredWindow
from spexporter.domain.result import Outcome
from spexporter.ledger.schema import MIGRATIONS, VERSION
from tests.support.clock import START_WALL_S as NOW_S
from tests.support.clock import FakeClock
from tests.support.ledgers import (
    ERRORS,
    EXPORT,
    EXPORTED,
    IMPORT,
    RESULT,
    TERMS,
    WRITTEN_AFTER_S,
    SqliteBench,
    durable,
    ends_of,
    export,
    imported,
    values,
)
from tests.unit.ledger.fixtures.make import KILLED, STOPPED, live

FIXTURES = Path(__file__).parent / "fixtures"
RELEASED = (
    "20590890a55dcae3dfd7aab0cb4afd417a658c607d55fce2dce9c3c1a2c2f05a",
    "13573b7a2d58945a21d8f0ab211020d3a0e008538d502d26672d6d788fc32c00",
)
VERSIONS = range(1, VERSION + 1)


@pytest.fixture(params=VERSIONS, ids=[f"v{version}" for version in VERSIONS])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteBench:
    """A store as each version has left it."""
    bench = SqliteBench(tmp_path, FakeClock())
    with closing(sqlite3.connect(bench.path)) as connection:
        connection.executescript((FIXTURES / f"v{request.param}.sql").read_text())
    return bench


def test_released_migrations_do_not_change() -> None:
    """A store of that version is out there; what its migration did cannot be done otherwise any more."""
    assert tuple(sha256("\n".join(statements).encode()).hexdigest() for statements in MIGRATIONS) == RELEASED


async def test_an_old_store_keeps_all_it_knows(old: SqliteBench) -> None:
    """Counters, what pages have shown of them, jobs and facts are as they were."""
    state = (await old.open(TERMS))["acme"]
    expected = {
        EXPORTED: (3, 2, 1),
        SeriesKey(counting.JOBS_FINISHED, ("export", "FAILED")): (1, 0, 1),
        SeriesKey(counting.JOBS_FINISHED, ("import", "COMPLETE")): (1, 1, 0),
        SeriesKey(counting.IMPORT_RESULTS, ("counted",)): (1, 1, 0),
        SeriesKey(f"{counting.RUN_SECONDS}_sum", ("export",)): (30, 20, 10),
        SeriesKey(f"{counting.RUN_SECONDS}_bucket", ("export", "5.0")): (0, 0, 0),
        SeriesKey(f"{counting.RUN_SECONDS}_bucket", ("export", "+Inf")): (3, 2, 1),
        SeriesKey(counting.IMPORTED_OBJECTS, ("SOURCE",)): (5, 5, 0),
        SeriesKey(counting.IMPORT_ERRORS, ("RULE",)): (0, 0, 0),
        ERRORS: (2, 2, 0),
    }
    cells = {key: state.totals[key] for key in expected}
    assert {key: (cell.value, cell.published, cell.late) for key, cell in cells.items()} == expected
    assert {key: (job.state, job.outcome, job.settled) for key, job in state.jobs.items()} == {
        EXPORT: (JobState.COMPLETE, None, True),
        IMPORT: (JobState.COMPLETE, Outcome.COUNTED, True),
        export("late"): (JobState.FAILED, None, True),
        imported("running"): (JobState.IN_PROGRESS, None, False),
    }
    nightly = WatchedJob(IMPORT, name="synthetic nightly", max_age_s=1800.0, preview=False)
    assert state.jobs[IMPORT].watched == nightly
    assert state.successes == {Operation.EXPORT: NOW_S - 5}
    assert state.usual == {Operation.EXPORT: usual([10.0] * 3)}
    assert (state.last_answer_s, state.tenant_offset_s) == (NOW_S, 0.25)
    await old.close()


async def test_an_old_store_keeps_its_rate_limit_windows(old: SqliteBench) -> None:
    """What was left by a stop, and that another process was killed."""
    await old.open(TERMS)
    stopped = (await old.ledger.open_windows({STOPPED: 0}, NOW_S + 2.0)).get(STOPPED)
    assert stopped == StoredWindow(clean=True, windows={"v2025": BudgetState((2.0,), 28.0, 0.5)})
    assert (await old.ledger.open_windows({KILLED: 0}, NOW_S)).get(KILLED) == StoredWindow(clean=False)
    await old.close()


async def test_a_job_of_an_old_store_is_not_counted_again(old: SqliteBench) -> None:
    """Neither one that is shown, nor one that was removed, nor one of which the id alone is left."""
    before = (await old.open(TERMS))["acme"]
    again = [EXPORT, IMPORT, export("removed"), export("aged"), export("late")]
    state = await old.apply(Change(added=tuple(map(WatchedJob, again)), at_s=NOW_S))
    assert export("aged") not in state.jobs
    await old.apply(ends_of(*again))
    assert values(await old.apply(RESULT)) == values(before)
    assert values(await old.apply(ends_of(imported("running")))) != values(before)
    await old.close()


async def test_an_upgraded_store_is_one_of_this_version(old: SqliteBench) -> None:
    """It is upgraded once, and goes on as if it had always been one."""
    before = (await old.open(TERMS))["acme"]
    await old.close()
    with closing(sqlite3.connect(old.path)) as connection:
        assert connection.execute("SELECT version FROM ledger").fetchall() == [(VERSION,)]
    assert (await old.open(TERMS))["acme"] == before
    await old.apply(ends_of(imported("running")))
    await old.move(WRITTEN_AFTER_S)
    await old.crash()
    assert (await old.open(TERMS))["acme"].jobs[imported("running")].end_seen_s == NOW_S
    await old.close()


async def test_the_newest_fixture_is_what_this_version_writes(tmp_path: Path) -> None:
    """A change of what is stored, such as a body's fields, that old stores lack, needs a look at them."""
    fresh = SqliteBench(tmp_path, FakeClock())
    await live(fresh)
    kept = SqliteBench(tmp_path / "kept", FakeClock())
    kept.path.parent.mkdir()
    with closing(sqlite3.connect(kept.path)) as connection:
        connection.executescript((FIXTURES / f"v{VERSION}.sql").read_text())
    states = [(await bench.open(TERMS))["acme"] for bench in (fresh, kept)]
    assert durable(states[0]) == durable(states[1])
    for bench in (fresh, kept):
        await bench.close()
