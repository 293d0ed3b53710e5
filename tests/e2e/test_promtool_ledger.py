"""promtool holds pages with everything the ledger adds against its rules: a restart, created series, expectations."""

from pathlib import Path

from spexporter.domain.values import replace
from spexporter.simulator import default_plans, result_of
from tests.support.prometheus import promtool
from tests.support.world import world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=12)
LOST = result_of({"SOURCE": {"errors": 3, "warnings": 1, "objects": 2}})
CONFIG = f"""
defaults: {{allow_http: true, expect: {{backup: 24h, export: 1h}}}}
counters: {{created: true}}
tenants:
  - name: acme
    base_url: "{{url}}/acme"
    client_id: "{PLAN.client_id}"
    client_secret: "{PLAN.client_secret}"
    jobs: [{{id: i, operation: import}}, {{id: e, operation: export}}]
"""


async def test_promtool_has_no_finding_before_and_after_a_restart(tmp_path: Path) -> None:
    """With created series, with expected operations that have no job, on first pages and on later ones."""
    store = tmp_path / "spexporter.db"
    plant = [
        {"tenant": "acme", "operation": "import", "job_id": "i", "duration_s": 10.0, "result": LOST},
        {"tenant": "acme", "operation": "export", "job_id": "e", "duration_s": 20.0},
    ]
    pages = []
    async with world([PLAN], plant=plant, store=store, config=CONFIG) as first:
        pages.append(await first.scrape_once())
        await first.advance(60)
        pages.append(await first.scrape())
    async with world(again=first, store=store, config=CONFIG) as second:
        pages.append(await second.scrape_once())
        await second.advance(10)
        pages.append(await second.scrape())
    assert "spconfig_import_errors_created{" in pages[1].text
    assert pages[2].value("spconfig_import_errors_total", object_type="SOURCE") == 3
    for page in pages:
        assert await promtool("check", "metrics", text=page.text) == (0, "")
