"""The version is in one place, and what repeats it cannot differ."""

import re
import subprocess

import yaml

from spexporter import __version__
from tests.support.modules import ROOT


def test_chart_is_of_the_programs_version() -> None:
    """So that its default image is that of the release that it comes with."""
    chart = yaml.safe_load((ROOT / "deploy" / "helm" / "spexporter" / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_documents_name_this_version() -> None:
    """Images are shown with a tag that there is."""
    shown = {
        found
        for folder in (".", "docs", "deploy/helm", "deploy/compose")
        for path in (ROOT / folder).glob("*.md")
        for found in re.findall(r"spexporter:(\d[\w.]*)", path.read_text(encoding="utf-8"))
    }
    assert shown == {__version__}


def test_make_prints_it() -> None:
    """For the workflow, which compares it with the tag."""
    command = ["make", "--no-print-directory", "--directory", str(ROOT), "version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{__version__}\n"
