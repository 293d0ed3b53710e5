"""The configuration of a daemon at work changes again and again, in every way there is, and nobody else notices.

`SPEXPORTER_RELOADS=500` is the full form, with 200 jobs at any time, which takes some minutes; show its figures with
`-s`, and raise pytest's own limit with `-o faulthandler_timeout=3600`. All of the twenty scrapes a second ask for the
whole page.
"""

import os
import time
from pathlib import Path

import pytest

from tests.support.reloading import ordeal

RELOADS = int(os.environ.get("SPEXPORTER_RELOADS", "33"))
JOBS = 60 if RELOADS < 100 else 200
FEWEST_PAGES_PER_S = 5  # of twenty that are asked for, on a machine that has other things to do
MAY_OPEN = 16  # connections to tenants, some of which are kept for a while
MAY_GROW_KIB = 16 * 1024  # by jobs that came meanwhile, and by what Python does not give back


async def test_reloads_disturb_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each job is counted once, each page whole, no token asked for in vain, and nothing left behind."""
    began_s = time.monotonic()

    def tell(line: str) -> None:
        with capsys.disabled():
            print(f"{time.monotonic() - began_s:6.0f} s: {line}", flush=True)  # noqa: T201 - figures for the record

    found = await ordeal(tmp_path, reloads=RELOADS, jobs=JOBS, seed=RELOADS, tell=tell)
    tell(str(found))
    assert not found.bad_news, "\n".join(found.bad_news)
    assert not found.differences, "\n".join(found.differences)
    assert not found.broken, "\n".join(found.broken)
    assert found.tokens == found.expected_tokens
    assert found.reloads.total() == RELOADS
    assert found.pages / found.took_s > FEWEST_PAGES_PER_S
    start, _, end = found.figures
    assert end.descriptors <= start.descriptors + MAY_OPEN
    assert end.threads <= start.threads + 2
    assert end.rss_kib <= start.rss_kib + MAY_GROW_KIB
