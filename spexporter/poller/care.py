"""How one tenant is looked after."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from spexporter.domain.job import Operation
from spexporter.domain.schedule import Pace


@dataclass(frozen=True, slots=True)
class Care:
    """How one tenant is looked after; times in seconds."""

    pace: Pace = field(default_factory=Pace)
    max_staleness_s: float = math.inf
    hold_s: float = 0.0
    credential_expires_s: float | None = None
    per_job: bool = True
    expect: Mapping[Operation, float] = field(default_factory=dict)
