"""How several replicas share groups of tenants: which of the free ones is whose, and who has too many.

Each replica reckons for itself, from what all of them can see. That they may see it at different moments does no harm:
what is taken is taken in the store, once.
"""

from collections.abc import Collection, Mapping
from typing import TypeVar

# Below this part above the mean nothing moves: costs change all the time, and each move costs a token.
_TOLERANCE = 0.1

G = TypeVar("G", bound=str)


def dealt(loads: Mapping[str, float], free: Mapping[G, float], me: str) -> list[G]:
    """Return which of the `free` groups, with their costs, are mine: dealt out one by one, each to the least loaded."""
    left = {**loads, me: loads.get(me, 0.0)}
    mine: list[G] = []
    for group in sorted(free, key=lambda group: (-free[group], group)):
        taker = min(left, key=lambda replica: (left[replica], replica))
        left[taker] += free[group]
        if taker == me:
            mine.append(group)
    return mine


def surplus(loads: Mapping[str, float], mine: Mapping[G, float], me: str, stay: Collection[G] = ()) -> list[G]:
    """Return which of my groups, with their costs, I should let go: what is above the mean, and never more than that.

    Those that `stay` weigh like the others.

    What all that have too much let go is then no more than what the others lack, so nothing goes to and fro.
    """
    load = sum(mine.values())
    mean = (sum(cost for replica, cost in loads.items() if replica != me) + load) / max(1, len({*loads, me}))
    if load <= mean * (1 + _TOLERANCE):
        return []
    let_go: list[G] = []
    for group in sorted(mine, key=lambda group: (-mine[group], group)):
        if group not in stay and load - mine[group] >= mean:
            load -= mine[group]
            let_go.append(group)
    return let_go
