"""The pages for people over real HTTP: what they show, and what of what they are told is only text."""

import html
import json
import math
import re
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import yaml

from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.simulator import Fault, default_plans, result_of
from spexporter.web.joblist import ROWS
from tests.support.world import World, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
OTHER = replace(default_plans(2)[1], name="globex", jobs_at_start=0, starts_per_minute=0.0)
CALM = "  poll: {fastest: 5s}"
RESULT = result_of({"SOURCE": {"errors": 3, "warnings": 1, "objects": 2}, "RULE": {"objects": 5}})
ACME = {"tenant": "acme"}
JOBS: tuple[dict[str, object], ...] = (
    {**ACME, "operation": "export", "job_id": "e1", "name": "weekly copy", "duration_s": 20.0},
    {**ACME, "operation": "export", "job_id": "endless", "name": "release", "duration_s": math.inf},
    {
        **ACME,
        "operation": "import",
        "job_id": "i1",
        "name": "nightly promotion",
        "duration_s": 30.0,
        "result": RESULT,
        "final_state": "FAILED",
        "message": "Import halted because of errors.",
    },
    {"tenant": "globex", "operation": "import", "job_id": "i2", "duration_s": 10.0, "result": result_of({})},
)
HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{ 7*7 }}"


def ids(page: str) -> list[str]:
    """Return the ids of the jobs in the list, from top to bottom."""
    return re.findall(r'<tr role="row" id="job-[^/]*/[^/]*/([^"]*)"', page)


def plain(page: str) -> str:
    """Return what a person reads."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


async def shown(running: World, path: str = "/") -> str:
    status, page = await running.get(path)
    assert status == 200
    return page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["i1", "endless", "e1", "i2"]),
        ("?tenant=globex", ["i2"]),
        ("?tenant=globex&tenant=acme&operation=import&sort=tenant", ["i1", "i2"]),
        ("?state=FAILED&state=IN_PROGRESS&sort=name", ["i1", "endless"]),
        ("?operation=export&sort=-duration", ["endless", "e1"]),
        ("?text=HALTED+import", ["i1"]),
        ("?text=weekly", ["e1"]),
        ("?text=no-such-words", []),
        ("?state=&tenant=&sort=-errors", ["i1", "i2", "e1", "endless"]),
        ("?tenant=nobody", []),
        ("?sort=next", ["endless", "e1", "i1", "i2"]),
        ("?sort=nonsense&page=99&page=x&utm=1", ["i1", "endless", "e1", "i2"]),
    ],
)
async def test_jobs_are_chosen_and_sorted_by_the_address(query: str, expected: list[str]) -> None:
    """So that a view can be shared; what an address says that is not understood is passed over."""
    async with world([PLAN, OTHER], plant=JOBS, defaults=CALM) as running:
        await running.advance(60)
        page = await shown(running, f"/{query}")
        assert ids(page) == expected
        assert ("No job fits." in page) == (not expected)


async def test_filters_stay_in_the_form_and_in_the_links() -> None:
    """Who sorts or turns a page still sees the jobs that were asked for."""
    async with world([PLAN, OTHER], plant=JOBS, defaults=CALM) as running:
        await running.advance(60)
        page = await shown(running, "/?tenant=acme&text=a+%26+%22b%22&sort=-created&tenant=gone")
        assert "<option selected>acme</option>" in page
        assert "<option selected>gone</option>" in page
        assert 'value="a &amp; &#34;b&#34;"' in page
        page = await shown(running, "/?tenant=acme&text=import&sort=-created")
        assert 'aria-sort="descending"><a id="sort-created"' in page
        assert 'href="?tenant=acme&amp;text=import&amp;sort=created"' in page
        assert 'href="?tenant=acme&amp;text=import&amp;sort=-errors"' in page


async def test_ten_thousand_jobs_come_in_pages() -> None:
    """One page holds no more than its rows, whatever there is; the last page holds the rest."""
    async with world([PLAN]) as running:
        jobs = [WatchedJob(JobKey("acme", Operation.EXPORT, f"e{number:05}")) for number in range(10_000)]
        await running.exporter.fleet.desk.watch(Source.CONFIG, "acme", jobs)
        page = await shown(running)
        assert len(ids(page)) == ROWS
        assert "1 to 100 of 10000 jobs" in page
        assert len(page) < 250_000
        page = await shown(running, "/?sort=name&page=100")
        assert ids(page) == [f"e{number:05}" for number in range(9_900, 10_000)]
        assert ids(await shown(running, "/?sort=name&page=5000")) == ids(page)
        page = await shown(running, "/?text=e0001&sort=-name&page=1")
        assert ids(page) == [f"e{number:05}" for number in range(19, 9, -1)]


async def test_a_tenant_has_a_page() -> None:
    """What it is, how it does by operation, and its jobs alone."""
    async with world([PLAN, OTHER], plant=JOBS, defaults=CALM) as running:
        await running.advance(60)
        page = await shown(running, "/tenants/acme")
        said = plain(page)
        assert sorted(ids(page)) == ["e1", "endless", "i1"]
        assert "Health: up" in said
        assert "2 of 80 in the present window" in said
        assert "config-objects, export-status, import-result, import-status" in said
        assert "export 1 COMPLETE, 1 IN_PROGRESS 40 s ago" in said
        assert ids(await shown(running, "/tenants/acme?state=FAILED")) == ["i1"]
        assert "globex" not in page


async def test_an_expired_token_is_no_trouble_where_the_tenant_answers() -> None:
    """The next request gets a new one; where that fails it says since when there is none."""
    async with world([replace(PLAN, token_lifetime_s=60)], defaults=CALM) as running:
        await running.advance(30)
        assert "Token expires in 30 s" in plain(await shown(running, "/tenants/acme"))
        await running.advance(40)
        assert "Token expires renewed when needed" in plain(await shown(running, "/tenants/acme"))
        running.simulator.rotate_secret("acme", "another-planted-secret")
        await running.advance(600)
        assert re.search(r"Token expires expired \d+ min ago", plain(await shown(running, "/tenants/acme")))


async def test_a_failed_import_has_a_page_with_its_story_and_its_messages() -> None:
    """Each state when it was first seen, the end by either clock, and SailPoint's own words."""
    async with world([PLAN], plant=JOBS[:3], defaults=CALM) as running:
        await running.advance(60)
        page = await shown(running, "/jobs/acme/import/i1")
        said = plain(page)
        detail: dict[str, Any] = json.loads((await running.get("/api/v1/jobs/acme/import/i1"))[1])
        assert "FAILED Import halted because of errors." in said
        events = re.findall(r"The exporter(?: [a-z]+)+|SailPoint created it|It ended", said)
        assert events[0] == "The exporter was given its id"
        assert events.index("SailPoint created it") < events.index("It ended")
        assert "The exporter saw its end: FAILED" in said
        for text in (*detail["texts"]["SOURCE"]["errors"], *detail["texts"]["SOURCE"]["warnings"]):
            assert f"<li>{html.escape(text, quote=False)}</li>" in page.replace("&#39;", "'").replace("&#34;", '"')
        assert "spexporter wait --config.file FILE acme import i1" in said
        for time in ("created", "end_seen", "given"):
            assert f'datetime="{detail[time]}"' in page


