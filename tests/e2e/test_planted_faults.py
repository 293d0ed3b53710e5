"""Faults planted in copies of the code are noticed: each third of them, or all with `SPEXPORTER_FAULTS=all`."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.faults import DISCOVERY, FAULTS, SEEDED_RUN, Fault, copy_project
from tests.support.program import started

PLANTED = FAULTS if os.environ.get("SPEXPORTER_FAULTS") == "all" else FAULTS[::3]


async def ran_test(test: str, copy: Path, folder: Path) -> tuple[int, str]:
    """Run a test of a copy of the project and return pytest's exit status and report."""
    command = [sys.executable, "-m", "pytest", test, "-q", "--tb=short"]
    async with started([*command, "--show-capture=no", "-p", "no:cacheprovider"], folder, cwd=copy) as run:
        return await run.process.wait(), run.printed()


@pytest.mark.parametrize("fault", PLANTED, ids=[fault.name for fault in PLANTED])
async def test_a_planted_fault_is_noticed(fault: Fault, tmp_path: Path) -> None:
    """With one mistake in our code the comparison with the bytes on the wire says what is wrong."""
    copy = copy_project(tmp_path)
    fault.plant(copy)
    status, report = await ran_test(fault.test, copy, tmp_path)
    assert (status, "1 failed" in report, " instead of " in report) == (1, True, True), report


@pytest.mark.parametrize("test", [SEEDED_RUN, DISCOVERY])
async def test_nothing_is_noticed_without_a_fault(test: str, tmp_path: Path) -> None:
    """The copy itself is sound: what the other tests notice is their fault alone."""
    status, report = await ran_test(test, copy_project(tmp_path), tmp_path)
    assert (status, "1 passed" in report) == (0, True), report


def test_fault_that_does_not_fit_the_code_any_more_is_an_error(tmp_path: Path) -> None:
    """A planted fault can only count as noticed if it was planted."""
    fault = Fault("gone", "board.py", "no such text", "")
    with pytest.raises(LookupError, match="0 times"):
        fault.plant(copy_project(tmp_path))
