"""`spexporter wait`: follow one job to its end, for a pipeline that started it."""

import os
from collections.abc import Callable, Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from spexporter.cli import loop, show
from spexporter.cli.ending import tell
from spexporter.cli.environment import from_environment
from spexporter.cli.exporters import HttpConfigOption, access_of, exporter_url, parsed, talking, tenant_name
from spexporter.cli.progress import display
from spexporter.cli.visits import visiting
from spexporter.clock import Clock, SystemClock
from spexporter.config import Config, Tenant, convert, load
from spexporter.config.httpclient import HttpAccess
from spexporter.direct.following import Followed, Follower
from spexporter.direct.looks import Sight
from spexporter.domain.job import JobKey, Operation, WatchedJob
from spexporter.remote.following import RemoteFollower

# Follows a job for as many seconds, and tells the other what is seen of it.
_Follow = Callable[[WatchedJob, float, Clock, Callable[[Sight], None]], Coroutine[Any, Any, Followed]]


class WaitOperation(StrEnum):
    """What a job can be that is waited for."""

    EXPORT = "export"
    IMPORT = "import"


def wait(
    ctx: typer.Context,
    *,
    tenant: Annotated[str, typer.Argument(help="The tenant's name in the configuration.")],
    operation: Annotated[WaitOperation, typer.Argument(help="What the job does.")],
    job_id: Annotated[str, typer.Argument(help="The id that SailPoint answered when the job was started.")],
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config.file",
            help="Ask SailPoint, as this configuration file says; it need not name the job. Either this or `--url`.",
            show_default=False,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="Ask the exporter that runs here, such as http://localhost:9977.", show_default=False),
    ] = None,
    http_config: HttpConfigOption = None,
    timeout: Annotated[str, typer.Option(help="How long to wait, such as 90s, 30m or 2h.")] = "30m",
    output: show.OutputOption = show.Output.TEXT,
) -> None:
    """Follow one job until it ends, then print the errors and warnings of an import by object type.

    Exit status 0 only when the job is COMPLETE and, of an import, the result was read and has no errors; 1 when it is
    not, or cannot be asked for; 3 when it has not ended in time.

    With `--url` the job must be one that the exporter watches, see `spexporter track`. It tells how long such jobs
    usually take, and how many messages there are, but not their texts. While it does not answer, it is asked again.
    """
    timeout_s = parsed(convert.duration, timeout, "--timeout")
    key = JobKey(tenant, Operation(operation.value), parsed(convert.identifier, job_id, "JOB_ID"))
    config_file, url, http_config = _outweighed(ctx, config_file, url, http_config)
    follow = _way(config_file, url, http_config, tenant)
    watched, clock = WatchedJob(key), SystemClock()
    followed = loop.run(_shown(follow, watched, timeout_s, clock, output))
    raise typer.Exit(tell(followed, timeout, output))


def _outweighed(
    ctx: typer.Context, config_file: Path | None, url: str | None, http_config: Path | None
) -> tuple[Path | None, str | None, Path | None]:
    """Leave out what the environment says for other commands, where the command line names the other way."""
    if config_file and url and from_environment(ctx, "url") != from_environment(ctx, "config_file"):
        config_file, url = (config_file, None) if from_environment(ctx, "url") else (None, url)
    if config_file and not url and from_environment(ctx, "http_config"):
        http_config = None
    return config_file, url, http_config


def _way(config_file: Path | None, url: str | None, http_config: Path | None, tenant: str) -> _Follow:
    """Return how the job is followed.

    Raises:
        typer.BadParameter: that is not said, or said twice, or there is no such tenant.
        ConfigError: a file has mistakes.
    """
    if (config_file is None) == (url is None):
        wrong = "give exactly one of them: the first asks SailPoint, the second a running exporter"
        raise typer.BadParameter(wrong, param_hint="--config.file / --url")
    if config_file is None:
        tenant_name(tenant)
        return _through(exporter_url(url or ""), access_of(http_config))
    if http_config:
        raise typer.BadParameter("says how to reach an exporter; give --url, too", param_hint="--http.config.file")
    return _directly(_tenant(load(config_file, os.environ), tenant))


def _directly(tenant: Tenant) -> _Follow:
    async def follow(watched: WatchedJob, timeout_s: float, clock: Clock, see: Callable[[Sight], None]) -> Followed:
        async with visiting(clock) as visitors:
            return await Follower(visitors.client(tenant), tenant, watched, clock, see).follow(timeout_s)

    return follow


def _through(url: str, access: HttpAccess) -> _Follow:
    async def follow(watched: WatchedJob, timeout_s: float, clock: Clock, see: Callable[[Sight], None]) -> Followed:
        async with talking(url, access) as exporter:
            return await RemoteFollower(exporter, watched, clock, see).follow(timeout_s)

    return follow


async def _shown(follow: _Follow, watched: WatchedJob, timeout_s: float, clock: Clock, output: show.Output) -> Followed:
    with display(output, watched, clock) as see:
        return await follow(watched, timeout_s, clock, see)


def _tenant(config: Config, name: str) -> Tenant:
    for tenant in config.tenants:
        if tenant.name == name:
            return tenant
    show.say_problems([problem for bad in config.bad_files for problem in bad.problems])
    there_are = ", ".join(tenant.name for tenant in config.tenants)
    raise typer.BadParameter(f"no tenant {name!r} in the configuration; there are {there_are}", param_hint="TENANT")
