"""`/api/v1` over real HTTP: what it tells of tenants and jobs, and jobs that are handed in and taken back."""

import asyncio
import difflib
import json
import math
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch
from urllib.parse import urlsplit

import aiohttp
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.domain.values import replace
from spexporter.ledger.lease import SoleOwner
from spexporter.poller import Poller
from spexporter.simulator import Fault, default_plans, result_of
from spexporter.web import body
from tests.support.bytesent import answered
from tests.support.disks import overwritten
from tests.support.world import World, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
RESULT = result_of({"SOURCE": {"errors": 3, "warnings": 1, "objects": 2}, "RULE": {"objects": 5}})
EXPORT, IMPORT = ({"tenant": "acme", "operation": operation} for operation in ("export", "import"))
JOBS: tuple[dict[str, object], ...] = (
    {**EXPORT, "job_id": "e1", "duration_s": 20.0},
    {**EXPORT, "job_id": "endless", "duration_s": math.inf},
    {**IMPORT, "job_id": "i1", "duration_s": 30.0, "result": RESULT},
)
CALM = "  poll: {fastest: 5s}"
NO_JOBS = (
    "defaults: {allow_http: true, poll: {fastest: 5s}, retention: 2h}\nlimits: {max_jobs_per_tenant: 2}\n"
    f"tenants:\n  - {{name: acme, base_url: '{{url}}/acme', client_id: {PLAN.client_id},"
    f" client_secret: {PLAN.client_secret}, jobs: []}}\n"
)
ORDER = {"tenant": "acme", "operation": "import", "id": "i1"}
JSON = {"Content-Type": "application/json"}


class Said(NamedTuple):
    """An answer of the API; `body` None where there is none."""

    status: int
    body: Any
    headers: Mapping[str, str]


async def ask(
    running: World, method: str, path: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Said:
    """Ask the API and return what it said."""
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"{running.url}/api/v1/{path}", data=data, headers=headers) as response,
    ):
        text = await response.text()
        assert response.status == 204 or response.content_type == "application/json", text
        return Said(response.status, json.loads(text) if text else None, response.headers)


async def get(running: World, path: str) -> Said:
    return await ask(running, "GET", path)


async def hand_in(running: World, **order: object) -> Said:
    """Hand in a job: `ORDER`, changed by `order`."""
    return await ask(running, "POST", "jobs", json.dumps({**ORDER, **order}).encode(), JSON)


def posting(*headers: str, sent: bytes = b"") -> bytes:
    lines = ("POST /api/v1/jobs HTTP/1.1", "Host: test", "Content-Type: application/json", *headers, "", "")
    return "\r\n".join(lines).encode() + sent


async def test_jobs_are_told_as_metrics_tell_them() -> None:
    """State, times, duration and messages of each job are those of `/metrics`; what is not known is null."""
    async with world([PLAN], plant=JOBS, defaults=CALM) as running:
        await running.advance(60)
        page = await running.scrape()
        listed = (await get(running, "jobs")).body["jobs"]
        assert [(job["operation"], job["id"]) for job in listed] == [
            ("export", "e1"),
            ("export", "endless"),
            ("import", "i1"),
        ]
        for job in listed:
            assert page.state(job["id"]) == job["state"]
            assert page.value("spconfig_job_duration_seconds", job_id=job["id"]) == job["elapsed_seconds"]
            detail = (await get(running, f"jobs/acme/{job['operation']}/{job['id']}")).body
            assert {name: detail[name] for name in job} == job
        imported, endless = listed[2], listed[1]
        assert imported["messages"] == {
            "SOURCE": {"error": 3, "warning": 1, "info": 0},
            "RULE": {"error": 0, "warning": 0, "info": 0},
        }
        assert imported["objects"] == {"SOURCE": 2, "RULE": 5}
        assert (imported["outcome"], imported["preview"], imported["ended"]) == ("counted", False, True)
        assert (imported["created"], imported["completed"]) == ("2027-01-15T08:00:00.000Z", "2027-01-15T08:00:30.000Z")
        assert (endless["state"], endless["ended"], endless["source"]) == ("IN_PROGRESS", False, "config")
        assert [endless[key] for key in ("completed", "end_seen", "messages", "outcome", "trouble")] == [None] * 5


