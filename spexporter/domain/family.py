"""What a metric family is."""

from dataclasses import dataclass
from typing import Literal

FamilyType = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family as users see it: `name` is what they query (a counter's ends in `_total`)."""

    name: str
    type: FamilyType
    labels: tuple[str, ...]
    help: str
