"""What a tenant can be made to do wrong: the kinds, from when to when, and how often."""

import math
from dataclasses import dataclass

from spexporter.simulator.calls import (
    CONFIG_OBJECTS,
    HUB_LISTS,
    INFO,
    PERSONAL_TOKENS,
    RESULT,
    START,
    STATUS,
    TOKEN,
)

LATENCY, HANG, HANG_UP, CUT, TRICKLE, ENDLESS = "latency", "hang", "hang_up", "cut", "trickle", "endless"
ERROR, TOKEN_DIES = "status", "token_dies"
HTML, GARBAGE, TRUNCATED, BAD_UTF8, DEEP, EMPTY = "html", "garbage", "truncated", "bad_utf8", "deep", "empty"
A_LIST, A_STRING, A_NULL = "list", "string", "null"
REVOKED, LOST_SCOPE, LOST_ADMIN, LOST_USER = "revoked", "lost_scope", "lost_admin", "lost_user"
SHORT_TOKENS, CLOCK_SKEW, CLOCK_STEP, RIVAL = "short_tokens", "clock_skew", "clock_step", "rival"
RESULT_LATE, RESULT_EXPIRED, SHORT_RETENTION = "result_late", "result_expired", "short_retention"

DELIVERIES = (HANG, HANG_UP, CUT, TRICKLE, ENDLESS)
BODIES = (HTML, GARBAGE, TRUNCATED, BAD_UTF8, DEEP, EMPTY, A_LIST, A_STRING, A_NULL)
INSTEAD = frozenset({*DELIVERIES, ERROR, TOKEN_DIES, *BODIES})
"""An answer meets at most one of these; one throw of the dice decides which."""
CONDITIONS = frozenset(
    {REVOKED, LOST_SCOPE, LOST_ADMIN, LOST_USER, SHORT_TOKENS, CLOCK_SKEW, CLOCK_STEP, SHORT_RETENTION, RIVAL}
)
"""These are states of the tenant, not of an answer: they hold for every answer while they last."""
BARE_DEPLOYS = "bare_deploys"
"""The deploys come as a bare array, as they were published at first, instead of below `items`."""
WITHHELD = frozenset({RESULT_LATE, RESULT_EXPIRED})

QUIRKS = (
    "nulls",
    "absents",
    "no_expiration",
    "lower_type",
    "other_job_id",
    "unknown_state",
    "failed_without_completed",
    "moving_modified",
    "fraction_digits",
    "offsets",
    "filled_detail",
    "details",
    "null_keys",
    "missing_lists",
    "null_lists",
    "null_entries",
    "nested_results",
    "unknown_types",
    "other_error_shape",
    "extra_fields",
    "huge_numbers",
    "duplicate_keys",
    "deprecated",
    "no_date",
    BARE_DEPLOYS,
)
"""The answer stays true, only its shape changes; they are applied in this order, any number to one answer."""
KINDS = INSTEAD | CONDITIONS | WITHHELD | {LATENCY, *QUIRKS}

HTTP_DATE = "http-date"
"""As `retry_after`: the moment `seconds` from now, as an HTTP date."""

JOB_STATUSES = frozenset({f"export_{STATUS}", f"import_{STATUS}"})
RESULTS = frozenset({f"export_{RESULT}", f"import_{RESULT}"})
LISTS = frozenset({*HUB_LISTS, PERSONAL_TOKENS})
API = JOB_STATUSES | RESULTS | LISTS | {f"export_{START}", f"import_{START}", CONFIG_OBJECTS}
ENDPOINTS = API | {TOKEN, INFO}


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave, and when.

    `after_s` and `until_s` are seconds since the simulator's start. `share` is that of the answers of `endpoints`
    (None: of every answer of the tenant, tokens too); shares of the kinds in `INSTEAD` add up, and what is over 1 never
    happens. `CONDITIONS` have neither.

    `seconds`: of `latency` the delay, of `trickle` the pause before each byte, of `clock_skew` and `clock_step` how far
    the tenant's clock is ahead, of `short_tokens` their life, of `short_retention` from a job's creation, and of
    `result_expired` from its end, until it is not found. `count`: of `result_late` the downloads of a job that are not
    found, of `rival` its requests in one window of the rate limit. `scope`: the one that is lost, all when empty.
    Of `status`: the `status`, whether its body is a gateway's `html`, its `retry_after` and its `location`.

    Raises:
        ValueError: no such kind, endpoint or status, or a share that cannot be.
    """

    kind: str
    share: float = 1.0
    after_s: float = 0.0
    until_s: float = math.inf
    endpoints: frozenset[str] | None = None
    seconds: float = 1.0
    count: int = 1
    status: int = 500
    html: bool = False
    retry_after: str | None = None
    location: str = "https://login.sailpoint.example/login?next=%2F"
    scope: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such kind of fault: {self.kind!r}; there are {', '.join(sorted(KINDS))}")
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must be from 0 to 1, got {self.share!r}")
        if unknown := (self.endpoints or frozenset()) - ENDPOINTS:
            raise ValueError(
                f"no such endpoint: {', '.join(sorted(unknown))}; there are {', '.join(sorted(ENDPOINTS))}"
            )
        if self.kind in CONDITIONS and (self.share != 1 or self.endpoints is not None):
            raise ValueError(f"{self.kind} holds for every answer: it has no share and no endpoints")
        if not 300 <= self.status <= 599 or self.count < 1:  # noqa: PLR2004 - HTTP's own borders
            raise ValueError("status must be from 300 to 599 and count at least 1")

    @property
    def name(self) -> str:
        """The name under which it is counted: the kind, for `status` with the number, such as `status_502_html`."""
        return f"{ERROR}_{self.status}{'_html' * self.html}" if self.kind == ERROR else self.kind

    def lasts_at(self, age_s: float) -> bool:
        """Tell whether it lasts `age_s` seconds after the simulator's start."""
        return self.after_s <= age_s < self.until_s

    def concerns(self, endpoint: str) -> bool:
        """Tell whether answers of `endpoint` can meet it."""
        return self.endpoints is None or endpoint in self.endpoints