async def test_a_single_job_tells_what_is_remembered_of_it() -> None:
    """When each state was first seen, what the import said, and when the next look is due."""
    async with world([PLAN], plant=JOBS, defaults=CALM) as running:
        await running.advance(60)
        imported, endless = [(await get(running, f"jobs/acme/{path}")).body for path in ("import/i1", "export/endless")]
        assert [seen["state"] for seen in imported["states_seen"]][-1:] == ["COMPLETE"]
        assert [seen["state"] for seen in endless["states_seen"]][-1:] == ["IN_PROGRESS"]
        assert all(seen["seen"] for seen in (*imported["states_seen"], *endless["states_seen"]))
        assert {name: [len(texts["errors"]), len(texts["warnings"])] for name, texts in imported["texts"].items()} == {
            "SOURCE": [3, 1]
        }
        assert all(texts for texts in imported["texts"]["SOURCE"]["errors"])
        assert (endless["texts"], imported["next_look_in_seconds"]) == (None, None)
        assert imported["given"] == endless["given"] == "2027-01-15T08:00:00.000Z"
        left_s = endless["next_look_in_seconds"]
        assert 0 < left_s <= 10
        await running.advance(left_s / 2)
        assert (await get(running, "jobs/acme/export/endless")).body["next_look_in_seconds"] == pytest.approx(
            left_s / 2
        )


async def test_the_budget_of_a_tenant_is_told() -> None:
    """As the metrics tell it: used in the present window, and allowed."""
    async with world([PLAN], plant=JOBS, defaults=CALM) as running:
        await running.advance(2)
        page, (tenant,) = await running.scrape(), (await get(running, "tenants")).body["tenants"]
        for word, family in (("used", "requests"), ("allowed", "allowed_requests")):
            assert tenant[f"budget_{word}"] == page.value(f"spexporter_rate_limit_{family}", tenant="acme"), word
        assert 0 < tenant["budget_used"] <= tenant["budget_allowed"] == 80


async def test_tenants_are_told_with_their_troubles() -> None:
    """Health, jobs by state and what helps, as on the page for people."""
    async with world([PLAN], plant=JOBS, defaults=CALM) as running:
        await running.advance(60)
        (tenant,) = (await get(running, "tenants")).body["tenants"]
        assert (tenant["tenant"], tenant["up"], tenant["stale"], tenant["troubles"]) == ("acme", True, False, [])
        assert tenant["jobs"] == {"export": {"COMPLETE": 1, "IN_PROGRESS": 1}, "import": {"COMPLETE": 1}}
        await running.cut_off()
        await running.advance(60)
        (tenant,) = (await get(running, "tenants")).body["tenants"]
        assert tenant["up"] is False
        assert {trouble["reason"] for trouble in tenant["troubles"]} == {"unreachable"}
        assert all(trouble["cure"] and trouble["since"] for trouble in tenant["troubles"])


async def test_unfinished_jobs_of_a_silent_tenant_are_unobserved() -> None:
    """After `max_staleness` nothing is said of them, as `spconfig_jobs` has it; ended ones stay."""
    async with world([PLAN], plant=JOBS, defaults=CALM) as running:
        assert (await get(running, "jobs?state=UNOBSERVED")).body["jobs"][0]["elapsed_seconds"] is None
        await running.advance(60)
        await running.cut_off()
        await running.advance(3700)
        states = {job["id"]: job["state"] for job in (await get(running, "jobs")).body["jobs"]}
        assert states == {"e1": "COMPLETE", "endless": "UNOBSERVED", "i1": "COMPLETE"}
        assert (await get(running, "jobs/acme/export/endless")).body["elapsed_seconds"] is None


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("tenant=acme", ["e1", "endless", "i1"]),
        ("operation=export", ["e1", "endless"]),
        ("state=COMPLETE&operation=export", ["e1"]),
        ("state=COMPLETE&state=IN_PROGRESS", ["e1", "endless", "i1"]),
        ("tenant=&state=&operation=import", ["i1"]),
        ("state=FAILED", []),
    ],
)
async def test_jobs_can_be_chosen(query: str, ids: list[str]) -> None:
    """All filters must fit, one of several values of each; an empty one asks for nothing."""
    async with world([PLAN], plant=JOBS, defaults=CALM) as running:
        await running.advance(60)
        assert [job["id"] for job in (await get(running, f"jobs?{query}")).body["jobs"]] == ids


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("jobs?state=COMPLET", 400, "state COMPLET: did you mean COMPLETE?"),
        ("jobs?operation=x", 400, "operation x: known here are export, import, backup, upload, draft, deploy"),
        ("jobs?tenant=acmee", 400, "tenant acmee: did you mean acme?"),
        ("jobs?sate=FAILED&tenant=zz", 400, "sate is no filter; did you mean state?; tenant zz: known here are acme"),
        ("jobs/acm/import/i1", 404, "there is no tenant acm; did you mean acme?"),
        ("jobs/acme/imports/i1", 404, "there is no operation imports; did you mean import?"),
        ("jobs/acme/import/i11", 404, "tenant acme has no import job i11; did you mean i1?"),
        ("jobs/acme/export/i1", 404, "tenant acme has no export job i1; there is one among its import jobs"),
    ],
)
async def test_what_there_is_not_is_refused_with_what_would_be_right(path: str, status: int, error: str) -> None:
    """The error names the nearest word, or all of them."""
    async with world([PLAN], plant=JOBS, defaults=CALM) as running:
        await running.advance(30)
        assert (await get(running, path))[:2] == (status, {"error": error})


