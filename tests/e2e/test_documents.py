"""What the documents show is run as it stands there, in a place where it may be."""

import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from tests.support.documents import Shown, shown
from tests.support.modules import ROOT
from tests.support.program import LOOPBACK, Program, answer, free_port, ready, spexporter, started
from tests.support.prometheus import promtool, tool

WITHIN_S = 110.0
WALK = "docs/getting-started.md"
WALK_BLOCKS = 6
PARTS = 2  # so that no test takes longer than a test may
# What cannot be had on every machine, and what runs it instead.
ELSEWHERE = {
    r"^docker compose ": "test_compose.py",
    r"^docker ": "test_image.py",
    r"^helm |^kubectl ": "test_chart.py",
    r"^systemctl ": "../../scripts/try-unit",
    r"^docs/pipeline.sh ": "test_pipeline_script.py",
    r"^make (test|check|e2e)$": "../../.ci/run",
    r"^for room in |^find spexporter |^python3 - <<": "../../ARCHITECTURE.md",  # how its own figures were measured
}
# Commands that tell of trouble by status 1, which the simulated tenants may have.
MAY_TELL = re.compile(r"^spexporter (status|wait|check .*--live)\b")
ASKS = re.compile(r"^(export|curl|spexporter)\b")
MOVES = re.compile(r"^(cp|sed|mkdir)\b")


def plain(command: str) -> str:
    """Return a command without the folder of the environment in which it was installed."""
    return command.replace("~/spexporter-venv/bin/spexporter", "spexporter")


def kind(block: Shown) -> str:
    """Return what a block needs: `walk`, `elsewhere`, `install`, `files` or `exporter`; empty for what nobody runs."""
    if block.document == WALK and block.number <= WALK_BLOCKS:
        return "walk"
    commands = [*map(plain, block.commands)]
    if any(re.search(pattern, command) for pattern in ELSEWHERE for command in commands):
        return "elsewhere"
    if commands[0].startswith("python3 -m venv ~/"):
        return "install"
    if block.document == "README.md" and block.number == 1:
        return "walk"  # the same beginning, which `make demo` ends
    for pattern, name in ((MOVES, "files"), (ASKS, "exporter")):
        if all(pattern.match(command) for command in commands):
            return name
    return ""


BLOCKS = list(shown())


def of(name: str) -> list[Shown]:
    return [block for block in BLOCKS if kind(block) == name]


def test_every_block_is_run_by_a_test() -> None:
    """Here, or by what is named; a block that nobody runs may be wrong for years."""
    assert [str(block) for block in BLOCKS if not kind(block)] == []
    assert [name for name in ELSEWHERE.values() if not (Path(__file__).parent / name).exists()] == []
    assert {len(of(name)) > 0 for name in ("walk", "elsewhere", "install", "files", "exporter")} == {True}


