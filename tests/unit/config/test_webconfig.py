"""`--web.config.file`: mistakes are told at once, each with its line; hashes, keys and names of users never."""

import ssl
from pathlib import Path

import pytest
import trustme

from spexporter.config.webconfig import WebConfig, fingerprint, load_web_config
from spexporter.domain.errors import ConfigError

HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
WHOLE = f"""\
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.example]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP384]
http_server_config:
  http2: false
  headers:
    Content-Security-Policy: default-src 'none'
    X-Frame-Options: sameorigin
    X-Content-Type-Options: nosniff
    X-XSS-Protection: "0"
    Strict-Transport-Security: max-age=31536000
basic_auth_users:
  alice: {HASH}
"""
PAIR = "cert_file: server.pem, key_file: server.key"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with certificates, in which the test works."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for name in ("server", "other"):
        issued = authority.issue_cert("exporter.example")
        issued.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.pem"))
        issued.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(text: str) -> WebConfig:
    Path("web.yaml").write_text(text, encoding="utf-8")
    return load_web_config(Path("web.yaml"))


def tls(text: str) -> ssl.SSLContext:
    context = loaded(text).tls
    assert context
    return context


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        loaded(text)
    assert "hunter2" not in str(raised.value)
    return str(raised.value).splitlines()


def test_every_key_is_read(folder: Path) -> None:
    """Paths start at the file's folder, wherever the program works."""
    (folder / "sub").mkdir()
    file = folder / "sub" / "web.yaml"
    file.write_text(WHOLE.replace("_file: ", "_file: ../"), encoding="utf-8")
    web = load_web_config(file)
    assert web.tls
    assert web.tls.verify_mode is ssl.CERT_REQUIRED
    assert web.tls.minimum_version is ssl.TLSVersion.TLSv1_2
    assert not web.tls.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    names = {cipher["name"] for cipher in web.tls.get_ciphers()}
    assert {name for name in names if not name.startswith("TLS_")} == {"ECDHE-RSA-AES128-GCM-SHA256"}
    assert web.client_sans == {"prometheus.example"}
    assert web.headers == {
        "Content-Security-Policy": "default-src 'none'",
        "X-Frame-Options": "sameorigin",
        "X-Content-Type-Options": "nosniff",
        "X-XSS-Protection": "0",
        "Strict-Transport-Security": "max-age=31536000",
    }
    assert web.users == {b"alice": HASH.encode()}
    assert HASH not in repr(web)
    assert [path.name for path in web.files] == ["web.yaml", "server.pem", "server.key", "ca.pem"]
    assert web.remarks == ()


@pytest.mark.parametrize(
    "text", ["", "# nothing yet\n", "tls_server_config: {}", "tls_server_config:", "basic_auth_users: {}"]
)
def test_nothing_said_is_plain_http_for_everybody(text: str) -> None:
    """As the toolkit has it: TLS only where there is a certificate, passwords only where there is a user."""
    web = loaded(text)
    assert (web.tls, web.users, web.headers) == (None, {}, {})


def test_certificate_key_and_authority_may_stand_in_the_file() -> None:
    """As PEM texts; nothing else is read then."""
    indented = {
        key: "".join(f"    {line}\n" for line in Path(file).read_text().splitlines())
        for key, file in {"cert": "server.pem", "key": "server.key", "client_ca": "ca.pem"}.items()
    }
    blocks = "".join(f"  {key}: |\n{text}" for key, text in indented.items())
    web = loaded(f"tls_server_config:\n{blocks}  client_auth_type: VerifyClientCertIfGiven\n")
    assert web.tls
    assert web.tls.verify_mode is ssl.CERT_OPTIONAL
    assert len(web.tls.get_ca_certs()) == 1
    assert [path.name for path in web.files] == ["web.yaml"]


def test_old_versions_are_spoken_where_they_are_asked_for() -> None:
    """TLS 1.0 works with nothing but this key, however deprecated."""
    context = tls(f"tls_server_config: {{{PAIR}, min_version: TLS10, max_version: TLS11}}")
    assert context.security_level == 0
    assert tls(f"tls_server_config: {{{PAIR}}}").security_level > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("http_server_config: {http2: true}", "http_server_config.http2: is ignored: HTTP/1.1", id="http2"),
        pytest.param(
            f"tls_server_config: {{{PAIR}, curve_preferences: [X25519, CurveP256]}}",
            "tls_server_config.curve_preferences[0]: is ignored, with those after it",
            id="curves",
        ),
    ],
)
def test_what_cannot_be_had_is_said_and_nothing_refused(text: str, said: str) -> None:
    """Such a file is a good one for other servers."""
    assert [str(remark).partition("web.yaml:1: ")[2][: len(said)] for remark in loaded(text).remarks] == [said]


def test_fingerprint_differs_when_a_file_does() -> None:
    """Another content, none that can be read, and back."""
    first = loaded(WHOLE).digest
    files = loaded(WHOLE).files
    assert fingerprint(files) == first
    before = Path("ca.pem").read_bytes()
    Path("ca.pem").write_bytes(before + b"\n")
    assert fingerprint(files) != first
    Path("ca.pem").unlink()
    assert fingerprint(files) != first
    Path("ca.pem").write_bytes(before)
    assert fingerprint(files) == first


