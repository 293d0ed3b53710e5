"""What an import did, by object type: planned as values, written as the API writes it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from spexporter.simulator.chance import chance, hex_id

IMPORT_PREVIEW = "IMPORT_PREVIEW"


@dataclass(frozen=True, slots=True)
class Message:
    """One info, warning or error; `detail` is null in every published sample."""

    text: str
    key: str | None = None
    detail: Mapping[str, str] | None = None

    def payload(self) -> dict[str, object]:
        """Write it as the live service does: `detail`, where the schema says `details`."""
        return {"key": self.key, "text": self.text, "detail": self.detail and dict(self.detail)}


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """An object that an import created or updated, or that an export holds."""

    type: str
    id: str
    name: str

    def payload(self) -> dict[str, object]:
        """Write it as `importedObjects` and `self` hold it."""
        return {"type": self.type, "id": self.id, "name": self.name}


@dataclass(frozen=True, slots=True)
class TypeResult:
    """What an import did to the objects of one type."""

    infos: tuple[Message, ...] = ()
    warnings: tuple[Message, ...] = ()
    errors: tuple[Message, ...] = ()
    objects: tuple[ObjectRef, ...] = ()

    def counts(self) -> dict[str, int]:
        """Count by `errors`, `warnings`, `infos` and `objects`."""
        return {
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "infos": len(self.infos),
            "objects": len(self.objects),
        }

    def payload(self) -> dict[str, object]:
        """Write all four lists, empty ones too."""
        return {
            "infos": [message.payload() for message in self.infos],
            "warnings": [message.payload() for message in self.warnings],
            "errors": [message.payload() for message in self.errors],
            "importedObjects": [ref.payload() for ref in self.objects],
        }


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The downloadable result of one import."""

    types: Mapping[str, TypeResult]

    def counts(self) -> dict[str, dict[str, int]]:
        """Count by object type, then by `errors`, `warnings`, `infos` and `objects`."""
        return {name: result.counts() for name, result in self.types.items()}

    def payload(self, backup_id: str | None) -> dict[str, object]:
        """Write the body of the download; `exportJobId` is there only when a backup was made."""
        body: dict[str, object] = {"results": {name: result.payload() for name, result in self.types.items()}}
        return body if backup_id is None else body | {"exportJobId": backup_id}


def result_of(counts: Mapping[str, Mapping[str, int]], *, preview: bool = False) -> ImportResult:
    """Make a result with exactly these numbers, such as `{"SOURCE": {"errors": 2, "objects": 1}}`.

    Keys are those of `TypeResult.counts`, missing ones are 0. The infos of a preview say what would be imported.
    """
    return ImportResult({name: _planted(name, numbers, preview=preview) for name, numbers in counts.items()})


def preview_info(ref: ObjectRef) -> Message:
    """Say that an object would be imported; its key is the only mark of a preview."""
    return Message(f"Object to be imported: [{ref.id}, {ref.name}]", key=IMPORT_PREVIEW)


def _planted(name: str, numbers: Mapping[str, int], *, preview: bool) -> TypeResult:
    def refs(kind: str) -> Iterable[ObjectRef]:
        for number in range(1, numbers.get(kind, 0) + 1):
            yield ObjectRef(name, hex_id(chance("planted", name, kind, number)), f"{name} {kind} {number}")

    def messages(kind: str) -> tuple[Message, ...]:
        return tuple(Message(f"Planted, one of the {kind}: {ref.name}") for ref in refs(kind))

    return TypeResult(
        infos=tuple(map(preview_info, refs("infos"))) if preview else messages("infos"),
        warnings=messages("warnings"),
        errors=messages("errors"),
        objects=tuple(refs("objects")),
    )
