import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from spexporter.simulator import Fault, result_of
from tests.support.program import ran
from tests.support.secrets import leaks
from tests.support.tenants import ERRORS, plan, stores, visited

JOB = "planted-1"
CLEAN = {"SOURCE": {"objects": 2}}


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        pytest.param({"result": result_of(CLEAN)}, 0, "COMPLETE 0.2s 0 errors, 0 warnings", id="clean"),
        pytest.param({"result": result_of(ERRORS)}, 1, "COMPLETE 0.2s 2 errors, 2 warnings", id="errors"),
        pytest.param({"final_state": "FAILED", "has_result": False}, 1, "FAILED 0.2s", id="failed"),
        pytest.param({"final_state": "CANCELLED", "has_result": False}, 1, "CANCELLED 0.2s", id="cancelled"),
    ],
)
async def test_end_of_an_import_decides_the_exit_status(
    options: Mapping[str, object], status: int, said: str, tmp_path: Path
) -> None:
    """Only COMPLETE without errors is 0; a job that the file does not name is followed all the same, to its last state.

    Nothing is stored, and the client's secret is nowhere.
    """
    async with visited(tmp_path) as there:
        there.simulator.start("acme-prod", "import", job_id=JOB, queue_s=0.0, duration_s=0.2, **options)  # type: ignore[call-overload]  # what `Order` takes
        found, out, err = await ran("wait", "--config.file", there.config, "acme-prod", "import", JOB, folder=tmp_path)
    assert (found, err) == (status, "")
    assert f"acme-prod/import/{JOB} {said}\n" in out
    assert not leaks(out + err)
    assert not stores(tmp_path)


async def test_errors_and_warnings_are_printed_by_object_type_in_the_words_of_the_tenant(tmp_path: Path) -> None:
    """Each message stands on a line of its own, below what became of the job."""
    async with visited(tmp_path) as there:
        there.simulator.start("acme-prod", "import", job_id=JOB, duration_s=0.1, result=result_of(ERRORS))
        _, out, _ = await ran("wait", "--config.file", there.config, "acme-prod", "import", JOB, folder=tmp_path)
    assert sorted(out.splitlines()[-4:]) == [
        "ROLE: warning: Planted, one of the warnings: ROLE warnings 1",
        "SOURCE: error: Planted, one of the errors: SOURCE errors 1",
        "SOURCE: error: Planted, one of the errors: SOURCE errors 2",
        "SOURCE: warning: Planted, one of the warnings: SOURCE warnings 1",
    ]


async def test_output_for_machines_is_one_json_value(tmp_path: Path) -> None:
    """It has the counts and the texts of each object type, and says whether the job succeeded."""
    async with visited(tmp_path) as there:
        there.simulator.start("acme-prod", "import", job_id=JOB, duration_s=0.1, result=result_of(ERRORS))
        arguments = ("--config.file", there.config, "acme-prod", "import", JOB, "--output", "json")
        status, out, _ = await ran("wait", *arguments, folder=tmp_path)
    found = json.loads(out)
    assert (status, found["state"], found["succeeded"], found["errors"], found["timed_out"]) == (
        1,
        "COMPLETE",
        False,
        2,
        False,
    )
    assert found["types"]["ROLE"] == {
        "errors": 0,
        "warnings": 1,
        "objects": 0,
        "error_texts": [],
        "warning_texts": ["Planted, one of the warnings: ROLE warnings 1"],
    }


async def test_export_needs_no_result(tmp_path: Path) -> None:
    """An export that is COMPLETE is exit status 0."""
    async with visited(tmp_path) as there:
        there.simulator.start("acme-prod", "export", job_id=JOB, duration_s=0.1)
        status, out, err = await ran("wait", "--config.file", there.config, "acme-prod", "export", JOB, folder=tmp_path)
    assert (status, "COMPLETE" in out, err) == (0, True, "")


async def test_job_that_does_not_end_in_time_is_exit_status_3(tmp_path: Path) -> None:
    """The last state is told, and that time ran out."""
    async with visited(tmp_path) as there:
        there.simulator.start("acme-prod", "import", job_id=JOB, queue_s=0.0, duration_s=math.inf)
        arguments = ("--config.file", there.config, "acme-prod", "import", JOB, "--timeout", "500ms")
        status, out, err = await ran("wait", *arguments, folder=tmp_path)
    assert (status, err) == (3, "not ended within 500ms\n")
    assert f"acme-prod/import/{JOB} IN_PROGRESS" in out


async def test_job_that_the_tenant_does_not_know_is_a_failure(tmp_path: Path) -> None:
    """Exit status 1 once three answers agree that there is no such job."""
    async with visited(tmp_path) as there:
        status, out, err = await ran(
            "wait", "--config.file", there.config, "acme-prod", "import", "no-such-job", folder=tmp_path
        )
        (client,) = there.simulator.truth()["clients"].values()  # type: ignore[attr-defined]  # JSON
    assert (status, out) == (1, "acme-prod/import/no-such-job NOT_FOUND\n")
    assert err.startswith("check id, operation and tenant of the job")
    assert [endpoint for _, _, endpoint, _ in client["requests"]].count("import_status") == 3


async def test_missing_scope_is_named_at_once(tmp_path: Path) -> None:
    """A 403 is exit status 1 with the scope that the personal access token lacks: waiting would not help."""
    async with visited(tmp_path, plan(scopes=("sp:config:read",))) as there:
        there.simulator.start("acme-prod", "import", job_id=JOB, duration_s=0.1)
        status, _, err = await ran("wait", "--config.file", there.config, "acme-prod", "import", JOB, folder=tmp_path)
    assert status == 1
    assert "the personal access token lacks the scope sp:config:manage" in err
    assert not leaks(err)


async def test_result_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    """An import that is COMPLETE has a result, though the first answers say that there is none."""
    async with visited(tmp_path, plan(Fault("result_late", count=2))) as there:
        there.simulator.start("acme-prod", "import", job_id=JOB, duration_s=0.1, result=result_of(CLEAN))
        status, out, _ = await ran("wait", "--config.file", there.config, "acme-prod", "import", JOB, folder=tmp_path)
    assert (status, "0 errors, 0 warnings" in out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("acme", "import", JOB), "no tenant 'acme'", id="tenant"),
        pytest.param(("acme-prod", "deploy", JOB), "'deploy' is not one of", id="operation"),
        pytest.param(("acme-prod", "import", "a/../b"), "letters, digits", id="id"),
        pytest.param(("acme-prod", "import", JOB, "--timeout", "soon"), "must be a duration", id="timeout"),
    ],
)
async def test_wrong_usage_is_exit_status_2(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """Nothing is asked, and what would be right is said."""
    async with visited(tmp_path) as there:
        status, out, err = await ran("wait", "--config.file", there.config, *arguments, folder=tmp_path)
        assert there.simulator.truth()["clients"] == {}
    assert (status, out) == (2, "")
    assert said in err
