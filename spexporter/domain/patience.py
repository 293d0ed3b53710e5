"""When a tenant, one of its endpoints or one of its jobs is asked again after it failed.

Pure: the caller says what time it is (monotonic seconds) and brings the dice.
"""

from collections import Counter
from random import Random

from spexporter.domain.breaker import Breaker, BreakerState, RetryBudget, backoff_s
from spexporter.domain.errors import (
    TenantError,
    TenantForbidden,
    TenantMalformed,
    TenantNotFound,
    TenantRejected,
    TenantServerError,
    TenantThrottled,
    TenantTimeout,
    TenantUnauthorized,
    TenantUnreachable,
)
from spexporter.domain.schedule import Pace, Target

# An unreadable answer may be one job's; several in a row without a good one between are a broken gateway's.
_OUTAGE = (TenantUnreachable, TenantTimeout, TenantServerError, TenantMalformed)
_REFUSALS_TO_CLOSE = 3
_CREDENTIAL = "credential"


class Patience:
    """How one tenant is treated after failures.

    An outage counts towards the breaker of the whole tenant. A credential that is refused, or not allowed to use an
    endpoint, several times in a row is tried again rarely, as asking does not help, until it changes.
    """

    def __init__(self, pace: Pace, dice: Random) -> None:
        self._pace = pace
        self._breaker = Breaker(pace, dice)
        self._retries = RetryBudget(pace, dice)
        self._failures: Counter[Target] = Counter()  # in a row
        self._refusals: Counter[str] = Counter()  # in a row, by endpoint
        self._closed_until_s: dict[str, float] = {}
        self.well = True  # nothing has failed that still matters

    @property
    def trusts(self) -> bool:
        """Whether the tenant's circuit breaker is closed."""
        return self._breaker.opens_until_s is None

    def breaker(self, now_s: float) -> BreakerState:
        """Return the state of the tenant's circuit breaker."""
        return self._breaker.state(now_s)

    def failures(self, target: Target) -> int:
        """Return how often `target` has failed in a row."""
        return self._failures[target]

    def tenant_waits_until_s(self, now_s: float) -> float | None:
        """Return until when nothing at all is asked of the tenant, None when it is asked now."""
        if self.well:
            return None
        until_s = max(self._breaker.opens_until_s or now_s, self._closed_until_s.get(_CREDENTIAL, now_s))
        return until_s if until_s > now_s else None

    def endpoint_waits_s(self, endpoint: str, now_s: float) -> float:
        """Return for how long `endpoint` is not asked, 0 when it is."""
        return max(0.0, self._closed_until_s.get(endpoint, now_s) - now_s)

    @property
    def refused(self) -> bool:
        """Whether something waits for the credential to change."""
        return bool(self._closed_until_s)

    def relent(self) -> None:
        """Forget refusals: the credential has changed."""
        self._refusals.clear()
        self._closed_until_s.clear()

    def succeeded(self, target: Target, endpoint: str) -> None:
        """Take note of a good answer."""
        self._breaker.succeeded()
        self._retries.succeeded()
        if self._failures:
            self._failures.pop(target, None)
        if self._refusals:
            for refused in (endpoint, _CREDENTIAL):
                self._refusals.pop(refused, None)
                self._closed_until_s.pop(refused, None)
        self.well = self._retries.whole and not (self._failures or self._refusals or self._closed_until_s)

    def failed(self, target: Target, error: TenantError, now_s: float, *, own: bool = True) -> float:
        """Take note of a failure and return in how many seconds `target` is worth another try.

        `own` says that it is about what `target` asks for; without, it is about what every look needs, such as a token.
        """
        if isinstance(error, TenantThrottled):
            return error.pause_s
        self.well = False
        if isinstance(error, (TenantUnauthorized, TenantForbidden)):
            return self._refused(_CREDENTIAL if isinstance(error, TenantUnauthorized) else error.endpoint, now_s)
        self._failures[target] += 1
        if isinstance(error, _OUTAGE) or not own:
            self._breaker.failed(now_s)
        if isinstance(error, TenantNotFound):
            return backoff_s(self._pace, self._failures[target])
        if isinstance(error, TenantRejected):
            return self._pace.slowest_s  # the same request will be refused again
        return self._retries.delay_s(self._failures[target])

    def forget(self, target: Target) -> None:
        """Drop what is known of a target that is not asked about any more."""
        self._failures.pop(target, None)

    def _refused(self, what: str, now_s: float) -> float:
        self._refusals[what] += 1
        if self._refusals[what] < _REFUSALS_TO_CLOSE:
            return self._retries.delay_s(self._refusals[what])
        self._closed_until_s[what] = now_s + self._pace.probe_s
        return self._pace.probe_s
