"""What time it is for a tenant.

A job's times are the tenant's, so the age of a running job is measured on the tenant's clock. It is tied to our
monotonic clock, not to our wall clock: a step of this host's time then changes no duration.
"""

import msgspec


class Moment(msgspec.Struct, frozen=True, gc=False):
    """One instant on both of our clocks, in seconds."""

    wall_s: float
    monotonic_s: float


class TenantTime(msgspec.Struct, frozen=True, gc=False):
    """Bounds of (tenant's Unix time - our monotonic time), in seconds.

    Each `Date` header narrows them; one that contradicts them (a clock was set, or drifted) starts them anew.
    """

    low_s: float
    high_s: float

    @classmethod
    def around(cls, difference_s: float) -> "TenantTime":
        """Return what is known where only a difference was stored: no better than one answer would tell."""
        return cls(difference_s - 0.5, difference_s + 0.5)

    def at(self, monotonic_s: float) -> float:
        """Return the tenant's Unix time at a moment of our monotonic clock."""
        return monotonic_s + (self.low_s + self.high_s) / 2


def learn(known: TenantTime | None, *, date_s: float, sent_s: float, received_s: float) -> TenantTime:
    """Return the tenant's time after one answer.

    `date_s` is its `Date` header, cut to whole seconds by HTTP: it was written between `sent_s` and `received_s`
    (monotonic) at a tenant's time of at least `date_s` and less than `date_s` + 1.
    """
    low_s, high_s = date_s - received_s, date_s + 1.0 - sent_s
    if known is None or low_s > known.high_s or high_s < known.low_s:
        return TenantTime(low_s, high_s)
    low_s, high_s = max(known.low_s, low_s), min(known.high_s, high_s)
    if low_s == known.low_s and high_s == known.high_s:
        return known
    return TenantTime(low_s, high_s)
