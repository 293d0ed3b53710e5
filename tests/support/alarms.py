"""Everything between a job's end and somebody's telephone: tenants, exporter, Prometheus, Alertmanager, a webhook."""

import json
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from spexporter.clock import SystemClock
from spexporter.simulator import Simulator, TenantPlan, serving
from tests.support.alerting import Webhook, alertmanager, delivering_to, webhook
from tests.support.hurried import hurried_alertmanager, hurried_rules
from tests.support.modules import ROOT
from tests.support.program import Program, free_port, ready, spexporter
from tests.support.prometheus import Prometheus, prometheus

RULES = ROOT / "prometheus" / "spexporter.rules.yml"
ALERTMANAGER = ROOT / "prometheus" / "alertmanager.example.yml"
WITHIN_S = 30.0
EVERY_S = 0.5  # the 30 s of the example
# The exporter's heart beats every 5 s, whatever the configuration says, so the rule about it keeps its times.
AS_SLOW = frozenset({"SPExporterSchedulerStalled"})
LOOKBACK = "--query.lookback-delta=5s"  # five minutes, Prometheus' own default
# What a user leaves at its default, sixty times shorter, too; 100 ms is the shortest pause that there is.
CONFIG = """
defaults:
  poll: {{fastest: 100ms, slowest: 1s, probe: 5s}}
  timeout: 1s
  rate_limit: {{requests: 1000, per: 1s}}
  max_staleness: 1m
  count_new_within: 1m
store: {{url: "sqlite:///{store}"}}
counters: {{hold: 2s}}
tenants:
"""
TENANT = """
  - name: {plan.name}
    base_url: "{tenants_url}/{plan.name}"
    client_id: {plan.client_id}
    client_secret: {plan.client_secret}
    jobs: {jobs}
    discover: [backups]
"""


@dataclass
class Site:
    """Tenants in this process; around them everything else, as programs of their own."""

    folder: Path
    simulator: Simulator
    tenants_url: str
    address: str
    seen: Prometheus
    heard: Webhook
    jobs: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    lives: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @asynccontextmanager
    async def exporter(self) -> AsyncIterator[Program]:
        """Run the exporter at its address for as long as the block lasts, then end it as an operator does."""
        self.lives += 1
        flags = ("--config.file", self._config(), "--web.listen-address", self.address, "--web.enable-lifecycle")
        async with spexporter("run", *flags, folder=self.folder, name=f"exporter-{self.lives}") as program:
            await program.says("event=started")
            await ready(self.url)
            yield program
            assert (await program.end(signal.SIGTERM)).status == 0

    async def hand_in(self, tenant: str, operation: str, job_id: str, **more: object) -> None:
        """Tell the exporter of a job, as the pipeline does that has started it."""
        body = {"tenant": tenant, "operation": operation, "id": job_id, **more}
        async with aiohttp.ClientSession() as http, http.post(f"{self.url}/api/v1/jobs", json=body) as response:
            assert response.status == 201, await response.text()

    def _config(self) -> Path:
        text = CONFIG.format(store=self.folder / "spexporter.db")
        for plan in self.simulator.plans:
            jobs = json.dumps(self.jobs.get(plan.name, []))
            text += TENANT.format(plan=plan, tenants_url=self.tenants_url, jobs=jobs)
        path = self.folder / "spexporter.yaml"
        path.write_text(text)
        return path


@asynccontextmanager
async def site(folder: Path, plans: Sequence[TenantPlan]) -> AsyncIterator[Site]:
    """Run all but the exporter, with the shipped rules and the example of Alertmanager, sixty times faster.

    Prometheus needs five seconds before it first scrapes; it gets the rules then, as they would see it as minutes.
    """
    simulator = Simulator(plans, clock=SystemClock(), requests=1000, per_s=1.0)
    rules = folder / "spexporter.rules.yml"
    address = f"127.0.0.1:{free_port()}"
    async with AsyncExitStack() as stack:
        tenants_url = await stack.enter_async_context(serving(simulator))
        heard = await stack.enter_async_context(webhook())
        routing = delivering_to(heard.url, hurried_alertmanager(ALERTMANAGER.read_text()))
        manager = await stack.enter_async_context(alertmanager(routing, folder))
        running = prometheus(
            address, folder, every=f"{EVERY_S * 1000:.0f}ms", rules=[rules], alertmanagers=[manager], flags=[LOOKBACK]
        )
        seen = await stack.enter_async_context(running)
        await seen.eventually("count(up)", within_s=WITHIN_S)
        rules.write_text(hurried_rules(RULES.read_text(), but=AS_SLOW))
        await seen.reload()
        yield Site(folder, simulator, tenants_url, address, seen, heard)
