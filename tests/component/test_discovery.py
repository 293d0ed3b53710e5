"""Configuration Hub's jobs find their way in by themselves: with no job named, over real HTTP."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from spexporter.domain.values import replace
from spexporter.simulator import ALL_QUIRKS, HUB_SCOPES, SP_CONFIG_SCOPES, Fault, default_plans
from tests.support.hub_truth import hub_differences
from tests.support.world import Scrape, World, world

QUIET = replace(
    default_plans(1)[0],
    name="acme",
    jobs_at_start=0,
    starts_per_minute=0.0,
    hub_jobs_at_start=0,
    hub_starts_per_minute=0,
)
HOUR_S = 3600.0
PROBE_S = 300.0  # the default of poll.probe: so rarely is an idle list read
LISTS = ("backups", "uploads", "drafts", "deploys")


def finished(page: Scrape, operation: str, state: str) -> float | None:
    return page.value("spconfig_jobs_finished_total", tenant="acme", operation=operation, state=state)


def start(running: World, kind: str, job_id: str, **options: Any) -> None:  # noqa: ANN401 (handed on)
    """Begin a job now; it leaves out nothing."""
    running.simulator.start("acme", kind, job_id=job_id, **{"queue_s": 0, "absent": (), **options})


def asked(running: World) -> Counter[str]:
    """Return how often each endpoint was asked for."""
    clients: Any = running.simulator.truth()["clients"]
    return Counter(endpoint for _, _, endpoint, _ in clients[QUIET.client_id]["requests"])


@pytest.mark.parametrize("faults", [(), ALL_QUIRKS, (Fault("bare_deploys"),)], ids=["plain", "quirks", "bare deploys"])
async def test_every_job_appears_with_its_final_state_and_end(faults: tuple[Fault, ...]) -> None:
    """While a tenant lives for two hours, with no id in the configuration and whatever the shape of its lists."""
    plan = replace(QUIET, hub_jobs_at_start=20, hub_starts_per_minute=0.3, hub_old_failures=5, faults=faults)
    async with world([plan], hub=True, defaults="  poll: {probe: 1m}") as running:
        await running.advance(2 * HOUR_S)
        # The newest of all backups are none that a restore of this tenant could use.
        start(running, "backup", "part", duration_s=1, partial=True, include_types=("SOURCE",), object_count=2)
        start(running, "backup", "others", duration_s=2, of_tenant="globex", object_count=3)
        await running.advance(65)
        truth: Any = running.simulator.truth()
        hub = truth["configuration_hub"]
        assert len([job for job in hub["jobs"] if job["times_sent"]]) > 40
        page = await running.scrape()
        assert hub_differences(running.simulator.truth(), page, quirks=bool(faults)) == []


async def test_a_first_start_with_old_failures_steps_no_counter_up() -> None:
    """Three hundred backups that failed long ago are the baseline of the series; the next failure is an increase."""
    async with world([replace(QUIET, hub_old_failures=300)], hub=True, hold_s=120.0) as running:
        seen = []
        for _ in range(20):
            seen.append(finished(await running.scrape_once(), "backup", "FAILED"))
            await running.advance(15)
        assert {value for value in seen if value is not None} == {300.0}
        start(running, "backup", "new", duration_s=30, final_state="FAILED")
        await running.advance(2 * PROBE_S)
        assert finished(await running.scrape(), "backup", "FAILED") == 301


async def test_what_ends_while_nobody_looks_is_an_increase(tmp_path: Path) -> None:
    """After a restart a list is not read for the first time: what failed since is news, and is counted once."""
    store = tmp_path / "store.db"
    async with world([replace(QUIET, hub_old_failures=2)], hub=True, store=store) as first:
        await first.advance(60)
        await first.scrape()
    start(first, "backup", "since", duration_s=10, final_state="FAILED")
    first.clock.jump_to(first.clock.monotonic() + HOUR_S / 2)
    async with world(again=first, hub=True, store=store) as second:
        assert finished(await second.scrape_once(), "backup", "FAILED") == 2
        await second.advance(60)
        assert finished(await second.scrape(), "backup", "FAILED") == 3
    async with world(again=second, hub=True, store=store) as third:
        await third.advance(60)
        assert finished(await third.scrape(), "backup", "FAILED") == 3


async def test_only_whole_backups_of_this_tenant_are_successes() -> None:
    """Partial ones and other tenants' are told apart; the count is that of the newest success."""
    async with world([QUIET], hub=True) as running:
        start(running, "backup", "whole", duration_s=1, object_count=7, hydrated_after_s=0)
        await running.advance(10)
        ended = (await running.scrape()).value("spconfig_job_completed_timestamp_seconds", job_id="whole")
        start(running, "backup", "part", duration_s=1, partial=True, include_types=("SOURCE",), object_count=2)
        start(running, "backup", "others", duration_s=1, of_tenant="globex", object_count=3)
        await running.advance(2 * PROBE_S)
        page = await running.scrape()
        assert (page.state("part"), page.state("others")) == ("COMPLETE", "COMPLETE")
        of = {"tenant": "acme", "operation": "backup"}
        assert page.value("spconfig_last_success_timestamp_seconds", **of) == ended
        assert page.value("spconfig_last_success_objects", **of) == 7
        assert finished(page, "backup", "COMPLETE") == 3


