"""The committed dashboards are those that the code makes, and speak of nothing that there is not."""

import json
from pathlib import Path

import pytest

from scripts.dashboards import DASHBOARDS, FOLDER, Dashboard


@pytest.mark.parametrize(("path", "made"), [pytest.param(path, made, id=made.uid) for path, made in DASHBOARDS.items()])
def test_committed_dashboard_is_fresh(path: Path, made: Dashboard) -> None:
    """`make dashboards` would change nothing."""
    assert path.read_text(encoding="utf-8") == made.json(), "stale: run `make dashboards`"


def test_folder_has_no_other_dashboard() -> None:
    """What is not made any more is not left behind; each file is named as its dashboard's uid."""
    assert sorted(FOLDER.iterdir()) == sorted(DASHBOARDS)
    for path in DASHBOARDS:
        assert json.loads(path.read_text(encoding="utf-8"))["uid"] == path.stem
