"""What a restart keeps, as users see it: pages, counters, jobs, and how much may be asked."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from spexporter.domain.values import replace
from spexporter.simulator import Fault, default_plans, result_of
from tests.support.clock import START_WALL_S, FakeClock
from tests.support.truth import differences
from tests.support.world import Scrape, World, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
LOST = result_of({"SOURCE": {"errors": 3, "warnings": 1, "objects": 2}, "RULE": {"objects": 5}})
FINE = result_of({"RULE": {"objects": 4}})
DRY = result_of({"SOURCE": {"errors": 2, "infos": 3}}, preview=True)
EXPORT, IMPORT = ({"tenant": "acme", "operation": operation} for operation in ("export", "import"))
JOBS: Sequence[dict[str, object]] = (
    *({**EXPORT, "job_id": f"e{took_s}", "duration_s": float(took_s)} for took_s in (20, 30, 40)),
    {**EXPORT, "job_id": "cancelled", "duration_s": 15.0, "final_state": "CANCELLED"},
    {**EXPORT, "job_id": "endless", "duration_s": math.inf},
    {**EXPORT, "job_id": "long", "duration_s": 200.0},
    {**IMPORT, "job_id": "lost", "duration_s": 30.0, "result": LOST},
    {**IMPORT, "job_id": "fine", "duration_s": 45.0, "result": FINE},
    {**IMPORT, "job_id": "dry", "duration_s": 9.0, "preview": True, "result": DRY},
    {**IMPORT, "job_id": "failed", "duration_s": 12.0, "final_state": "FAILED", "has_result": False},
    {**IMPORT, "job_id": "slow", "duration_s": 240.0, "result": LOST},
)
CALM = "  poll: {fastest: 5s}"
COUNTERS = ("spconfig_import_errors_total", "spconfig_import_warnings_total", "spconfig_imported_objects_total")
# Only an exchange of its own tells a process these.
NOT_KEPT = {
    "spconfig_tenant_up",
    "spconfig_tenant_access",
    "spconfig_tenant_info",
    "spconfig_tenant_token_expiration_timestamp_seconds",
}


def families(page: Scrape) -> dict[str, list[str]]:
    """Return the lines of each family about tenants; their order means nothing, nor do bits of a clock's offset."""
    found: dict[str, list[str]] = {}
    for part in page.text.split("# HELP ")[1:]:
        lines = part.splitlines()
        name = lines[0].split()[0]
        if name.startswith("spconfig_") and name not in NOT_KEPT:
            found[name] = sorted(lines)
    for line in found.pop("spconfig_tenant_clock_offset_seconds", [])[2:]:
        assert float(line.split()[-1]) == pytest.approx(0, abs=0.5)
    return found


def requests(running: World, client_id: str = PLAN.client_id) -> Any:  # noqa: ANN401 - decoded JSON
    """Return what the simulator received from a client: when (monotonic seconds), version, endpoint, status."""
    clients: Any = running.simulator.truth()["clients"]
    return clients[client_id]["requests"] if client_id in clients else []


def told(running: World, job_id: str) -> tuple[int, int]:
    """Return how often the simulator sent a job's status, and its result."""
    jobs: Any = running.simulator.truth()["jobs"]
    return next((job["statuses_sent"], job["results_sent"]) for job in jobs if job["id"] == job_id)