@pytest.mark.parametrize("path", ["nothing", "jobs/", "jobs/acme/import", "jobs/acme/import/", "jobs/acme/import/a/b"])
async def test_paths_that_there_are_not_are_refused_as_json(path: str) -> None:
    """404 as everywhere in the API, with where to look."""
    async with world([PLAN], plant=JOBS) as running:
        error = "there is nothing at this path; /api/v1/openapi.json says what there is"
        assert (await get(running, path))[:2] == (404, {"error": error})


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "PATCH", "PROPFIND"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [("tenants", "GET, HEAD"), ("jobs", "GET, HEAD, POST"), ("jobs/acme/import/i1", "DELETE, GET, HEAD")],
)
async def test_methods_that_there_are_not_are_refused_as_json(method: str, path: str, allowed: str) -> None:
    """405 with those that there are, in `Allow` and in words."""
    async with world([PLAN], plant=JOBS) as running:
        said = await ask(running, method, path)
        assert said[:2] == (405, {"error": f"{method} is not possible here; possible are {allowed}"})
        assert said.headers["Allow"] == allowed


async def test_of_many_wrong_values_a_few_are_described() -> None:
    """To look for the nearest word takes a while, and nothing else happens meanwhile."""
    values, names = ("&".join(f"{form % n}" for n in range(300)) for form in ("tenant=acm%03d", "x%03d=acme"))
    async with world([PLAN], plant=JOBS) as running:
        with patch.object(difflib, "get_close_matches", wraps=difflib.get_close_matches) as look:
            for query in (values, names):
                said = await get(running, f"jobs?{query}")
                assert said.status == 400
                assert said.body["error"].endswith("; 295 more are wrong, too")
        assert look.call_count == 10


async def test_a_job_that_is_handed_in_is_watched_from_then_on() -> None:
    """201 with the job and where it is, 200 when it is handed in again; metrics name the source."""
    async with world([PLAN], plant=JOBS, config=NO_JOBS, lifecycle=True) as running:
        said = await hand_in(running, name="promotion", max_age="1h30m")
        assert (said.status, said.headers["Location"]) == (201, "/api/v1/jobs/acme/import/i1")
        assert (said.body["state"], said.body["source"], said.body["max_age_seconds"]) == ("UNOBSERVED", "api", 5400)
        await running.advance(60)
        page = await running.scrape()
        assert page.state("i1") == "COMPLETE"
        (info,) = page.all("spconfig_job_info", job_id="i1")
        assert info >= {("source", "api"), ("name", "promotion")}
        said = await hand_in(running)
        assert (said.status, said.body["state"], said.body["name"]) == (200, "COMPLETE", "promotion")


async def test_a_job_that_is_handed_in_again_takes_what_is_said_anew() -> None:
    """What the second order leaves out stays as the first one has it."""
    async with world([PLAN], plant=JOBS, config=NO_JOBS, lifecycle=True) as running:
        await hand_in(running, name="promotion", max_age="1h", preview=True)
        said = await hand_in(running, max_age="2h", name=None)
        assert said.status == 200
        assert [said.body[key] for key in ("name", "max_age_seconds", "preview")] == ["promotion", 7200, True]


