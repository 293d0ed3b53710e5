"""What `--web.config.file` can say, key by key: the format of Prometheus' exporter-toolkit.

Source: github.com/prometheus/exporter-toolkit, docs/web-configuration.md.
"""

import difflib
import re
from collections.abc import Callable, Collection
from typing import Annotated

from pydantic import Field, SecretStr

from spexporter.config import convert
from spexporter.config.gotls import CIPHERS, CURVES, VERSIONS
from spexporter.config.model import Boolean, FilePath, FreeText, Section, choice, read_by

USERS = "basic_auth_users"
NO_CLIENT = "NoClientCert"
IF_GIVEN = "VerifyClientCertIfGiven"
REQUIRED = "RequireAndVerifyClientCert"
_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
# Source: golang.org/x/crypto/bcrypt, `MinCost` and `MaxCost`; the letters are those that its users write.
_HASH = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")


def _client_auth(text: str) -> str:
    if text in _UNVERIFIED:
        raise ValueError(
            f"must not be one that takes certificates unverified, which Python's TLS cannot do and which keeps nobody"
            f" out; write {REQUIRED}, or {IF_GIVEN} where some clients have none"
        )
    return choice(NO_CLIENT, IF_GIVEN, REQUIRED)(text)


def _hash(text: str) -> bytes:
    if not _HASH.fullmatch(text):
        raise ValueError('must be a bcrypt hash such as $2y$10$…; make one with: htpasswd -nBC 10 ""')
    return text.encode()


def _header(text: str) -> str:
    if not convert.filled(text).isprintable() or not text.isascii():
        raise ValueError("must be one line of ASCII text")
    return text


def _pem(text: str) -> str:
    if not text.strip():
        raise ValueError("must hold what a PEM file does; or name such a file under the key that ends with _file")
    return text


def _go_name(known: Collection[str]) -> Callable[[str], str]:
    def look_up(text: str) -> str:
        if text in known:
            return text
        near = difflib.get_close_matches(text, known, n=1, cutoff=0.0)
        raise ValueError(f"must be a name that Go's TLS has and calls secure, such as {near[0]}")

    return look_up


_Version = Annotated[str, read_by(choice(*VERSIONS))]
_Cipher = Annotated[str, read_by(_go_name(CIPHERS))]
_Curve = Annotated[str, read_by(_go_name(CURVES))]
_Pem = Annotated[str, read_by(_pem)]
_HiddenPem = Annotated[SecretStr, read_by(lambda text: SecretStr(_pem(text)))]
_Header = Annotated[str, read_by(_header)]


class TlsServerSection(Section):
    """`tls_server_config`."""

    cert: _Pem | None = None
    key: _HiddenPem | None = None
    client_ca: _Pem | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    client_auth_type: Annotated[str, read_by(_client_auth)] = NO_CLIENT
    client_ca_file: FilePath | None = None
    client_allowed_sans: tuple[FreeText, ...] | None = None
    min_version: _Version = "TLS12"
    max_version: _Version = "TLS13"
    cipher_suites: tuple[_Cipher, ...] = ()
    prefer_server_cipher_suites: Boolean | None = None
    curve_preferences: tuple[_Curve, ...] = ()


class HeadersSection(Section):
    """`http_server_config.headers`."""

    content_security_policy: _Header | None = Field(default=None, alias="Content-Security-Policy")
    x_frame_options: Annotated[str, read_by(choice("deny", "sameorigin"))] | None = Field(
        default=None, alias="X-Frame-Options"
    )
    x_content_type_options: Annotated[str, read_by(choice("nosniff"))] | None = Field(
        default=None, alias="X-Content-Type-Options"
    )
    x_xss_protection: _Header | None = Field(default=None, alias="X-XSS-Protection")
    strict_transport_security: _Header | None = Field(default=None, alias="Strict-Transport-Security")


class HttpServerSection(Section):
    """`http_server_config`."""

    http2: Boolean | None = None
    headers: HeadersSection | None = None


class WebSection(Section):
    """The whole file."""

    tls_server_config: TlsServerSection | None = None
    http_server_config: HttpServerSection | None = None
    basic_auth_users: dict[str, Annotated[bytes, read_by(_hash)]] | None = None