async def test_what_changes_after_the_end_is_shown_and_no_end_moves() -> None:
    """Cloud storage and the object count come later; `modified` moves with them, the end and the duration do not."""
    async with world([QUIET], hub=True) as running:
        start(
            running,
            "backup",
            "b",
            duration_s=60,
            object_count=9,
            hydrated_after_s=900,
            settled_after_s=1200,
            sync="SYNCED",
        )
        await running.advance(2 * PROBE_S)
        early = await running.scrape()
        await running.advance(HOUR_S)
        late = await running.scrape()
        assert (
            early.value("spconfig_backup_synced", job_id="b"),
            late.value("spconfig_backup_synced", job_id="b"),
        ) == (0, 1)
        assert late.value("spconfig_last_success_objects", tenant="acme", operation="backup") == 9
        for name in ("spconfig_job_completed_timestamp_seconds", "spconfig_job_duration_seconds"):
            assert early.value(name, job_id="b") == late.value(name, job_id="b") is not None
        assert late.value("spconfig_job_duration_seconds", job_id="b") == pytest.approx(60)


async def test_drafts_that_wait_are_counted_until_somebody_decides() -> None:
    """How many, and since when the first: beyond their retention, too."""
    async with world([QUIET], hub=True, defaults="  retention: 10m") as running:
        assert (await running.scrape()).value("spconfig_drafts_pending_approval", tenant="acme") is None
        start(running, "draft", "first", duration_s=1, approval="PENDING_APPROVAL", pending_after_s=60)
        start(
            running, "draft", "second", duration_s=1, approval="APPROVED", pending_after_s=120, decided_after_s=HOUR_S
        )
        since_s = running.host.wall() + 1 + 60
        await running.advance(HOUR_S * 0.9)
        page = await running.scrape()
        assert page.value("spconfig_drafts_pending_approval", tenant="acme") == 2
        assert page.value("spconfig_drafts_oldest_pending_timestamp_seconds", tenant="acme") == pytest.approx(
            since_s, abs=0.01
        )
        assert page.state("first") is None
        await running.advance(HOUR_S)
        assert (await running.scrape()).value("spconfig_drafts_pending_approval", tenant="acme") == 1