async def test_what_the_configuration_says_of_a_job_wins() -> None:
    """200, and nothing changes; it cannot be taken back here."""
    async with world([PLAN], plant=JOBS, lifecycle=True) as running:
        said = await hand_in(running, name="mine")
        assert (said.status, said.body["source"]) == (200, "config")
        assert said.body["name"] != "mine"
        said = await ask(running, "DELETE", "jobs/acme/import/i1")
        assert said[:2] == (
            409,
            {"error": "the job is named by another source than the API (config); take it out there"},
        )


async def test_a_job_found_by_a_weaker_source_becomes_the_apis() -> None:
    """200, with the description that was handed in; it stays when the weaker source has it no more."""
    async with world([PLAN], plant=JOBS, config=NO_JOBS, lifecycle=True) as running:
        key = JobKey("acme", Operation.EXPORT, "e1")
        await running.exporter.fleet.desk.watch(Source.BACKUP, "acme", [WatchedJob(key, Source.BACKUP)])
        said = await hand_in(running, operation="export", id="e1", name="mine")
        assert (said.status, said.body["source"], said.body["name"]) == (200, "api", "mine")
        assert (await ask(running, "DELETE", "jobs/acme/export/e1")).status == 409
        await running.exporter.fleet.desk.watch(Source.BACKUP, "acme", [])
        assert (await get(running, "jobs/acme/export/e1")).body["name"] == "mine"


async def test_handed_in_jobs_survive_a_restart_until_they_are_taken_back(tmp_path: Path) -> None:
    """The next process has them from the store, with all that was said; one that was taken back does not return."""
    store = tmp_path / "spexporter.db"
    async with world([PLAN], plant=JOBS, config=NO_JOBS, store=store, lifecycle=True) as first:
        await hand_in(first, name="promotion", max_age="30m")
        await hand_in(first, operation="export", id="endless")
        await first.advance(40)
    async with world(again=first, config=NO_JOBS, store=store, lifecycle=True) as second:
        jobs = (await get(second, "jobs")).body["jobs"]
        assert [(job["id"], job["source"], job["state"]) for job in jobs] == [
            ("endless", "api", "IN_PROGRESS"),
            ("i1", "api", "COMPLETE"),
        ]
        assert (jobs[1]["name"], jobs[1]["max_age_seconds"]) == ("promotion", 1800)
        assert (await hand_in(second)).status == 200
        assert (await ask(second, "DELETE", "jobs/acme/import/i1"))[:2] == (204, None)
        assert (await second.scrape()).all("spconfig_job_state", job_id="i1") == {}
    async with world(again=second, config=NO_JOBS, store=store, lifecycle=True) as third:
        assert [job["id"] for job in (await get(third, "jobs")).body["jobs"]] == ["endless"]


async def test_only_what_is_watched_can_be_taken_back() -> None:
    """204 once, then 404, as for tenants and operations that there are not."""
    async with world([PLAN], plant=JOBS, config=NO_JOBS, lifecycle=True) as running:
        await hand_in(running)
        assert (await ask(running, "DELETE", "jobs/acme/import/i1")).status == 204
        said = await ask(running, "DELETE", "jobs/acme/import/i1")
        assert said[:2] == (404, {"error": "nobody has named the import job i1 of tenant acme"})
        assert (await ask(running, "DELETE", "jobs/acmee/import/i1")).body["error"].endswith("did you mean acme?")
        assert (await ask(running, "DELETE", "jobs/acme/imprt/i1")).status == 404


async def test_jobs_that_have_left_the_pages_are_let_go() -> None:
    """After `retention` a handed-in job needs no DELETE; handed in again it is known, and not counted anew."""
    async with world([PLAN], plant=JOBS, config=NO_JOBS, lifecycle=True) as running:
        await hand_in(running)
        await running.advance(7400)
        assert (await get(running, "jobs/acme/import/i1")).status == 404
        assert (await hand_in(running, operation="export", id="e1")).status == 201  # the first one is let go here
        assert (await ask(running, "DELETE", "jobs/acme/import/i1")).status == 404
        said = await hand_in(running)
        assert (said.status, said.body["state"]) == (200, "UNOBSERVED")
        await running.advance(60)
        assert (await running.scrape()).value("spconfig_import_results_total", outcome="counted") == 1


