"""The JSON Schema and the example say what the program reads."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from spexporter.config import load
from spexporter.config.schema import Schema, file_schema

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "config.example.yaml"
GOOD = sorted((Path(__file__).parent / "good").glob("*.yaml"))
BAD = Path(__file__).parent / "bad"


def validator() -> Draft202012Validator:
    return Draft202012Validator(file_schema())


def sections(schema: Schema) -> Iterator[Schema]:
    """Every mapping that a file can have."""
    yield schema
    yield from schema["$defs"].values()


def keys_of(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys_of(inner)
    elif isinstance(value, list):
        for item in value:
            yield from keys_of(item)


def test_schema_is_one_of_its_draft() -> None:
    """Editors can use it."""
    Draft202012Validator.check_schema(file_schema())
    assert file_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("file", [EXAMPLE, *GOOD], ids=lambda file: file.stem)
def test_good_file_satisfies_the_schema(file: Path) -> None:
    """An editor finds nothing to underline in a file that loads."""
    validator().validate(_without_empty(yaml.safe_load(file.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    "name",
    ["unknown_key_near", "use_number", "size_unit", "job_operation", "duration_without_unit", "org_and_base_url"],
)
def test_schema_refuses_what_an_editor_can_see(name: str) -> None:
    """Unknown keys, wrong forms and keys that exclude each other are underlined while they are typed."""
    assert not validator().is_valid(yaml.safe_load((BAD / f"{name}.yaml").read_text(encoding="utf-8")))


def test_every_key_is_described_and_every_mapping_closed() -> None:
    """No key comes without its meaning, and no unknown key gets through; defaults are as written in a file."""
    for section in sections(file_schema()):
        assert section["additionalProperties"] is False
        for key, described in section["properties"].items():
            assert described["description"], key
            if "default" in described:
                Draft202012Validator(described).validate(described["default"])


def test_example_loads(tmp_path: Path) -> None:
    """The example works as it is, once its variables and files are there."""
    for secret in ("acme-prod", "unused"):
        (tmp_path / secret).write_text("planted\n")
    ca_file = ROOT / "tests" / "unit" / "config" / "ca.pem"
    environ = {
        "ACME_CLIENT_ID": "a",
        "SANDBOX_CLIENT_ID": "b",
        "SANDBOX_CLIENT_SECRET": "c",
        "SECRETS_DIR": str(tmp_path),
        "CA_FILE": str(ca_file),
    }
    config = load(EXAMPLE, environ)
    assert [tenant.name for tenant in config.tenants] == ["acme-prod", "acme-sandbox"]
    assert config.tenants[0].ca_file == ca_file


def test_example_shows_every_key() -> None:
    """A key that the example forgets is a key that nobody finds."""
    known = {key for section in sections(file_schema()) for key in section["properties"]}
    assert set(keys_of(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")))) == known


def _without_empty(value: object) -> object:
    """Drop keys without a value, which count as left out but which an editor may underline."""
    if isinstance(value, dict):
        return {key: _without_empty(inner) for key, inner in value.items() if inner is not None}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value