async def test_a_forbidden_list_is_switched_off_until_the_next_reload() -> None:
    """It is asked for once, the scope that it needs is named, and the other lists go on."""
    scopes = (*SP_CONFIG_SCOPES, *(scope for scope in HUB_SCOPES if "draft" not in scope))
    async with world([replace(QUIET, scopes=scopes)], hub=True, lifecycle=True) as running:
        start(running, "draft", "d", duration_s=1, approval="PENDING_APPROVAL", pending_after_s=1)
        start(running, "deploy", "p", duration_s=1)
        await running.advance(HOUR_S)
        assert (asked(running)["drafts"], asked(running)["deploys"] > 5) == (1, True)
        page = await running.scrape()
        assert page.value("spconfig_tenant_access", tenant="acme", endpoint="drafts") == 0
        assert (page.state("d"), page.state("p")) == (None, "COMPLETE")
        assert page.value("spconfig_drafts_pending_approval", tenant="acme") is None
        assert "sp:config-draft:read" in (await running.get("/"))[1]
        await running.exporter.fleet.take_over(running.used)
        await running.advance(60)
        assert asked(running)["drafts"] == 2


async def test_lists_are_read_often_only_while_something_runs() -> None:
    """An idle tenant costs four calls in five minutes; a running job only more of its own list, and a few of others."""
    async with world([QUIET], hub=True) as running:
        await running.advance(PROBE_S)
        idle = asked(running)
        await running.advance(HOUR_S)
        cost = asked(running) - idle
        assert cost == dict.fromkeys(LISTS, 12) | {"personal_access_tokens": 1}
        start(running, "deploy", "long", duration_s=HOUR_S)
        await running.advance(PROBE_S + 1)
        busy = asked(running)
        await running.advance(600)
        busy = asked(running) - busy
        assert 40 <= busy["deploys"] <= 120
        assert all(9 <= busy[name] <= 12 for name in LISTS[:3])


async def test_a_job_that_leaves_its_list_keeps_its_series_for_its_retention() -> None:
    """Its backup may be deleted at once: that it failed is worth knowing all the same."""
    async with world([QUIET], hub=True, defaults="  retention: 1h") as running:
        start(running, "backup", "b", duration_s=10, final_state="FAILED", kept_s=400)
        await running.advance(HOUR_S)
        assert (await running.scrape()).state("b") == "FAILED"
        await running.advance(HOUR_S / 2)
        page = await running.scrape()
        assert (page.state("b"), finished(page, "backup", "FAILED")) == (None, 1)


async def test_a_running_job_that_leaves_its_list_is_not_found() -> None:
    """Not after one reading without it, which may come short, but when others confirm that."""
    async with world([QUIET], hub=True, defaults="  retention: 1h") as running:
        start(running, "draft", "d", duration_s=math.inf, kept_s=400)
        await running.advance(390)
        assert (await running.scrape()).state("d") == "IN_PROGRESS"
        await running.advance(300)
        page = await running.scrape()
        assert (page.state("d"), page.value("spconfig_jobs", tenant="acme", operation="draft", state="NOT_FOUND")) == (
            "NOT_FOUND",
            1,
        )
        await running.advance(HOUR_S)
        assert (await running.scrape()).state("d") is None


async def test_no_more_unfinished_jobs_are_watched_than_there_is_room_for() -> None:
    """A list that grows without an end costs no more than the limit allows."""
    async with world([QUIET], hub=True, limits="limits: {max_jobs_per_tenant: 3}\n") as running:
        for number in range(8):
            start(running, "deploy", f"d{number}", duration_s=math.inf)
        start(running, "backup", "done", duration_s=0)
        await running.advance(PROBE_S)
        page = await running.scrape()
        assert sum(page.all("spconfig_jobs", tenant="acme", state="IN_PROGRESS").values()) == 3
        assert page.state("done") == "COMPLETE"


