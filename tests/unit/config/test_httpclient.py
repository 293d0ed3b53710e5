"""`--http.config.file`: mistakes are told at once, each with its line, and secrets never."""

from pathlib import Path

import pytest
import trustme

from spexporter.config.httpclient import HttpAccess, load_http_client
from spexporter.domain.errors import ConfigError

WHOLE = """\
authorization:
  type: Bearer
  credentials: planted-hunter2
tls_config:
  ca_file: ca.pem
  cert_file: client.pem
  key_file: client.key
  server_name: exporter.example
  insecure_skip_verify: false
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with certificates and a secret, in which the test works."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    client = authority.issue_cert("ci.example")
    client.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    client.private_key_pem.write_to_path(str(tmp_path / "client.key"))
    (tmp_path / "secret").write_text("planted-hunter2\n")
    (tmp_path / "two-lines").write_text("planted\nhunter2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mistakes(text: str) -> str:
    Path("http.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_http_client(Path("http.yaml"))
    return str(raised.value)


def test_every_key_is_read(folder: Path) -> None:
    """Paths start at the file's folder, wherever the program works."""
    (folder / "sub").mkdir()
    (folder / "sub" / "http.yaml").write_text(WHOLE.replace("_file: c", "_file: ../c"), encoding="utf-8")
    access = load_http_client(folder / "sub" / "http.yaml")
    assert access.authorization() == "Bearer planted-hunter2"
    assert (access.tls is not None, access.server_name) == (True, "exporter.example")
    assert "hunter2" not in repr(access)


@pytest.mark.usefixtures("folder")
def test_empty_file_asks_for_nothing() -> None:
    """As Prometheus reads it."""
    Path("http.yaml").write_text("# nothing yet\n")
    assert load_http_client(Path("http.yaml")) == HttpAccess()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("basic_auth: {username: ci, password: 'a$$b${C}$'}", "a$$b${C}$", id="basic_auth"),
        pytest.param("authorization: {credentials: 'a$$b${C}$'}", "a$$b${C}$", id="authorization"),
    ],
)
def test_dollar_sign_is_nothing_special(text: str, said: str) -> None:
    """Prometheus fills in no variables here, and a password may have any character."""
    Path("http.yaml").write_text(text)
    secret = load_http_client(Path("http.yaml")).secret
    assert secret
    assert secret.reveal() == said


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "basic_auth: {username: ci, passwrod: hunter2}",
            "http.yaml:1: basic_auth.password: is missing; write it or password_file"
            "|http.yaml:1: basic_auth.passwrod: unknown key; did you mean password?",
            id="near",
        ),
        pytest.param(
            "bearer_token: hunter2",
            "http.yaml:1: bearer_token: unknown key; known here are basic_auth, authorization, tls_config",
            id="far",
        ),
        pytest.param("- hunter2", "http.yaml:1: the top level must be a mapping with some of", id="list"),
        pytest.param(
            "basic_auth: hunter2",
            "http.yaml:1: basic_auth: must be a mapping of keys to values, not a single text",
            id="text",
        ),
        pytest.param(
            "authorization: {credentials: {hunter2: hunter2}}",
            "http.yaml:1: authorization.credentials: must be one text, not a mapping",
            id="mapping",
        ),
        pytest.param(
            "basic_auth: {username: ci, password: [hunter2]}",
            "http.yaml:1: basic_auth.password: must be one text, not a list",
            id="secret list",
        ),
        pytest.param(
            "basic_auth: {username: ci, password: hunter2}\nauthorization: {credentials: hunter2}",
            "http.yaml:2: authorization: cannot stand beside basic_auth; keep one of the two",
            id="two ways",
        ),
        pytest.param(
            "basic_auth:\n  username: ci\n  password: hunter2\n  password_file: secret",
            "http.yaml:4: basic_auth.password_file: cannot stand beside password; keep one of the two",
            id="two passwords",
        ),
        pytest.param(
            "basic_auth: {password: hunter2}",
            "http.yaml:1: basic_auth.username: is missing; give the name beside the password",
            id="no name",
        ),
        pytest.param(
            "authorization: {type: Bearer}",
            "http.yaml:1: authorization.credentials: is missing; write it or credentials_file",
            id="no credentials",
        ),
        pytest.param(
            "authorization: {type: basic, credentials: hunter2}",
            "http.yaml:1: authorization.type: must not be Basic; write basic_auth instead of authorization",
            id="basic",
        ),
        pytest.param(
            "authorization: {type: Bearer hunter2, credentials: hunter2}",
            "http.yaml:1: authorization.type: must be one word such as Bearer; the secret belongs into credentials",
            id="secret in the type",
        ),
        pytest.param(
            "authorization: {credentials_file: hunter2}",
            "http.yaml:1: authorization.credentials_file: the file cannot be used: No such file or directory",
            id="no file",
        ),
        pytest.param(
            "authorization: {credentials_file: two-lines}",
            "the file cannot be used: must be one line without control characters",
            id="two lines in the file",
        ),
        pytest.param(
            'authorization: {credentials: "hunter2\\nX-Other: 1"}',
            "http.yaml:1: authorization.credentials: must be one line without control characters",
            id="two lines",
        ),
        pytest.param(
            "tls_config: {cert_file: client.pem}",
            "http.yaml:1: tls_config.key_file: is missing; it belongs to cert_file",
            id="no key",
        ),
        pytest.param(
            "tls_config: {key_file: client.key}",
            "http.yaml:1: tls_config.cert_file: is missing; it belongs to key_file",
            id="no certificate",
        ),
        pytest.param(
            "tls_config: {ca_file: secret}",
            "http.yaml:1: tls_config.ca_file: holds no PEM certificates, got 'secret'",
            id="no authority",
        ),
        pytest.param(
            "tls_config: {cert_file: ca.pem, key_file: client.key}",
            "holds no PEM certificate that fits key_file, or the key has a passphrase, got 'ca.pem'",
            id="other key",
        ),
        pytest.param(
            "tls_config: {insecure_skip_verify: maybe}",
            "http.yaml:1: tls_config.insecure_skip_verify: must be true or false, got 'maybe'",
            id="boolean",
        ),
        pytest.param("basic_auth: {", "http.yaml:1: not valid YAML", id="syntax"),
    ],
)
def test_mistake_is_named_with_its_line(text: str, said: str) -> None:
    """With what would be right, and without the secret that may stand there."""
    found = mistakes(text)
    assert all(part in found for part in said.split("|")), found
    assert "hunter2" not in found


@pytest.mark.usefixtures("folder")
def test_all_mistakes_are_told_at_once() -> None:
    """By line."""
    text = (
        "basic_auth:\n  user: ci\n  password: hunter2\nauthorization:\n  type: Basic\n"
        "tls_config:\n  ca_file: none.pem\n  cert_file: client.pem\nfollow_redirects: true\n"
    )
    lines = [line.split(": ", 1)[0] for line in mistakes(text).splitlines()]
    assert lines == [
        "http.yaml:1",
        "http.yaml:2",
        "http.yaml:4",
        "http.yaml:4",
        "http.yaml:5",
        "http.yaml:6",
        "http.yaml:7",
        "http.yaml:9",
    ]


def test_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    """Named as it was given."""
    with pytest.raises(ConfigError, match=r"none\.yaml: the file cannot be read: No such file"):
        load_http_client(tmp_path / "none.yaml")
