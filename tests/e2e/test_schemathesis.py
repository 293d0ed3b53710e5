"""Schemathesis against our API: everything that its document promises, and everything that it rules out.

`SCHEMATHESIS_EXAMPLES` sets how many examples each operation gets, with another seed each time; from some hundreds on
pytest needs `-o faulthandler_timeout=…` in seconds, too.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from spexporter.web.openapi import document
from tests.support.environments import installed
from tests.support.program import LOOPBACK, Program, answer, ready, spexporter, started

REQUIREMENTS = Path(__file__).parent / "schemathesis-requirements.txt"
MORE_EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES")
EXAMPLES, FEW_EXAMPLES = 200, 20
ENDS_WITHIN_S = 100.0  # less than the 120 s after which pytest ends everything
OPERATIONS = 5


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of schemathesis and of a validator of OpenAPI documents, with nothing of ours."""
    return installed("schemathesis", REQUIREMENTS)


class Daemon(NamedTuple):
    """A running exporter, and where it serves."""

    url: str
    program: Program


@asynccontextmanager
async def daemon(folder: Path, *flags: str) -> AsyncIterator[Daemon]:
    """Run an exporter that watches some jobs of simulated tenants; it writes no line of level error."""
    async with spexporter("simulate", "--listen", LOOPBACK, folder=folder, name="simulate") as simulator:
        tenants_url = await simulator.url("What was asked and sent")
        config = folder / "spexporter.yaml"
        config.write_text((await answer(f"{tenants_url}/-/config.yaml"))[1])
        run = ("run", "--config.file", str(config), "--web.listen-address", LOOPBACK, *flags)
        async with spexporter(*run, folder=folder) as program:
            url = await program.url()
            await ready(url)
            yield Daemon(url, program)
            assert (await program.end(signal.SIGTERM)).status == 0
        assert "level=error" not in program.printed()
        assert "Traceback" not in program.printed()


async def schemathesis(programs: Path, url: str, folder: Path, *, examples: int) -> dict[str, Any]:
    """Let schemathesis do all that it can; return its report."""
    report = folder / "report.json"
    chosen = ["--max-examples", MORE_EXAMPLES] if MORE_EXAMPLES else ["--max-examples", str(examples), "--seed", "1"]
    options = ["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--mode", "all"]
    options += ["--continue-on-failure", "--generation-database", "none", "--no-color"]
    options += ["--report", "json", "--report-json-path", str(report)]
    status, said = await ran([programs / "st", "run", f"{url}/api/v1/openapi.json", *options, *chosen], folder)
    assert status == 0, said
    found: dict[str, Any] = json.loads(report.read_text())
    return found


async def ran(command: Sequence[str | Path], folder: Path) -> tuple[int, str]:
    """Run a command to its end; return its status and all that it printed."""
    async with started(command, folder, name="foreign") as program:
        if MORE_EXAMPLES:
            return await program.process.wait(), program.printed()
        async with asyncio.timeout(ENDS_WITHIN_S):
            return await program.process.wait(), program.printed()


def whole(report: dict[str, Any]) -> bool:
    """Whether every phase ran, on every operation, with a document that it could use as it is."""
    phases = {name: phase["status"] for name, phase in report["phases"].items()}
    assert phases == dict.fromkeys(("examples", "coverage", "fuzzing", "stateful"), "success")
    assert [report["warnings"][name] for name in ("unsupported_regex", "unresolvable_reference")] == [[], []]
    return report["complete"] is True and report["operations"]["tested"] == OPERATIONS


async def test_schemathesis_finds_nothing(programs: Path, tmp_path: Path) -> None:
    """With 200 examples of each operation, right and wrong ones; jobs were handed in and taken back on the way."""
    async with daemon(tmp_path, "--web.enable-lifecycle") as exporter:
        report = await schemathesis(programs, exporter.url, tmp_path, examples=EXAMPLES)
        log = exporter.program.printed()
        assert (log.count("event=job_handed_in") > 0, log.count("event=job_taken_back") > 0) == (True, True), log
    assert whole(report)
    assert report["valid_rates"]["POST /api/v1/jobs"]["fuzzing"]["accepted"] > 0


async def test_schemathesis_finds_nothing_where_nothing_can_be_changed(programs: Path, tmp_path: Path) -> None:
    """Without `--web.enable-lifecycle` POST and DELETE are 403, as the document says, whatever is sent."""
    async with daemon(tmp_path) as exporter:
        report = await schemathesis(programs, exporter.url, tmp_path, examples=FEW_EXAMPLES)
        log = exporter.program.printed()
    assert whole(report)
    assert "event=job_handed_in" not in log
    closed = ["DELETE /api/v1/jobs/{tenant}/{operation}/{id}", "POST /api/v1/jobs"]
    assert sorted(report["warnings"]["missing_auth"]) == closed


async def test_the_document_is_valid(programs: Path, tmp_path: Path) -> None:
    """It fits the schema of OpenAPI 3.1; one without a title would not."""
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(text := json.dumps(document(["acme"])))
    bad.write_text(text.replace('"title"', '"name"'))
    validator = programs / "openapi-spec-validator"
    assert await ran([validator, "--schema", "3.1", good], tmp_path) == (0, f"{good}: OK\n")
    assert (await ran([validator, "--schema", "3.1", bad], tmp_path))[0] == 1
