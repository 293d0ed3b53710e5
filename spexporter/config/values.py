"""The configuration as the program uses it: everything resolved, in base units, and never changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spexporter.config.secret import Secret
from spexporter.domain.budget import RateLimit
from spexporter.domain.job import Operation
from spexporter.domain.schedule import Pace


@dataclass(frozen=True, slots=True)
class MaxAnswer:
    """The largest answers we read: import results, and all others."""

    results_bytes: int
    other_bytes: int


@dataclass(frozen=True, slots=True)
class JobEntry:
    """One job that the file names. `preview` None means: to be found out from the result."""

    id: str
    operation: Operation
    name: str = ""
    max_age_s: float | None = None
    preview: bool | None = None


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant with all it inherited; URLs have no slash at their end, `jobs` are in file order.

    An ended job keeps its own series for `retention_s` from when we first saw its end. One whose id we were given more
    than `count_new_within_s` after its end counts, but not as an increase. `expect` tells the seconds within which an
    operation should succeed again, for the operations of which that is said.
    """

    name: str
    base_url: str
    token_url: str
    client_id: str = field(repr=False)
    secret: Secret
    api_version: str
    rate_limit: RateLimit
    poll: Pace
    timeout_s: float
    max_staleness_s: float
    max_answer: MaxAnswer
    retention_s: float
    count_new_within_s: float
    expect: Mapping[Operation, float]
    proxy: str | None = field(repr=False)  # may carry a password
    ca_file: Path | None
    allow_http: bool
    former_names: tuple[str, ...]
    jobs: tuple[JobEntry, ...]


@dataclass(frozen=True, slots=True)
class Store:
    """What outlives a restart: a file, a relative `path` of which starts at the working directory, or memory alone.

    A counted job is remembered for `remember_counted_s` since its id was last configured, listed or asked for; that is
    at least any tenant's `retention_s`.
    """

    path: Path | None
    remember_counted_s: float


@dataclass(frozen=True, slots=True)
class Counters:
    """How counters are shown: for how long at 0 before their first increase, 0 for one page; with `_created` or not."""

    hold_s: float
    created: bool


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration; at least one tenant, in file order, with unique names.

    `digest` stands for the text of the file: 48 bits, which a float holds exactly.
    """

    tenants: tuple[Tenant, ...]
    digest: int
    store: Store
    counters: Counters
