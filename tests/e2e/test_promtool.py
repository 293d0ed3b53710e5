import time
from pathlib import Path

from tests.support.eventually import eventually
from tests.support.modules import ROOT
from tests.support.program import LOOPBACK, answer, spexporter
from tests.support.prometheus import promtool
from tests.support.world import OPENMETRICS, Scrape, scrape

# Jobs run and end five times faster, so that much of what a page can show is shown soon.
DEMO = ("demo", "--web.listen-address", LOOPBACK, "--simulator.listen-address", LOOPBACK, "--speed", "5")
WATCHED_S = 20.0


async def test_promtool_has_no_finding_on_the_page_of_a_living_demo(tmp_path: Path) -> None:
    """Neither on the first page nor on any page of its first twenty seconds; all of them parse as OpenMetrics."""
    async with spexporter(*DEMO, folder=tmp_path) as demo:
        url = await demo.url("metrics")
        begun_s = time.monotonic()
        first = await checked(url)

        async def old_enough() -> Scrape | None:
            page = await checked(url)
            return page if time.monotonic() - begun_s >= WATCHED_S else None

        last = await eventually(old_enough, "twenty seconds", within_s=2 * WATCHED_S, every_s=2.0)
    assert ended(last) > ended(first)
    assert any(last.all("spconfig_import_errors_total").values())


async def checked(url: str) -> Scrape:
    """Hold a page against promtool and its OpenMetrics form against the parser; return the latter."""
    status, page = await answer(f"{url}/metrics")
    assert status == 200
    assert await promtool("check", "metrics", text=page) == (0, "")
    openmetrics = await scrape(url, OPENMETRICS)
    assert openmetrics.text.endswith("# EOF\n")
    names = {family.name for family in openmetrics.families}
    assert {line.split()[2].removesuffix("_total") for line in page.splitlines() if line.startswith("# TYPE")} == names
    return openmetrics


def ended(page: Scrape) -> float:
    return sum(page.all("spconfig_jobs_finished_total").values())


async def test_promtool_would_find_what_is_wrong() -> None:
    """The check can fail: a counter without _total and help is a finding."""
    status, said = await promtool("check", "metrics", text="# TYPE wrong counter\nwrong 1\n")
    assert (status, "wrong" in said) == (3, True), said


async def test_scrape_example_is_a_valid_configuration() -> None:
    """prometheus/scrape.example.yml can be given to Prometheus as it is."""
    status, said = await promtool("check", "config", ROOT / "prometheus" / "scrape.example.yml")
    assert (status, "SUCCESS" in said) == (0, True), said
