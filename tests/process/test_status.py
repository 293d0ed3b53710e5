import json
import math
from pathlib import Path

from spexporter.simulator import HUB_SCOPES, SP_CONFIG_SCOPES, result_of
from tests.support.program import ran
from tests.support.secrets import leaks
from tests.support.tenants import ERRORS, Visited, plan, stores, visited

GONE = """
  - {name: gone, base_url: "http://127.0.0.1:1", client_id: gone, client_secret: planted, jobs: [%s]}
"""


def plant_good_jobs(there: Visited) -> None:
    """Plant a clean import, an export and an import that runs."""
    there.simulator.start(
        "acme-prod", "import", job_id="clean", name="nightly", duration_s=0.0, result=result_of({"ROLE": {}})
    )
    there.simulator.start("acme-prod", "export", job_id="export-1", name="backup", duration_s=0.0)
    there.simulator.start("acme-prod", "import", job_id="runs", name="slow", queue_s=0.0, duration_s=math.inf)


async def test_good_jobs_are_listed_and_exit_status_is_0(tmp_path: Path) -> None:
    """A line for each job without a terminal; a running job is no failure, and no store is made."""
    async with visited(tmp_path) as there:
        plant_good_jobs(there)
        there.write()
        status, out, err = await ran("status", "--config.file", there.config, folder=tmp_path)
    lines = sorted(out.splitlines())
    assert (status, err, len(lines)) == (0, "", 3)
    assert lines[0].startswith("acme-prod export export-1 COMPLETE")
    assert lines[1] == "acme-prod import clean COMPLETE 0.0s errors=0 warnings=0 nightly"
    assert lines[2].startswith("acme-prod import runs IN_PROGRESS")
    assert not leaks(out)
    assert not stores(tmp_path)


async def test_failed_jobs_are_exit_status_1(tmp_path: Path) -> None:
    """Errors of an import, FAILED, CANCELLED and NOT_FOUND are failures; JSON says of each job whether it is one."""
    async with visited(tmp_path) as there:
        there.simulator.start("acme-prod", "import", job_id="errors", duration_s=0.0, result=result_of(ERRORS))
        for state in ("FAILED", "CANCELLED"):
            there.simulator.start("acme-prod", "import", job_id=state, duration_s=0.0, final_state=state)
        plant_good_jobs(there)
        there.write()
        there.config.write_text(there.config.read_text() + "      - {id: missing, operation: export}\n")
        status, out, err = await ran("status", "--config.file", there.config, "--output", "json", folder=tmp_path)
    assert (status, err) == (1, "")
    (tenant,) = json.loads(out)["tenants"]
    jobs = {job["id"]: job for job in tenant["jobs"]}
    assert {name for name, job in jobs.items() if job["failed"]} == {"errors", "FAILED", "CANCELLED", "missing"}
    assert (jobs["missing"]["state"], jobs["errors"]["errors"], jobs["errors"]["warnings"]) == ("NOT_FOUND", 2, 2)


async def test_tenant_that_does_not_answer_is_named_with_cause_and_cure(tmp_path: Path) -> None:
    """It is exit status 1, the others are shown all the same, and it is asked once, not once for each of its jobs."""
    async with visited(tmp_path) as there:
        plant_good_jobs(there)
        there.write(GONE % "{id: a, operation: export}, {id: b, operation: export}")
        status, out, err = await ran("status", "--config.file", there.config, folder=tmp_path)
    assert (status, out.count("acme-prod"), out.count("gone export")) == (1, 3, 2)
    assert err.startswith("gone: no answer: ")
    assert "check base_url" in err
    assert err.count("\n") == 1


async def test_missing_scope_for_imports_leaves_exports_alone(tmp_path: Path) -> None:
    """Jobs of the endpoint that is closed are named with the scope that the token lacks."""
    async with visited(tmp_path, plan(scopes=("sp:config:read",))) as there:
        plant_good_jobs(there)
        there.write()
        status, out, err = await ran("status", "--config.file", there.config, folder=tmp_path)
    assert (status, "export-1 COMPLETE" in out) == (1, True)
    assert err.count("lacks the scope sp:config:manage") == 2


async def test_bad_job_file_is_exit_status_2_and_the_rest_is_shown(tmp_path: Path) -> None:
    """A file with a mistake hides jobs, so the picture is not whole."""
    async with visited(tmp_path) as there:
        plant_good_jobs(there)
        there.write()
        (tmp_path / "jobs.yaml").write_text("- {id: only-an-id}\n")
        there.config.write_text(there.config.read_text().replace("    jobs:", "    job_files: [jobs.yaml]\n    jobs:"))
        status, out, err = await ran("status", "--config.file", there.config, folder=tmp_path)
    assert (status, len(out.splitlines())) == (2, 3)
    assert "jobs.yaml:1: [0].operation: is missing" in err


async def test_jobs_on_lists_are_shown_too(tmp_path: Path) -> None:
    """Those of Configuration Hub's lists, and a list that the token may not read is named with its scope."""
    quiet = plan(scopes=(*SP_CONFIG_SCOPES, HUB_SCOPES[0], HUB_SCOPES[2]), hub_jobs_at_start=0)
    async with visited(tmp_path, quiet) as there:
        there.simulator.start("acme-prod", "backup", job_id="b", queue_s=0, duration_s=0, absent=())
        there.simulator.start("acme-prod", "draft", job_id="d", queue_s=0, duration_s=0, absent=())
        there.simulator.start("acme-prod", "deploy", job_id="p", queue_s=0, duration_s=0, absent=())
        there.write(hub=True)
        status, out, err = await ran("status", "--config.file", there.config, folder=tmp_path)
    states = [line.split()[1:4] for line in out.splitlines()]
    assert (status, states) == (1, [["backup", "b", "COMPLETE"], ["deploy", "p", "COMPLETE"]])
    assert err.count("lacks the scope sp:config-draft:read") == 1


async def test_no_more_than_a_tenth_of_the_limit_is_used(tmp_path: Path) -> None:
    """With a limit of 30 in a second, no second sees more than three requests of a round."""
    async with visited(tmp_path) as there:
        for number in range(6):
            there.simulator.start("acme-prod", "export", job_id=f"export-{number}", duration_s=0.0)
        there.write()
        there.config.write_text(there.config.read_text().replace("requests: 1000, per: 10s", "requests: 30, per: 1s"))
        status, _, err = await ran("status", "--config.file", there.config, folder=tmp_path)
        (client,) = there.simulator.truth()["clients"].values()  # type: ignore[attr-defined]  # JSON
    received_s = sorted(request[0] for request in client["requests"])
    assert (status, err) == (0, "")
    assert len(received_s) >= 8
    assert all(later - first >= 1.0 for first, later in zip(received_s, received_s[3:], strict=False))