@pytest.mark.parametrize(("method", "path"), [("POST", "jobs"), ("DELETE", "jobs/acme/import/i1")])
async def test_without_the_flag_nothing_can_be_changed(method: str, path: str) -> None:
    """403 names the flag."""
    async with world([PLAN], plant=JOBS) as running:
        said = await ask(running, method, path, b"{}", JSON)
        error = "handing in jobs is switched off; start the exporter with --web.enable-lifecycle"
        assert said[:2] == (403, {"error": error})
        assert (await get(running, "jobs/acme/import/i1")).status == 200


async def test_too_many_jobs_that_have_not_ended_are_refused() -> None:
    """429 with the limit; what is watched already is 200 all the same, and an end makes room."""
    async with world([PLAN], plant=JOBS, config=NO_JOBS, lifecycle=True) as running:
        await hand_in(running)
        await hand_in(running, operation="export", id="endless")
        said = await hand_in(running, id="i2")
        assert (said.status, said.headers["Retry-After"]) == (429, "60")
        assert said.body["error"] == (
            "tenant acme has 2 jobs that have not ended, and limits.max_jobs_per_tenant is 2; wait until some have"
            " ended, or raise the limit"
        )
        assert (await hand_in(running)).status == 200
        await running.advance(60)
        assert (await hand_in(running, id="i2")).status == 201


async def test_while_the_store_cannot_tell_nothing_is_taken_over(tmp_path: Path) -> None:
    """503 with what helps; the same order is 201 once the store is back."""
    store = tmp_path / "spexporter.db"
    async with world([PLAN], plant=JOBS, config=NO_JOBS, store=store, lifecycle=True) as running:
        await running.advance(5)
        with overwritten(store):
            said = await hand_in(running)
            assert (said.status, said.headers["Retry-After"]) == (503, "5")
            assert said.body["error"].startswith("the store fails now: ")
            assert (await get(running, "jobs/acme/import/i1")).status == 404
        await running.advance(10)
        assert (await get(running, "jobs/acme/import/i1")).status == 404
        assert (await hand_in(running)).status == 201


async def test_what_a_restart_would_forget_is_not_said_to_be_taken(tmp_path: Path) -> None:
    """The store can be read, but not written: 503, also for the order that finds out; once it can, all is as asked."""
    store = tmp_path / "spexporter.db"
    async with world([PLAN], plant=JOBS, config=NO_JOBS, store=store, lifecycle=True) as running:
        await running.advance(5)
        with full(store):
            for _ in range(2):
                said = await hand_in(running)
                assert said.status == 503
                assert said.body["error"].endswith("a restart would forget it; ask again when spexporter_store_up is 1")
        await running.advance(10)
        assert [(await hand_in(running)).status for _ in range(2)] == [200, 200]
        with full(store):
            assert (await ask(running, "DELETE", "jobs/acme/import/i1")).status == 503
        await running.advance(10)
        assert (await ask(running, "DELETE", "jobs/acme/import/i1")).status == 404
        assert (await get(running, "jobs/acme/import/i1")).status == 404


@contextmanager
def full(store: Path) -> Iterator[None]:
    """Let nothing be written about jobs."""
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        for when in ("INSERT", "UPDATE"):
            other.execute(f"CREATE TRIGGER no_{when} BEFORE {when} ON jobs BEGIN SELECT RAISE(ABORT, 'synthetic'); END")
        yield
        for when in ("INSERT", "UPDATE"):
            other.execute(f"DROP TRIGGER no_{when}")


async def test_a_tenant_that_leaves_while_a_job_is_handed_in_is_another_replica_s() -> None:
    """201 would be a promise of somebody who does not keep it."""
    begin, begun = Poller.begin, asyncio.Event()

    async def last(poller: Poller, tenant: str, job: WatchedJob) -> None:
        await begin(poller, tenant, job)
        begun.set()

    async with world([PLAN], plant=JOBS, config=NO_JOBS, lifecycle=True) as running:
        with (
            patch.object(Poller, "begin", last),
            patch.object(SoleOwner, "held", side_effect=lambda _: None if begun.is_set() else 0),
        ):
            assert (await hand_in(running)).status == 503
    assert begun.is_set()


async def test_a_tenant_of_another_replica_is_not_ours_to_change() -> None:
    """503 for both ways to change what is watched."""
    async with world([PLAN], plant=JOBS, config=NO_JOBS, lifecycle=True) as running:
        with patch.object(SoleOwner, "held", return_value=None):
            for said in (await hand_in(running), await ask(running, "DELETE", "jobs/acme/import/i1")):
                error = "another replica looks after tenant acme now; ask that one, or try again"
                assert said[:2] == (503, {"error": error})