async def test_jobs_of_lists_that_are_read_no_more_leave() -> None:
    """Without `discover` in the new configuration nothing is said about them; with it they are back, counted once."""
    async with world([QUIET], hub=True) as running:
        start(running, "backup", "b", duration_s=10, final_state="FAILED")
        start(running, "draft", "d", duration_s=1, approval="PENDING_APPROVAL", pending_after_s=1)
        await running.advance(2 * PROBE_S)
        assert finished(await running.scrape(), "backup", "FAILED") == 1
        (tenant,) = running.used.tenants
        without = replace(running.used, tenants=(replace(tenant, discover=()),))
        await running.exporter.fleet.take_over(without)
        await running.advance(2 * PROBE_S)
        page = await running.scrape()
        assert (page.state("b"), finished(page, "backup", "FAILED")) == (None, 1)
        assert page.value("spconfig_drafts_pending_approval", tenant="acme") is None
        await running.exporter.fleet.take_over(running.used)
        await running.advance(PROBE_S)
        page = await running.scrape()
        assert (page.state("b"), finished(page, "backup", "FAILED")) == ("FAILED", 1)
        assert page.value("spconfig_drafts_pending_approval", tenant="acme") == 1


async def test_a_listed_job_cannot_be_taken_back_over_http() -> None:
    """Nobody handed it in: the answer names the source."""
    async with world([QUIET], hub=True, lifecycle=True) as running, aiohttp.ClientSession() as http:
        start(running, "backup", "b", duration_s=1)
        await running.advance(PROBE_S)
        async with http.delete(f"{running.url}/api/v1/jobs/acme/backup/b") as response:
            assert (response.status, "discovery" in await response.text()) == (409, True)


async def test_json_and_the_page_for_people_say_what_the_lists_tell() -> None:
    """Why a backup is no success, how many drafts wait and when the credential ends; null where nothing is told."""
    plan = replace(QUIET, credential_lasts_s=30 * 86400.0)
    async with world([plan], hub=True) as running:
        facts = {
            "partial": True,
            "include_types": ("SOURCE",),
            "object_count": 2,
            "sync": "SYNCED",
            "of_tenant": "globex",
        }
        start(running, "backup", "b", duration_s=1, hydrated_after_s=0, settled_after_s=0, **facts)
        start(running, "draft", "d", duration_s=1, approval="PENDING_APPROVAL", pending_after_s=1)
        await running.advance(2 * PROBE_S)
        jobs = json.loads((await running.get("/api/v1/jobs?operation=backup&operation=draft"))[1])["jobs"]
        names = ("id", "object_count", "synced", "partial", "of_other_tenant")
        assert [[job[name] for name in names] for job in jobs] == [["b", 2, True, True, True], ["d", *[None] * 4]]
        (tenant,) = json.loads((await running.get("/api/v1/tenants"))[1])["tenants"]
        assert tenant["drafts_pending"] == 1
        assert tenant["drafts_oldest_pending"] is not None
        assert tenant["credential_expiration"] is not None
        assert "; 1 draft waits</td>" in (await running.get("/"))[1]
        page = (await running.get("/tenants/acme"))[1]
        assert "<dt>Drafts that wait</dt><dd>1, the first since <time" in page
        assert "<dt>Credential ends</dt><dd><time" in page


@pytest.mark.parametrize("lasts_s", [30 * 86400.0, None])
async def test_the_end_of_the_credential_is_asked_for(lasts_s: float | None) -> None:
    """`credential_expires: auto` shows when the personal access token ends, and nothing where it never does."""
    async with world([replace(QUIET, credential_lasts_s=lasts_s)], hub=True) as running:
        began_s = running.host.wall()
        await running.advance(60)
        found = (await running.scrape()).value("spconfig_tenant_credential_expiration_timestamp_seconds", tenant="acme")
        assert found == (None if lasts_s is None else pytest.approx(began_s + lasts_s, abs=1.0))


async def test_a_token_that_may_not_ask_for_its_end_is_asked_once() -> None:
    """Without the scope nobody asks again until the next reload, and the tenant is well."""
    async with world([replace(QUIET, scopes=(*SP_CONFIG_SCOPES, *HUB_SCOPES))], hub=True) as running:
        await running.advance(3 * HOUR_S)
        assert asked(running)["personal_access_tokens"] == 1
        page = await running.scrape()
        assert page.value("spconfig_tenant_up", tenant="acme") == 1
        assert page.value("spconfig_tenant_access", tenant="acme", endpoint="personal-access-tokens") == 0
