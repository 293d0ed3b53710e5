"""The JSON Schema of a configuration file, for editors; the reference page is written from it, too."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from spexporter.config.model import FileSection

Schema = dict[str, Any]  # JSON as it is


def file_schema() -> Schema:
    """Return the schema, of the draft 2020-12; durations, sizes and percentages are strings with a pattern."""
    schema = FileSection.model_json_schema(schema_generator=_FileSchema)
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": "spexporter configuration file", **schema}


class _FileSchema(GenerateJsonSchema):
    """Leaves out what tells an operator nothing: null, and titles and descriptions that speak of our classes."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        described = super().model_schema(schema)
        return {key: value for key, value in described.items() if key not in ("title", "description")}

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        if not isinstance(described.get("default"), str):
            described.pop("default", None)
        return described

    def field_title_should_be_set(self, schema: object) -> bool:
        del schema
        return False
