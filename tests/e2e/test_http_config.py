"""`--http.config.file` against the real thing: Prometheus takes what we take, and refuses what we refuse."""

from pathlib import Path

import pytest
import trustme

from spexporter.config.httpclient import load_http_client
from spexporter.domain.errors import ConfigError
from tests.support.prometheus import promtool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the cases name."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    client = authority.issue_cert("ci.example")
    client.cert_chain_pems[0].write_to_path(str(tmp_path / "ci.pem"))
    client.private_key_pem.write_to_path(str(tmp_path / "ci.key"))
    (tmp_path / "secret").write_text("planted\n")
    return tmp_path


def ours_takes(file: Path) -> bool:
    try:
        load_http_client(file)
    except ConfigError:
        return False
    return True


def in_a_scrape_configuration(text: str, folder: Path) -> Path:
    """Write the keys to where Prometheus documents them."""
    keys = "".join(f"    {line}\n" for line in text.splitlines())
    config = folder / "prometheus.yml"
    config.write_text(f"scrape_configs:\n  - job_name: spexporter\n{keys}")
    return config


async def both_take(text: str, folder: Path) -> tuple[bool, bool]:
    """Tell whether we take the file, and whether Prometheus does."""
    file = folder / "http.yaml"
    file.write_text(text)
    status, _ = await promtool("check", "config", str(in_a_scrape_configuration(text, folder)))
    return ours_takes(file), status == 0


TLS = "tls_config: {ca_file: ca.pem, cert_file: ci.pem, key_file: ci.key, server_name: x, insecure_skip_verify: true}"
GOOD = {
    "basic": "basic_auth: {username: ci, password: 'pa$$w:ord'}",
    "basic from a file": "basic_auth:\n  username: ci\n  password_file: secret",
    "bearer": "authorization: {credentials: planted}",
    "other type": "authorization: {type: Token, credentials_file: secret}",
    "TLS": TLS,
    "both": f"authorization: {{credentials: planted}}\n{TLS}",
}
BAD = {
    "two ways": "basic_auth: {username: ci, password: x}\nauthorization: {credentials: x}",
    "two passwords": "basic_auth: {username: ci, password: x, password_file: secret}",
    "two credentials": "authorization: {credentials: x, credentials_file: secret}",
    "basic as a type": "authorization: {type: Basic, credentials: x}",
    "unknown key": "basic_auth: {username: ci, pasword: x}",
    "not a boolean": "tls_config: {insecure_skip_verify: maybe}",
    "key alone": "tls_config: {key_file: ci.key}",
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
async def test_good_file_is_one_for_prometheus_too(text: str, folder: Path) -> None:
    """One file serves both."""
    assert await both_take(text, folder) == (True, True)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
async def test_bad_file_is_one_for_prometheus_too(text: str, folder: Path) -> None:
    """We are no stricter than it here."""
    assert await both_take(text, folder) == (False, False)
