"""The configuration as the program uses it: everything resolved, in base units, and never changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from spexporter.config.secret import Secret
from spexporter.domain.budget import RateLimit
from spexporter.domain.errors import Problem
from spexporter.domain.job import Operation
from spexporter.domain.schedule import Pace


@dataclass(frozen=True, slots=True)
class MaxAnswer:
    """The largest answers we read: import results, and all others."""

    results_bytes: int
    other_bytes: int


@dataclass(frozen=True, slots=True)
class JobEntry:
    """One job that a file names. `preview` None means: to be found out from the result."""

    id: str
    operation: Operation
    name: str = ""
    max_age_s: float | None = None
    preview: bool | None = None


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant with all it inherited; URLs have no slash at their end, `jobs` are in file order.

    Two that say the same are equal, whatever their secret files hold now: those are read anew when they are needed.
    `job_files` are patterns for `patterns.find`. `discover` holds words of `model.LISTS`, in that order.
    `credential_expires` is in Unix seconds, or `auto` to ask the API, or None where nobody wants to know.

    An ended job keeps its own series for `retention_s` from when we first saw its end. One whose id we were given more
    than `count_new_within_s` after its end counts, but not as an increase. `expect` tells the seconds within which an
    operation should succeed again, for the operations of which that is said.
    """

    name: str
    base_url: str
    token_url: str
    client_id: str = field(repr=False)
    secret: Secret
    credential_expires: Literal["auto"] | float | None
    api_version: str
    rate_limit: RateLimit
    poll: Pace
    timeout_s: float
    max_staleness_s: float
    max_answer: MaxAnswer
    retention_s: float
    count_new_within_s: float
    expect: Mapping[Operation, float]
    discover: tuple[str, ...]
    follow_backups: bool
    proxy: str | None = field(repr=False)  # may carry a password
    ca_file: Path | None
    allow_http: bool
    former_names: tuple[str, ...]
    jobs: tuple[JobEntry, ...]
    job_files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Store:
    """What outlives a restart: a file, a relative `path` of which starts at the working directory, or memory alone.

    With the URL of a `server` it is that database, which several replicas share: then `lease_s` is how long what one of
    them watches is its own without a sign of life. A counted job is remembered for `remember_counted_s` since its id
    was last configured, listed or asked for; that is at least any tenant's `retention_s`.
    """

    path: Path | None
    remember_counted_s: float
    server: SecretStr | None = None
    lease_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Counters:
    """How counters are shown: for how long at 0 before their first increase, 0 for one page; with `_created` or not."""

    hold_s: float
    created: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the size of the page: how many series it has, and how many unfinished jobs one tenant."""

    max_series: int
    max_jobs_per_tenant: int


@dataclass(frozen=True, slots=True)
class TenantFile:
    """The last good content of a file of tenants; `digest` is that of its bytes."""

    path: Path
    digest: bytes
    tenants: tuple[Tenant, ...]


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file, or a folder, that cannot be used as it is now; `problems` by line, never empty.

    `kept` tells whether what it said before is still in use.
    """

    path: Path
    problems: tuple[Problem, ...]
    kept: bool


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration; tenants in file order, with unique names. There may be none where a pattern names more.

    `digest` stands for the text of the files in use: 48 bits, which a float holds exactly. `files` are all that were
    read or looked for, the main file first: files of tenants, secrets and certificates. `patterns` name the files of
    tenants, those in use are `tenant_files`, by path; the `bad_files` among them are in use with what they said before,
    as far as that still fits.
    """

    tenants: tuple[Tenant, ...]
    digest: int
    store: Store
    counters: Counters
    limits: Limits
    per_job_metrics: bool
    files: tuple[Path, ...] = field(repr=False)  # a secret may stand where its file should
    patterns: tuple[str, ...]
    tenant_files: tuple[TenantFile, ...]
    bad_files: tuple[BadFile, ...]
