"""`spexporter run`: the daemon."""

import asyncio
import faulthandler
import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from spexporter import app
from spexporter.cli import loop
from spexporter.cli.listen import parse_place
from spexporter.clock import SystemClock
from spexporter.config import Config, load
from spexporter.config.webconfig import WebConfig, load_web_config
from spexporter.domain.errors import ConfigError, Problem
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.files import Read
from spexporter.logs import LogFormat, LogLevel, set_up_logs
from spexporter.supervisor import Supervisor
from spexporter.telemetry import Telemetry
from spexporter.web.listeners import Place, handed_over
from spexporter.web.webfile import WebFile

_LISTEN = "--web.listen-address"
_DEFAULT_ADDRESS = ":9977"


_Listen = Annotated[
    list[str] | None,
    typer.Option(
        _LISTEN,
        help="Address to serve on, such as :9977, 127.0.0.1:9977 or unix:/run/spexporter.sock; may be repeated.",
        show_default=_DEFAULT_ADDRESS,
    ),
]
_Systemd = Annotated[
    bool,
    typer.Option(
        "--web.systemd-socket",
        help="Serve on the sockets that systemd hands over (a .socket unit) instead.",
        show_default=False,
    ),
]
_WebConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--web.config.file",
        help="TLS, headers and users with passwords, in the format of Prometheus' exporter-toolkit.",
        show_default=False,
    ),
]
_Lifecycle = Annotated[
    bool,
    typer.Option(
        "--web.enable-lifecycle",
        help="Let whoever reaches the port reload, hand in jobs and take them back, over HTTP.",
        show_default=False,
    ),
]
_Debug = Annotated[
    bool,
    typer.Option(
        "--web.enable-debug",
        help="Show whoever reaches the port what the exporter's tasks are doing, at /debug/tasks.",
        show_default=False,
    ),
]


def run(
    *,
    config_file: Annotated[Path, typer.Option("--config.file", help="The configuration file.")],
    listen: _Listen = None,
    systemd: _Systemd = False,
    web_config_file: _WebConfigFile = None,
    lifecycle: _Lifecycle = False,
    debug: _Debug = False,
    log_level: Annotated[LogLevel, typer.Option("--log.level", help="Log lines of this level and above.")] = (
        LogLevel.INFO
    ),
    log_format: Annotated[LogFormat, typer.Option("--log.format", help="How log lines look.")] = LogFormat.LOGFMT,
) -> None:
    """Poll the tenants of a configuration file and serve their metrics until SIGTERM or SIGINT.

    A change of either file, of files that they name, and SIGHUP make it read them anew.
    """
    places = _places(listen, systemd=systemd)
    config, web_config = _load_both(config_file, web_config_file)
    telemetry = Telemetry(OWN_FAMILIES, revision=os.environ.get("SPEXPORTER_REVISION", "unknown"))
    set_up_logs(log_level, log_format, telemetry.count_log_line)
    read = partial(_read_anew, config_file)
    web_file = WebFile(web_config_file, web_config, SystemClock())
    service = app.Service(places, web_file, lifecycle=lifecycle, debug=debug)
    # A watchdog ends us by SIGABRT: the log then says where every thread stood.
    faulthandler.enable()
    loop.run(_until_signal(config, read, telemetry, service))


def _places(listen: Sequence[str] | None, *, systemd: bool) -> Sequence[Place]:
    if not systemd:
        return [parse_place(text, _LISTEN) for text in listen or [_DEFAULT_ADDRESS]]
    if listen:
        raise typer.BadParameter("cannot stand beside --web.systemd-socket; keep one of the two", param_hint=_LISTEN)
    return handed_over(os.environ, os.getpid())


def _load_both(config_file: Path, web_config_file: Path | None) -> tuple[Config, WebConfig]:
    """Load both files, or tell the mistakes of both."""
    problems: list[Problem] = []
    config = web_config = None
    try:
        config = load(config_file, os.environ)
    except ConfigError as error:
        problems += error.problems
    try:
        web_config = load_web_config(web_config_file) if web_config_file else WebConfig()
    except ConfigError as error:
        problems += error.problems
    if config is None or web_config is None:
        raise ConfigError(tuple(problems))
    return config, web_config


def _read_anew(config_file: Path, present: Config) -> Config:
    return load(config_file, os.environ, present)


async def _until_signal(config: Config, read: Read, telemetry: Telemetry, service: app.Service) -> None:
    clock = SystemClock()
    await app.run(
        config,
        read,
        telemetry=telemetry,
        clock=clock,
        service=service,
        signals=heard_signals(),
        supervisor=Supervisor.named_by(os.environ, clock),
    )


def heard_signals() -> app.Signals:
    """Return events that signals set: SIGTERM and SIGINT to end, SIGHUP to read the configuration anew."""
    signals, running = app.Signals(asyncio.Event(), asyncio.Event()), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, signals.stop.set)
    running.add_signal_handler(signal.SIGHUP, signals.reload.set)
    return signals
