"""Shapes that the result of an import has been seen in, or could take; none changes what there is to count."""

from collections.abc import Iterator
from random import Random
from typing import Any

from spexporter.simulator.results import IMPORT_PREVIEW

Body = dict[str, Any]

MESSAGES = ("infos", "warnings", "errors")
LISTS = (*MESSAGES, "importedObjects")


def nulls(body: Body, _dice: Random, _now_s: float) -> None:
    """Write null for a backup that was not made."""
    body.setdefault("exportJobId", None)


def absents(body: Body, _dice: Random, _now_s: float) -> None:
    """Leave out what is null in a message."""
    for message in _messages(body):
        for name in [name for name, value in message.items() if value is None]:
            del message[name]


def filled_detail(body: Body, _dice: Random, _now_s: float) -> None:
    """Say in `detail` which exception it was, as SailPoint's own editor expects."""
    for message in _messages(body):
        message["detail"] = {"exceptionMessage": f"Simulated: {message['text']}", "cause": "simulated"}


def details(body: Body, _dice: Random, _now_s: float) -> None:
    """Write `details`, as the schema does, instead of `detail`."""
    for message in _messages(body):
        if "detail" in message:
            message["details"] = message.pop("detail")


def null_keys(body: Body, _dice: Random, _now_s: float) -> None:
    """Write a null key in every message, but where it is the only mark of a preview."""
    for message in _messages(body):
        if message.get("key") != IMPORT_PREVIEW:
            message["key"] = None


def missing_lists(body: Body, _dice: Random, _now_s: float) -> None:
    """Leave out lists that are empty."""
    for entry in _entries(body):
        for name in LISTS:
            if entry.get(name) == []:
                del entry[name]


def null_lists(body: Body, _dice: Random, _now_s: float) -> None:
    """Write null for lists that are empty or left out."""
    for entry in _entries(body):
        for name in LISTS:
            entry[name] = entry.get(name) or None


def null_entries(body: Body, _dice: Random, _now_s: float) -> None:
    """Write null for a type in which nothing happened."""
    for name, entry in body["results"].items():
        if not any(entry.get(one) for one in LISTS):
            body["results"][name] = None


def nested_results(body: Body, _dice: Random, _now_s: float) -> None:
    """Put the results one level deeper, as some rendered API pages do."""
    body["results"] = {"results": body["results"]}


def unknown_types(body: Body, _dice: Random, _now_s: float) -> None:
    """Call the type of each imported object by a name that is not published."""
    for entry in _entries(body):
        for ref in entry.get("importedObjects") or ():
            ref["type"] = f"{ref['type']}_V2"


def extra_fields(body: Body, _dice: Random, _now_s: float) -> None:
    """Add unknown fields on every level but that of the types, where they would be types."""
    for message in _messages(body):
        message["severityRank"] = [1, {"of": None}]
    for entry in _entries(body):
        entry["statistics"] = {"errors": [], "tookMs": 12}
        for ref in entry.get("importedObjects") or ():
            ref["legacyId"] = None


def _entries(body: Body) -> Iterator[Body]:
    results = body["results"]
    if set(results) == {"results"}:
        results = results["results"]
    return (entry for entry in results.values() if entry is not None)


def _messages(body: Body) -> Iterator[Body]:
    return (message for entry in _entries(body) for name in MESSAGES for message in entry.get(name) or ())


OF_RESULTS = {
    quirk.__name__: quirk
    for quirk in (
        nulls,
        absents,
        filled_detail,
        details,
        null_keys,
        missing_lists,
        null_lists,
        null_entries,
        nested_results,
        unknown_types,
        extra_fields,
    )
}
"""By the name of the quirk."""
