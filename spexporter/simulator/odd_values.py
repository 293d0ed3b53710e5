"""Odd shapes that any answer can take, or one that is about no job."""

from collections.abc import Mapping
from random import Random
from typing import Any

Body = dict[str, Any]

HUGE = 10**400
"""More than any float can hold; Python and JSON can."""


def extra_fields(body: Body, _dice: Random, _now_s: float) -> None:
    """Add fields that are not published."""
    body["links"] = [{"rel": "self", "href": None}, None]
    body["requester"] = {"name": "Ada Byron", "tags": {}}


def huge_numbers(body: Body, _dice: Random, _now_s: float) -> None:
    """Add numbers that do not fit anywhere."""
    body |= {"sizeBytes": HUGE, "ratio": 1.7976931348623157e308, "revision": -HUGE}


def absent_references(kinds: list[Body], _dice: Random, _now_s: float) -> None:
    """Leave out the null `referenceExtractors` of object types."""
    for kind in kinds:
        if kind["referenceExtractors"] is None:
            del kind["referenceExtractors"]


def unknown_kinds(kinds: list[Body], _dice: Random, _now_s: float) -> None:
    """Add object types that are not published."""
    kinds += [{**kinds[0], "objectType": name} for name in ("AI_AGENT", "MACHINE_IDENTITY")]


def other_error_shape(body: Body, dice: Random, _now_s: float) -> None:
    """Write an error in another of the shapes that SailPoint's own editor looks for."""
    text = _text_of(body)
    shape = dice.choice(
        (
            {"causes": [{"locale": None, "localeOrigin": None, "text": text}], "messages": []},
            {"messages": [{"text": text}], "detailCode": None, "trackingId": None},
            {"formatted_msg": text},
            {"errorMessage": text},
            {"detailMessage": text},
            {"error": text, "error_description": None},
            {"message": text},
        )
    )
    body.clear()
    body.update(shape)


def _text_of(body: Mapping[str, Any]) -> str:
    messages = body.get("messages") or [{}]
    return str(messages[0].get("text") or body.get("error") or body.get("message"))


OF_ANY = {quirk.__name__: quirk for quirk in (extra_fields, huge_numbers)}
OF_ERRORS = {other_error_shape.__name__: other_error_shape}
OF_TYPES = {"absents": absent_references, "unknown_types": unknown_kinds}
"""By the name of the quirk."""
