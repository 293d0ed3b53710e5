"""`spexporter demo`: the exporter against the built-in simulator, with nothing to configure."""

import os
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from spexporter import app
from spexporter.cli import loop
from spexporter.cli.listen import parse_address
from spexporter.cli.run import heard_signals
from spexporter.clock import SystemClock
from spexporter.config import Config, load
from spexporter.domain.errors import StartError, words_of
from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.domain.values import replace
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.logs import LogFormat, LogLevel, set_up_logs
from spexporter.sailpoint.connections import client_session
from spexporter.simulator import Simulator, default_plans
from spexporter.simulator import serving as serving_simulator
from spexporter.telemetry import Telemetry
from spexporter.web.listeners import Address

_NEW_JOBS_EVERY_S = 1.0
_JOBS_SHOWN = 40


def demo(
    *,
    listen: Annotated[str, typer.Option("--web.listen-address", help="Where the exporter serves.")] = "127.0.0.1:9977",
    simulator_listen: Annotated[
        str, typer.Option("--simulator.listen-address", help="Where the simulated tenants serve.")
    ] = "127.0.0.1:9978",
    tenants: Annotated[int, typer.Option(min=1, max=100, help="How many tenants to simulate.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same tenants and jobs.")] = 1,
    speed: Annotated[float, typer.Option(min=0.01, max=1000, help="Jobs run and start this many times faster.")] = 1.0,
    log_level: Annotated[LogLevel, typer.Option("--log.level", help="Log lines of this level and above.")] = (
        LogLevel.WARNING
    ),
) -> None:
    """Run the exporter against simulated tenants on loopback and print the URLs to open; Ctrl-C ends it."""
    telemetry = Telemetry(OWN_FAMILIES)
    set_up_logs(log_level, LogFormat.CONSOLE, telemetry.count_log_line)
    plans = [replace(plan, hub_limits=True) for plan in default_plans(tenants, seed)]
    simulator = Simulator(plans, clock=SystemClock(), seed=seed, speed=speed)
    loop.run(
        _demonstrate(
            simulator,
            telemetry,
            parse_address(listen, "--web.listen-address"),
            parse_address(simulator_listen, "--simulator.listen-address"),
        )
    )


async def _demonstrate(simulator: Simulator, telemetry: Telemetry, listen: Address, simulated: Address) -> None:
    stop, clock = heard_signals().stop, SystemClock()
    async with AsyncExitStack() as stack:
        try:
            tenants_url = await stack.enter_async_context(serving_simulator(simulator, simulated.host, simulated.port))
        except OSError as error:
            cure = "choose another address with --simulator.listen-address"
            raise StartError(f"cannot listen on {simulated}: {words_of(error)}; {cure}") from error
        config = _config(simulator, tenants_url)
        ledger = await stack.enter_async_context(app.opened_ledger(config.store, clock, telemetry))
        http = await stack.enter_async_context(client_session())
        exporter = await stack.enter_async_context(
            app.exporting(
                config, ledger=ledger, http=http, telemetry=telemetry, clock=clock, service=app.Service([listen])
            )
        )
        typer.echo(_welcome(exporter.urls[0], tenants_url))
        while not await clock.wait(stop, clock.monotonic() + _NEW_JOBS_EVERY_S):
            await _hand_over_new_jobs(simulator, exporter)


def _config(simulator: Simulator, tenants_url: str) -> Config:
    """Load the configuration that the simulator writes of itself, as a newcomer would."""
    with TemporaryDirectory(prefix="spexporter-demo-") as folder:
        config_file = Path(folder) / "config.yaml"
        config_file.write_text(simulator.config_yaml(tenants_url))
        return load(config_file, os.environ)


async def _hand_over_new_jobs(simulator: Simulator, exporter: app.Exporter) -> None:
    """Tell the exporter of jobs that have started, as a pipeline would; the oldest leave the page."""
    for plan in simulator.plans:
        jobs = [
            WatchedJob(JobKey(plan.name, Operation(job.operation), job.id), name=job.name)
            for job in simulator.jobs(plan.name)[-_JOBS_SHOWN:]
        ]
        await exporter.fleet.desk.watch(Source.CONFIG, plan.name, jobs)


def _welcome(url: str, tenants_url: str) -> str:
    return "\n".join(
        [
            "spexporter polls simulated SailPoint tenants; nothing here is real. Ctrl-C ends it.",
            f"  status page   {url}/",
            f"  metrics       {url}/metrics",
            f"  the tenants   {tenants_url}/",
            f"  what was sent {tenants_url}/-/truth",
        ]
    )