async def test_orders_at_once_are_taken_one_after_another() -> None:
    """Of ten orders for one job one is 201; a limit of two jobs holds whatever the order."""
    async with world([PLAN], plant=JOBS, config=NO_JOBS, lifecycle=True) as running:
        same = await asyncio.gather(*(hand_in(running) for _ in range(10)))
        assert sorted(said.status for said in same) == [200] * 9 + [201]
        others = await asyncio.gather(*(hand_in(running, id=f"other-{n}") for n in range(5)))
        assert sorted(said.status for said in others) == [201] + [429] * 4


ID_RULE = "must be 1 to 64 letters, digits, dots, underscores or hyphens"
SUCH = 'send an object such as {"tenant": "acme-prod", "operation": "import", "id": "ef38f943"}'
OBJECT = 'send one such as {"tenant": "acme-prod", "operation": "import", "id": "ef38f943"}'
OUT_OF_RANGE = (
    "the body is not JSON: a number, or the depth, is out of range; send"
    ' {"tenant": "acme-prod", "operation": "import", "id": "ef38f943"}'
)
DURATION_RULE = "must be a duration such as 500ms, 10s, 5m, 24h, 7d or 1h30m"


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        pytest.param(b"", f"the body is not JSON at line 1, column 1; {SUCH}", id="empty"),
        pytest.param(b"{'id': 1}", f"the body is not JSON at line 1, column 2; {SUCH}", id="not-json"),
        pytest.param(b'{"id": NaN}', OUT_OF_RANGE, id="nan"),
        pytest.param(b"[" * 60_000, OUT_OF_RANGE, id="deep"),
        pytest.param(b'{"id": "\xff"}', "the body is not UTF-8 from byte 8 on; send JSON in UTF-8", id="not-utf-8"),
        pytest.param(b"[]", f"the body must be a JSON object, not a list; {OBJECT}", id="list"),
        pytest.param(
            json.dumps(dict.fromkeys(map(str, range(1000)))).encode(),
            f"the body has 1000 keys, and an order has six at most; {OBJECT}",
            id="a-thousand-keys",
        ),
        pytest.param(b"null", f"the body must be a JSON object, not null; {OBJECT}", id="null"),
    ],
)
async def test_what_is_no_object_is_refused(sent: bytes, error: str) -> None:
    """400 says where the JSON ends, and what an order looks like."""
    async with world([PLAN], config=NO_JOBS, lifecycle=True) as running:
        assert (await ask(running, "POST", "jobs", sent, JSON))[:2] == (400, {"error": error})