def test_all_mistakes_are_told_at_once() -> None:
    """Those of keys, of values, of several keys together and of files."""
    said = mistakes(
        "tls_server_config:\n"
        "  cert_file: gone.pem\n"
        "  key_file: server.key\n"
        "  client_auth_type: RequireClientCert\n"
        "  min_version: TLS14\n"
        "http_server_config: {headers: {X-Frame-Option: deny}}\n"
        "basic_auth_users:\n"
        "  alice: hunter2\n"
        "  hunter2-swapped:\n"
        "rate_limit: {burst: 1}\n"
        "basic_auth_user: {}\n"
    )
    assert [line.split(": ", 2)[:2] for line in said] == [
        ["web.yaml:1", "tls_server_config.client_ca_file"],
        ["web.yaml:2", "tls_server_config.cert_file"],
        ["web.yaml:4", "tls_server_config.client_auth_type"],
        ["web.yaml:5", "tls_server_config.min_version"],
        ["web.yaml:6", "http_server_config.headers.X-Frame-Option"],
        ["web.yaml:8", "basic_auth_users"],
        ["web.yaml:9", "basic_auth_users"],
        ["web.yaml:10", "rate_limit"],
        ["web.yaml:11", "basic_auth_user"],
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("basic_auth_user: {}", "basic_auth_user: unknown key; did you mean basic_auth_users?", id="key"),
        pytest.param(
            "[]", "the top level must be a mapping with some of tls_server_config, http_server_config", id="list"
        ),
        pytest.param(
            "basic_auth_users: {alice: hunter2}",
            "basic_auth_users: must be a bcrypt hash such as $2y$10$…; make one with: htpasswd",
            id="password",
        ),
        pytest.param(
            f"basic_auth_users: {{alice: {HASH.replace('$10$', '$03$')}}}",
            "basic_auth_users: must be a bcrypt",
            id="cost",
        ),
        pytest.param(
            "basic_auth_users: hunter2", "basic_auth_users: must be a mapping of keys to values, not a", id="text"
        ),
        pytest.param(
            "basic_auth_users: {alice: [hunter2]}", "basic_auth_users: must be a bcrypt hash", id="list-of-hashes"
        ),
        pytest.param(
            "tls_server_config: {cert_file: server.pem}",
            "tls_server_config.key_file: is missing; name the",
            id="no-key",
        ),
        pytest.param(
            "tls_server_config: {min_version: TLS13}", "tls_server_config.cert_file: is missing", id="no-cert"
        ),
        pytest.param(
            "tls_server_config: {cert_file: server.pem, key_file: other.key}",
            "tls_server_config.cert_file: holds no PEM certificate that fits the key, or the key has a passphrase",
            id="no-pair",
        ),
        pytest.param(
            "tls_server_config: {cert_file: server.pem, key_file: gone.key}",
            "tls_server_config.key_file: the file cannot be read: No such file or directory, got 'gone.key'",
            id="gone",
        ),
        pytest.param(
            f"tls_server_config: {{{PAIR}, key: hunter2}}",
            "tls_server_config.key_file: cannot stand beside key; keep one of the two",
            id="two-keys",
        ),
        pytest.param(
            f"tls_server_config: {{{PAIR}, client_auth_type: RequireAnyClientCert}}",
            "tls_server_config.client_auth_type: must not be one that takes certificates unverified, which Python's",
            id="unverified",
        ),
        pytest.param(
            f"tls_server_config: {{{PAIR}, client_auth_type: Require}}",
            "tls_server_config.client_auth_type: must be one of NoClientCert, VerifyClientCertIfGiven, Requ",
            id="kind",
        ),
        pytest.param(
            f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert}}",
            "tls_server_config.client_ca_file: is missing; name the authority",
            id="no-authority",
        ),
        pytest.param(
            f"tls_server_config: {{{PAIR}, client_ca_file: ca.pem}}",
            "tls_server_config.client_auth_type: is missing: without it no client is asked",
            id="nobody-asked",
        ),
        pytest.param(
            f"tls_server_config: {{{PAIR}, client_ca_file: server.key, client_auth_type: RequireAndVerifyClientCert}}",
            "tls_server_config.client_ca_file: holds no PEM certificates, got 'server.key'",
            id="no-certificates",
        ),
        pytest.param(
            f"tls_server_config: {{{PAIR}, client_allowed_sans: [x]}}",
            "tls_server_config.client_allowed_sans: needs client_auth_type RequireAndVerifyClientCert",
            id="sans",
        ),
        pytest.param(
            f"tls_server_config: {{{PAIR}, min_version: TLS13, max_version: TLS12}}",
            "tls_server_config.max_version: leaves no version between TLS13 and TLS12",
            id="versions",
        ),
        pytest.param(
            f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA25]}}",
            "tls_server_config.cipher_suites[0]: must be a name that Go's TLS has and calls secure, such as"
            " TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            id="cipher",
        ),
        pytest.param(
            f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_AES_128_GCM_SHA256], max_version: TLS12}}",
            "tls_server_config.cipher_suites: names none that TLS12 has, only some of TLS 1.3",
            id="only-1.3",
        ),
        pytest.param(
            f"tls_server_config: {{{PAIR}, curve_preferences: [P256]}}",
            "tls_server_config.curve_preferences[0]: must be a name that Go's TLS has and calls secure, such as Curve",
            id="curve",
        ),
        pytest.param(
            "http_server_config: {headers: {X-Frame-Options: maybe}}",
            "http_server_config.headers.X-Frame-Options: must be one of deny, sameorigin, got 'maybe'",
            id="frame",
        ),
        pytest.param(
            'http_server_config: {headers: {X-XSS-Protection: "0\\r\\nSet-Cookie: x"}}',
            "http_server_config.headers.X-XSS-Protection: must be one line of ASCII text",
            id="two-lines",
        ),
        pytest.param(
            "rate_limit: {interval: 1s}", "rate_limit: is not supported: how many connections and passwords", id="limit"
        ),
    ],
)
def test_mistake_says_where_what_and_what_would_be_right(text: str, said: str) -> None:
    """One line for each, and nothing that is secret."""
    first = mistakes(text)[0].removeprefix("web.yaml:1: ")
    assert first[: len(said)] == said
