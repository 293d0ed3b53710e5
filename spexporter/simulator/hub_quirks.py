"""Shapes that the entries of a list could take; none changes which jobs there are, nor their states and ends."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from spexporter.simulator.jobs import FAILED, FINAL_STATES
from spexporter.simulator.odd_values import OF_ANY
from spexporter.simulator.stamps import stamp
from spexporter.simulator.status_quirks import OF_STATUS

Body = dict[str, Any]
EntryQuirk = Callable[[Body, Random, float], None]

OPTIONAL = ("message", "modified", "completed", "options", "cloudStorageStatus", "approvalComment")
UNNEEDED = ("type", "requesterName", "fileExists", "userCanDelete", "hydrationStatus", "mode", "managed")


def entries(body: Any) -> Iterator[Body]:  # noqa: ANN401 - decoded JSON
    """Yield the entries of a list, bare or below `items`; of what is neither there are none."""
    if isinstance(body, dict):
        body = body.get("items")
    return (entry for entry in body if isinstance(entry, dict)) if isinstance(body, list) else iter(())


def nulls(entry: Body, _dice: Random, _now_s: float) -> None:
    """Write null where a field of a job is absent."""
    for name in OPTIONAL if "jobId" in entry else ():
        entry.setdefault(name, None)


def absents(entry: Body, _dice: Random, _now_s: float) -> None:
    """Leave out what is null or false, and what nobody needs: the schemas require nothing."""
    for name in [name for name, value in entry.items() if value is None or value is False or name in UNNEEDED]:
        del entry[name]


def unknown_types(entry: Body, _dice: Random, _now_s: float) -> None:
    """Include object types in a partial backup that are not published."""
    if options := entry.get("options"):
        options["includeTypes"] = [*options["includeTypes"], "AI_AGENT"]


def failed_without_completed(entry: Body, _dice: Random, _now_s: float) -> None:
    """Leave the end of a failed job untold: its `modified` moves on, and does not tell it either."""
    if entry.get("status") == FAILED:
        entry.pop("completed", None)


def moving_modified(entry: Body, _dice: Random, now_s: float) -> None:
    """Let `modified` be now after the end, whatever it was."""
    if entry.get("status") in FINAL_STATES and "modified" in entry:
        entry["modified"] = stamp(now_s)


def lower_type(entry: Body, _dice: Random, _now_s: float) -> None:
    """Write the type of a job in lower case."""
    if "type" in entry:
        entry["type"] = entry["type"].lower()


def unknown_state(entry: Body, dice: Random, now_s: float) -> None:
    """Call the state of an unfinished job by a word that is not published."""
    if "status" in entry:
        OF_STATUS["unknown_state"](entry, dice, now_s)


def each(quirk: EntryQuirk) -> Callable[[Any, Random, float], None]:
    """Return what does to every entry of a list what `quirk` does to one."""

    def bend_each(body: Any, dice: Random, now_s: float) -> None:  # noqa: ANN401 - decoded JSON
        for entry in entries(body):
            quirk(entry, dice, now_s)

    return bend_each


OF_ENTRIES = {
    **{quirk.__name__: each(quirk) for quirk in (nulls, absents, unknown_types, lower_type, unknown_state)},
    **{quirk.__name__: each(quirk) for quirk in (failed_without_completed, moving_modified)},
    **{name: each(OF_STATUS[name]) for name in ("fraction_digits", "offsets")},
    **{name: each(quirk) for name, quirk in OF_ANY.items()},
}
"""By the name of the quirk."""
