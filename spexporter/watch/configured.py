"""The jobs that the configuration file names."""

from spexporter.config.values import Tenant
from spexporter.domain.job import JobKey, Source, WatchedJob


def configured_jobs(tenant: Tenant) -> tuple[WatchedJob, ...]:
    """Return the jobs of one tenant's configuration, in file order."""
    return tuple(
        WatchedJob(
            key=JobKey(tenant.name, entry.operation, entry.id),
            source=Source.CONFIG,
            name=entry.name,
            max_age_s=entry.max_age_s,
            preview=entry.preview,
        )
        for entry in tenant.jobs
    )
