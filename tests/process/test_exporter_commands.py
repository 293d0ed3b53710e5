"""`track`, `wait --url` and `healthcheck` as processes: exit statuses and what they print."""

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from spexporter.domain.values import replace
from spexporter.simulator import default_plans, result_of
from tests.support.fakeexporter import ENDED, JOB, Scripted, answering
from tests.support.program import ran
from tests.support.tenants import ERRORS
from tests.support.world import World, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
JOBS: tuple[dict[str, object], ...] = tuple(
    {"tenant": "acme", "operation": "import", "queue_s": 0.0, **job}
    for job in (
        {"job_id": "clean", "duration_s": 20.0, "result": result_of({"SOURCE": {"objects": 2}})},
        {"job_id": "errors", "duration_s": 20.0, "result": result_of(ERRORS)},
        {"job_id": "endless", "duration_s": math.inf},
    )
)


@pytest.fixture
async def running() -> AsyncIterator[World]:
    """An exporter that knows three imports, two of which have ended."""
    async with world([PLAN], plant=JOBS, lifecycle=True) as running:
        await running.advance(60)
        yield running


async def test_job_that_is_tracked_is_watched_and_tracking_it_again_changes_nothing(
    running: World, tmp_path: Path
) -> None:
    """Exit status 0 both times; the exporter knows the job with all that was said of it."""
    about = ("track", "--url", running.url, "acme", "import", "new-1")
    more = ("--name", "nightly", "--max-age", "30m", "--preview")
    assert await ran(*about, *more, folder=tmp_path) == (0, "acme/import/new-1: watched from now on\n", "")
    assert await ran(*about, folder=tmp_path) == (0, "acme/import/new-1: already watched\n", "")
    told = json.loads((await running.get("/api/v1/jobs/acme/import/new-1"))[1])
    assert (told["name"], told["max_age_seconds"], told["preview"], told["source"]) == ("nightly", 1800, True, "api")


async def test_job_that_the_exporter_refuses_is_exit_status_1(running: World, tmp_path: Path) -> None:
    """With the exporter's own words, and as JSON for machines."""
    about = ("track", "--url", running.url, "acmee", "import", "new-1")
    status, out, err = await ran(*about, folder=tmp_path)
    assert (status, out) == (1, "")
    assert err == (f"acmee/import/new-1: {running.url} answered 404: there is no tenant acmee; did you mean acme?\n")
    status, out, err = await ran(*about, "--output", "json", folder=tmp_path)
    found = json.loads(out)
    assert (status, err, found["watched"], found["new"]) == (1, "", False, None)
    assert "did you mean acme?" in found["error"]


async def test_exporter_without_lifecycle_is_named_as_such(tmp_path: Path) -> None:
    """Which flag it lacks is in its answer."""
    async with world([PLAN]) as running:
        status, _, err = await ran("track", "--url", running.url, "acme", "import", "new-1", folder=tmp_path)
    assert status == 1
    assert "403: handing in jobs is switched off; start the exporter with --web.enable-lifecycle" in err


class Said(NamedTuple):
    """How the command ended, and what stands in what it printed."""

    status: int
    out: str
    err: str


@pytest.mark.parametrize(
    ("job_id", "more", "expected"),
    [
        pytest.param("clean", (), Said(0, "COMPLETE 20.0s 0 errors, 0 warnings", ""), id="clean"),
        pytest.param(
            "errors",
            (),
            Said(
                1,
                "COMPLETE 20.0s 2 errors, 2 warnings\nDownload import results for details.\n"
                "SOURCE: 2 errors, 1 warning\nROLE: 0 errors, 1 warning\n",
                "the job's page has the first texts of messages",
            ),
            id="errors",
        ),
        pytest.param(
            "endless", ("--timeout", "500ms"), Said(3, "endless IN_PROGRESS", "not ended within 500ms"), id="too long"
        ),
        pytest.param(
            "unknown",
            (),
            Said(1, "", "hand the job over first: spexporter track --url {url} acme import unknown"),
            id="unknown",
        ),
    ],
)
async def test_end_of_an_import_decides_the_exit_status(
    job_id: str, more: tuple[str, ...], expected: Said, running: World, tmp_path: Path
) -> None:
    """As without an exporter between: 0 only for COMPLETE without errors, 1 else, 3 out of time.

    Errors and warnings are counted by object type.
    """
    status, out, err = await ran("wait", "--url", running.url, "acme", "import", job_id, *more, folder=tmp_path)
    assert status == expected.status, out + err
    assert expected.out in out
    assert expected.err.format(url=running.url) in err


async def test_exporter_that_restarts_is_waited_for(tmp_path: Path) -> None:
    """A line says so, and the exit status is that of the job."""
    away, unread = Scripted(503, "away"), Scripted(200, {**ENDED, "outcome": None, "messages": None})
    usual = {**JOB, "usual_duration_seconds": {"p50": 60.0, "p95": 120.0}}
    async with answering(Scripted(200, usual), away, unread, Scripted(200, ENDED)) as fake:
        status, out, err = await ran("wait", "--url", fake.url, "acme", "import", "i1", folder=tmp_path)
    assert status == 0
    first, last = out.splitlines()[:2]
    assert first.startswith("acme/import/i1 IN_PROGRESS 12.5s (usually 1m00s; likely to end 47.5s from now, at ")
    assert last == "acme/import/i1 COMPLETE 12.5s 0 errors, 1 warning"
    assert f"acme/import/i1: {fake.url} answered 503: away; asking again\n" in err


async def test_who_asks_is_told_by_a_file_and_printed_nowhere(tmp_path: Path) -> None:
    """`--http.config.file` of all three commands; a mistake in it is exit status 2 with its line."""
    file = tmp_path / "http.yaml"
    file.write_text("authorization: {credentials: planted-hunter2}\n")
    commands = (("track", "acme", "import", "i1"), ("wait", "acme", "import", "i1"), ("healthcheck",))
    for command in commands:
        async with answering(Scripted(200, ENDED)) as fake:
            more = ("--url", fake.url, "--http.config.file", file)
            status, out, err = await ran(*command, *more, folder=tmp_path)
        assert (status, "hunter2" in out + err) == (0, False)
        assert {asked.headers["Authorization"] for asked in fake.asked} == {"Bearer planted-hunter2"}
    file.write_text("authorization: {credentialz: planted-hunter2}\n")
    status, out, err = await ran("healthcheck", "--http.config.file", file, folder=tmp_path)
    assert (status, out) == (2, "")
    assert f"{file}:1: authorization.credentialz: unknown key; did you mean credentials?" in err
