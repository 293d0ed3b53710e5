"""One tenant at a time: `/probe`, and `/sd`, which names them all."""

import gzip
import json

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from spexporter.domain.values import replace
from spexporter.exposition.families import TENANT_FAMILIES
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.simulator import default_plans
from tests.support.world import OPENMETRICS, Scrape, World, world

PLANS = [replace(plan, jobs_at_start=6, starts_per_minute=0.0) for plan in default_plans(2)]
ACME, GLOBEX = (plan.name for plan in PLANS)


async def probe(running: World, tenant: str, **headers: str) -> Scrape:
    """Return the page of one tenant."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{running.url}/probe", params={"tenant": tenant}, headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        text = await response.text()
        openmetrics = response.content_type == "application/openmetrics-text"
    return Scrape(text, list((parse_openmetrics if openmetrics else parse_text)(text)))


@pytest.mark.parametrize("headers", [{}, OPENMETRICS, {"Accept-Encoding": "gzip"}], ids=["text", "openmetrics", "gzip"])
async def test_a_probe_shows_all_that_belongs_to_one_tenant_and_nothing_else(headers: dict[str, str]) -> None:
    """Every family that has a label `tenant`, with the samples that the whole page has of it."""
    async with world(PLANS) as running:
        await running.advance(120)
        whole = await running.scrape()
        page = await probe(running, ACME, **headers)
    named = {family.name for family in (*TENANT_FAMILIES, *OWN_FAMILIES) if "tenant" in family.labels}
    assert {family for family in named if f"# HELP {family.removesuffix('_total')}" not in page.text} == set()
    of_acme = {
        name: {labels: value for labels, value in samples.items() if ("tenant", ACME) in labels}
        for name, samples in whole.samples.items()
    }
    assert page.samples == {name: samples for name, samples in of_acme.items() if samples}


async def test_probes_make_no_request_and_leave_the_whole_page_as_it_is() -> None:
    """They are answered from memory, and what was rendered for others is kept."""
    async with world(PLANS) as running:
        await running.advance(120)
        before = await running.scrape()
        asked = len(running.simulator.record.exchanges[PLANS[0].client_id])
        for _ in range(3):
            await probe(running, GLOBEX)
        assert len(running.simulator.record.exchanges[PLANS[0].client_id]) == asked
        after = await running.scrape_once()
    assert after.samples["spconfig_job_state"] == before.samples["spconfig_job_state"]


async def test_a_probe_shows_counters_where_they_began_first() -> None:
    """Baseline first, as on the whole page: for that tenant a probe is one, for the others it is none."""
    async with world(PLANS) as running:
        await running.advance(120)
        assert running.exporter.board.served_version(ACME) == 0
        await probe(running, ACME)
        await running.settle()
        assert running.exporter.board.served_version(ACME) > 0
        assert running.exporter.board.served_version(GLOBEX) == 0


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/probe?tenant=nobody", 404, "There is no such tenant; /sd lists those of this exporter."),
        ("/probe?tenant=", 404, "There is no such tenant; /sd lists those of this exporter."),
        ("/probe", 400, "Which tenant? Ask for /probe?tenant=NAME; /sd lists all of them."),
    ],
)
async def test_a_probe_of_nobody_says_what_would_be_right(path: str, status: int, words: str) -> None:
    """Prometheus shows the status, a person the words."""
    async with world(PLANS) as running:
        assert await running.get(path) == (status, f"{words}\n")


async def test_service_discovery_names_each_tenant_once() -> None:
    """In the form of http_sd_configs: the targets that answer for each tenant."""
    async with world(PLANS) as running:
        await running.advance(5)
        status, body = await running.get("/sd")
        assert status == 200
        host = running.url.removeprefix("http://")
        assert json.loads(body) == [
            {"targets": [host], "labels": {"__metrics_path__": "/probe", "__param_tenant": name}}
            for name in sorted((ACME, GLOBEX))
        ]


async def test_a_probe_can_be_limited_by_name_and_compressed() -> None:
    """As the whole page can."""
    async with world(PLANS) as running:
        await running.advance(60)
        async with (
            aiohttp.ClientSession(auto_decompress=False) as http,
            http.get(
                f"{running.url}/probe?tenant={ACME}&name[]=spconfig_tenant_up", headers={"Accept-Encoding": "gzip"}
            ) as response,
        ):
            body = gzip.decompress(await response.read()).decode()
    lines = [line for line in body.splitlines() if not line.startswith("#")]
    assert lines == [f'spconfig_tenant_up{{tenant="{ACME}"}} 1.0']
