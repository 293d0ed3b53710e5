"""From an answer to the bytes that are sent for it, with what its faults make of them."""

import json
from collections.abc import Callable
from copy import deepcopy
from email.utils import formatdate
from typing import Any

from spexporter.simulator.bodies import HTML_TYPE, JSON_TYPE, spoilt
from spexporter.simulator.calls import Call
from spexporter.simulator.conditions import shift_entries, shift_stamps
from spexporter.simulator.delivery import Letter
from spexporter.simulator.endpoints import Answer
from spexporter.simulator.faults import BODIES, LISTS
from spexporter.simulator.quirks import bend
from spexporter.simulator.troubles import Met

DUPLICATE_KEYS, DEPRECATED, NO_DATE = "duplicate_keys", "deprecated", "no_date"
"""The quirks of text and headers."""


def write_letter(
    reply: Answer, call: Call, met: Met, *, now_s: float, ahead_s: Callable[[float], float]
) -> tuple[Letter, Any]:
    """Return the answer as it is to be written, and the value that its text stands for if nothing spoils it.

    `now_s` is what the tenant's clock says, and `ahead_s` how far it is ahead at a moment.
    """
    body = _values(reply, call, met, now_s, ahead_s)
    text = json.dumps(body, ensure_ascii=False)
    if text.startswith('{"') and (fault := met.first(DUPLICATE_KEYS)):
        met.served(fault)
        text = '{"traceId": "one", "traceId": null, ' + text[1:]
    content_type, content = (JSON_TYPE, text.encode()) if reply.page is None else (HTML_TYPE, reply.page)
    if spoiling := met.replaced_by(*BODIES):
        met.served(spoiling)
        content_type, content = spoilt(spoiling.kind, content, met.dice)
    return Letter(reply.status, content, content_type, _headers(reply, met, now_s)), body


def _values(reply: Answer, call: Call, met: Met, now_s: float, ahead_s: Callable[[float], float]) -> Any:  # noqa: ANN401
    if not met.beside:
        return reply.body
    body = deepcopy(reply.body)
    if call.action in LISTS:
        shift_entries(body, ahead_s)
    elif isinstance(body, dict):
        shift_stamps(body, ahead_s)
    bend(body, met, call=call, status=reply.status, now_s=now_s)
    return body


def _headers(reply: Answer, met: Met, now_s: float) -> dict[str, str]:
    # The tenant's clock is ours, which need not be this host's.
    headers = {"Date": formatdate(now_s, usegmt=True), **reply.headers}
    if fault := met.first(DEPRECATED):
        met.served(fault)
        headers["X-Deprecated"] = "true"
    if fault := met.first(NO_DATE):
        met.served(fault)
        headers["Date"] = ""
    return headers
