"""What OpenMetrics has beside numbers: exemplars that name the job, and since when a counter counts."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.samples import Exemplar

from spexporter.domain.values import replace
from spexporter.simulator import default_plans, result_of
from tests.support.clock import START_WALL_S
from tests.support.world import OPENMETRICS, Labels, Scrape, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
LOST = result_of({"SOURCE": {"errors": 3, "warnings": 1, "objects": 2}, "RULE": {"objects": 5}})
TWO = result_of({"SOURCE": {"errors": 2}})
Series = tuple[str, Labels]
IMPORT = {"tenant": "acme", "operation": "import", "queue_s": 0.0}
EXPORT = {"tenant": "acme", "operation": "export", "queue_s": 0.0}


def imported(job_id: str, *, ago_s: float = -10.0, result: object = LOST) -> dict[str, object]:
    """Return an import of 10 s that ends that long before the start of the world."""
    return {**IMPORT, "job_id": job_id, "created_s": START_WALL_S - ago_s - 10.0, "duration_s": 10.0, "result": result}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "spexporter.db"


def exemplars(page: Scrape) -> Iterator[tuple[str, dict[str, str], Exemplar]]:
    """Yield sample, labels and exemplar wherever there is one."""
    for family in page.families:
        for sample in family.samples:
            if sample.exemplar is not None:
                yield sample.name, sample.labels, sample.exemplar


def runs(page: Scrape) -> dict[str, str]:
    """Return the jobs named by the buckets of the run histogram, by bound."""
    return {
        labels["le"]: exemplar.labels["job_id"]
        for name, labels, exemplar in exemplars(page)
        if name == "spconfig_job_run_seconds_bucket"
    }


async def test_import_counters_name_the_import_that_raised_them() -> None:
    """Errors, warnings and objects of each type, where there were any, with how many and when."""
    async with world([PLAN], plant=[{**IMPORT, "job_id": "i", "duration_s": 10.0, "result": LOST}]) as running:
        await running.advance(60)
        page = await running.scrape(OPENMETRICS)
    found = {
        (name, labels["object_type"]): exemplar for name, labels, exemplar in exemplars(page) if "object_type" in labels
    }
    assert {series: exemplar.value for series, exemplar in found.items()} == {
        ("spconfig_import_errors_total", "SOURCE"): 3,
        ("spconfig_import_warnings_total", "SOURCE"): 1,
        ("spconfig_imported_objects_total", "SOURCE"): 2,
        ("spconfig_imported_objects_total", "RULE"): 5,
    }
    for exemplar in found.values():
        assert exemplar.labels == {"job_id": "i"}
        assert exemplar.timestamp is not None
        assert START_WALL_S + 10 <= float(exemplar.timestamp) <= START_WALL_S + 14


async def test_each_run_is_an_exemplar_of_the_one_bucket_that_it_falls_into() -> None:
    """Whose bounds it lies between; a later run takes the place of an earlier one."""
    took_s = {"e3": 3.0, "e25": 25.0, "e60": 60.0, "later": 21.0}
    plant = [{**EXPORT, "job_id": job_id, "duration_s": run_s} for job_id, run_s in took_s.items()]
    async with world([PLAN], plant=plant[:-1]) as running:
        await running.advance(90)
        assert runs(await running.scrape(OPENMETRICS)) == {"5.0": "e3", "30.0": "e25", "60.0": "e60"}
        running.simulator.start(**plant[-1])  # type: ignore[call-overload]
        await running.hand_over()
        await running.advance(40)
        page = await running.scrape(OPENMETRICS)
    assert runs(page) == {"5.0": "e3", "30.0": "later", "60.0": "e60"}
    for *_, exemplar in exemplars(page):
        assert exemplar.value == pytest.approx(took_s[exemplar.labels["job_id"]], abs=0.01)


async def test_a_run_longer_than_all_bounds_is_an_exemplar_of_the_last_bucket() -> None:
    """Five hours: +Inf."""
    began_s = START_WALL_S - 5 * 3600
    plant = [{**EXPORT, "job_id": "e", "created_s": began_s, "duration_s": 5 * 3600.0 + 5}]
    async with world([PLAN], plant=plant) as running:
        await running.advance(120)
        page = await running.scrape(OPENMETRICS)
    assert [(labels["le"], exemplar.labels) for _, labels, exemplar in exemplars(page)] == [("+Inf", {"job_id": "e"})]


async def test_what_raised_nothing_leaves_no_exemplar() -> None:
    """A dry run, a failed import without result, and what had ended long before its id came."""
    dry = result_of({"SOURCE": {"errors": 2, "infos": 1}}, preview=True)
    plant = [
        {**IMPORT, "job_id": "dry", "duration_s": 8.0, "preview": True, "result": dry, "final_state": "FAILED"},
        {**IMPORT, "job_id": "failed", "duration_s": 8.0, "final_state": "FAILED", "has_result": False},
        imported("old", ago_s=7200),
    ]
    async with world([PLAN], plant=plant) as running:
        await running.advance(120)
        page = await running.scrape(OPENMETRICS)
    assert page.value("spconfig_import_errors_total", object_type="SOURCE") == 3
    assert list(exemplars(page)) == []


async def test_an_exemplar_comes_with_its_increase_and_not_before() -> None:
    """While the baseline is held, nothing names a job whose errors are not on the page."""
    plant = [{**IMPORT, "job_id": "i", "duration_s": 10.0, "result": LOST}]
    async with world([PLAN], plant=plant, hold_s=60) as running:
        await running.advance(30)
        held = await running.scrape(OPENMETRICS)
        assert (held.value("spconfig_import_errors_total", object_type="SOURCE"), list(exemplars(held))) == (0, [])
        await running.advance(60)
        assert {exemplar.labels["job_id"] for *_, exemplar in exemplars(await running.scrape(OPENMETRICS))} == {"i"}


async def test_the_text_page_has_no_exemplars() -> None:
    """Its format knows none: a `#` stands at the beginning of a line only."""
    async with world([PLAN], plant=[imported("i")]) as running:
        await running.advance(60)
        page = await running.scrape()
    assert page.value("spconfig_import_errors_total", object_type="SOURCE") == 3
    assert [line for line in page.text.splitlines() if "#" in line[1:]] == []


async def test_openmetrics_parses_over_a_jobs_life() -> None:
    """With running, ended and unread jobs: prometheus-client's parser takes every page."""
    plant = [
        {**IMPORT, "job_id": "i", "duration_s": 30.0, "result": LOST},
        {**EXPORT, "job_id": "e", "duration_s": 40.0},
        {**EXPORT, "job_id": "endless", "duration_s": math.inf},
    ]
    async with world([PLAN], plant=plant, hold_s=20) as running:
        for _ in range(8):
            await running.advance(10)
            page = await running.scrape_once(OPENMETRICS)
    assert page.value("spconfig_job_run_seconds_count", operation="export") == 1


