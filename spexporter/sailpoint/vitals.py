"""What one tenant's exchanges tell about its health."""

from collections.abc import Collection, Mapping
from typing import Any

from msgspec.structs import replace

from spexporter.clock import Clock
from spexporter.domain.errors import TenantError
from spexporter.domain.tenanttime import Moment, TenantTime, learn
from spexporter.domain.view import TenantHealth, Trouble


class Vitals:
    """Keeps one tenant's `TenantHealth`; the client writes it, pages read the immutable snapshots.

    Each exchange changes several facts, so that a snapshot is made when somebody wants one.
    """

    def __init__(self, base_url: str, api_version: str | None, clock: Clock) -> None:
        self._health = TenantHealth(base_url=base_url, api_version=api_version)
        self._changes: dict[str, Any] = {}
        self.time: TenantTime | None = None
        self._is_up = False
        self._access: Mapping[str, bool] = {}
        self._troubles: Mapping[str, Trouble] = {}
        self._clock = clock

    @property
    def health(self) -> TenantHealth:
        """What is known now."""
        if self._changes:
            if self.time is not None:
                self._changes["clock_offset_s"] = self.time.at(self._clock.monotonic()) - self._clock.wall()
            self._health = replace(self._health, **self._changes)
            self._changes = {}
        return self._health

    def tenant_now_s(self) -> float:
        """Return the tenant's time, as `TenantHealth.tenant_now_s`."""
        still_at_s, time = self.health.still_at_s, self.time
        if still_at_s is not None:
            return still_at_s
        return time.at(self._clock.monotonic()) if time else self._clock.wall()

    def restore(self, last_answer_s: float, tenant_offset_s: float | None, still_at_s: float | None) -> None:
        """Go on from what an earlier process knew: the last good answer, and the tenant's time.

        A tenant that was not up then is not believed to be up now: the durations of its jobs go on standing still.
        """
        now = Moment(self._clock.wall(), self._clock.monotonic())
        silent_s = max(0.0, now.wall_s - last_answer_s)
        self._set(last_answer_s=last_answer_s, last_answer_monotonic_s=now.monotonic_s - silent_s)
        if tenant_offset_s is not None:
            self.time = TenantTime.around(now.wall_s + tenant_offset_s - now.monotonic_s)
            self._set(time=self.time)
        self._set(still_at_s=still_at_s)

    def up(self, *, up: bool) -> None:
        """Take note that the tenant answers, or does not; running durations stand still while it does not."""
        if up:
            self._is_up = True
            self._set(up=True, still_at_s=None)
        else:  # where it stands still already, that is its time
            now = Moment(self._clock.wall(), self._clock.monotonic())
            self._is_up = False
            self._set(up=False, still_at_s=self.health.tenant_now_s(now))

    def dated(self, date_s: float, *, sent_s: float, received_s: float) -> None:
        """Take note of an answer's `Date` header; the other two are monotonic seconds."""
        self.time = learn(self.time, date_s=date_s, sent_s=sent_s, received_s=received_s)
        self._set(time=self.time)

    @property
    def troubled(self) -> bool:
        """Whether something does not work now."""
        return bool(self._troubles)

    def version(self, api_version: str) -> None:
        """Take note of the API version that the tenant has."""
        self._set(api_version=api_version)

    def token(self, expires_s: float) -> None:
        """Take note of a new token's end (Unix seconds)."""
        self._set(token_expires_s=expires_s)

    def throttled(self, until_s: float) -> None:
        """Take note of a pause that the tenant asked for (Unix seconds)."""
        self._set(throttled_until_s=until_s)

    def access(self, endpoint: str, *, allowed: bool) -> None:
        """Take note of whether the credential may use `endpoint`."""
        if self._access.get(endpoint) is not allowed:
            self._access = {**self._access, endpoint: allowed}
            self._set(access=self._access)

    def answered(self, endpoint: str) -> None:
        """Take note of a good answer of `endpoint`, which the credential may use, so."""
        if not self._is_up:
            self.up(up=True)
        if not self._access.get(endpoint):
            self.access(endpoint, allowed=True)
        self._changes["last_answer_s"] = self._clock.wall()
        self._changes["last_answer_monotonic_s"] = self._clock.monotonic()

    def cured(self, subjects: Collection[str]) -> list[Trouble]:
        """Take note that nothing is wrong with `subjects`; return the troubles that this ends."""
        ended = [self._troubles[subject] for subject in subjects if subject in self._troubles]
        if ended:
            self._troubles = {name: trouble for name, trouble in self._troubles.items() if name not in subjects}
            self._set(troubles=self._troubles)
        return ended

    def failed(self, subject: str, error: TenantError, *, quiet: bool = False) -> Trouble | None:
        """Take note of a failure about `subject`; return the trouble where it is new, None where it goes on.

        A `quiet` one is not to be logged, as others like it are.
        """
        before = self._troubles.get(subject)
        goes_on = before is not None and before.reason == error.reason
        trouble = Trouble(
            endpoint=error.endpoint,
            reason=error.reason,
            message=error.message,
            cure=error.cure,
            tracking_id=error.tracking_id,
            since_s=before.since_s if before and goes_on else self._clock.wall(),
            quiet=before.quiet if before and goes_on else quiet,
        )
        self._troubles = {**self._troubles, subject: trouble}
        self._set(troubles=self._troubles)
        return None if goes_on else trouble

    def _set(self, **changes: Any) -> None:  # noqa: ANN401 (fields of `TenantHealth`)
        self._changes.update(changes)
