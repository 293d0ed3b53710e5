"""What an import did, as its downloaded result tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """What became of an ended import's result; the label `outcome`."""

    COUNTED = "counted"
    PREVIEW = "preview"  # read, but a dry run changes nothing, so nothing is counted
    MISSING = "missing"
    FORBIDDEN = "forbidden"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"

    @property
    def read(self) -> bool:
        """Whether the result was downloaded and understood."""
        return self in {Outcome.COUNTED, Outcome.PREVIEW}


class TypeCounts(msgspec.Struct, frozen=True, gc=False):
    """How many messages of each severity, and how many created or updated objects, one object type has."""

    errors: int = 0
    warnings: int = 0
    infos: int = 0
    objects: int = 0


class ImportResult(msgspec.Struct, frozen=True, gc=False):
    """An import's result by object type. `preview` is what the messages show; `backup_id` the export made before it.

    Source: SailPoint API specification, schema SpConfigImportResults; `IMPORT_PREVIEW` from its example.
    """

    types: Mapping[str, TypeCounts]
    preview: bool = False
    backup_id: str = ""

    @property
    def errors(self) -> int:
        """Errors over all object types."""
        return sum(counts.errors for counts in self.types.values())

    @property
    def warnings(self) -> int:
        """Warnings over all object types."""
        return sum(counts.warnings for counts in self.types.values())


@dataclass(frozen=True, slots=True)
class Texts:
    """What an import said about one object type, in SailPoint's own words; of very many messages only the first."""

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportReport:
    """An import's result for people: the counts, which are whole, and texts by object type, which may not be."""

    result: ImportResult
    texts: Mapping[str, Texts]
