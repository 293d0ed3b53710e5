from pathlib import Path

from tests.support.month import Month, lived

HOUR_S = 3600.0
# A day of one hour: what leaves the page and the store by age does so 24 times as fast.
SHORT = Month(jobs_a_day=20, days=30, day_s=HOUR_S, wave_s=HOUR_S, page_s=HOUR_S)
GROWTH = 1.1


async def test_month_counts_every_job_once_and_needs_no_more_in_the_end(tmp_path: Path) -> None:
    """After thirty days all counters are exact, and file and page have stopped to grow."""
    found = await lived(SHORT, tmp_path / "ledger.db")
    assert found.jobs == SHORT.days * SHORT.jobs_a_day
    assert not found.wrong
    day_20, day_30 = found.figures[19], found.figures[29]
    assert day_30.file <= day_20.file * GROWTH, found.figures
    assert day_30.page <= day_20.page * GROWTH, found.figures
    assert day_30.jobs <= day_20.jobs * GROWTH, found.figures