@pytest.mark.parametrize(
    ("sent", "mistakes"),
    [
        pytest.param(
            "{}",
            {
                "id": "is missing; give the id that SailPoint gave the job",
                "operation": "is missing; say export or import",
                "tenant": "is missing; give the name of a tenant of this exporter",
            },
            id="nothing",
        ),
        pytest.param(
            '{"tenant": "acme", "operation": "import", "id": null}',
            {"id": "is missing; give the id that SailPoint gave the job"},
            id="null-is-left-out",
        ),
        pytest.param(
            '{"tenant": "acme", "operation": "import", "id": 17}',
            {"id": "must be a text in quotes, not a number"},
            id="number",
        ),
        pytest.param(
            '{"tenant": ["acme"], "operation": {}, "id": true}',
            {
                "tenant": "must be a text in quotes, not a list",
                "operation": "must be a text in quotes, not an object",
                "id": "must be a text in quotes, not true or false",
            },
            id="other-kinds",
        ),
        pytest.param(
            '{"tenant": "acme", "operation": "imports", "id": "a/b"}',
            {"operation": "must be one of export, import, got 'imports'", "id": f"{ID_RULE}, got 'a/b'"},
            id="values",
        ),
        pytest.param(
            '{"tenant": "acme", "operation": "import", "id": ".."}',
            {"id": "must be more than dots: it becomes a part of a path, got '..'"},
            id="dots",
        ),
        pytest.param(
            '{"tenant": "acme", "operation": "import", "id": "i1", "max_age": "30", "preview": "true"}',
            {
                "max_age": f"{DURATION_RULE}, got '30'",
                "preview": "must be true or false without quotes, not a text",
            },
            id="max-age-and-preview",
        ),
        pytest.param(
            '{"tenant": "acme", "operation": "import", "id": "i1", "maxage": "30m", "colour": 1}',
            {
                "maxage": "unknown key; did you mean max_age?",
                "colour": "unknown key; known here are id, operation, name, max_age, preview, tenant",
            },
            id="unknown-keys",
        ),
        pytest.param(
            '{"tenant": "acme", "operation": "import", "id": "i1", "id": "i2"}',
            {"id": "is given a second time; keep one of the two"},
            id="twice",
        ),
        pytest.param(
            '{"tenant": "acme", "operation": "import", "id": "i1", "name": "\\ud800"}',
            {"name": "is not valid Unicode text"},
            id="half-a-character",
        ),
        pytest.param(
            '{"tenant": "acme", "operation": "import", "id": "i1", "\\ud800": 1}',
            {"'\\ud800'": "is not valid Unicode text; take the key out"},
            id="half-a-character-in-a-key",
        ),
        pytest.param(
            '{"tenant": "acme", "operation": "import", "id": "i1", "name": ""}',
            {"name": "must not be empty; give a value or leave the key out, got ''"},
            id="empty-name",
        ),
    ],
)
async def test_every_mistake_of_a_body_is_named(sent: str, mistakes: dict[str, str]) -> None:
    """400 with each key and what would be right, in the order of the body; nothing is watched."""
    async with world([PLAN], config=NO_JOBS, lifecycle=True) as running:
        said = await ask(running, "POST", "jobs", sent.encode(), JSON)
        assert said.status == 400
        assert said.body["mistakes"] == [{"key": key, "message": message} for key, message in mistakes.items()]
        assert said.body["error"] == "; ".join(f"{key}: {message}" for key, message in mistakes.items())
        assert (await get(running, "jobs")).body == {"jobs": []}


async def test_an_unknown_tenant_is_404_with_the_nearest_one() -> None:
    """The order is well formed; there is nobody to watch for."""
    async with world([PLAN], config=NO_JOBS, lifecycle=True) as running:
        said = await hand_in(running, tenant="acne")
        assert said[:2] == (404, {"error": "there is no tenant acne; did you mean acme?"})


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"Content-Type": "text/plain"}, "the body must be JSON in UTF-8; send Content-Type: application/json"),
        (
            {"Content-Type": "application/json; charset=latin-1"},
            "the body must be JSON in UTF-8; send Content-Type: application/json",
        ),
        ({**JSON, "Content-Encoding": "gzip"}, "the body must not be compressed; leave Content-Encoding out"),
    ],
)
async def test_what_is_not_said_to_be_plain_json_is_415(headers: dict[str, str], error: str) -> None:
    """A form of a web page that somebody was lured to cannot hand in jobs."""
    async with world([PLAN], config=NO_JOBS, lifecycle=True) as running:
        sent = json.dumps(ORDER).encode()
        assert (await ask(running, "POST", "jobs", sent, headers))[:2] == (415, {"error": error})
        assert (await ask(running, "POST", "jobs", sent, {"Content-Type": "Application/JSON; charset=UTF-8"}))[0] == 201


async def test_a_body_of_more_than_64_kib_is_413() -> None:
    """Told beforehand or arriving in pieces; one of exactly that size is read, and the connection is closed."""
    error = b'{"error":"the body is larger than 64 KiB; one job needs far less"}'
    async with world([PLAN], config=NO_JOBS, lifecycle=True) as running:
        sent = json.dumps(ORDER).encode()
        assert (await ask(running, "POST", "jobs", sent.ljust(body.MAX_BYTES), JSON)).status == 201
        pieces = b"10001\r\n" + b" " * 65_537 + b"\r\n"
        for request in (posting("Content-Length: 65537"), posting("Transfer-Encoding: chunked", sent=pieces)):
            answer = await answered(running.url, request)
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert answer.endswith(error)


async def test_a_slow_body_is_408() -> None:
    """Nobody who sends half an order keeps us waiting."""
    assert body.READ_WITHIN_S <= 10
    async with world([PLAN], config=NO_JOBS, lifecycle=True) as running:
        with patch.object(body, "READ_WITHIN_S", 0.05):
            answer = await answered(running.url, posting("Content-Length: 50", sent=b'{"tenant":'))
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert answer.endswith(b'{"error":"the body did not arrive within 0.05 s; send it at once"}')


