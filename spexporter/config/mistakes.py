"""What pydantic finds wrong, told to operators: place, mistake and cure."""

import difflib
from collections.abc import Sequence
from typing import get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from spexporter.config.model import DefaultsSection, FileSection, Section, TenantSection
from spexporter.config.nodes import Block, Complaints, Items, Node, at, plain
from spexporter.config.rules import NO_TENANT

_MISSING = {
    "tenants": NO_TENANT,
    "name": "is missing; give the tenant a name of its own, the label `tenant`",
    "id": "is missing; give the id that SailPoint gave the job",
    "operation": "is missing; say export or import",
}
_SHAPES = {
    "model_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list",
    "string_type": "must be one text",
}


def validate(root: Block, complaints: Complaints) -> FileSection | None:
    """Read every value of the file, note all that is wrong with single sections, and return it when nothing is."""
    try:
        return FileSection.model_validate(plain(root))
    except ValidationError as error:
        for mistake in error.errors(include_url=False, include_input=False):
            _complain(root, mistake, complaints)
    return None


def _complain(root: Block, mistake: ErrorDetails, complaints: Complaints) -> None:
    steps = mistake["loc"]
    node = at(root, steps)
    match mistake["type"]:
        case "missing":
            complaints.about(node, _MISSING[str(steps[-1])], key=str(steps[-1]))
        case "extra_forbidden":
            complaints.at(node.line, node.path, _unknown(str(steps[-1]), _section(steps[:-1])))
        case "value_error":
            complaints.about(node, str(mistake["ctx"]["error"]), show=True)
        case shape:
            complaints.about(node, f"{_SHAPES[shape]}, not {_kind(node)}")


def _kind(node: Node) -> str:
    match node:
        case Block():
            return "a mapping"
        case Items():
            return "a list"
        case _:
            return "a single text"


def _unknown(key: str, section: type[Section]) -> str:
    keys = list(section.fields_by_key())
    if section is DefaultsSection and key in TenantSection.fields_by_key():
        return "cannot be inherited; write it in each tenant"
    near = difflib.get_close_matches(key, keys, n=1)
    return f"unknown key; did you mean {near[0]}?" if near else f"unknown key; known here are {', '.join(keys)}"


def _section(steps: Sequence[str | int]) -> type[Section]:
    """Return the model of the section at these steps of the file."""
    section: type[Section] = FileSection
    for step in steps:
        if isinstance(step, str):
            section = _section_in(section.fields_by_key()[step].annotation) or section
    return section


def _section_in(annotation: object) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part))), None)
