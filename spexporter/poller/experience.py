"""What went well and what badly when one tenant was asked, and what follows from that."""

import math
import zlib
from random import Random

import structlog

from spexporter.clock import Clock
from spexporter.domain.errors import TenantError, TenantForbidden, TenantMalformed, TenantNotFound, TenantRejected
from spexporter.domain.job import JobKey
from spexporter.domain.patience import Patience
from spexporter.domain.ports import Exchanges
from spexporter.domain.schedule import Pace, Target, TargetKind
from spexporter.poller.asks import endpoint_of
from spexporter.poller.troubles import Troubles, subject_of
from spexporter.sailpoint.endpoints import Endpoint
from spexporter.sailpoint.vitals import Vitals

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# These concern one job; other failures concern an endpoint or the tenant.
_JOB_TROUBLE = (TenantMalformed, TenantNotFound, TenantRejected)
_OPTIONAL = (TargetKind.LIST, TargetKind.CREDENTIAL)


class Experience:
    """Decides when what failed is tried again, and tells log, page and telemetry.

    `off` is what the credential may not be used for, and is not asked again until somebody asks for a reload.
    """

    def __init__(self, tenant: str, pace: Pace, *, vitals: Vitals, clock: Clock, exchanges: Exchanges) -> None:
        self.troubles = Troubles(vitals, clock)
        # Dice of its own, so that tenants in trouble together are not tried again together; no secret depends on them.
        self.patience = Patience(pace, Random(zlib.crc32(tenant.encode())))  # noqa: S311
        self.off: set[Target] = set()
        self._vitals = vitals
        self._tenant = tenant
        self._clock = clock
        self._exchanges = exchanges
        self._shared_error: TenantError | None = None
        self._shared_retry_s = 0.0

    def worked(self, target: Target, endpoint: Endpoint) -> None:
        """Take note of a good answer: what was wrong with this endpoint, this job and the token is over."""
        if not self.patience.well:
            self.patience.succeeded(target, endpoint)
        if not self._vitals.troubled:
            return
        subjects = [endpoint, Endpoint.TOKEN, *([subject_of(target.key)] if target.key else [])]
        self.troubles.ended(subjects)

    def failed(self, target: Target, error: TenantError, *, wanted: bool) -> float:
        """Take note of a failure and return when to try again, in seconds; not `wanted`: nobody asks any more."""
        if error is self._shared_error:  # looks that wait for one token share its failure
            return self._shared_retry_s
        self._exchanges.failed(self._tenant, error.reason)
        own = error.endpoint == endpoint_of(target)
        about_job = own and target.key is not None and isinstance(error, _JOB_TROUBLE)
        # A result that is not there yet is no trouble: it may come, and if it does not, its outcome says so. Nor is
        # what concerns a job that has left while it was asked for: nothing would ever end that.
        if not (about_job and (isinstance(error, TenantNotFound) or not wanted)):
            self.troubles.began(subject_of(target.key) if about_job and target.key else error.endpoint, error)
        if own and self._switched_off(target, error):
            return math.inf
        retry_s = self.patience.failed(target, error, self._clock.monotonic(), own=own)
        self._shared_error, self._shared_retry_s = error, retry_s
        return retry_s

    def refused_result(self, key: JobKey, error: TenantError) -> None:
        """Take note that a result will never be read: no trouble any more."""
        self._exchanges.failed(self._tenant, error.reason)
        self.troubles.forget([subject_of(key)])

    def missed(self, target: Target, error: TenantError) -> float:
        """Take note that a job was not found and return when to ask again, in seconds."""
        self._exchanges.failed(self._tenant, error.reason)
        return self.patience.failed(target, error, self._clock.monotonic())

    def reloaded(self) -> list[Target]:
        """Return what was switched off and is to be asked again: an operator may have given the token more scopes."""
        again = list(self.off)
        self.off.clear()
        return again

    def _switched_off(self, target: Target, error: TenantError) -> bool:
        """Switch off what the credential may not be used for and nothing else needs; tell whether that is so."""
        if target.kind not in _OPTIONAL or not isinstance(error, TenantForbidden):
            return False
        self.off.add(target)
        log.warning("switched_off", endpoint=error.endpoint, until="the next reload", cure=error.cure)
        return True
