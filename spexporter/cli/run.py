"""`spexporter run`: the daemon."""

import asyncio
import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from spexporter import app
from spexporter.cli import loop
from spexporter.cli.listen import parse_address
from spexporter.clock import SystemClock
from spexporter.config import Config, load
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.files import Read
from spexporter.logs import LogFormat, LogLevel, set_up_logs
from spexporter.telemetry import Telemetry
from spexporter.web.server import Address

_DEFAULT_ADDRESS = ":9977"


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
    lifecycle: Annotated[
        bool,
        typer.Option(
            "--web.enable-lifecycle",
            help="Let whoever reaches the port reload, hand in jobs and take them back, over HTTP.",
            show_default=False,
        ),
    ] = False,
    log_level: Annotated[LogLevel, typer.Option("--log.level", help="Log lines of this level and above.")] = (
        LogLevel.INFO
    ),
    log_format: Annotated[LogFormat, typer.Option("--log.format", help="How log lines look.")] = LogFormat.LOGFMT,
) -> None:
    """Poll the tenants of a configuration file and serve their metrics until SIGTERM or SIGINT.

    A change of the file, of files that it names, and SIGHUP make it read them anew.
    """
    addresses = [parse_address(text, "--web.listen-address") for text in listen or [_DEFAULT_ADDRESS]]
    config = load(config_file, os.environ)
    telemetry = Telemetry(OWN_FAMILIES, revision=os.environ.get("SPEXPORTER_REVISION", "unknown"))
    set_up_logs(log_level, log_format, telemetry.count_log_line)
    read = partial(_read_anew, config_file)
    loop.run(_until_signal(config, read, telemetry, addresses, lifecycle=lifecycle))


def _read_anew(config_file: Path, present: Config) -> Config:
    return load(config_file, os.environ, present)


async def _until_signal(
    config: Config, read: Read, telemetry: Telemetry, addresses: Sequence[Address], *, lifecycle: bool
) -> None:
    await app.run(
        config,
        read,
        telemetry=telemetry,
        clock=SystemClock(),
        listen=addresses,
        signals=heard_signals(),
        lifecycle=lifecycle,
    )


def heard_signals() -> app.Signals:
    """Return events that signals set: SIGTERM and SIGINT to end, SIGHUP to read the configuration anew."""
    signals, running = app.Signals(asyncio.Event(), asyncio.Event()), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, signals.stop.set)
    running.add_signal_handler(signal.SIGHUP, signals.reload.set)
    return signals
