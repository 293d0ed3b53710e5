"""The configuration as the program uses it: everything resolved, in base units, and never changed."""

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
    """One tenant with all it inherited; URLs have no slash at their end, `jobs` are in file order."""

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
    proxy: str | None = field(repr=False)  # may carry a password
    ca_file: Path | None
    allow_http: bool
    jobs: tuple[JobEntry, ...]


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration; at least one tenant, in file order, with unique names.

    `digest` stands for the text of the file: 48 bits, which a float holds exactly.
    """

    tenants: tuple[Tenant, ...]
    digest: int
