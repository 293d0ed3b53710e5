"""What the commands have in common that ask tenants themselves, beside a daemon or without one."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from spexporter.clock import Clock
from spexporter.config import BadFile, Config, parse_jobs
from spexporter.connect import Visitors
from spexporter.domain.job import JobKey, WatchedJob
from spexporter.logs import LogFormat, LogLevel, set_up_logs
from spexporter.sailpoint.connections import client_session
from spexporter.watch.configured import configured_jobs
from spexporter.watch.files import JobFiles, listed_jobs


def all_jobs(config: Config) -> tuple[Mapping[str, Sequence[WatchedJob]], Sequence[BadFile]]:
    """Return the jobs of each tenant, those of the configuration before those of its files, and all files that are bad.

    A job that stands in several places is there once, as the first of them says.
    """
    patterns = {tenant.name: tenant.job_files for tenant in config.tenants}
    looked = JobFiles(patterns, partial(parse_jobs, environ=os.environ)).look()
    jobs: dict[str, Sequence[WatchedJob]] = {}
    for tenant in config.tenants:
        merged: dict[JobKey, WatchedJob] = {}
        for watched in (*configured_jobs(tenant), *listed_jobs(tenant.name, looked.jobs[tenant.name])):
            merged.setdefault(watched.key, watched)
        jobs[tenant.name] = tuple(merged.values())
    return jobs, (*config.bad_files, *looked.bad_files)


@asynccontextmanager
async def visiting(clock: Clock) -> AsyncIterator[Visitors]:
    """Yield what connects tenants, for as long as the block lasts; log lines from WARNING up go to standard error."""
    set_up_logs(LogLevel.WARNING, LogFormat.CONSOLE, _uncounted)
    async with client_session() as http:
        yield Visitors(http, clock)


def _uncounted(_logger: object, _method: str, event: Any) -> Any:  # noqa: ANN401 (structlog's own type)
    return event
