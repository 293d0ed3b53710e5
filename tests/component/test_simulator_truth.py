import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import yaml

from spexporter.domain.values import replace
from spexporter.simulator import Simulator, default_plans, result_of, serving
from tests.support.clock import START_WALL_S, FakeClock

ACME, SANDBOX, GLOBEX = default_plans(3)
ACME_QUIET = replace(ACME, jobs_at_start=0, starts_per_minute=0)
COUNTS = {"SOURCE": {"errors": 2, "warnings": 1, "infos": 0, "objects": 3}}


@dataclass
class Scene:
    """A simulator with a quiet acme-prod, and somebody who asks it with a token."""

    simulator: Simulator
    clock: FakeClock
    http: aiohttp.ClientSession

    async def ask(self, path: str) -> int:
        """Ask acme-prod and return the status."""
        async with self.http.get(f"/acme-prod/sp-config/v1/{path}") as response:
            await response.read()
            return response.status

    async def truth(self) -> Any:  # noqa: ANN401 - decoded JSON
        """Ask for the truth as others would."""
        async with self.http.get("/-/truth") as response:
            return await response.json()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    clock = FakeClock()
    simulator = Simulator([ACME_QUIET, SANDBOX], clock=clock)
    async with serving(simulator) as url, aiohttp.ClientSession(url) as http:
        form = {"grant_type": "client_credentials", "client_id": ACME.client_id, "client_secret": ACME.client_secret}
        async with http.post("/acme-prod/oauth/token", data=form) as response:
            http.headers["Authorization"] = f"Bearer {(await response.json())['access_token']}"
        yield Scene(simulator, clock, http)


async def test_truth_tells_what_was_planned_and_sent_about_a_job(scene: Scene) -> None:
    """Its moments as numbers and as sent, its planned counts, and how often what was sent."""
    result = result_of(COUNTS)
    job = scene.simulator.start("acme-prod", "import", job_id="17", duration_s=10, result=result, backup=True)
    assert job.backup is not None
    assert await scene.ask("import/17") == 200
    assert await scene.ask("import/17/download") == 404
    running = await told(scene, "17")
    assert (running["last_state_sent"], running["results_sent"], running["ended_s"]) == ("NOT_STARTED", 0, None)
    scene.clock.jump_to(scene.clock.monotonic() + 10)
    for path in ("import/17", "import/17/download", "import/17/download"):
        assert await scene.ask(path) == 200
    assert await told(scene, "17") == {
        "tenant": "acme-prod",
        "operation": "import",
        "id": "17",
        "name": job.name,
        "preview": False,
        "state": "COMPLETE",
        "final_state": "COMPLETE",
        "created_s": START_WALL_S,
        "created": "2027-01-15T08:00:00Z",
        "ended_s": START_WALL_S + 10,
        "completed": "2027-01-15T08:00:10Z",
        "modified": job.modified_at(scene.clock.wall()),
        "counts": COUNTS,
        "export_job_id": job.backup.id,
        "statuses_sent": 2,
        "last_state_sent": "COMPLETE",
        "results_sent": 2,
    }
    assert (await told(scene, job.backup.id))["operation"] == "export"


async def told(scene: Scene, job_id: str) -> Any:  # noqa: ANN401 - decoded JSON
    (job,) = [job for job in (await scene.truth())["jobs"] if job["id"] == job_id]
    return job


async def test_totals_count_each_import_once_and_no_preview(scene: Scene) -> None:
    """A result downloaded twice counts once, a preview never; `ended` has those that nobody downloaded, too."""
    for job_id in ("17", "18"):
        scene.simulator.start("acme-prod", "import", job_id=job_id, duration_s=5, result=result_of(COUNTS))
    preview = result_of({"RULE": {"errors": 9}}, preview=True)
    scene.simulator.start("acme-prod", "import", job_id="19", duration_s=5, result=preview, preview=True)
    scene.simulator.start("acme-prod", "import", job_id="20", duration_s=5, final_state="FAILED", has_result=False)
    scene.simulator.start("acme-prod", "import", job_id="21", duration_s=99, result=result_of(COUNTS))
    scene.clock.jump_to(scene.clock.monotonic() + 5)
    for job_id in ("17", "17", "19", "20", "21"):
        await scene.ask(f"import/{job_id}/download")
    totals = (await scene.truth())["totals"]
    assert totals["downloaded"] == {"acme-prod": COUNTS}
    twice = {"SOURCE": {"errors": 4, "warnings": 2, "infos": 0, "objects": 6}}
    assert totals["ended"]["acme-prod"] == twice


