import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from spexporter.domain.values import replace
from spexporter.simulator import API_VERSIONS, Simulator, TenantPlan, default_plans, result_of, serving
from tests.support.clock import FakeClock

(ACME,) = default_plans(1)


@dataclass
class Visitor:
    """Somebody with a token for acme-prod; `get` and `post` return status and decoded body."""

    http: aiohttp.ClientSession
    simulator: Simulator
    clock: FakeClock

    async def get(self, path: str) -> tuple[int, Any]:
        """Ask acme-prod."""
        async with self.http.get(f"/acme-prod/{path}") as response:
            return response.status, await response.json()

    async def post(self, path: str, **body: Any) -> tuple[int, Any]:  # noqa: ANN401 - handed on to aiohttp
        """Tell acme-prod."""
        async with self.http.post(f"/acme-prod/{path}", **body) as response:
            return response.status, await response.json()


async def sign_in(http: aiohttp.ClientSession, plan: TenantPlan) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": plan.client_id,
        "client_secret": plan.client_secret,
    }
    async with http.post(f"/{plan.name}/oauth/token", data=form) as response:
        http.headers["Authorization"] = f"Bearer {(await response.json())['access_token']}"


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    clock = FakeClock()
    simulator = Simulator([replace(ACME, jobs_at_start=0, starts_per_minute=0)], clock=clock)
    async with serving(simulator) as url, aiohttp.ClientSession(url) as http:
        await sign_in(http, ACME)
        yield Visitor(http, simulator, clock)


def sp_config(version: str) -> str:
    return "sp-config/v1" if version == "v1" else f"{version}/sp-config"


def a_file(content: object, **options: object) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("data", json.dumps(content), filename="export.json", content_type="application/json")
    if options:
        form.add_field("options", json.dumps(options), content_type="application/json")
    return form


@pytest.mark.parametrize("version", API_VERSIONS)
async def test_export_is_started_watched_and_downloaded(visitor: Visitor, version: str) -> None:
    """In every layout an export is accepted, runs, ends and can be downloaded with what was asked for."""
    base = sp_config(version)
    status, accepted = await visitor.post(
        f"{base}/export", json={"description": "before the change", "includeTypes": ["RULE", "SOURCE"]}
    )
    assert (status, accepted["status"], accepted["type"]) == (202, "NOT_STARTED", "EXPORT")
    job_path = f"{base}/export/{accepted['jobId']}"
    assert (await visitor.get(job_path))[1]["status"] == "NOT_STARTED"
    assert (await visitor.get(f"{job_path}/download"))[0] == 404
    visitor.clock.jump_to(visitor.clock.monotonic() + 900)
    status, job = await visitor.get(job_path)
    assert (status, job["description"]) == (200, "before the change")
    assert job["status"] in {"COMPLETE", "FAILED", "CANCELLED"}
    if job["status"] == "COMPLETE":
        body = (await visitor.get(f"{job_path}/download"))[1]
        assert {entry["self"]["type"] for entry in body["objects"]} == {"RULE", "SOURCE"}


@pytest.mark.parametrize("version", API_VERSIONS)
async def test_import_is_started_watched_and_downloaded(visitor: Visitor, version: str) -> None:
    """In every layout an import is accepted, and its result speaks of the types in the file."""
    base = sp_config(version)
    content = {"objects": [{"self": {"type": "RULE"}}, {"self": {"type": "ROLE"}}, {"self": None}, 17]}
    status, accepted = await visitor.post(f"{base}/import?preview=true", data=a_file(content))
    assert (status, accepted["status"], accepted["type"]) == (202, "NOT_STARTED", "IMPORT")
    visitor.clock.jump_to(visitor.clock.monotonic() + 900)
    job_path = f"{base}/import/{accepted['jobId']}"
    status, job = await visitor.get(job_path)
    assert status == 200
    status, body = await visitor.get(f"{job_path}/download")
    if job["status"] == "CANCELLED":
        assert status == 404
    else:
        assert list(body["results"]) == ["RULE"]
        assert body["results"]["RULE"]["infos"][0]["key"] == "IMPORT_PREVIEW"
        assert (await visitor.get(f"{base}/export/{body['exportJobId']}"))[1]["status"] == "COMPLETE"


async def test_backup_can_be_declined(visitor: Visitor) -> None:
    """With excludeBackup the result has no exportJobId, however the options are sent."""
    as_file = a_file({})
    as_file.add_field("options", '{"excludeBackup": true}', filename="options.json")
    for form in (as_file, a_file({}, excludeBackup=True)):
        assert (await visitor.post("beta/sp-config/import", data=form))[0] == 202
    assert [job.backup for job in visitor.simulator.jobs("acme-prod")] == [None, None]


async def test_planted_result_arrives_as_planted(visitor: Visitor) -> None:
    """The download has exactly the planned lists, and not before the end."""
    result = result_of({"SOURCE": {"errors": 2, "objects": 1}, "RULE": {"warnings": 1}})
    job = visitor.simulator.start("acme-prod", "import", job_id="17", duration_s=10, result=result)
    assert await visitor.get("sp-config/v1/import/17") == (200, job.status_at(visitor.clock.wall()))
    assert (await visitor.get("sp-config/v1/import/17/download"))[0] == 404
    visitor.clock.jump_to(visitor.clock.monotonic() + 10)
    assert await visitor.get("sp-config/v1/import/17") == (200, job.status_at(visitor.clock.wall()))
    assert await visitor.get("sp-config/v1/import/17/download") == (200, result.payload(None))


