"""Whether the store works, as all that use it find: it does when it does for each of them."""

import structlog

from spexporter.clock import Clock
from spexporter.domain.errors import StoreError
from spexporter.domain.ports import StoreWatch

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class StoreHealth:
    """Puts together what the uses of one store find, and tells each way to fail once, until all work again.

    A use is named by a word, such as `renewal`; it fails from a failure until the store has done what it asks for.
    """

    def __init__(self, watch: StoreWatch, clock: Clock) -> None:
        self._watch = watch
        self._clock = clock
        self._failing: set[str] = set()
        self._since_s = 0.0
        self._said: set[str] = set()
        watch.store_up(up=True)

    def failed(self, use: str, op: str, error: StoreError) -> None:
        """Take note of a failure; `op` is `read` or `write`."""
        self._watch.store_failed(op)
        self._watch.store_up(up=False)
        if not self._failing:
            self._since_s = self._clock.monotonic()
        self._failing.add(use)
        if error.message not in self._said:
            self._said.add(error.message)
            log.error("store_failed", error=error.message, cure=error.cure)

    def works(self, use: str) -> None:
        """Take note that the store was asked, and has done it."""
        if use not in self._failing:
            return
        self._failing.discard(use)
        if not self._failing:
            self._watch.store_up(up=True)
            self._said.clear()
            log.info("store_recovered", lasted_s=round(self._clock.monotonic() - self._since_s, 3))

    def failing(self, *uses: str) -> bool:
        """Whether the last try of one of these uses has failed."""
        return bool(self._failing & set(uses))
