"""Whether the store works, as all that use it find: it does when it does for each of them."""

import structlog

from spexporter.clock import Clock
from spexporter.domain.errors import StoreError
from spexporter.domain.ports import StoreWatch

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class StoreHealth:
    """Puts together what the uses of one store find, and tells each way to fail once, until all work again."""

    def __init__(self, watch: StoreWatch, clock: Clock) -> None:
        self._watch = watch
        self._clock = clock
        self._failing: set[Use] = set()
        self._since_s = 0.0
        self._said: set[str] = set()
        watch.store_up(up=True)

    def failed(self, use: "Use", op: str, error: StoreError) -> None:
        """Take note of a failure; `op` is `read` or `write`."""
        self._watch.store_failed(op)
        self._watch.store_up(up=False)
        if not self._failing:
            self._since_s = self._clock.monotonic()
        self._failing.add(use)
        if error.message not in self._said:
            self._said.add(error.message)
            log.error("store_failed", error=error.message, cure=error.cure)

    def works(self, use: "Use") -> None:
        """Take note that the store has done what one use has asked for."""
        if use not in self._failing:
            return
        self._failing.discard(use)
        if not self._failing:
            self._watch.store_up(up=True)
            self._said.clear()
            log.info("store_recovered", lasted_s=round(self._clock.monotonic() - self._since_s, 3))

    def failing(self, use: "Use") -> bool:
        """Whether the store did not do what one use has asked for at last."""
        return use in self._failing


class Use:
    """One use of the store, such as what is written of tenants, or the renewal of leases."""

    def __init__(self, health: StoreHealth) -> None:
        self._health = health

    @property
    def failing(self) -> bool:
        """Whether the last try has failed."""
        return self._health.failing(self)

    def failed(self, op: str, error: StoreError) -> None:
        """Take note of a failure; `op` is `read` or `write`."""
        self._health.failed(self, op, error)

    def works(self) -> None:
        """Take note that the store was asked, and has answered."""
        self._health.works(self)
