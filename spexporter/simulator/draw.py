"""Believable import results. The texts are made up in the manner of the few published ones."""

import random
from collections.abc import Callable

from spexporter.simulator.chance import hex_id
from spexporter.simulator.objects import IMPORTABLE, draw_objects
from spexporter.simulator.results import ImportResult, Message, ObjectRef, TypeResult, preview_info

UNKNOWN_REFERENCE = "UNKNOWN_REFERENCE_RESOLVER"

HIT_SHARE = 0.3
"""How many of the types have errors, beside the one that certainly has, when an import goes wrong."""

Wording = Callable[[random.Random, ObjectRef], Message]


def _exception(rng: random.Random, ref: ObjectRef) -> Message:
    name = rng.choice(("DuplicatedSubscription", "ObjectValidation", "ConnectorConfiguration", "StaleObjectState"))
    what = f"There was an error importing '{ref.type}' with name '{ref.name}' and id '{ref.id}'"
    return Message(f"{what} Exception com.sailpoint.sp.config.exception.{name}Exception")


def _lost_reference(rng: random.Random, ref: ObjectRef) -> Message:
    kind, name = rng.choice((("IDENTITY", "Ada Byron"), ("IDENTITY", "Grace Murray"), ("SOURCE", "HR Feed")))
    text = f"Unable to resolve reference for object [type: {kind}, id: {hex_id(rng)}, name: {name}]"
    return Message(f"{text} of {ref.name}", key=UNKNOWN_REFERENCE)


def _bad_signature(_: random.Random, ref: ObjectRef) -> Message:
    return Message(f"The signature of {ref.type} '{ref.name}' does not match its content")


def _read_only(rng: random.Random, ref: ObjectRef) -> Message:
    return Message(f"Attribute '{rng.choice(('created', 'modified', 'deleted'))}' of '{ref.name}' was ignored")


def _kept_secret(_: random.Random, ref: ObjectRef) -> Message:
    return Message(f"Encrypted attributes of '{ref.name}' were left as they are in the target")


def _resolved(rng: random.Random, ref: ObjectRef) -> Message:
    return Message(f"References of '{ref.name}' were resolved by {rng.choice(('name', 'id'))}")


ERRORS: tuple[Wording, ...] = (_exception, _exception, _lost_reference, _bad_signature)
WARNINGS: tuple[Wording, ...] = (_lost_reference, _read_only, _kept_secret)
INFOS: tuple[Wording, ...] = (_resolved,)


def draw_result(
    rng: random.Random, types: tuple[str, ...], *, failed: bool, preview: bool, troubled: bool
) -> ImportResult:
    """Draw what an import did to `types`, or to two to five types of its own choice when none are given.

    A failed import has errors and imports nothing; a troubled one has errors beside imported objects, which the API
    calls COMPLETE all the same; a preview only says what it would import.
    """
    chosen = types or tuple(sorted(rng.sample(IMPORTABLE, rng.randint(2, 5))))
    hit = {rng.choice(chosen)} | {name for name in chosen if rng.random() < HIT_SHARE} if failed or troubled else set()
    results = {}
    for name in chosen:
        refs = draw_objects(rng, name, rng.randint(1, 6))
        results[name] = TypeResult(
            infos=tuple(map(preview_info, refs)) if preview else _draw_messages(rng, INFOS, refs, 2),
            warnings=_draw_messages(rng, WARNINGS, refs, 3),
            errors=_draw_messages(rng, ERRORS, refs, 4, at_least=1) if name in hit else (),
            objects=() if failed or preview else refs,
        )
    return ImportResult(results)


def _draw_messages(
    rng: random.Random, wordings: tuple[Wording, ...], refs: tuple[ObjectRef, ...], at_most: int, at_least: int = 0
) -> tuple[Message, ...]:
    return tuple(rng.choice(wordings)(rng, rng.choice(refs)) for _ in range(rng.randint(at_least, at_most)))
