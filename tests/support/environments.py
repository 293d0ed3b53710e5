"""Python environments of their own, for tests that run other people's programs against ours."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.modules import ROOT

# Together less than the 120 s after which pytest ends everything.
BUILT_WITHIN_S, INSTALLED_WITHIN_S = 25, 90


def installed(name: str, requirements: Path) -> Path:
    """Return the `bin` folder of an environment with `requirements` and nothing of ours, built once and used again.

    It is beside the environment that runs the tests: git knows nothing of either, and `make clean` removes both.
    """
    folder = ROOT / ".venv" / name
    finished = folder / requirements.name
    with _alone(folder.with_suffix(".lock")):
        if not finished.exists() or finished.read_text() != requirements.read_text():
            _install(folder, requirements)
    return folder / "bin"


def _install(folder: Path, requirements: Path) -> None:
    """Build an environment; the copy of its requirements says that it was finished."""
    _run(ROOT / "scripts" / "make-venv", sys.executable, folder, within_s=BUILT_WITHIN_S)
    pip = (folder / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check")
    _run(*pip, "install", "--require-hashes", "--no-deps", "-r", requirements, within_s=INSTALLED_WITHIN_S)
    (folder / requirements.name).write_text(requirements.read_text())


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Keep other processes out while the block lasts: tests may run in two."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(*command: str | Path, within_s: float) -> None:
    """Run a command; the test fails with what it said where it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=within_s, check=False)
    if done.returncode:
        pytest.fail(f"the environment cannot be built:\n{done.stdout}{done.stderr}")
