"""Immutable values, also those of which there are very many.

A `msgspec.Struct` takes less memory than a dataclass and is made several times as fast; with `gc=False` collections of
garbage need not look at it, which is safe where a value never holds, by whatever way, itself.
"""

import dataclasses
from typing import Any, TypeVar

import msgspec

V = TypeVar("V")


def replace(value: V, /, **changes: Any) -> V:  # noqa: ANN401 (fields of `value`)
    """Return `value`, a struct or a dataclass, with some of its fields changed."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **changes)
    return dataclasses.replace(value, **changes)  # type: ignore[type-var]  # all values are one of the two