async def test_a_job_says_when_it_is_looked_at_next_and_that_it_is_late() -> None:
    """What the exporter will do next; an ended job is not looked at any more."""
    async with world([PLAN], plant=JOBS[:3], defaults=CALM) as running:
        jobs = [WatchedJob(JobKey("acme", Operation.EXPORT, "endless"), max_age_s=120.0)]
        await running.exporter.fleet.desk.watch(Source.CONFIG, "acme", jobs)
        await running.advance(60)
        said = plain(await shown(running, "/jobs/acme/export/endless"))
        assert re.search(r"Next look (now|in \d+ s)", said)
        assert "(late)" not in said
        await running.advance(90)
        assert "1 job needs attention: endless of acme (IN_PROGRESS)." in plain(await shown(running))
        said = plain(await shown(running, "/jobs/acme/export/endless"))
        assert "(late)" in said
        assert "Stuck after 2 min" in said


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/tenants/acm", "there is no tenant acm; did you mean acme?"),
        ("/jobs/acme/import/nothing", "tenant acme has no import job nothing"),
        ("/jobs/acme/imports/i1", "tenant acme has no imports job i1"),
        ("/jobs/nobody/import/i1", "tenant nobody has no import job i1"),
        ("/tenants/%3Cscript%3E", "there is no tenant <script>"),
    ],
)
async def test_pages_that_there_are_not_say_so(path: str, words: str) -> None:
    """404, in words, with the way back; what the address says is only text."""
    async with world([PLAN], plant=JOBS[:3], defaults=CALM) as running:
        status, page = await running.get(path)
        assert status == 404
        assert words in plain(page)
        assert "<script>" not in page