async def bash(script: str, folder: Path, env: Mapping[str, str], *, name: str = "bash") -> tuple[int, Program]:
    """Run a script as somebody types it, with jobs of its own; what it has started ends with it."""
    flags = ("--noprofile", "--norc", "-m", "-c")
    async with started(
        ["bash", *flags, f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"], folder, name=name, env=env
    ) as program:
        async with asyncio.timeout(WITHIN_S):
            status = await program.process.wait()
        return status, program


async def test_newcomer_gets_an_alert(tmp_path: Path) -> None:
    """The way from a clone to the webhook, with as little waiting as can be: what waits a minute there is a second."""
    tool("prometheus"), tool("prometheus-alertmanager")
    ports = {name: f"localhost:{free_port()}" for name in ("9977", "9099", "9093", "9090")}
    steps = [block.text for block in BLOCKS if block.document == WALK][:WALK_BLOCKS]
    script = "set -e\n" + "\n".join(steps)
    script = script.replace("REPOSITORY", str(ROOT)).replace("make setup", f"ln -s {ROOT / '.venv'} .venv\n{{hurry}}")
    hurry = [
        "sed -i 's/: 30s/: 1s/' prometheus/prometheus.example.yml",
        "sed -i 's/for: 1m/for: 1s/' prometheus/spexporter.rules.yml",
    ]
    for port, address in ports.items():
        script = script.replace(f"localhost:{port}", address)
        hurry.append(f"sed -i 's/localhost:{port}/{address}/' prometheus/prometheus.example.yml")
    env = {
        "SPEXPORTER_WEB_LISTEN_ADDRESS": ports["9977"].replace("localhost", "127.0.0.1"),
        "SPEXPORTER_SIMULATOR_LISTEN_ADDRESS": LOOPBACK,
    }
    status, program = await bash(script.replace("{hurry}", "\n".join(hurry)), tmp_path, env)
    assert "spconfig_tenant_up" in program.printed()
    assert re.search(r"^firing SPConfig\w+ ", program.printed(), re.MULTILINE), program.printed()
    assert status in {0, 143}, program.printed()  # `kill $(jobs -p)` is its last word


async def test_installation_is_as_shown(tmp_path: Path) -> None:
    """README's own lines, in a home of nobody's."""
    (block,) = of("install")
    (tmp_path / "home").mkdir()
    status, program = await bash(f"set -e\ncd {ROOT}\n{block.text}", tmp_path, {"HOME": str(tmp_path / "home")})
    assert status == 0, program.printed()
    assert (tmp_path / "home" / "spexporter-venv" / "bin" / "spexporter").exists()


async def test_files_go_where_they_are_shown_to_go(tmp_path: Path) -> None:
    """And are what is expected there."""
    for folder in ("etc/grafana/provisioning/datasources", "etc/grafana/provisioning/dashboards", "etc/prometheus"):
        (tmp_path / folder).mkdir(parents=True)
    for block in of("files"):
        script = re.sub(r"(?<=\s)/(etc|var)/", rf"{tmp_path}/\1/", block.text)
        status, program = await bash(f"set -e\ncd {ROOT}\n{script}", tmp_path, {})
        assert status == 0, (block, program.printed())
    status, said = await promtool("check", "rules", tmp_path / "etc/prometheus/spexporter.rules.yml")
    assert status == 0, said
    assert len(list((tmp_path / "var/lib/grafana/dashboards/spexporter").glob("*.json"))) == 4


@asynccontextmanager
async def exporter(folder: Path) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """Run one with a simulated tenant; yield its address, and the environment in which commands find both."""
    async with spexporter(
        "simulate", "--listen", LOOPBACK, "--tenants", "1", folder=folder, name="simulate"
    ) as simulate:
        _, text = await answer(f"{await simulate.url('/acme-prod')}/-/config.yaml")
        config = yaml.safe_load(text)
        jobs = config["tenants"][0]["jobs"]
        imported = next(job for job in jobs if job["operation"] == "import")
        # Commands that ask the tenant take a tenth of its limit: with few jobs and much of it nobody waits.
        config["tenants"][0] |= {"jobs": [imported], "rate_limit": {"requests": 1000, "per": "10s"}}
        (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        listen = ("--web.listen-address", LOOPBACK, "--web.enable-lifecycle")
        async with spexporter(
            "run", "--config.file", folder / "config.yaml", *listen, folder=folder, name="run"
        ) as run:
            url = await run.url()
            await ready(url)
            program = folder / "bin" / "spexporter"
            program.parent.mkdir()
            program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m spexporter "$@"\n')
            program.chmod(0o755)
            path = f"{program.parent}:{Path(str(shutil.which('curl'))).parent}:/usr/bin:/bin"
            yield url.removeprefix("http://"), {"PATH": path, "JOB_ID": imported["id"]}


def here(command: str, address: str, env: Mapping[str, str], folder: Path) -> str:
    """Return a command with the addresses and ids of this place; what would run for ever is ended after a while."""
    line = command.replace("localhost:9977", address).replace("…", "planted")
    line = re.sub(r"\bef38f94\w*", env["JOB_ID"], line).replace("--timeout 30m", "--timeout 20s")
    if not line.startswith("spexporter run"):
        return line
    line = re.sub(r" --web.listen-address \S+", "", line)
    begin = f"cd $(mktemp -d -p {folder}); cp {folder}/config.yaml ."
    return f"{begin}; timeout --preserve-status 5 {line} --web.listen-address {LOOPBACK}"


COMMANDS = list(dict.fromkeys(plain(line) for block in of("exporter") for line in block.commands))


@pytest.mark.parametrize("part", range(PARTS))
async def test_commands_for_an_exporter_work(part: int, tmp_path: Path) -> None:
    """Each as it stands there, but for addresses and ids; those that may tell of trouble may tell it."""
    async with exporter(tmp_path) as (address, env):
        for command in COMMANDS[part::PARTS]:
            line = here(command, address, env, tmp_path)
            status, program = await bash(line, tmp_path, env)
            allowed = {0, 1, 3} if MAY_TELL.match(command) else {0}
            assert status in allowed, (line, status, program.printed())
            assert "Traceback" not in program.printed(), line
