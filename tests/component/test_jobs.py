"""What the page says of a job over its life."""

import math

import pytest

from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.domain.values import replace
from spexporter.simulator import default_plans, result_of
from spexporter.simulator.faults import Fault
from tests.support.clock import START_WALL_S
from tests.support.world import OPENMETRICS, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
LOST = result_of({"SOURCE": {"errors": 3, "warnings": 1, "infos": 0, "objects": 2}, "RULE": {"objects": 5}})


async def test_a_job_moves_through_its_states_and_freezes_at_the_end() -> None:
    """NOT_STARTED, IN_PROGRESS, COMPLETE; the duration grows and then stands."""
    plant = [{"tenant": "acme", "operation": "export", "job_id": "e", "queue_s": 20.0, "duration_s": 120.0}]
    async with world([PLAN], plant=plant) as running:
        await running.advance(5)
        assert (await running.scrape()).state("e") == "NOT_STARTED"
        await running.advance(40)
        page = await running.scrape()
        assert page.state("e") == "IN_PROGRESS"
        assert page.value("spconfig_job_duration_seconds", job_id="e") == pytest.approx(45, abs=1)
        assert page.value("spconfig_job_end_seen_timestamp_seconds", job_id="e") is None
        await running.advance(10)
        assert (await running.scrape()).value("spconfig_job_duration_seconds", job_id="e") == pytest.approx(55, abs=1)
        await running.advance(600)
        page = await running.scrape()
        assert page.state("e") == "COMPLETE"
        assert page.value("spconfig_job_duration_seconds", job_id="e") == pytest.approx(120, abs=0.01)
        seen_s = page.value("spconfig_job_end_seen_timestamp_seconds", job_id="e")
        assert seen_s is not None
        assert 0 <= seen_s - (START_WALL_S + 120) <= 12.5  # a tenth of the job's age late at the most
        assert page.value("spconfig_job_last_observed_timestamp_seconds", job_id="e") == seen_s
        assert page.value("spconfig_last_success_timestamp_seconds", operation="export") == START_WALL_S + 120
        assert page.value("spconfig_job_run_seconds_count", operation="export") == 1


async def test_ended_jobs_are_not_asked_again() -> None:
    """A day later not one more request was made about a job that has ended."""
    plant = [{"tenant": "acme", "operation": "import", "job_id": "i", "duration_s": 10.0, "result": LOST}]
    async with world([PLAN], plant=plant) as running:
        await running.advance(60)
        job = running.simulator.truth()["jobs"][0]  # type: ignore[index]
        await running.advance(86_400)
        after = running.simulator.truth()["jobs"][0]  # type: ignore[index]
        assert (after["statuses_sent"], after["results_sent"]) == (job["statuses_sent"], 1)


async def test_an_import_that_is_complete_but_lost_sources_says_so() -> None:
    """State COMPLETE, and errors by object type: in the job's own series and in the tenant's counters."""
    plant = [{"tenant": "acme", "operation": "import", "job_id": "i", "duration_s": 10.0, "result": LOST}]
    async with world([PLAN], plant=plant) as running:
        await running.advance(60)
        page = await running.scrape()
        assert page.state("i") == "COMPLETE"
        assert page.value("spconfig_import_errors_total", tenant="acme", object_type="SOURCE") == 3
        assert page.value("spconfig_import_errors_total", tenant="acme", object_type="RULE") == 0
        assert page.value("spconfig_import_warnings_total", object_type="SOURCE") == 1
        assert page.value("spconfig_imported_objects_total", object_type="RULE") == 5
        assert page.value("spconfig_import_messages", job_id="i", object_type="SOURCE", severity="error") == 3
        assert page.value("spconfig_import_messages", job_id="i", object_type="RULE", severity="error") == 0
        assert page.value("spconfig_import_result_read", job_id="i") == 1
        assert page.value("spconfig_last_success_timestamp_seconds", operation="import") is None


async def test_import_counters_exist_at_zero_for_every_type_the_tenant_knows() -> None:
    """An alert on increase() needs the series before the first error."""
    async with world([PLAN]) as running:
        await running.advance(5)
        types = {dict(labels)["object_type"] for labels in (await running.scrape()).all("spconfig_import_errors_total")}
        assert {"SOURCE", "RULE", "TRANSFORM", "IDENTITY_PROFILE"} <= types


