"""The committed dashboards are those that the code makes, and speak of nothing that there is not."""

import json
from pathlib import Path

import pytest
import yaml

from scripts.dashboards import DASHBOARDS, FOLDER, Dashboard
from tests.support.dashboards import committed, metrics
from tests.support.modules import ROOT
from tests.support.promql import FAMILIES, FOREIGN


@pytest.mark.parametrize(("path", "made"), [pytest.param(path, made, id=made.uid) for path, made in DASHBOARDS.items()])
def test_committed_dashboard_is_fresh(path: Path, made: Dashboard) -> None:
    """`make dashboards` would change nothing."""
    assert path.read_text(encoding="utf-8") == made.json(), "stale: run `make dashboards`"


def test_folder_has_no_other_dashboard() -> None:
    """What is not made any more is not left behind; each file is named as its dashboard's uid."""
    assert sorted(FOLDER.iterdir()) == sorted(DASHBOARDS)
    for path in DASHBOARDS:
        assert json.loads(path.read_text(encoding="utf-8"))["uid"] == path.stem


def test_every_family_is_in_a_dashboard() -> None:
    """What the exporter tells, somebody can see without writing a query."""
    used = {name for dashboard in committed().values() for name in metrics(dashboard)}
    assert FAMILIES.keys() - used == set()
    assert used - FAMILIES.keys() - FOREIGN.keys() == set()


def test_dashboards_need_no_rules() -> None:
    """They work with an exporter and a Prometheus alone: names of what rules record have a colon."""
    assert not [name for dashboard in committed().values() for name in metrics(dashboard) if ":" in name]


@pytest.mark.parametrize("uid", committed())
def test_annotations_are_placed_by_their_value(uid: str) -> None:
    """Each marks a moment that a series has as its value, in milliseconds, unless it was before the time shown."""
    annotations = committed()[uid]["annotations"]["list"]
    assert annotations
    for annotation in annotations:
        assert annotation["useValueForTime"] is True
        assert "1000 * " in annotation["expr"]
        assert "> $__from" in annotation["expr"]


def test_provisioning_fits_the_other_examples() -> None:
    """Grafana reckons with the interval of the scrape example, and looks where the page on importing copies to."""
    folder = ROOT / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "spexporter.yaml").read_text(encoding="utf-8"))["datasources"]
    (scrape,) = yaml.safe_load((ROOT / "prometheus" / "scrape.example.yml").read_text(encoding="utf-8"))[
        "scrape_configs"
    ]
    assert source["type"] == "prometheus"
    assert source["jsonData"]["timeInterval"] == scrape["scrape_interval"]
    (provider,) = yaml.safe_load((folder / "dashboards" / "spexporter.yaml").read_text(encoding="utf-8"))["providers"]
    assert f"*.json {provider['options']['path']}/" in (ROOT / "grafana" / "README.md").read_text(encoding="utf-8")
    assert provider["allowUiUpdates"] is False