async def test_a_body_that_breaks_off_disturbs_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """A client that goes away in the middle of an order leaves neither a job nor a traceback behind."""
    async with world([PLAN], config=NO_JOBS, lifecycle=True) as running:
        address = urlsplit(running.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(posting("Content-Length: 90", "Expect: 100-continue"))
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"  # somebody is waiting for the body now
        writer.write(json.dumps(ORDER).encode())
        writer.close()
        await writer.wait_closed()
        await running.settle()
        assert (await get(running, "jobs")).body == {"jobs": []}
        assert (await hand_in(running)).status == 201
    assert "Traceback" not in capsys.readouterr().err


def fits(document: Any, shape: str, answer: object) -> None:  # noqa: ANN401 - decoded JSON
    """Hold an answer against a shape of the OpenAPI document."""
    schema = {"$ref": f"#/components/schemas/{shape}", "components": document["components"]}
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(answer)


async def test_the_openapi_document_describes_the_answers() -> None:
    """Every answer and every order fits its shape, and shapes are tight: an unknown or missing field does not fit."""
    async with world([PLAN], plant=JOBS, defaults=CALM, lifecycle=True) as running:
        document = (await get(running, "openapi.json")).body
        await running.advance(60)
        running.simulator.afflict("acme", Fault("status", status=500))
        await running.advance(400)
        fits(document, "TenantsAnswer", (await get(running, "tenants")).body)
        jobs = (await get(running, "jobs")).body
        fits(document, "JobsAnswer", jobs)
        fits(document, "JobAnswer", (await hand_in(running, id="new", max_age="30m", preview=False)).body)
        fits(document, "ErrorAnswer", (await hand_in(running, id="a/b")).body)
        fits(document, "ErrorAnswer", (await get(running, "jobs/acme/import/none")).body)
        fits(document, "JobOrder", {**ORDER, "name": "n", "max_age": "1h30m", "preview": True})
        first = jobs["jobs"][0]
        missing = {key: value for key, value in first.items() if key != "state"}
        for shape, wrong in (
            ("JobAnswer", {**first, "more": 1}),
            ("JobAnswer", missing),
            ("JobAnswer", {**first, "state": "DONE"}),
            ("JobOrder", {**ORDER, "max_age": "30"}),
            ("JobOrder", {**ORDER, "id": "a/b"}),
        ):
            with pytest.raises(ValidationError):
                fits(document, shape, wrong)


async def test_the_openapi_document_names_what_filters_take() -> None:
    """Tenants as they are configured now, states and operations, and the empty value that asks for nothing."""
    async with world([PLAN], plant=JOBS) as running:
        parameters = (await get(running, "openapi.json")).body["paths"]["/api/v1/jobs"]["get"]["parameters"]
        for parameter in parameters:
            words = parameter["schema"]["items"]["enum"]
            query = "&".join(f"{parameter['name']}={word}" for word in words)
            assert (await get(running, f"jobs?{query}")).status == 200
            assert (await get(running, f"jobs?{parameter['name']}=other")).status == 400
        assert parameters[0]["schema"]["items"]["enum"] == ["", "acme"]


async def test_the_openapi_document_names_every_route() -> None:
    """What is served under `/api/` is what is described, method by method."""
    async with world([PLAN]) as running:
        document = (await get(running, "openapi.json")).body
        served = {
            (resource.canonical, route.method.lower())
            for resource in running.exporter.web.router.resources()
            for route in resource
            if resource.canonical.startswith("/api/") and route.method != "HEAD"
        }
        described = {
            (path, method)
            for path, methods in document["paths"].items()
            for method in methods
            if method != "parameters"
        }
        assert served == described
        assert document["openapi"] == "3.1.0"


async def test_the_openapi_document_names_the_headers_of_answers() -> None:
    """`Location` where a job is, `Retry-After` where to try again may help."""
    async with world([PLAN], plant=JOBS, config=NO_JOBS, lifecycle=True) as running:
        described = (await get(running, "openapi.json")).body["paths"]["/api/v1/jobs"]["post"]["responses"]
        for order in (ORDER, ORDER, {**ORDER, "id": "i2"}, {**ORDER, "id": "i3"}):
            said = await hand_in(running, **order)
            names = {"Location", "Retry-After"} & set(said.headers)
            assert names == set(described[str(said.status)]["headers"]), said
        assert said.status == 429
