"""The unit, as systemd reads it. `scripts/try-unit` runs it."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.modules import ROOT

UNIT = ROOT / "deploy" / "systemd" / "spexporter.service"
# Of 10; what is left is that it uses the network, and the folders of the host that it may read.
MOST_EXPOSED = 1.3
BEATS_EVERY_S = 5


def analyze(*arguments: str, folder: Path) -> str:
    """Run systemd-analyze on the unit with a program that is there, and return what it said."""
    unit = folder / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/spexporter/bin/spexporter", "/bin/true"))
    if shutil.which("systemd-analyze") is None:
        pytest.fail("systemd-analyze is not on the PATH: apt-get install --no-install-recommends systemd")
    done = subprocess.run(["systemd-analyze", *arguments, unit], capture_output=True, text=True, check=False)  # noqa: S607
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_unit_is_clean(tmp_path: Path) -> None:
    """Systemd knows every key and value, and has nothing to say."""
    assert analyze("verify", folder=tmp_path) == ""


def test_unit_exposes_little(tmp_path: Path) -> None:
    """By systemd's own measure."""
    said = analyze("security", "--offline=yes", "--no-pager", folder=tmp_path)
    exposure = re.search(r"Overall exposure level for .*: ([\d.]+)", said)
    assert exposure, said
    assert float(exposure[1]) <= MOST_EXPOSED


def test_watchdog_has_time_for_several_beats() -> None:
    """One that comes late is no reason to end the exporter."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # keys of units have capitals
    unit.read(UNIT)
    assert unit.getint("Service", "WatchdogSec") >= 3 * BEATS_EVERY_S