def configured(*jobs: str, name: str = "acme", more: str = "", defaults: str = "") -> str:
    """Return a configuration with one tenant and the jobs `jobs`, such as `export:17`."""
    entries = (job.split(":") for job in jobs)
    listed = ", ".join(f"{{operation: {operation}, id: {job_id}}}" for operation, job_id in entries)
    return (
        f"defaults: {{allow_http: true, poll: {{fastest: 5s}}, {defaults}}}\n"
        f"tenants:\n  - {{name: {name}, base_url: '{{url}}/acme', client_id: {PLAN.client_id},"
        f" client_secret: {PLAN.client_secret}, {more} jobs: [{listed}]}}\n"
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "spexporter.db"


async def test_the_first_page_after_a_restart_is_the_last_one_before_it(store: Path) -> None:
    """Counters, successes, usual durations, ended and running jobs: every line is there before one request is made."""
    async with world([PLAN], plant=JOBS, store=store, defaults=CALM) as first:
        await first.advance(90)
        before = await first.scrape()
    asked = len(requests(first))
    async with world(again=first, store=store) as second:
        after = await second.scrape_once()
        assert families(after) == families(before)
        assert len(requests(second)) == asked
        assert after.all("spconfig_tenant_up") == {}
        assert after.all("spconfig_tenant_access") == {}
        assert after.value("spconfig_job_usual_duration_seconds", operation="export", level="p50") == pytest.approx(
            (20 * 30 * 40) ** (1 / 3)
        )
        assert after.value("spconfig_last_success_timestamp_seconds", operation="import") == START_WALL_S + 45
        await second.advance(5)
        assert (await second.scrape()).value("spconfig_tenant_up", tenant="acme") == 1


async def test_what_was_counted_is_neither_asked_for_nor_counted_again_and_what_runs_goes_on(store: Path) -> None:
    """Over three processes every result is downloaded once, and at the end the page says what really happened."""
    async with world([PLAN], plant=JOBS, store=store, defaults=CALM) as first:
        await first.advance(90)
        ended = {job["id"]: told(first, str(job["id"])) for job in _ended(first)}
        assert len(ended) == 8
    async with world(again=first, store=store, defaults=CALM) as second:
        await second.advance(90)
        page = await second.scrape()
        assert page.state("slow") == page.state("endless") == "IN_PROGRESS"
        assert page.value("spconfig_job_duration_seconds", job_id="endless") == pytest.approx(180, abs=1)
        assert {job_id: told(second, job_id) for job_id in ended} == ended
    async with world(again=second, store=store, defaults=CALM) as third:
        await third.advance(120)
        page = await third.scrape()
        assert differences(third.simulator.truth(), page) == []
        assert {job_id: told(third, job_id) for job_id in ended} == ended
        assert {told(third, job_id)[1] for job_id in ("lost", "fine", "dry", "slow")} == {1}


def _ended(running: World) -> list[Any]:
    jobs: Any = running.simulator.truth()["jobs"]
    return [job for job in jobs if job["ended_s"] is not None]


async def test_restarts_in_quick_succession_lose_and_double_nothing(store: Path) -> None:
    """Five processes of twenty seconds while twelve jobs end: the last page is what really happened."""
    plant = [
        {**(IMPORT if number % 2 else EXPORT), "job_id": f"j{number}", "duration_s": 8.0 * number}
        for number in range(12)
    ]
    running: World | None = None
    for _ in range(5):
        async with world([PLAN], again=running, plant=() if running else plant, store=store) as running:
            await running.advance(20)
    async with world(again=running, store=store) as last:
        await last.advance(60)
        assert differences(last.simulator.truth(), await last.scrape()) == []
        jobs: Any = last.simulator.truth()["jobs"]
        assert {job["results_sent"] for job in jobs if job["operation"] == "import" and job["counts"]} == {1}


async def test_a_result_that_was_not_there_yet_is_read_after_the_restart_and_counted_once(store: Path) -> None:
    """The end was counted before, the result after: each once."""
    plan = replace(PLAN, faults=(Fault("result_late", count=3, endpoints=frozenset({"import_result"})),))
    plant = [{**IMPORT, "job_id": "i", "duration_s": 10.0, "result": LOST}]
    async with world([plan], plant=plant, store=store) as first:
        await first.advance(13)
        page = await first.scrape()
        assert (page.state("i"), page.value("spconfig_import_result_read", job_id="i")) == ("COMPLETE", 0)
    async with world(again=first, store=store) as second:
        page = await second.scrape_once()
        assert (page.state("i"), page.value("spconfig_import_result_read", job_id="i")) == ("COMPLETE", 0)
        await second.advance(300)
        assert differences(second.simulator.truth(), await second.scrape()) == []
        assert told(second, "i")[1] == 1


async def test_a_reboot_starts_the_steady_clock_anew_and_changes_nothing(store: Path) -> None:
    """Ages, staleness and retention are stored by the clock on the wall."""
    plant = [{**job, "created_s": START_WALL_S} for job in JOBS]
    async with world([PLAN], plant=plant, store=store, defaults=CALM) as first:
        await first.advance(90)
        before = families(await first.scrape())
    clock = FakeClock(first.clock.wall(), monotonic_s=3.0)
    config = first.simulator.config_yaml("{url}", named_jobs_alone=True)
    async with world([PLAN], plant=plant, store=store, clock=clock, config=config) as second:
        assert families(await second.scrape_once()) == before
        await second.advance(60)
        page = await second.scrape()
        assert page.value("spconfig_job_duration_seconds", job_id="endless") == pytest.approx(150, abs=1)


async def test_staleness_counts_from_the_last_good_answer_before_the_restart(store: Path) -> None:
    """Forty minutes of silence before it and twenty after it are an hour; what has ended stays."""
    async with world([PLAN], plant=JOBS, store=store, defaults=CALM) as first:
        await first.advance(90)
        answered_s = (await first.scrape()).value("spconfig_tenant_last_success_timestamp_seconds", tenant="acme")
        await first.cut_off()
        await first.advance(2400)
        assert (await first.scrape()).state("endless") == "IN_PROGRESS"
    async with world(again=first, store=store) as second:
        await second.cut_off()
        page = await second.scrape_once()
        assert page.state("endless") == "IN_PROGRESS"
        assert page.value("spconfig_tenant_last_success_timestamp_seconds", tenant="acme") == answered_s
        await second.advance(1100)
        page = await second.scrape()
        assert (page.state("endless"), page.value("spconfig_tenant_up")) == ("IN_PROGRESS", 0)
        await second.advance(200)
        page = await second.scrape()
        assert (page.state("endless"), page.state("lost")) == (None, "COMPLETE")
        assert page.value("spconfig_jobs", operation="export", state="UNOBSERVED") == 2
        assert page.value("spconfig_import_errors_total", object_type="SOURCE") == 3
    async with world(again=second, store=store) as third:
        assert (await third.scrape_once()).state("endless") is None
        await third.advance(60)
        assert (await third.scrape()).state("endless") == "IN_PROGRESS"


async def test_a_long_standstill_is_silence_too(store: Path) -> None:
    """Two hours without a process: the first page says nothing of what ran, until the tenant has answered."""
    async with world([PLAN], plant=JOBS, store=store, defaults=CALM) as first:
        await first.advance(90)
    first.clock.jump_to(first.clock.monotonic() + 7200)
    async with world(again=first, store=store) as second:
        page = await second.scrape_once()
        assert (page.state("endless"), page.state("lost")) == (None, "COMPLETE")
        await second.advance(60)
        page = await second.scrape()
        assert page.state("endless") == "IN_PROGRESS"
        assert differences(second.simulator.truth(), page) == []


async def test_a_job_that_was_taken_out_and_put_back_is_what_it_was(store: Path) -> None:
    """It leaves the page for one process, its counters stay; back again it is neither read nor counted anew."""
    watched = ("import:lost", "export:e20", "export:long")
    async with world([PLAN], plant=JOBS, store=store, config=configured(*watched)) as first:
        await first.advance(90)
        before = families(await first.scrape())
    async with world(again=first, store=store, config=configured("export:e20")) as second:
        page = await second.scrape()
        assert page.state("lost") is page.state("long") is None
        assert page.value("spconfig_import_errors_total", object_type="SOURCE") == 3
        assert page.value("spconfig_jobs_finished_total", operation="import", state="COMPLETE") == 1
    async with world(again=second, store=store, config=configured(*watched)) as third:
        assert families(await third.scrape_once()) == before
        await third.advance(200)
        page = await third.scrape()
        assert page.value("spconfig_import_errors_total", object_type="SOURCE") == 3
        assert page.value("spconfig_jobs_finished_total", operation="import", state="COMPLETE") == 1
        assert page.value("spconfig_jobs_finished_total", operation="export", state="COMPLETE") == 2
        assert told(third, "lost")[1] == 1


async def test_a_job_that_ended_while_it_was_taken_out_is_counted_when_it_is_put_back(store: Path) -> None:
    """Its id was given before its end: it is an increase, however long ago that was."""
    async with world([PLAN], plant=JOBS, store=store, config=configured("import:slow")) as first:
        await first.advance(90)
    async with world(again=first, store=store, config=configured()) as second:
        await second.advance(10_000)
        assert (await second.scrape()).value("spconfig_import_errors_total", object_type="SOURCE") == 0
    async with world(again=second, store=store, config=configured("import:slow")) as third:
        await third.advance(60)
        page = await third.scrape()
        assert page.value("spconfig_import_errors_total", object_type="SOURCE") == 3
        assert page.value("spconfig_jobs_finished_total", operation="import", state="COMPLETE") == 1


async def test_facts_of_the_configuration_are_those_of_now(store: Path) -> None:
    """A name and a max_age that were changed between two processes show at once, for ended jobs too."""
    old = configured("import:lost", "export:endless").replace("id: lost", "id: lost, name: old, max_age: 10m")
    new = old.replace("name: old, max_age: 10m", "name: new, max_age: 20m")
    async with world([PLAN], plant=JOBS, store=store, config=old) as first:
        await first.advance(60)
        assert (await first.scrape()).value("spconfig_job_max_age_seconds", job_id="lost") == 600
    async with world(again=first, store=store, config=new) as second:
        page = await second.scrape_once()
        assert [dict(labels)["name"] for labels in page.all("spconfig_job_info", job_id="lost")] == ["new"]
        assert page.value("spconfig_job_max_age_seconds", job_id="lost") == 1200
        assert page.state("lost") == "COMPLETE"


def renamed(text: object) -> str:
    return str(text).replace('tenant="acme"', 'tenant="acme-prod"')


async def test_a_tenant_goes_on_under_another_name(store: Path) -> None:
    """With former_names: every line as before but for the name; the old name is gone; nothing is read again."""
    jobs = tuple(f"{job['operation']}:{job['job_id']}" for job in JOBS)
    new_name = configured(*jobs, name="acme-prod", more="former_names: [acme],")
    async with world([PLAN], plant=JOBS, store=store, config=configured(*jobs)) as first:
        await first.advance(90)
        before = {name: [*map(renamed, lines)] for name, lines in families(await first.scrape()).items()}
    asked = len(requests(first))
    async with world(again=first, store=store, config=new_name) as second:
        page = await second.scrape_once()
        assert 'tenant="acme"' not in page.text
        assert families(page) == {name: sorted(lines) for name, lines in before.items()}
        assert len(requests(second)) == asked
        await second.advance(200)
        assert told(second, "lost")[1] == told(second, "slow")[1] == 1
        assert (await second.scrape()).value("spconfig_import_errors_total", object_type="SOURCE") == 6
    async with world(again=second, store=store, config=new_name) as third:
        page = await third.scrape_once()
        assert 'tenant="acme"' not in page.text
        assert page.value("spconfig_import_errors_total", tenant="acme-prod", object_type="SOURCE") == 6
    async with world(again=third, store=store, config=configured(*jobs)) as old_name_again:
        page = await old_name_again.scrape_once()
        assert page.all("spconfig_import_errors_total") == {}  # it is another tenant now, and knows nothing


async def test_a_tenant_that_was_away_for_one_process_comes_back_with_its_counters(store: Path) -> None:
    """While it is not configured nothing of it is on the page."""
    globex = replace(PLAN, name="globex", client_id="other")
    both = configured("import:lost") + configured(name="globex").partition("tenants:\n")[2].replace(
        PLAN.client_id, "other"
    ).replace("{url}/acme", "{url}/globex")
    only_globex = both.replace(both.splitlines()[2] + "\n", "")
    async with world([PLAN, globex], plant=JOBS, store=store, config=both) as first:
        await first.advance(60)
        assert (await first.scrape()).value("spconfig_import_errors_total", tenant="acme", object_type="SOURCE") == 3
    async with world(again=first, store=store, config=only_globex) as second:
        await second.advance(60)
        assert 'tenant="acme"' not in (await second.scrape()).text
    async with world(again=second, store=store, config=both) as third:
        page = await third.scrape_once()
        assert page.value("spconfig_import_errors_total", tenant="acme", object_type="SOURCE") == 3
        assert page.state("lost") == "COMPLETE"


async def test_no_restart_shows_less_than_a_page_before(store: Path) -> None:
    """Killed at any moment, here every second: the next process begins with at least what was shown."""
    plant = [{**IMPORT, "job_id": f"i{end_s}", "duration_s": end_s, "result": LOST} for end_s in (2.0, 5.0, 8.0, 11.0)]
    copies: list[tuple[Path, Scrape]] = []
    async with world([PLAN], plant=plant, store=store) as first:
        for second_of_life in range(14):
            page = await first.scrape_once()
            copies.append((Path(f"{store}.{second_of_life}"), page))
            shutil.copy(store, copies[-1][0])
            await first.advance(1)
    shown = [sum(_counters(page).values()) for _, page in copies]
    assert shown[0] == 0
    assert len(set(shown)) >= 5  # it was killed before, between and after all of them
    for copy, page in copies:
        async with world(again=first, store=copy) as next_one:
            begins = _counters(await next_one.scrape_once())
            assert all(begins[series] >= value for series, value in _counters(page).items())


def _counters(page: Scrape) -> dict[object, float]:
    names = (*COUNTERS, "spconfig_jobs_finished_total", "spconfig_import_results_total", "spconfig_job_run_seconds_sum")
    return {(name, labels): value for name in names for labels, value in page.all(name).items()}


LIMIT = "  rate_limit: {requests: 20, per: 60s, use: 100%}"
CROWD = [{**EXPORT, "job_id": f"e{number}", "duration_s": math.inf} for number in range(30)]


async def test_the_rate_limit_holds_over_a_restart(store: Path) -> None:
    """A clean stop leaves the window: no minute has more than twenty requests, though three processes share it."""
    async with world([PLAN], plant=CROWD, store=store, defaults=LIMIT, per_s=60.0) as first:
        await first.advance(40)  # half of them at once, and the others evenly
        assert len(requests(first)) == 20
    async with world(again=first, store=store, defaults=LIMIT) as second:
        page = await second.scrape_once()
        assert page.value("spexporter_rate_limit_requests", tenant="acme") == 20
        await second.advance(15)
        assert len(requests(second)) == 20
    async with world(again=second, store=store, defaults=LIMIT) as third:
        await third.advance(300)
        assert max(third.simulator.busiest_windows()[PLAN.client_id].values()) == 20
        assert len(requests(third)) > 60


async def test_a_window_that_was_half_used_is_half_free_after_a_restart(store: Path) -> None:
    """A clean stop costs nothing but what was used."""
    async with world([PLAN], plant=CROWD[:5], store=store, defaults=LIMIT, per_s=60.0) as first:
        await first.advance(3)
        used = len(requests(first))
        assert 5 <= used < 20
    async with world(again=first, store=store, defaults=LIMIT) as second:
        page = await second.scrape_once()
        assert page.value("spexporter_rate_limit_requests", tenant="acme") == used
        await second.advance(3)
        assert used < len(requests(second)) <= 20


async def test_a_pause_that_the_tenant_asked_for_outlives_the_process(store: Path) -> None:
    """No request before its end, whoever has heard of it."""
    plan = replace(PLAN, faults=(Fault("status", status=429, retry_after="120", after_s=60.0, until_s=100.0),))
    async with world([plan], plant=CROWD[:5], store=store) as first:
        await first.advance(70)
        assert requests(first)[-1][3] == 429
        last_s = requests(first)[-1][0]
    async with world(again=first, store=store) as second:
        await second.advance(200)
        after = [received_s for received_s, *_ in requests(second) if received_s > last_s]
        assert after
        assert min(after) >= last_s + 120


async def test_after_a_crash_the_window_counts_as_just_spent(store: Path, tmp_path: Path) -> None:
    """Nobody knows what the killed process has asked: no request before a whole window has passed."""
    async with world([PLAN], plant=CROWD[:3], store=store, defaults=LIMIT) as first:
        await first.advance(100)
        left_behind = Path(shutil.copy(store, tmp_path / "left behind.db"))
    asked = len(requests(first))
    killed_s = first.clock.monotonic()
    async with world(again=first, store=left_behind, defaults=LIMIT) as second:
        page = await second.scrape_once()
        assert page.value("spexporter_rate_limit_requests", tenant="acme") == 20
        await second.advance(59)
        assert len(requests(second)) == asked
        await second.advance(30)
        assert len(requests(second)) > asked
        assert requests(second)[asked][0] >= killed_s + 60


async def test_without_a_store_a_restart_begins_anew() -> None:
    """In memory alone nothing is kept: the counters begin at 0, and everything is read again."""
    async with world([PLAN], plant=JOBS) as first:
        await first.advance(90)
        assert (await first.scrape()).value("spconfig_import_errors_total", object_type="SOURCE") == 3
    async with world(again=first) as second:
        page = await second.scrape_once()
        assert page.all("spconfig_import_errors_total") == {}
        assert page.state("lost") is None
        await second.advance(60)
        assert (await second.scrape()).value("spconfig_import_errors_total", object_type="SOURCE") == 3
        assert told(second, "lost")[1] == 2


@pytest.mark.parametrize("stored", [True, False], ids=["in a file", "in memory"])
async def test_the_page_says_from_the_start_that_the_store_works(store: Path, *, stored: bool) -> None:
    """Its errors are at 0 for each operation, so that the first one is an increase."""
    async with world([PLAN], store=store if stored else None) as running:
        page = await running.scrape_once()
        assert page.value("spexporter_store_up") == 1
        assert page.all("spexporter_store_errors_total") == {
            frozenset({("op", "read")}): 0,
            frozenset({("op", "write")}): 0,
        }
