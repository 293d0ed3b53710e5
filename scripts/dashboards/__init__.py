"""The Grafana dashboards, as code: `python -m scripts.dashboards` writes them into `grafana/dashboards`.

Each module but `queries`, `panels` and `frame` is one dashboard, or the figures of its first row. Nothing here needs a
rule of Prometheus to exist.
"""

from pathlib import Path

from scripts.dashboards import exporter, job, overview, tenant
from scripts.dashboards.frame import Dashboard

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "grafana" / "dashboards"

# Each file with what makes its dashboard; the uid of each is its file's name.
DASHBOARDS = {
    FOLDER / f"{made.uid}.json": made
    for made in (overview.DASHBOARD, tenant.DASHBOARD, job.DASHBOARD, exporter.DASHBOARD)
}

__all__ = ["DASHBOARDS", "FOLDER", "Dashboard"]
