"""What the uploaded file of an import may say of its own future, so that pipelines can be tried against the simulator.

```json
{"simulate": {"state": "COMPLETE", "seconds": 3, "result": {"SOURCE": {"errors": 2, "warnings": 1, "objects": 4}}}}
```

What is left out of it is left to chance, but an import that is COMPLETE has no errors then. SailPoint's own service
knows no such key.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from spexporter.simulator.jobs import FINAL_STATES
from spexporter.simulator.objects import IMPORTABLE
from spexporter.simulator.orders import Order
from spexporter.simulator.results import TypeResult, result_of

KEY = "simulate"
_WISHES = ("state", "seconds", "result")
_NUMBERS = tuple(TypeResult().counts())
_MOST = 10_000


def wish(order: Order, content: Mapping[str, object]) -> Order:
    """Return the import as the uploaded `content` wants it to go.

    Raises:
        ValueError: nobody can wish for that; the text says what would be right.
    """
    if KEY not in content:
        return order
    wishes = content[KEY]
    if not isinstance(wishes, dict) or not wishes.keys() <= set(_WISHES):
        raise ValueError(f"{KEY} must be an object with some of {', '.join(_WISHES)}.")
    state, seconds, result = (wishes.get(name) for name in _WISHES)
    if state is not None and state not in FINAL_STATES:
        raise ValueError(f"{KEY}.state must be one of {', '.join(FINAL_STATES)}.")
    if seconds is not None and (not isinstance(seconds, int | float) or not 0 <= seconds < math.inf):
        raise ValueError(f"{KEY}.seconds must be a number of at least 0.")
    if result is not None:
        order = replace(order, result=result_of(_counts(result), preview=order.preview))
    return replace(order, final_state=state, duration_s=seconds, troubled=False)


def _counts(result: object) -> dict[str, dict[str, int]]:
    """Return numbers by object type and by what they count."""
    wrong = f"{KEY}.result must say of object types how many {', '.join(_NUMBERS)}, each at most {_MOST}."
    if not isinstance(result, dict) or not result.keys() <= set(IMPORTABLE):
        raise ValueError(wrong)
    for numbers in result.values():
        if not isinstance(numbers, dict) or not numbers.keys() <= set(_NUMBERS):
            raise ValueError(wrong)
        if not all(isinstance(number, int) and 0 <= number <= _MOST for number in numbers.values()):
            raise ValueError(wrong)
    return result
