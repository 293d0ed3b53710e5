"""What a metric family is."""

from dataclasses import dataclass, field
from typing import Literal

FamilyType = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family as users see it: `name` is what they query (a counter's ends in `_total`).

    `question` is one that an operator has and this family answers.
    """

    name: str
    type: FamilyType
    labels: tuple[str, ...]
    help: str
    question: str = field(kw_only=True)
