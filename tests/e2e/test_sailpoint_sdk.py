import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from spexporter.clock import SystemClock
from spexporter.simulator import SimulatedJob, Simulator, default_plans, result_of, serving
from tests.support.environments import installed
from tests.support.program import started

HERE = Path(__file__).parent
CLIENT, REQUIREMENTS = HERE / "sdk_client.py", HERE / "sdk-requirements.txt"
TENANT = "acme-prod"


@pytest.fixture(scope="session")
def sdk_python() -> Path:
    """The Python of an environment with SailPoint's SDK and nothing of ours."""
    return installed("sailpoint-sdk", REQUIREMENTS) / "python"


@pytest.fixture
def simulator() -> Simulator:
    """What `spexporter simulate` serves by default."""
    return Simulator(default_plans(3), clock=SystemClock())


def ended_import(simulator: Simulator, counts: dict[str, int]) -> SimulatedJob:
    """Plant an import of sources that ended a while ago."""
    result = result_of({"SOURCE": counts})
    return simulator.start(
        TENANT, "import", created_s=time.time() - 60, queue_s=1, duration_s=5, result=result, backup=True
    )


async def client(simulator: Simulator, job: SimulatedJob, python: Path, folder: Path) -> tuple[int, str, str]:
    """Let the SDK start an export and read it and the import `job`; return status, standard output and error."""
    (plan,) = (plan for plan in simulator.plans if plan.name == TENANT)
    async with serving(simulator) as url:
        env = {"SAIL_BASE_URL": f"{url}/{TENANT}"}
        env |= {"SAIL_CLIENT_ID": plan.client_id, "SAIL_CLIENT_SECRET": plan.client_secret}
        async with started([python, "-W", "error", CLIENT, job.id], folder, env=env, cwd=folder) as program:
            status = await program.process.wait()
    return status, program.stdout.read_text(), program.stderr.read_text()


def truth_about(simulator: Simulator, job_id: str) -> dict[str, Any]:
    """Return what the simulator knows of one job."""
    truth: dict[str, Any] = simulator.truth()
    (about,) = (job for job in truth["jobs"] if job["id"] == job_id)
    return dict(about)


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


async def test_sailpoints_own_sdk_reads_the_simulator_as_it_is(
    sdk_python: Path, simulator: Simulator, tmp_path: Path
) -> None:
    """With default settings on both sides every answer is good, without a warning, and says what is true.

    The import has no messages: the SDK refuses those of the live service, see below.
    """
    job = ended_import(simulator, {"objects": 3})
    status, printed, complaints = await client(simulator, job, sdk_python, tmp_path)
    assert (status, complaints) == (0, ""), complaints
    seen = json.loads(printed)

    export = truth_about(simulator, seen["export"]["jobId"])
    assert (export["operation"], export["name"]) == ("export", "made by the SDK")
    for answer in (seen["export"], seen["export_status"]):
        assert (answer["jobId"], answer["type"], answer["description"]) == (export["id"], "EXPORT", "made by the SDK")
        assert moment(answer["created"]) == moment(export["created"])
    assert seen["export"]["status"] == "NOT_STARTED"
    assert (seen["export_status"]["status"], export["statuses_sent"]) == (export["last_state_sent"], 1)

    imported = truth_about(simulator, job.id)
    read = seen["import_status"]
    assert (read["jobId"], read["type"], read["status"]) == (job.id, "IMPORT", imported["state"])
    assert read["message"] == "Download import results for details."
    for name in ("created", "modified", "completed"):
        assert moment(read[name]) == moment(imported[name]), name

    result = seen["import_result"]
    lists = {"errors": "errors", "warnings": "warnings", "infos": "infos", "objects": "importedObjects"}
    assert result["exportJobId"] == imported["export_job_id"]
    assert imported["counts"] == {
        object_type: {kind: len(entry[name]) for kind, name in lists.items()}
        for object_type, entry in result["results"].items()
    }
    assert {ref["type"] for ref in result["results"]["SOURCE"]["importedObjects"]} == {"SOURCE"}

    (requests,) = (client["requests"] for client in simulator.truth()["clients"].values())  # type: ignore[attr-defined]
    assert [(endpoint, answered) for _, _, endpoint, answered in requests] == [
        ("token", 200),
        ("export_start", 202),
        ("export_status", 200),
        ("import_status", 200),
        ("import_result", 200),
    ]


async def test_sailpoints_own_sdk_refuses_messages_as_the_service_writes_them(
    sdk_python: Path, simulator: Simulator, tmp_path: Path
) -> None:
    """A null `key`, and `detail` where its schema says `details`, are more than it can read; the exporter can."""
    job = ended_import(simulator, {"errors": 1, "objects": 3})
    status, _, complaints = await client(simulator, job, sdk_python, tmp_path)
    assert (status, "validation errors for SpConfigMessage" in complaints) == (1, True), complaints
    assert truth_about(simulator, job.id)["results_sent"] == 1
