"""What is shown of a configuration is what a file could say, without its secrets."""

import re
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import yaml

from spexporter.config import Config, load
from spexporter.config.shown import HIDDEN, SECRET, show
from tests.support.secrets import leaks

GOOD = sorted((Path(__file__).parent / "good").glob("*.y*ml"))
ENVIRON = {"CLIENT_ID": "planted-id", "CLIENT_SECRET": "planted-secret", "PROXY_PASSWORD": "planted-password"}
FULL = """
tenants:
  - name: acme
    base_url: https://acme.example/a$$b
    client_id: planted-id
    client_secret: planted-secret
    credential_expires: 2027-01-31T12:30:00Z
    rate_limit: {requests: 7, per: 1m30s, use: 29%}
    poll: {fastest: 100ms, slowest: 1h, probe: 1d}
    max_answer: {results: 3GiB, other: 1025B}
    expect: {import: 1y, backup: 24h}
    discover: [deploys, backups]
    proxy: http://planted-user:planted-pass%40word@proxy.example:3128/
    former_names: [a, b]
    jobs:
      - {id: 00017, operation: import, name: "a: b # c $${X}", max_age: 30m, preview: false}
      - {id: 1e5, operation: export}
    job_files: ["/etc/jobs.d/[a-c]*.yaml"]
store: {url: "sqlite:////var/lib/x.db"}
counters: {hold: 0s, created: true}
limits: {max_series: 9, max_jobs_per_tenant: 8}
per_job_metrics: false
"""
PLANTED = ("planted-id", "planted-secret", "planted-user", "planted-pass", "planted-password")


def facts(config: Config) -> list[object]:
    """Return what a configuration says, without where it was read."""
    return [
        [replace(tenant, client_id="", proxy=None, secret=None) for tenant in config.tenants],  # type: ignore[arg-type]
        *(config.store, config.counters, config.limits, config.per_job_metrics),
    ]


def read(folder: Path, text: str) -> Config:
    file = folder / "spexporter.yml"
    file.write_text(text)
    return load(file, ENVIRON)


def check(config: Config, folder: Path) -> None:
    shown = show(config)
    assert not leaks(shown, PLANTED)
    ids = count()
    filled = re.sub(HIDDEN, lambda _: f"id-{next(ids)}", shown.replace(SECRET, "planted-secret"))
    assert facts(read(folder, filled)) == facts(config)


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.name)
def test_what_is_shown_reads_as_the_same_configuration(tmp_path: Path, file: Path) -> None:
    """But for what is hidden."""
    check(load(file, ENVIRON), tmp_path)


def test_odd_values_are_shown_as_they_are_written(tmp_path: Path) -> None:
    """Durations, sizes, ids that look like numbers, dollar signs; of a proxy only where it is."""
    config = read(tmp_path, FULL)
    check(config, tmp_path)
    shown = yaml.safe_load(show(config))["tenants"][0]
    assert shown["proxy"] == f"http://{SECRET}@proxy.example:3128/"
    assert shown["jobs"][0] == {
        "id": "00017",
        "operation": "import",
        "name": "a: b # c $${X}",
        "max_age": "30m",
        "preview": False,
    }
    assert shown["max_answer"] == {"results": "3GiB", "other": "1025B"}
    assert shown["credential_expires"] == "2027-01-31T12:30:00Z"


def test_a_file_of_tenants_is_named_beside_its_tenants(tmp_path: Path) -> None:
    """They stand among the others, as they are watched."""
    other = tmp_path / "other.yaml"
    other.write_text("- {name: b, org: b, client_id: i, client_secret: s}\n")
    main = "tenant_files: [other.yaml]\ntenants: [{name: a, org: a, client_id: i, client_secret: s}]\n"
    shown = show(read(tmp_path, main))
    assert f"# 1 of the tenants are from {other}\n" in shown
    assert [tenant["name"] for tenant in yaml.safe_load(shown)["tenants"]] == ["a", "b"]


def test_database_is_shown_without_whoever_asks_it(tmp_path: Path) -> None:
    """Its parameters may hold passwords, too."""
    url = "postgresql://planted-user:planted-pass%40word@db.example:5433/spexporter?sslpassword=planted-password"
    text = FULL.replace('url: "sqlite:////var/lib/x.db"', f'url: "{url}", lease: 20s, remember_counted: 500d')
    shown = show(read(tmp_path, text))
    store = {"url": "postgresql://db.example:5433/spexporter", "lease": "20s", "remember_counted": "500d"}
    assert yaml.safe_load(shown)["store"] == store
    assert not leaks(shown, PLANTED)
