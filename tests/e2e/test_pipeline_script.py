"""docs/pipeline.sh as a CI pipeline runs it: against a simulated tenant and an exporter, all of them real processes."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.support.modules import ROOT
from tests.support.program import LOOPBACK, answer, ready, spexporter, started

SCRIPT = ROOT / "docs" / "pipeline.sh"
ERRORS = {"SOURCE": {"errors": 2, "warnings": 1, "objects": 3}, "RULE": {"warnings": 1}}


AT_ONCE = 2  # a command takes a processor for seconds to start


class Place(NamedTuple):
    """A simulated tenant, and an exporter that watches it: what the script is told of them."""

    simulated: str
    env: Mapping[str, str]
    folder: Path
    turns: asyncio.Semaphore


class Ended(NamedTuple):
    """How one run of the script ended."""

    name: str
    status: int
    out: str
    err: str


@asynccontextmanager
async def exporter_and_tenant(folder: Path) -> AsyncIterator[Place]:
    """Run both; the exporter looks often, so that nobody waits for it."""
    async with spexporter(
        "simulate", "--listen", LOOPBACK, "--tenants", "1", folder=folder, name="simulate"
    ) as simulate:
        simulated = await simulate.url("/acme-prod")
        _, text = await answer(f"{simulated}/-/config.yaml")
        tenant = yaml.safe_load(text)["tenants"][0]
        config = folder / "config.yaml"
        config.write_text(text.replace("defaults:", "defaults:\n  poll: {fastest: 200ms}", 1), encoding="utf-8")
        arguments = ("--config.file", config, "--web.listen-address", LOOPBACK, "--web.enable-lifecycle")
        async with spexporter("run", *arguments, folder=folder, name="run") as run:
            url = await run.url()
            await ready(url)
            env = {
                "PYTHONPATH": str(ROOT),
                "PATH": f"{command(folder)}:{os.environ['PATH']}",
                "SAIL_BASE_URL": tenant["base_url"],
                "SAIL_CLIENT_ID": tenant["client_id"],
                "SAIL_CLIENT_SECRET": tenant["client_secret"],
                "SPEXPORTER_URL": url,
                "SPEXPORTER_TENANT": tenant["name"],
            }
            yield Place(simulated, env, folder, asyncio.Semaphore(AT_ONCE))


def command(folder: Path) -> Path:
    """Return a folder with the command `spexporter` of these sources, installed or not."""
    program = folder / "bin" / "spexporter"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m spexporter "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return program.parent


async def pipeline(place: Place, name: str, wishes: Mapping[str, object] | None, **env: str) -> Ended:
    """Import the file `name`, whose import goes as `wishes` say; there is no such file without any."""
    file = place.folder / f"{name}.json"
    if wishes is not None:
        file.write_text(json.dumps({"version": 1, "objects": [], "simulate": wishes}), encoding="utf-8")
    async with place.turns, started([SCRIPT, file], place.folder, name=name, env={**place.env, **env}) as program:
        async with asyncio.timeout(60):
            status = await program.process.wait()
        return Ended(name, status, program.stdout.read_text(), program.stderr.read_text())


class Case(NamedTuple):
    """How an import is to go, and how the script is to end; what it says may be on either stream."""

    wishes: Mapping[str, object] | None
    status: int
    said: str
    env: Mapping[str, str] = {}


CLEAN = {"state": "COMPLETE", "seconds": 1, "result": {"RULE": {"objects": 2}}}
ENDS = {
    "clean": Case(CLEAN, 0, "0 errors, 0 warnings"),
    "errors": Case({**CLEAN, "result": ERRORS}, 1, "SOURCE: 2 errors, 1 warning"),
    "failed": Case({"state": "FAILED", "seconds": 1}, 1, " FAILED "),
    "cancelled": Case({"state": "CANCELLED", "seconds": 1}, 1, " CANCELLED "),
    "endless": Case({"state": "COMPLETE", "seconds": 3600}, 3, " IN_PROGRESS ", {"TIMEOUT": "3s"}),
}
FAILED_STEPS = {
    "credential": Case(CLEAN, 1, "invalid_client", {"SAIL_CLIENT_SECRET": "wrong"}),
    "path": Case(CLEAN, 1, "404 Not found", {"SAIL_IMPORT_PATH": "sp-config/v9/import"}),
}


async def test_script_ends_as_the_import_does_or_where_a_step_fails(tmp_path: Path) -> None:
    """0 for a clean import alone; 1 with errors, failed, cancelled; 3 out of time; the secret is never printed.

    Where a step fails nothing that follows is tried, and the reason is printed as SailPoint, or the exporter, gave it.
    """
    cases = {**ENDS, **FAILED_STEPS}
    async with exporter_and_tenant(tmp_path) as place, asyncio.TaskGroup() as tasks:
        runs = [
            tasks.create_task(pipeline(place, name, case.wishes, **{"TIMEOUT": "50s", **case.env}))
            for name, case in cases.items()
        ]
    for ended in (run.result() for run in runs):
        case = cases[ended.name]
        assert ended.status == case.status, ended
        assert case.said in ended.out + ended.err, ended
        assert ("watched from now on" in ended.out) == (ended.name in ENDS), ended
        assert ("COMPLETE" in ended.out) == (ended.name in {"clean", "errors"}), ended
        assert place.env["SAIL_CLIENT_SECRET"] not in ended.out + ended.err


NOTHING_BEGUN = {
    "exporter": Case(CLEAN, 1, "curl: (7)", {"SPEXPORTER_URL": "http://127.0.0.1:1"}),
    "file": Case(None, 1, "file.json cannot be read"),
    "tenant": Case(CLEAN, 1, "tenant acme-sandbox: ", {"SPEXPORTER_TENANT": "acme-sandbox"}),
    "variable": Case(CLEAN, 2, "SPEXPORTER_TENANT", {"SPEXPORTER_TENANT": ""}),
}


async def test_script_begins_no_import_that_nobody_would_watch(tmp_path: Path) -> None:
    """Without its file, an exporter that answers or a variable it ends before SailPoint is asked for anything."""
    async with exporter_and_tenant(tmp_path) as place:
        async with asyncio.TaskGroup() as tasks:
            runs = [
                tasks.create_task(pipeline(place, name, case.wishes, **case.env))
                for name, case in NOTHING_BEGUN.items()
            ]
        assert await imports_begun(place) == 0
        whole = await pipeline(place, "whole", CLEAN)
        assert (whole.status, await imports_begun(place)) == (0, 1), whole
    for ended in (run.result() for run in runs):
        case = NOTHING_BEGUN[ended.name]
        assert ended.status in {1, case.status}, ended  # which of them a missing variable is differs between shells
        assert case.said in ended.out + ended.err, ended


async def imports_begun(place: Place) -> int:
    """Return how often the simulated tenant was asked to begin one."""
    _, text = await answer(f"{place.simulated}/-/truth")
    (client,) = json.loads(text)["clients"].values()
    return [endpoint for _, _, endpoint, _ in client["requests"]].count("import_start")
