"""The compose file and what it mounts fit together; `make e2e` runs the stack from the same files."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.main import get_group

from spexporter.cli.main import program
from tests.support.modules import ROOT

FOLDER = ROOT / "deploy" / "compose"
COMPOSE: Mapping[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: Mapping[str, Any] = COMPOSE["services"]
SCHEMA = Path(__file__).parent / "compose-spec.json"
# Where they listen unless told otherwise.
PORTS = {"prometheus": "9090", "alertmanager": "9093", "grafana": "3000", "exporter": "9977", "webhook": "9099"}


def mounts() -> Iterator[tuple[str, str]]:
    for name, service in SERVICES.items():
        yield from ((name, volume) for volume in service.get("volumes", []))


def test_file_is_a_compose_file() -> None:
    """By the schema of the Compose Specification, which knows every key."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.validate(COMPOSE, schema, cls=jsonschema.Draft7Validator)


@pytest.mark.parametrize(("service", "volume"), list(mounts()))
def test_what_is_mounted_is_there(service: str, volume: str) -> None:
    """Files of this checkout are mounted to be read alone; what is written goes to a volume that is declared."""
    source, _, rest = volume.partition(":")
    if source.startswith("."):
        assert (FOLDER / source).exists(), service
        assert rest.endswith(":ro"), service
    else:
        assert source in COMPOSE["volumes"], service


def test_ports_are_for_this_machine_alone() -> None:
    """Nothing of it has a password."""
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_who_is_named_is_there_and_listens() -> None:
    """Each address in a configuration is that of a service, at its port."""
    texts = [
        (FOLDER / name).read_text(encoding="utf-8")
        for name in ("prometheus.yml", "alertmanager.yml", "datasource.yaml")
    ]
    named = {found for text in texts for found in re.findall(r"\b([a-z]+):(\d+)\b", text)}
    assert named == {(name, PORTS[name]) for name in ("alertmanager", "exporter", "prometheus", "webhook")}
    assert SERVICES["webhook"]["entrypoint"][-1] == f":{PORTS['webhook']}"


def test_exporter_takes_its_command() -> None:
    """And runs without any right."""
    exporter = SERVICES["exporter"]
    command = get_group(program()).commands[exporter["command"][0]]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word.partition("=")[0] for word in exporter["command"][1:]} <= known
    assert (exporter["read_only"], exporter["cap_drop"]) == (True, ["ALL"])


def test_pages_of_grafana_find_their_data() -> None:
    """The data source has the uid of the one in grafana/, and dashboards are where the provider looks."""
    own = yaml.safe_load((FOLDER / "datasource.yaml").read_text(encoding="utf-8"))["datasources"][0]
    other = yaml.safe_load((ROOT / "grafana/provisioning/datasources/spexporter.yaml").read_text())["datasources"][0]
    assert {key for key in own if own[key] != other[key]} == {"url", "jsonData"}
    provider = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/spexporter.yaml").read_text())["providers"][0]
    targets = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert provider["options"]["path"] in targets
