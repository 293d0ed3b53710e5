"""Applies payload quirks: the answer stays true, only its shape changes."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from http import HTTPStatus

from spexporter.simulator.calls import CONFIG_OBJECTS, RESULT, START, STATUS, Call
from spexporter.simulator.faults import LISTS, QUIRKS
from spexporter.simulator.hub_quirks import OF_ENTRIES
from spexporter.simulator.jobs import IMPORT
from spexporter.simulator.odd_values import OF_ANY, OF_ERRORS, OF_TYPES
from spexporter.simulator.result_quirks import OF_RESULTS
from spexporter.simulator.status_quirks import OF_STATUS
from spexporter.simulator.troubles import Met

Quirk = Callable[..., None]
"""Changes a decoded body in place, given dice and the tenant's time in Unix seconds."""


def bend(body: object, met: Met, *, call: Call, status: int, now_s: float) -> None:
    """Change a decoded body by the quirks that the answer has met, in the order of `QUIRKS`."""
    tables = _tables(call, status)
    for name in QUIRKS:
        fault = met.first(name)
        quirks = [table[name] for table in tables if name in table]
        if fault is None or not quirks:
            continue
        before = deepcopy(body)
        for quirk in quirks:
            quirk(body, met.dice, now_s)
        if body != before:
            met.served(fault)


def _tables(call: Call, status: int) -> Sequence[Mapping[str, Quirk]]:
    if status >= HTTPStatus.BAD_REQUEST:
        return OF_ERRORS, OF_ANY
    if call.action in {START, STATUS}:
        return OF_STATUS, OF_ANY
    if call.action in LISTS:
        return (OF_ENTRIES,)
    if call.action == RESULT and call.operation == IMPORT:
        return OF_RESULTS, OF_ANY
    return (OF_TYPES,) if call.action == CONFIG_OBJECTS else (OF_ANY,)
