"""The processes of `tenants.py`: the simulator and the exporter, and what they use."""

# ruff: noqa: INP001 - scripts beside each other
import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from population import DOMAIN, PlannedJob, tenant_name

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used until now: seconds on a processor, and resident memory in MB."""

    at_s: float
    cpu_s: float
    rss_mb: float

    @classmethod
    def of(cls, pid: int) -> "Usage":
        """Read it from the system."""
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return cls(time.monotonic(), cpu_s, pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


@dataclass
class Program:
    """A process that has started, and the address that it serves."""

    process: Process
    url: str
    report: Path
    started_s: float = field(default_factory=time.monotonic)

    def usage(self) -> Usage:
        """Return what it has used."""
        return Usage.of(self.process.pid)

    def connections(self) -> int:
        """Return how many sockets it has open."""
        found = 0
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(OSError):
                found += str(entry.readlink()).startswith("socket:")
        return found

    async def end(self) -> dict[str, Any]:
        """End it, and return what it reports."""
        self.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(self.process.wait(), 120)
        reported: dict[str, Any] = json.loads(self.report.read_text())
        return reported


@asynccontextmanager
async def running(
    *command: str | Path, stdout: int | None = None, stderr: Path | None = None
) -> AsyncIterator[Process]:
    """Run one of the scripts beside this one."""
    with (stderr or Path(os.devnull)).open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *map(str, command), stdout=stdout, stderr=log if stderr else None, limit=1 << 20
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def simulator(options: argparse.Namespace, folder: Path, until_s: float) -> AsyncIterator[tuple[Program, float]]:
    """Run the simulator; yield it, and when its jobs start, in Unix seconds."""
    flags = {"tenants": options.tenants, "jobs": options.jobs, "seed": options.seed, "until": until_s}
    report = folder / "simulator.json"
    flags |= {"folder": folder, "report": report}
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    async with running(HERE / "tenants_simulator.py", *arguments, stdout=PIPE) as process:
        assert process.stdout  # noqa: S101 - it is a pipe
        start_s = float((await process.stdout.readline()).decode().split()[1])
        url = (await process.stdout.readline()).decode().strip()
        yield Program(process, url, report), start_s


@asynccontextmanager
async def exporter(options: argparse.Namespace, folder: Path, config: Path) -> AsyncIterator[Program]:
    """Run the exporter."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    report = folder / "exporter.json"
    flags = [f"--loop={options.loop}", f"--report={report}"]
    flags += [f"--profile={options.profile}"] if options.profile else []
    run = (
        "run",
        "--config.file",
        config,
        "--web.listen-address",
        address,
        "--web.enable-lifecycle",
        "--log.level=warning",
    )
    async with running(HERE / "tenants_exporter.py", *flags, "--", *run, stderr=folder / "exporter.log") as process:
        yield Program(process, f"http://{address}", report)


def fastest_s(options: argparse.Namespace) -> float:
    """Return the shortest pause between two looks at a job for which the allowed rate is enough, in seconds."""
    return float(options.tenants * options.jobs / options.rate)


def write_config(options: argparse.Namespace, folder: Path, port: str, jobs: list[PlannedJob]) -> Path:
    """Write a configuration whose tenants have `jobs`."""
    by_tenant: dict[int, list[str]] = {number: [] for number in range(options.tenants)}
    for job in jobs:
        by_tenant[job.tenant].append(f"{{id: {job.job_id}, operation: {job.operation}}}")
    lines = ["defaults:", "  client_secret: synthetic", "  ca_file: ca.pem", "  follow_backups: false"]
    lines += [f"  rate_limit: {{use: {options.rate / options.tenants / 10:.0%}}}"]
    lines += [f"  poll: {{fastest: {fastest_s(options):.0f}s, slowest: {max(60.0, fastest_s(options)):.0f}s}}"]
    lines += [f'store: {{url: "sqlite:///{folder}/ledger.db"}}', "counters: {hold: 0s}"]
    lines += [f"limits: {{max_series: {options.max_series}}}", "tenants:"]
    for number, named in by_tenant.items():
        name = tenant_name(number)
        lines += [f"  - name: {name}", f"    base_url: https://{name}.{DOMAIN}:{port}/{name}"]
        lines += [f"    client_id: client-{number}", f"    jobs: [{', '.join(named)}]"]
    path = folder / f"{'jobs' if jobs else 'idle'}.yaml"
    path.write_text("\n".join([*lines, ""]))
    return path
