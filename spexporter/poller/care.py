"""How one tenant is looked after."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from spexporter.domain.job import Operation
from spexporter.domain.schedule import Pace


@dataclass(frozen=True, slots=True)
class Care:
    """How one tenant is looked after; times in seconds.

    `discover` names the lists of Configuration Hub to read; of the jobs on them that have not ended at most `max_jobs`
    are watched. With `asks_credential_end` the tenant is asked when the personal access token ends, else that is
    `credential_expires_s` (Unix seconds), None where it is not known.
    """

    pace: Pace = field(default_factory=Pace)
    max_staleness_s: float = math.inf
    hold_s: float = 0.0
    credential_expires_s: float | None = None
    asks_credential_end: bool = False
    discover: tuple[Operation, ...] = ()
    max_jobs: int = 1000
    per_job: bool = True
    expect: Mapping[Operation, float] = field(default_factory=dict)
