"""What the simulator shows of itself: a page for people, a configuration to start from, the jobs and the truth."""

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from aiohttp import web

from spexporter.simulator.jobs import SimulatedJob
from spexporter.simulator.plan import TenantPlan

if TYPE_CHECKING:
    from spexporter.simulator.simulator import Simulator


def add_pages(app: web.Application, simulator: "Simulator") -> None:
    """Add `/`, `/-/jobs`, `/-/config.yaml` and `/-/truth`."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=_page(simulator.plans, str(request.url.origin())), content_type="text/html")

    async def config(request: web.Request) -> web.Response:
        text = simulator.config_yaml(str(request.url.origin()))
        return web.Response(text=text, content_type="application/yaml")

    async def jobs(_: web.Request) -> web.Response:
        now_s = simulator.now_s()
        return web.json_response(
            [
                {"tenant": job.tenant, "operation": job.operation, "id": job.id, "name": job.name}
                | {"state": job.state_at(now_s)}
                for plan in simulator.plans
                for job in simulator.jobs(plan.name)
            ]
        )

    async def truth(_: web.Request) -> web.Response:
        return web.json_response(simulator.truth())

    app.add_routes(
        [
            web.get("/", page),
            web.get("/-/jobs", jobs),
            web.get("/-/config.yaml", config),
            web.get("/-/truth", truth),
        ]
    )


def config_lines(plan: TenantPlan, jobs: Sequence[SimulatedJob], root_url: str, ca_file: str | None) -> Iterator[str]:
    """Yield the lines of one entry below `tenants:`; every scalar is quoted as JSON, which is YAML too."""
    yield f"  - name: {json.dumps(plan.name)}"
    yield f"    base_url: {json.dumps(f'{root_url}/{plan.name}')}"
    yield f"    client_id: {json.dumps(plan.client_id)}"
    yield f"    client_secret: {json.dumps(plan.client_secret)}"
    if ca_file is not None:
        yield f"    ca_file: {json.dumps(ca_file)}"
    yield "    jobs:" if jobs else "    jobs: []"
    for job in jobs:
        name = json.dumps(job.name)
        yield f"      - {{id: {json.dumps(job.id)}, operation: {job.operation}, name: {name}}}"


def _page(plans: Sequence[TenantPlan], root_url: str) -> str:
    rows = "\n".join(
        f"<tr><td>{escape(plan.name)}</td><td>{escape(f'{root_url}/{plan.name}')}</td>"
        f"<td>{escape(plan.client_id)}</td></tr>"
        for plan in plans
    )
    return f"""<!doctype html>
<title>Simulated SailPoint tenants</title>
<h1>Simulated SailPoint tenants</h1>
<p>Nothing here is real: the tenants, their jobs and their secrets are made up from a seed.</p>
<ul>
<li><a href="/-/config.yaml">a configuration for spexporter</a> with these tenants and their present jobs</li>
<li><a href="/-/jobs">the jobs that exist now</a></li>
<li><a href="/-/truth">what was really asked and sent</a></li>
</ul>
<table border="1" cellpadding="6">
<tr><th>tenant</th><th>base_url</th><th>client_id</th></tr>
{rows}
</table>
"""
