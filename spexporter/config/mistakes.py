"""What pydantic finds wrong, told to operators: place, mistake and cure."""

import difflib
from collections.abc import Sequence
from typing import TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from spexporter.config.model import (
    DefaultsSection,
    FileSection,
    JobFileSection,
    Section,
    TenantFileSection,
    TenantSection,
)
from spexporter.config.nodes import Block, Complaints, Items, Node, at, plain
from spexporter.domain.errors import Problem

_Section = TypeVar("_Section", bound=Section)

_MISSING = {
    "name": "is missing; give the tenant a name of its own, the label `tenant`",
    "tenant": "is missing; give the name of a tenant of this exporter",
    "id": "is missing; give the id that SailPoint gave the job",
    "operation": "is missing; say export or import",
}
_SHAPES = {
    "model_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "string_type": "must be one text",
}


def validate(root: Block, file: type[_Section], complaints: Complaints) -> _Section | None:
    """Read every value of a file, note all that is wrong with single sections, and return it when nothing is."""
    try:
        return file.model_validate(plain(root))
    except ValidationError as error:
        for mistake in error.errors(include_url=False, include_input=False):
            _complain(root, file, mistake, complaints)
    return None


def _complain(root: Block, file: type[Section], mistake: ErrorDetails, complaints: Complaints) -> None:
    steps = mistake["loc"]
    node = at(root, steps)
    match mistake["type"]:
        case "missing":
            complaints.about(node, _MISSING[str(steps[-1])], key=str(steps[-1]))
        case "extra_forbidden":
            message = _unknown(str(steps[-1]), _section(file, steps[:-1]))
            complaints.add(Problem(node.file, node.line, node.path, message))
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
    if section is TenantFileSection and key in FileSection.fields_by_key():
        return "is one for all tenants; write it in the main file"
    if section is JobFileSection:
        return "is not looked for: a file of jobs is a list, each with id and operation"
    near = difflib.get_close_matches(key, keys, n=1)
    return f"unknown key; did you mean {near[0]}?" if near else f"unknown key; known here are {', '.join(keys)}"


def _section(file: type[Section], steps: Sequence[str | int]) -> type[Section]:
    """Return the model of the section at these steps of the file."""
    section = file
    for step in steps:
        if isinstance(step, str):
            section = _section_in(section.fields_by_key()[step].annotation) or section
    return section


def _section_in(annotation: object) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part))), None)
