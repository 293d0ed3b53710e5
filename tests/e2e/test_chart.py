"""The chart, rendered by Helm and held against the schemas of Kubernetes and of the Prometheus Operator."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.main import get_group

from spexporter.cli.main import program
from spexporter.config import load
from tests.support.environments import installed
from tests.support.modules import ROOT

HERE = Path(__file__).parent
CHART = ROOT / "deploy" / "helm" / "spexporter"
Values = Mapping[str, Any]
Thing = dict[str, Any]

TENANT = {
    "name": "acme-prod",
    "org": "acme",
    "client_id": "${ACME_CLIENT_ID}",
    "client_secret_file": "/run/secrets/spexporter/acme-prod",
}
POSTGRESQL = {"kind": "postgresql", "postgresql": {"urlSecret": {"name": "database", "key": "url"}}}
GOOD: Mapping[str, Values] = {
    "default": {},
    "postgresql": {
        "replicaCount": 3,
        "store": POSTGRESQL,
        "networkPolicy": {"egressPorts": [443, 5432]},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
    },
    "operator": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboards": {"enabled": True},
    },
    "tls": {
        "web": {"tls": {"secretName": "spexporter-tls"}},
        "serviceMonitor": {"enabled": True, "tlsConfig": {"ca": {"secret": {"name": "ca", "key": "ca.crt"}}}},
    },
    "secrets": {
        "config": {"tenants": [TENANT], "limits": {"max_series": 1000000}, "store": {"remember_counted": "400d"}},
        "secretFiles": [{"secretName": "sailpoint", "key": "secret", "file": "acme-prod"}],
        "env": [{"name": "ACME_CLIENT_ID", "valueFrom": {"secretKeyRef": {"name": "sailpoint", "key": "id"}}}],
        "web": {"configSecret": {"name": "web", "key": "web.yaml"}, "enableLifecycle": True},
        "imagePullSecrets": [{"name": "registry"}],
        "image": {"digest": "sha256:" + "0" * 64},
    },
    "links": {
        "prometheusRule": {
            "enabled": True,
            "docsUrl": "https://wiki.acme.example/spexporter",
            "grafanaUrl": "https://grafana.acme.example",
        },
        "config": {"tenants": [], "store": {"lease": "30s"}},
    },
    "off": {
        "existingConfigMap": "mine",
        "store": {"kind": "memory"},
        "serviceAccount": {"create": False},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "resources": {"requests": None, "limits": None},
    },
}
KINDS = {
    "default": "ConfigMap Deployment NetworkPolicy PersistentVolumeClaim PodDisruptionBudget Service ServiceAccount",
    "postgresql": "ConfigMap Deployment NetworkPolicy PodDisruptionBudget Service ServiceAccount",
    "operator": "ConfigMap Deployment NetworkPolicy PersistentVolumeClaim PodDisruptionBudget PrometheusRule Service "
    "ServiceAccount ServiceMonitor",
    "tls": "ConfigMap Deployment NetworkPolicy PersistentVolumeClaim PodDisruptionBudget Service ServiceAccount "
    "ServiceMonitor",
    "secrets": "ConfigMap Deployment NetworkPolicy PersistentVolumeClaim PodDisruptionBudget Service ServiceAccount",
    "links": "ConfigMap Deployment NetworkPolicy PersistentVolumeClaim PodDisruptionBudget PrometheusRule Service "
    "ServiceAccount",
    "off": "Deployment Service",
}
README = (ROOT / "deploy" / "helm" / "README.md").read_text(encoding="utf-8")
SHOWN = yaml.safe_load(README.partition("```yaml\n")[2].partition("```")[0])
# What is wrong, and what the operator is told.
BAD: Mapping[str, tuple[Values, str]] = {
    "replicas on sqlite": ({"replicaCount": 2}, "at '/store/kind': value must be 'postgresql'"),
    "no url": ({"store": {"kind": "postgresql"}}, "at '/store/postgresql/urlSecret/name': '' does not match pattern"),
    "unknown key": ({"replicas": 1}, "additional properties 'replicas' not allowed"),
    "unknown store": ({"store": {"kind": "mysql"}}, "at '/store/kind': value must be one of 'sqlite', 'postgresql'"),
    "a secret": (
        {"config": {"tenants": [{"name": "acme", "client_secret": "hunter2"}]}},
        "at '/config/tenants/0/client_secret': value must be '${NAME_OF_A_VARIABLE}'",
    ),
    "a secret in env": ({"env": [{"name": "ACME_SECRET", "value": "hunter2"}]}, "missing property 'valueFrom'"),
    "store in the configuration": (
        {"config": {"store": {"url": "sqlite://"}}},
        "at '/config/store': additional properties 'url' not allowed",
    ),
    "port of root": ({"web": {"port": 80}}, "at '/web/port': minimum: got 80, want 1,024"),
    "link": (
        {"prometheusRule": {"docsUrl": "wiki.acme.example"}},
        "at '/prometheusRule/docsUrl': 'wiki.acme.example' does",
    ),
    "digest": ({"image": {"digest": "latest"}}, "at '/image/digest': 'latest' does not match pattern"),
    "level": ({"log": {"level": "loud"}}, "at '/log/level': value must be one of 'debug', 'info'"),
    "interval": ({"serviceMonitor": {"interval": "often"}}, "at '/serviceMonitor/interval': 'often' does not match"),
    "size": ({"store": {"persistence": {"size": 1}}}, "at '/store/persistence/size': got number, want string"),
}


@pytest.fixture(scope="module")
def said() -> Mapping[str, Any]:
    """What Helm and Kubernetes say of all sets of values."""
    python = installed("deploy", HERE / "deploy-requirements.txt") / "python"
    sets = json.dumps({**GOOD, "readme": SHOWN, **{name: values for name, (values, _) in BAD.items()}})
    command = [python, HERE / "helm_client.py", CHART]
    done = subprocess.run(command, input=sets, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    heard: Mapping[str, Any] = json.loads(done.stdout)
    return heard


def one(said: Mapping[str, Any], name: str, kind: str) -> Thing:
    (found,) = [each for each in said["sets"][name]["objects"] if each["kind"] == kind]
    return dict(found)


def test_lint_has_nothing_to_say(said: Mapping[str, Any]) -> None:
    """But that there is no icon."""
    assert [message["error"] for message in said["lint"]] == ["icon is recommended"]


@pytest.mark.parametrize("name", GOOD)
def test_objects_are_what_kubernetes_takes(said: Mapping[str, Any], name: str) -> None:
    """Each is known with all its keys, and they are those that the values ask for."""
    objects = said["sets"][name]["objects"]
    assert said["sets"][name]["wrong"] == []
    assert sorted({each["kind"] for each in objects}) == KINDS[name].split()
    assert len({(each["kind"], each["metadata"]["name"]) for each in objects}) == len(objects)
    for each in objects:
        if each["apiVersion"].startswith("monitoring.coreos.com/"):
            schema = json.loads((HERE / "crds" / f"{each['kind']}.json").read_text(encoding="utf-8"))
            jsonschema.validate(each, strict(schema))


@pytest.mark.parametrize("name", BAD)
def test_bad_values_are_refused_in_clear_words(said: Mapping[str, Any], name: str) -> None:
    """By the schema, with the place and what would be right; a secret is not repeated."""
    refused = said["sets"][name].get("refused", "rendered all the same")
    assert BAD[name][1] in refused
    assert "hunter2" not in refused


@pytest.mark.parametrize("name", GOOD)
def test_pods_are_restricted(said: Mapping[str, Any], name: str) -> None:
    """As Pod Security's strictest level asks, whatever the values."""
    pod = one(said, name, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("name", GOOD)
def test_program_knows_its_options(said: Mapping[str, Any], name: str) -> None:
    """A pod that is given one that the program does not have never starts."""
    (container,) = one(said, name, "Deployment")["spec"]["template"]["spec"]["containers"]
    command, *options = container["args"]
    known = {option for parameter in get_group(program()).commands[command].params for option in parameter.opts}
    assert {option.partition("=")[0] for option in options} <= known


@pytest.mark.parametrize(
    ("name", "replicas", "strategy", "url"),
    [
        ("default", 1, "Recreate", "sqlite:////data/spexporter.db"),
        ("postgresql", 3, "RollingUpdate", "${SPEXPORTER_CHART_STORE_URL}"),
    ],
)
def test_store_decides_how_replicas_follow_each_other(
    said: Mapping[str, Any], name: str, replicas: int, strategy: str, url: str
) -> None:
    """One after the other on a file, side by side on a database."""
    spec = one(said, name, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (replicas, strategy)
    config = yaml.safe_load(one(said, name, "ConfigMap")["data"]["config.yaml"])
    assert config["store"]["url"] == url


def test_configuration_is_one_that_the_program_reads(said: Mapping[str, Any], tmp_path: Path) -> None:
    """As it comes out of the ConfigMap: numbers and variables are as they were."""
    file = tmp_path / "config.yaml"
    (tmp_path / "acme-prod").write_text("planted", encoding="utf-8")
    for name in ("default", "readme", "secrets"):
        text = one(said, name, "ConfigMap")["data"]["config.yaml"]
        file.write_text(text.replace("/run/secrets/spexporter", str(tmp_path)), encoding="utf-8")
        config = load(file, {"ACME_CLIENT_ID": "planted"})
    assert [tenant.name for tenant in config.tenants] == ["acme-prod"]
    assert config.limits.max_series == 1_000_000


def test_rules_and_dashboards_are_ours(said: Mapping[str, Any]) -> None:
    """The same as in prometheus/ and grafana/, to the last character."""
    rules = yaml.safe_load((ROOT / "prometheus" / "spexporter.rules.yml").read_text(encoding="utf-8"))
    assert one(said, "operator", "PrometheusRule")["spec"] == rules
    maps = [each["data"] for each in said["sets"]["operator"]["objects"] if each["kind"] == "ConfigMap"]
    shown = {name: json.loads(text) for data in maps for name, text in data.items() if name.endswith(".json")}
    files = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
    assert shown == {path.name: json.loads(path.read_text(encoding="utf-8")) for path in files}


def test_links_of_alerts_lead_where_the_values_say(said: Mapping[str, Any]) -> None:
    """Nothing but the addresses is another."""
    text = (ROOT / "prometheus" / "spexporter.rules.yml").read_text(encoding="utf-8")
    text = text.replace("https://docs.example.com", "https://wiki.acme.example/spexporter")
    text = text.replace("https://grafana.example.com", "https://grafana.acme.example")
    assert one(said, "links", "PrometheusRule")["spec"] == yaml.safe_load(text)
    assert "lease: 30s" in one(said, "links", "ConfigMap")["data"]["config.yaml"]


def strict(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a schema that knows all keys, but for those of `metadata`."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: strict(value) for key, value in schema.items()}
    closed = isinstance(schema.get("properties"), dict) and "x-kubernetes-preserve-unknown-fields" not in schema
    return {"additionalProperties": False, **inner} if closed else inner
