"""The backups that SailPoint makes before imports: export jobs, named by the imports' results."""

import re
from collections.abc import Iterable

from spexporter.config.convert import IDENTIFIER_PATTERN
from spexporter.domain.job import Job, JobKey, Operation, Source, WatchedJob


def backup_of(job: Job | None) -> WatchedJob | None:
    """Return the backup that was made before an import, None where its result names none, or was not read.

    Source: SailPoint API specification, schema SpConfigImportResults, property `exportJobId`.
    """
    if job is None or job.result is None or not re.fullmatch(IDENTIFIER_PATTERN, job.result.backup_id):
        return None
    key = JobKey(job.key.tenant, Operation.EXPORT, job.result.backup_id)
    return WatchedJob(key, Source.BACKUP, name=f"backup before {job.watched.name or job.key.job_id}")


def backups_of(jobs: Iterable[Job]) -> tuple[WatchedJob, ...]:
    """Return the backups of all imports among `jobs`."""
    return tuple(backup for job in jobs if (backup := backup_of(job)))
