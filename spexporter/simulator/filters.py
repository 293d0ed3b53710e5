"""The `filters` of the lists of Configuration Hub, as far as they are published: equality of one field."""

import re
from collections.abc import Callable, Mapping

from spexporter.simulator.calls import BACKUPS, DEPLOYS, DRAFTS, UPLOADS
from spexporter.simulator.refusals import bad_request

FILTERS = {
    BACKUPS: ("status",),
    UPLOADS: ("status",),
    DRAFTS: ("status", "approvalStatus"),
    DEPLOYS: (),
}
"""The fields that a list can be filtered by."""
_EQUALS = re.compile(r'\s*(\w+)\s+eq\s+"([^"]*)"\s*')


def read_filter(text: str | None, fields: tuple[str, ...]) -> Callable[[Mapping[str, object]], bool]:
    """Return what tells whether an entry passes a filter such as `status eq "COMPLETE"`; without one all do.

    Raises:
        Refusal: 400 for any other filter.
    """
    if text is None or not fields:
        return lambda _: True
    found = _EQUALS.fullmatch(text)
    if found is None or found[1] not in fields:
        raise bad_request("400.1.3 Illegal value", f"Simulated: the filter {text!r} cannot be used here.")
    return lambda entry: entry.get(found[1]) == found[2]
