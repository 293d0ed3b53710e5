from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.program import LOOPBACK, spexporter
from tests.support.prometheus import Prometheus, prometheus

DEMO = ("demo", "--web.listen-address", LOOPBACK, "--simulator.listen-address", LOOPBACK)
SCRAPED_WITHIN_S = 20.0
# Jobs that were running all the last ten seconds, as ten scrapes saw it.
RUNNING = """
    on (tenant, operation, job_id) (min_over_time(spconfig_job_state{state="IN_PROGRESS"}[10s]) == 1)
and on (tenant, operation, job_id) (count_over_time(spconfig_job_state{state="IN_PROGRESS"}[10s]) >= 9)
"""


@pytest.fixture
async def scraping(tmp_path: Path) -> AsyncIterator[Prometheus]:
    """A Prometheus that scrapes the demo."""
    async with spexporter(*DEMO, folder=tmp_path) as demo:
        url = await demo.url("metrics")
        async with prometheus(url.removeprefix("http://"), tmp_path) as running:
            yield running


async def test_real_prometheus_scrapes_living_jobs(scraping: Prometheus) -> None:
    """The target is up, jobs appear in its API, and the duration of a running job grows by a second each second."""
    assert await scraping.eventually("up == 1", within_s=SCRAPED_WITHIN_S) == [1]
    assert await scraping.eventually("count(spconfig_job_state == 1) > 10", within_s=SCRAPED_WITHIN_S)
    assert await scraping.eventually("scrape_samples_scraped > 500", within_s=SCRAPED_WITHIN_S)
    growth = await scraping.eventually(
        f"deriv(spconfig_job_duration_seconds[10s]) and {RUNNING}", within_s=SCRAPED_WITHIN_S
    )
    assert all(0.8 < seconds_each_second < 1.2 for seconds_each_second in growth), growth
    (target,) = (await scraping.get("targets"))["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    assert await scraping.values("scrape_samples_scraped - scrape_samples_post_metric_relabeling") == [0]
    assert "Error on ingesting" not in scraping.program.printed()


async def test_real_prometheus_learns_types_and_help_from_the_page(scraping: Prometheus) -> None:
    """Its metadata has counters, gauges and histograms and text for each."""
    await scraping.eventually("up == 1", within_s=SCRAPED_WITHIN_S)
    metadata = await scraping.get("metadata")
    types = {name: {entry["type"] for entry in entries} for name, entries in metadata.items()}
    assert types["spconfig_job_state"] == {"gauge"}
    assert types["spconfig_job_run_seconds"] == {"histogram"}
    assert types["spconfig_imported_objects"] == {"counter"}  # OpenMetrics leaves _total to the samples
    assert all(entry["help"] for entries in metadata.values() for entry in entries)