async def test_what_tenants_say_is_only_text() -> None:
    """Names, messages, descriptions and object types of a hostile tenant, on every page."""
    result = result_of({HOSTILE: {"errors": 1, "warnings": 1}})
    job = {**ACME, "name": HOSTILE, "description": HOSTILE, "message": HOSTILE, "duration_s": 10.0}
    plant = [
        {**job, "operation": "export", "job_id": "e"},
        {**job, "operation": "import", "job_id": "i", "result": result},
    ]
    async with world([PLAN], plant=plant) as running:
        await running.advance(60)
        running.simulator.afflict("acme", Fault("status", status=503, endpoints=frozenset({"config_objects"})))
        for path in ("/", "/tenants/acme", "/jobs/acme/export/e", "/jobs/acme/import/i"):
            page = await shown(running, path)
            assert "alert(1)" in page
            assert not re.search("<script>|<img|{{", page.replace("{{ 7*7 }}", ""))
            assert "49" not in re.findall(r"onerror=alert\(2\)[^<]*", page)[0]


async def test_the_verdict_is_that_all_is_well_where_nothing_failed() -> None:
    """Before anybody was asked it says so, too."""
    async with world([PLAN, OTHER], plant=JOBS[:2], defaults=CALM) as running:
        assert "Of 2 tenants 2 were not asked yet." in plain(await shown(running))
        await running.advance(60)
        assert "All is well: every tenant answers. Tenants" in plain(await shown(running))


async def test_tenants_that_are_away_are_named_with_the_cure() -> None:
    """The verdict says who is in trouble, the row why, and what helps."""
    async with world([PLAN, OTHER], plant=JOBS, defaults=CALM) as running:
        await running.advance(60)
        assert "Every tenant answers. 1 job needs attention: nightly promotion of acme (FAILED)." in plain(
            await shown(running)
        )
        await running.cut_off()
        await running.advance(600)
        page = await shown(running)
        assert (
            "2 of 2 tenants (acme, globex) are in trouble. 1 job needs attention: nightly promotion of acme (FAILED)."
            in plain(page)
        )
        assert page.count("What helps: check base_url") >= 2
        assert "What helps: " in await shown(running, "/tenants/acme")


async def test_an_import_that_ended_with_errors_does_not_look_well() -> None:
    """SailPoint calls it COMPLETE all the same."""
    job = {**ACME, "operation": "import", "job_id": "i", "duration_s": 10.0, "result": RESULT}
    async with world([PLAN], plant=[job], defaults=CALM) as running:
        await running.advance(60)
        page = await shown(running)
        assert re.search(r"Every tenant answers\. 1 job needs attention: .* of acme \(COMPLETE\)\.", plain(page))
        assert '<span class="state state-errors">COMPLETE with errors</span>' in page
        assert ids(await shown(running, "/?state=COMPLETE")) == ["i"]


async def test_static_files_are_ours_alone() -> None:
    """The style and the script, and nothing else of this machine."""
    async with world([PLAN]) as running, aiohttp.ClientSession() as http:
        page = await shown(running)
        for address in re.findall(r'(?:src|href)="(static/[^"]*)"', page):
            async with http.get(f"{running.url}/{address}") as answer:
                assert answer.status == 200
                assert answer.headers["Cache-Control"] == "public, max-age=86400"
                assert answer.content_type in {"text/css", "text/javascript"}
        for name in ("nothing.css", "..%2Fpages.py", "%2Fetc%2Fpasswd"):
            assert (await running.get(f"/static/{name}"))[0] == 404


async def test_the_configuration_in_use_is_shown_without_its_secrets() -> None:
    """As YAML, with what is inherited; `world` looks for secrets on every page."""
    async with world([PLAN, OTHER], defaults=CALM) as running:
        text = await shown(running, "/config")
        tenants = yaml.safe_load(text)["tenants"]
        assert [tenant["name"] for tenant in tenants] == ["acme", "globex"]
        assert {tenant["client_secret"] for tenant in tenants} == {"<secret>"}
        assert tenants[0]["poll"] == {"fastest": "5s", "slowest": "1m", "probe": "5m"}
        assert PLAN.client_id not in text


async def test_tasks_are_shown_where_that_is_switched_on() -> None:
    """Names and places alone: an operator can see what hangs."""
    async with world([PLAN], debug=True) as running:
        text = await shown(running, "/debug/tasks")
        assert re.search(r"^poller [0-9a-f]{12}: run \(.*spexporter/poller/group\.py:\d+\)$", text, re.MULTILINE)
        assert re.search(r"^job files: watch_job_files \(", text, re.MULTILINE)
    async with world([PLAN]) as running:
        assert await running.get("/debug/tasks") == (
            403,
            "To see tasks, start the exporter with --web.enable-debug.\n",
        )