async def test_a_preview_found_out_from_its_result_is_not_counted() -> None:
    """Its messages show on the job, labelled as a preview; the counters stay."""
    dry = result_of({"SOURCE": {"errors": 2, "infos": 3}}, preview=True)
    plant = [
        {"tenant": "acme", "operation": "import", "job_id": "p", "duration_s": 9.0, "preview": True, "result": dry}
    ]
    async with world([PLAN], plant=plant) as running:
        await running.advance(60)
        page = await running.scrape()
        assert page.value("spconfig_import_errors_total", object_type="SOURCE") == 0
        assert page.value("spconfig_import_results_total", outcome="preview") == 1
        assert page.value("spconfig_import_messages", job_id="p", severity="error", preview="true") == 2
        assert page.value("spconfig_job_info", job_id="p", preview="true") == 1


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({"has_result": False, "final_state": "FAILED"}, "missing"),
        ({"has_result": True, "final_state": "FAILED", "result": LOST}, "counted"),
        ({"has_result": False, "final_state": "CANCELLED"}, "missing"),
    ],
    ids=["failed without result", "failed with result", "cancelled"],
)
async def test_every_ended_import_has_exactly_one_outcome(facts: dict[str, object], outcome: str) -> None:
    """Nothing goes uncounted in silence."""
    plant = [{"tenant": "acme", "operation": "import", "job_id": "i", "duration_s": 10.0, **facts}]
    async with world([PLAN], plant=plant) as running:
        await running.advance(20)
        assert (await running.scrape()).value("spconfig_import_result_read", job_id="i") == (outcome == "counted")
        await running.advance(300)
        page = await running.scrape()
        outcomes = page.all("spconfig_import_results_total", tenant="acme")
        assert {dict(labels)["outcome"] for labels, value in outcomes.items() if value} == {outcome}
        assert sum(outcomes.values()) == 1
        assert page.value("spconfig_import_result_read", job_id="i") == (outcome == "counted")
        assert "import-result" not in (await running.get("/"))[1]


async def test_a_result_that_is_too_large_has_its_own_outcome() -> None:
    """The limit is the operator's; the outcome says that it was hit."""
    large = result_of({"SOURCE": {"objects": 200}})
    plant = [{"tenant": "acme", "operation": "import", "job_id": "i", "duration_s": 10.0, "result": large}]
    async with world([PLAN], plant=plant, defaults="  max_answer: {results: 1KiB}") as running:
        await running.advance(120)
        page = await running.scrape()
        assert page.value("spconfig_import_results_total", outcome="too_large") == 1
        assert page.value("spconfig_import_result_read", job_id="i") == 0


async def test_a_job_that_the_tenant_does_not_know_is_not_found() -> None:
    """404 shows as NOT_FOUND and ends nothing; the job is asked about again, rarely."""
    async with world([PLAN]) as running:
        await running.exporter.fleet.desk.watch(
            Source.CONFIG, "acme", [WatchedJob(JobKey("acme", Operation.IMPORT, "gone"))]
        )
        await running.advance(300)
        page = await running.scrape()
        assert page.state("gone") == "NOT_FOUND"
        assert page.value("spconfig_job_duration_seconds", job_id="gone") is None
        assert page.value("spconfig_tenant_up", tenant="acme") == 1
        assert page.value("spexporter_api_errors_total", reason="not_found") == pytest.approx(6, abs=1)
        running.simulator.start("acme", "import", job_id="gone", duration_s=math.inf)
        await running.advance(60)
        assert (await running.scrape()).state("gone") == "IN_PROGRESS"


async def test_a_job_that_leaves_the_watchlist_leaves_the_page_but_not_the_counters() -> None:
    """And coming back it is neither asked for nor counted again."""
    plant = [{"tenant": "acme", "operation": "import", "job_id": "i", "duration_s": 10.0, "result": LOST}]
    async with world([PLAN], plant=plant) as running:
        await running.advance(60)
        await running.exporter.fleet.desk.watch(Source.CONFIG, "acme", [])
        page = await running.scrape()
        assert page.all("spconfig_job_state") == {}
        assert page.value("spconfig_import_errors_total", object_type="SOURCE") == 3
        await running.hand_over()
        await running.advance(600)
        page = await running.scrape()
        assert page.state("i") == "COMPLETE"
        assert page.value("spconfig_import_errors_total", object_type="SOURCE") == 3
        assert running.simulator.truth()["jobs"][0]["results_sent"] == 1  # type: ignore[index]