async def test_export_of_an_unknown_type_fails_and_says_so(visitor: Visitor) -> None:
    """The call is accepted; the job fails soon after, with the type in its message."""
    _, accepted = await visitor.post("beta/sp-config/export", json={"includeTypes": ["RULE", "WORKFLOWS"]})
    visitor.clock.jump_to(visitor.clock.monotonic() + 1)
    _, job = await visitor.get(f"beta/sp-config/export/{accepted['jobId']}")
    assert job["status"] == "FAILED"
    assert job["message"].endswith("[WORKFLOWS]")


async def test_export_without_types_has_all_but_the_excluded(visitor: Visitor) -> None:
    """`excludeTypes` counts only where `includeTypes` is empty."""
    await visitor.post("beta/sp-config/export", json={"excludeTypes": ["ROLE"], "description": None})
    job = visitor.simulator.jobs("acme-prod")[0]
    assert len(job.export_types) == 24
    assert "ROLE" not in job.export_types
    assert job.description is None


@pytest.mark.parametrize(
    ("path", "body", "detail_code", "text"),
    [
        pytest.param(
            "import", {"data": {"data": "no file"}}, "400.1.3 Illegal value", "No files were supplied", id="no file"
        ),
        pytest.param("import", {}, "400.1.3 Illegal value", "No files were supplied for import.", id="no body"),
        pytest.param(
            "import",
            {"data": b"--x", "headers": {"Content-Type": "multipart/form-data"}},
            "400.1 Bad Request Content",
            "multipart",
            id="no boundary",
        ),
        pytest.param("import", {"data": a_file([])}, "400.1 Bad Request Content", "must be an object", id="a list"),
        pytest.param(
            "import",
            {"data": a_file({"simulate": {"state": "DONE"}})},
            "400.1.3 Illegal value",
            "one of",
            id="no state",
        ),
        pytest.param("export", {"data": b"{"}, "400.1 Bad Request Content", "not valid JSON", id="not JSON"),
        pytest.param("export", {"data": b"\xff"}, "400.1 Bad Request Content", "not valid JSON", id="not UTF-8"),
    ],
)
async def test_unreadable_start_is_refused(
    visitor: Visitor, path: str, body: dict[str, Any], detail_code: str, text: str
) -> None:
    """400 with the published body, and no job comes of it."""
    status, answer = await visitor.post(f"sp-config/v1/{path}", **body)
    assert (status, answer["detailCode"]) == (400, detail_code)
    assert text in answer["messages"][0]["text"]
    assert visitor.simulator.jobs("acme-prod") == []


@pytest.mark.parametrize(
    "path",
    [
        "sp-config/v1/export/no-such-job",
        "sp-config/v1/export/17/download",
        "v3/sp-config/export/17",
        "beta/sp-config/import/17/status",
    ],
)
async def test_what_does_not_exist_is_not_found(visitor: Visitor, path: str) -> None:
    """404 with the published body; each refusal has a trackingId of its own."""
    visitor.simulator.start("acme-prod", "import", job_id="17", duration_s=10)
    (status, first), (_, second) = await visitor.get(path), await visitor.get(path)
    assert (status, first["detailCode"]) == (404, "404 Not found")
    assert first["messages"] == second["messages"]
    assert len({first["trackingId"], second["trackingId"]}) == 2


async def test_config_objects_names_every_type(visitor: Visitor) -> None:
    """The 25 that can be exported, and one that is only referred to."""
    status, types = await visitor.get("v2026/sp-config/config-objects")
    assert status == 200
    assert len({one["objectType"] for one in types}) == 26
    assert [one["objectType"] for one in types if not one["exportable"]] == ["IDENTITY"]


async def test_tenant_without_a_version_answers_404_there() -> None:
    """Only the versions of its plan exist; without a token all of them ask for one."""
    plan = replace(ACME, versions=("v2025", "beta"))
    async with serving(Simulator([plan], clock=FakeClock())) as url, aiohttp.ClientSession(url) as http:
        assert await statuses(http) == dict.fromkeys(API_VERSIONS, 401)
        await sign_in(http, plan)
        assert await statuses(http) == {"v1": 404, "v2026": 404, "v2025": 200, "v2024": 404, "beta": 200}


async def statuses(http: aiohttp.ClientSession) -> dict[str, int]:
    return {
        version: (await http.get(f"/acme-prod/{sp_config(version)}/config-objects")).status for version in API_VERSIONS
    }


async def test_date_header_is_the_time_of_the_tenant(visitor: Visitor) -> None:
    """A client can learn the tenant's clock, which here is the test's."""
    async with visitor.http.get("/acme-prod/sp-config/v1/config-objects") as response:
        assert response.headers["Date"] == "Fri, 15 Jan 2027 08:00:00 GMT"


async def test_same_seed_and_times_give_the_same_bytes() -> None:
    """Two simulators asked the same things at the same times answer alike, refusals and tokens included."""

    async def answers() -> list[bytes]:
        clock = FakeClock()
        simulator = Simulator([ACME], clock=clock, seed=5)
        async with serving(simulator) as url, aiohttp.ClientSession(url) as http:
            await sign_in(http, ACME)
            clock.jump_to(clock.monotonic() + 60)
            paths = [f"{job.operation}/{job.id}" for job in simulator.jobs("acme-prod")]
            asked = [path + end for path in [*paths, "import/none"] for end in ("", "/download")]
            return [await (await http.get(f"/acme-prod/sp-config/v1/{path}")).read() for path in asked]

    assert await answers() == await answers()
