"""`spexporter run`: the daemon."""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import structlog
import typer

from spexporter import app
from spexporter.cli.listen import parse_address
from spexporter.clock import SystemClock
from spexporter.config import Config, load
from spexporter.exposition.families import OWN_FAMILIES
from spexporter.logs import LogFormat, LogLevel, set_up_logs
from spexporter.telemetry import Telemetry
from spexporter.web.server import Address

_DEFAULT_ADDRESS = ":9977"
log: structlog.stdlib.BoundLogger = structlog.get_logger()


def run(
    *,
    config_file: Annotated[Path, typer.Option("--config.file", help="The configuration file.")],
    listen: Annotated[
        list[str] | None,
        typer.Option(
            "--web.listen-address",
            help="Address to serve on, such as :9977 or 127.0.0.1:9977; may be repeated.",
            show_default=_DEFAULT_ADDRESS,
        ),
    ] = None,
    log_level: Annotated[LogLevel, typer.Option("--log.level", help="Log lines of this level and above.")] = (
        LogLevel.INFO
    ),
    log_format: Annotated[LogFormat, typer.Option("--log.format", help="How log lines look.")] = LogFormat.LOGFMT,
) -> None:
    """Poll the tenants of a configuration file and serve their metrics until SIGTERM or SIGINT."""
    addresses = [parse_address(text, "--web.listen-address") for text in listen or [_DEFAULT_ADDRESS]]
    config = load(config_file, os.environ)
    telemetry = Telemetry(OWN_FAMILIES, revision=os.environ.get("SPEXPORTER_REVISION", "unknown"))
    set_up_logs(log_level, log_format, telemetry.count_log_line)
    asyncio.run(_until_signal(config, telemetry, addresses))


async def _until_signal(config: Config, telemetry: Telemetry, addresses: Sequence[Address]) -> None:
    await app.run(config, telemetry=telemetry, clock=SystemClock(), listen=addresses, stop=stop_signal())


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set; SIGHUP, which would end the process, is only noted."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: log.warning("reload_ignored", cure="restart to read the file anew"))
    return stop
