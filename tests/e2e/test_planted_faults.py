import sys
from pathlib import Path

import pytest

from tests.support.faults import FAULTS, Fault, copy_project
from tests.support.program import started


async def seeded_run(copy: Path, folder: Path) -> tuple[int, str]:
    """Run the seeded run of a copy of the project and return pytest's exit status and report."""
    command = [sys.executable, "-m", "pytest", "tests/component/test_seeded_run.py", "-q", "--tb=short"]
    async with started([*command, "--show-capture=no", "-p", "no:cacheprovider"], folder, cwd=copy) as run:
        return await run.process.wait(), run.printed()


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
async def test_seeded_run_notices_a_planted_fault(fault: Fault, tmp_path: Path) -> None:
    """With one mistake in our code the comparison with the bytes on the wire says what is wrong."""
    copy = copy_project(tmp_path)
    fault.plant(copy)
    status, report = await seeded_run(copy, tmp_path)
    assert (status, "1 failed" in report, " instead of " in report) == (1, True, True), report


async def test_seeded_run_passes_without_a_fault(tmp_path: Path) -> None:
    """The copy itself is sound: what the other tests notice is their fault alone."""
    status, report = await seeded_run(copy_project(tmp_path), tmp_path)
    assert (status, "1 passed" in report) == (0, True), report


def test_fault_that_does_not_fit_the_code_any_more_is_an_error(tmp_path: Path) -> None:
    """A planted fault can only count as noticed if it was planted."""
    fault = Fault("gone", "board.py", "no such text", "")
    with pytest.raises(LookupError, match="0 times"):
        fault.plant(copy_project(tmp_path))