async def test_configured_facts_show_and_long_texts_are_cut() -> None:
    """A name of 300 characters becomes a label of 120; max_age is a series of its own."""
    job = WatchedJob(JobKey("acme", Operation.EXPORT, "e"), name='n"\n\\' * 100, max_age_s=1800.0)
    async with world([PLAN], plant=[{"tenant": "acme", "operation": "export", "job_id": "e"}]) as running:
        await running.exporter.fleet.desk.watch(Source.CONFIG, "acme", [job])
        await running.advance(5)
        for headers in (None, OPENMETRICS):
            page = await running.scrape(headers)
            (labels,) = page.all("spconfig_job_info", job_id="e")
            assert dict(labels)["name"] == ('n"\n\\' * 100)[:120]
            assert page.value("spconfig_job_max_age_seconds", job_id="e") == 1800


async def test_the_hosts_clock_may_jump_without_touching_durations() -> None:
    """Three hours: ages are measured on the tenant's clock, and its next answer tells by how much ours is wrong now."""
    plant = [{"tenant": "acme", "operation": "export", "job_id": "e", "duration_s": math.inf}]
    async with world([PLAN], plant=plant) as running:
        await running.advance(100)
        age_s = (await running.scrape()).value("spconfig_job_duration_seconds", job_id="e")
        running.host.step_wall(10_800)
        jumped = await running.scrape()
        assert jumped.value("spconfig_job_duration_seconds", job_id="e") == age_s
        await running.advance(60)
        answered = await running.scrape()
        assert answered.value("spconfig_tenant_clock_offset_seconds", tenant="acme") == pytest.approx(-10_800, abs=1)


async def test_object_types_and_version_are_found_out_and_the_idle_tenant_is_probed() -> None:
    """A tenant with nothing to watch is asked for its object types every `probe`."""
    async with world([replace(PLAN, versions=("v2025",))]) as running:
        await running.advance(3600)
        page = await running.scrape()
        assert page.value("spconfig_tenant_info", api_version="v2025") == 1
        probes = page.value("spexporter_api_requests_total", endpoint="config-objects", code="200")
        assert probes == pytest.approx(13, abs=1)


async def test_a_busy_tenant_is_not_probed() -> None:
    """Other answers show that it is there."""
    plant = [{"tenant": "acme", "operation": "export", "job_id": "e", "duration_s": math.inf}]
    async with world([PLAN], plant=plant) as running:
        await running.advance(3600)
        probes = (await running.scrape()).value("spexporter_api_requests_total", endpoint="config-objects", code="200")
        assert probes == 1


async def test_short_lived_tokens_are_renewed_without_an_error() -> None:
    """Tokens of fifteen seconds: hundreds of renewals and no failed look."""
    plant = [{"tenant": "acme", "operation": "export", "job_id": "e", "duration_s": math.inf}]
    async with world([replace(PLAN, token_lifetime_s=15)], plant=plant, defaults="  poll: {slowest: 5s}") as running:
        await running.advance(900)
        page = await running.scrape()
        assert sum(page.all("spexporter_api_errors_total").values()) == 0
        tokens = page.value("spexporter_api_requests_total", endpoint="token", code="200")
        assert tokens is not None
        assert 55 <= tokens <= 70
        until_s = page.value("spconfig_tenant_token_expiration_timestamp_seconds", tenant="acme")
        assert until_s is not None
        assert 0 < until_s - running.clock.wall() <= 15


@pytest.mark.parametrize("skew_s", [600.0, -600.0])
async def test_a_tenant_whose_clock_is_off_has_right_durations_and_is_polled_as_ever(skew_s: float) -> None:
    """Ten minutes ahead or behind: ages, ends and the pace of looks are those of a tenant with a good clock."""
    plan = replace(PLAN, faults=(Fault("clock_skew", seconds=skew_s),))
    plant = [
        {"tenant": "acme", "operation": "export", "job_id": "running", "duration_s": math.inf},
        {"tenant": "acme", "operation": "export", "job_id": "ended", "duration_s": 90.0},
    ]
    async with world([plan], plant=plant) as running:
        await running.advance(60)
        page = await running.scrape()
        assert page.value("spconfig_job_duration_seconds", job_id="running") == pytest.approx(60, abs=1)
        assert page.value("spconfig_tenant_clock_offset_seconds", tenant="acme") == pytest.approx(skew_s, abs=1)
        running.host.step_wall(10_800)
        await running.advance(240)
        running.host.step_wall(-21_600)
        await running.advance(300)
        page = await running.scrape()
        assert page.value("spconfig_job_duration_seconds", job_id="running") == pytest.approx(600, abs=1)
        assert page.value("spconfig_job_duration_seconds", job_id="ended") == pytest.approx(90, abs=0.01)
        looks = page.value("spexporter_api_requests_total", endpoint="export-status", code="200")
        assert looks is not None
        assert 120 <= looks <= 180  # each few seconds, as of a job of which nobody knows how long it takes
