"""Write all dashboards: `make dashboards`. A test says when a committed one is stale."""

from scripts.dashboards import DASHBOARDS, FOLDER

FOLDER.mkdir(parents=True, exist_ok=True)
for path, dashboard in DASHBOARDS.items():
    path.write_text(dashboard.json(), encoding="utf-8")