CREATED = """
defaults: {allow_http: true}
counters: {created: %s}
tenants:
  - name: acme
    base_url: "{url}/acme"
    client_id: "%s"
    client_secret: "%s"
    expect: {export: 24h}
    jobs: [{id: new, operation: import}, {id: old, operation: import}]
"""


def created(page: Scrape, *, ours: bool = True) -> dict[Series, float]:
    prefix = "spconfig_" if ours else ""
    names = [name for name in page.samples if name.startswith(prefix) and name.endswith("_created")]
    return {(name, labels): value for name in names for labels, value in page.samples[name].items()}


@pytest.mark.parametrize("headers", [None, OPENMETRICS], ids=["text", "OpenMetrics"])
async def test_created_tells_of_counters_that_began_here_at_0_and_of_no_others(
    file: Path, headers: dict[str, str] | None
) -> None:
    """Those that were restored, or begin with what had ended long ago, would look like an increase from 0."""
    config = CREATED % ("true", PLAN.client_id, PLAN.client_secret)
    plant = [imported("old", ago_s=7200.0, result=TWO), imported("new")]
    async with world([PLAN], plant=plant, store=file, config=config) as first:
        await first.advance(60)
        page = await first.scrape(headers)
        born = created(page)
        types = {dict(labels)["object_type"] for name, labels in born if name == "spconfig_import_errors_created"}
        assert "RULE" in types
        assert "SOURCE" not in types
        for (_, labels), since_s in born.items():
            assert START_WALL_S <= since_s <= START_WALL_S + 5, labels
        operations = {dict(labels)["operation"] for name, labels in born if name == "spconfig_job_run_seconds_created"}
        assert operations == {"export"}  # the old import is in the other one
        assert created(page, ours=False).keys() > born.keys()
        assert page.value("spconfig_import_errors_total", object_type="SOURCE") == 5
    async with world(again=first, store=file, config=config) as second:
        page = await second.scrape()
        assert created(page) == {}
        assert page.value("spconfig_import_errors_total", object_type="SOURCE") == 5
        assert created(page, ours=False) != {}


@pytest.mark.parametrize("headers", [None, OPENMETRICS], ids=["text", "OpenMetrics"])
async def test_created_is_off_where_nobody_asked_for_it(headers: dict[str, str] | None) -> None:
    """Nor is there any of the exporter's own."""
    config = CREATED % ("false", PLAN.client_id, PLAN.client_secret)
    async with world([PLAN], plant=[imported("old"), imported("new")], config=config) as running:
        await running.advance(60)
        page = await running.scrape(headers)
        assert created(page, ours=False) == {}
