"""The daemon is killed with SIGKILL in the middle of its work, again and again, and still counts each job once.

`SPEXPORTER_CRASHES=300` kills it that often, which takes a quarter of an hour; show the progress with `-s`, and raise
pytest's own limit with `-o faulthandler_timeout=3600`.
"""

import os
import time
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from tests.support.crashing import REQUESTS, ordeal, spend_and_die

KILLS = int(os.environ.get("SPEXPORTER_CRASHES", "20"))
IMPORTS_EACH = 7 / 4
FEWEST_IMPORTS = 44


async def test_counters_survive_any_crash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Counters never go back and end as what was really sent; few results are read again; the rate limit holds."""
    began_s = time.monotonic()

    def tell(line: str) -> None:
        with capsys.disabled():
            print(f"{time.monotonic() - began_s:6.0f} s: {line}", flush=True)  # noqa: T201 - figures for the record

    imports = max(FEWEST_IMPORTS, round(KILLS * IMPORTS_EACH))
    found = await ordeal(tmp_path, kills=KILLS, imports=imports, seed=KILLS, tell=tell)
    tell(str(found))
    assert not found.broken, "\n".join(found.broken)
    assert not found.differences, "\n".join(found.differences)
    assert not found.bad_news, "\n".join(found.bad_news)
    assert (found.kills.total(), found.imports) == (KILLS, imports)
    assert found.repeated <= KILLS, found
    assert found.spent.throttled == 0, found
    assert 0 < found.spent.busiest <= REQUESTS, found


async def test_no_window_is_exceeded_across_processes(tmp_path: Path) -> None:
    """A daemon that was killed, or stopped, right after it had spent a whole window leaves nothing for the next one."""
    spent = await spend_and_die(tmp_path, [SIGKILL, SIGKILL, SIGTERM, SIGKILL])
    assert spent.throttled == 0, spent
    assert REQUESTS // 2 <= spent.busiest <= REQUESTS, spent
