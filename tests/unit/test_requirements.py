"""The pinned sets install as they are, whatever has been released since."""

import re
from collections.abc import Iterator
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.modules import ROOT

INSTALLERS = (
    "Makefile",
    "README.md",
    "Dockerfile",
    "deploy/systemd/README.md",
    "scripts/make-sbom",
    "scripts/try-unit",
    "tests/support/environments.py",
)
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==\S+", re.MULTILINE)


@pytest.mark.parametrize("path", INSTALLERS)
def test_who_checks_hashes_resolves_nothing(path: str) -> None:
    """Where pip resolves, it takes the newest release for an extra of a pinned package, and knows no hash of it."""
    lines = [line for line in (ROOT / path).read_text().splitlines() if "--require-hashes" in line]
    assert lines
    assert [line for line in lines if "--no-deps" not in line] == []


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-dev.txt", "requirements-build.txt", "requirements-release.txt"]
)
def test_pinned_set_is_whole(name: str) -> None:
    """What is installed without a look at dependencies has all of them."""
    pinned = {canonicalize_name(found) for found in PINNED.findall((ROOT / name).read_text())}
    missing = {f"{package} needs {needed}" for package in pinned for needed in _needs(package) if needed not in pinned}
    assert missing == set()


def _needs(package: str) -> Iterator[str]:
    """Yield what an installed package needs on this machine, extras apart; nothing where it is not installed."""
    try:
        requires = distribution(package).requires or []
    except ModuleNotFoundError:
        return
    for requirement in map(Requirement, requires):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)
