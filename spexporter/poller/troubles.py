"""What is wrong with a tenant, told to operators: in the log when it begins and ends, on the page while it lasts."""

from collections.abc import Collection

import structlog

from spexporter.clock import Clock
from spexporter.domain.errors import TenantError
from spexporter.domain.job import JobKey
from spexporter.sailpoint.vitals import Vitals

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_ALIKE_LOGGED = 3  # at a time: one broken gateway is not worth a line for each job


class Troubles:
    """Begins and ends the troubles that a tenant's vitals keep, by what they concern: an endpoint, or one job."""

    def __init__(self, vitals: Vitals, clock: Clock) -> None:
        self._vitals = vitals
        self._clock = clock

    def began(self, subject: str, error: TenantError) -> None:
        """Take note of a failure about `subject`; the log hears of it once, not each time."""
        alike = sum(
            (trouble.endpoint, trouble.reason) == (error.endpoint, error.reason)
            for trouble in self._vitals.health.troubles.values()
        )
        trouble = self._vitals.failed(subject, error, quiet=alike >= _ALIKE_LOGGED)
        if trouble and not trouble.quiet:
            log.warning(
                "trouble_began",
                endpoint=trouble.endpoint,
                reason=trouble.reason,
                error=trouble.message,
                cure=trouble.cure,
                tracking_id=trouble.tracking_id,
            )

    def ended(self, subjects: Collection[str]) -> None:
        """Take note that nothing is wrong with `subjects`."""
        for trouble in self._vitals.cured(subjects):
            if not trouble.quiet:
                lasted_s = round(self._clock.wall() - trouble.since_s, 3)
                log.info("trouble_ended", endpoint=trouble.endpoint, reason=trouble.reason, lasted_s=lasted_s)

    def forget(self, subjects: Collection[str]) -> None:
        """Drop troubles about subjects that nobody asks about any more."""
        self._vitals.cured(subjects)


def subject_of(key: JobKey) -> str:
    """Name a job in a tenant's troubles."""
    return f"{key.operation} {key.job_id}"