async def test_requests_are_recorded_by_client_with_time_version_and_status(scene: Scene) -> None:
    """Token requests too, in their order; who has no client id is recorded as unknown."""
    scene.clock.jump_to(1005.0)
    await scene.ask("config-objects")
    async with scene.http.get("/acme-prod/beta/sp-config/export/none") as response:
        await response.read()
    async with scene.http.get("/acme-prod/oauth/info", headers={"Authorization": ""}) as response:
        await response.read()
    clients = (await scene.truth())["clients"]
    assert clients[ACME.client_id] == {
        "requests": [
            [1000.0, "token", "token", 200],
            [1005.0, "v1", "config_objects", 200],
            [1005.0, "beta", "export_status", 404],
        ],
        "busiest": {"v1": 2, "v2026": 1, "v2025": 1, "v2024": 1, "beta": 2},
    }
    assert clients["unknown"] == {"requests": [[1005.0, "oauth_info", "oauth_info", 200]], "busiest": {}}


async def test_busiest_window_can_leave_tokens_out() -> None:
    """Where the limit does not count tokens, the windows do not either."""
    simulator = Simulator([ACME], clock=FakeClock(), count_tokens=False)
    form = {"grant_type": "client_credentials", "client_id": ACME.client_id, "client_secret": ACME.client_secret}
    async with serving(simulator) as url, aiohttp.ClientSession(url) as http:
        assert (await http.post("/acme-prod/oauth/token", data=form)).status == 200
    assert simulator.busiest_windows() == {ACME.client_id: {}}


async def test_answer_that_nobody_was_there_to_get_is_not_counted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is gone before the last byte leaves no status and no download in the truth."""
    scene.simulator.start("acme-prod", "import", job_id="17", duration_s=0, result=result_of(COUNTS))

    async def hang_up(_: aiohttp.web.Response) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(aiohttp.web.Response, "write_eof", hang_up)
        with pytest.raises(aiohttp.ClientError):
            await scene.ask("import/17/download")
    truth = await scene.truth()
    assert truth["clients"][ACME.client_id]["requests"][-1][3] is None
    assert truth["totals"]["downloaded"] == {}


async def test_jobs_page_lists_what_exists_now(scene: Scene) -> None:
    """Tenant, operation, id, name and present state, as one would need to hand them to the exporter."""
    scene.simulator.start("acme-prod", "export", job_id="17", name="my export", duration_s=10, backup=True)
    async with scene.http.get("/-/jobs") as response:
        jobs = await response.json()
    assert jobs[0] == {
        "tenant": "acme-prod",
        "operation": "export",
        "id": "17",
        "name": "my export",
        "state": "NOT_STARTED",
    }
    assert len(jobs) == 1 + SANDBOX.jobs_at_start


async def test_configuration_page_names_every_tenant_and_job(scene: Scene) -> None:
    """It is YAML with the keys that the exporter reads, ready to be saved."""
    async with scene.http.get("/-/config.yaml") as response:
        config = yaml.safe_load(await response.text())
        root_url = str(response.url.origin())
    hub = {"discover": ["backups", "uploads", "drafts", "deploys"], "credential_expires": "auto"}
    assert config["defaults"] == {"allow_http": True, **hub}
    assert config["store"] == {"url": "sqlite://"}
    quiet, sandbox = config["tenants"]
    assert quiet == {
        "name": "acme-prod",
        "base_url": f"{root_url}/acme-prod",
        "client_id": ACME.client_id,
        "client_secret": ACME.client_secret,
        "jobs": [],
    }
    assert sandbox["jobs"] == [
        {"id": job.id, "operation": job.operation, "name": job.name} for job in scene.simulator.jobs("acme-sandbox")
    ]


def test_configuration_names_the_certificate_authority() -> None:
    """With a throwaway certificate the exporter must be told whom to trust."""
    simulator = Simulator([ACME_QUIET], clock=FakeClock(), ca_file="/tmp/ca.pem")  # noqa: S108 - never opened
    config = yaml.safe_load(simulator.config_yaml("https://localhost:1"))
    assert "allow_http" not in config["defaults"]
    assert config["tenants"][0]["ca_file"] == "/tmp/ca.pem"  # noqa: S108


async def test_front_page_lists_the_tenants(scene: Scene) -> None:
    """A person sees names, base URLs and client ids, but no secret."""
    async with scene.http.get("/") as response:
        text = await response.text()
        assert f"{response.url.origin()}/acme-prod" in text
    assert ACME.client_id in text
    assert ACME.client_secret not in text


def test_two_tenants_of_one_name_are_refused() -> None:
    """One would hide the other."""
    with pytest.raises(ValueError, match="same name"):
        Simulator([ACME, ACME], clock=FakeClock())


async def test_many_clients_are_served_at_once(scene: Scene) -> None:
    """Simultaneous requests are each recorded and answered."""
    scene.simulator.start("acme-prod", "export", job_id="17", duration_s=10)
    assert await asyncio.gather(*(scene.ask("export/17") for _ in range(50))) == [200] * 50
    assert (await told(scene, "17"))["statuses_sent"] == 50
