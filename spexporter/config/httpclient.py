"""`--http.config.file`: who asks an exporter, and how TLS is spoken with it.

Source: Prometheus documentation, "Configuration", `<http_config>`, which promtool takes, too; of its keys these three.
"""

import base64
import errno
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from spexporter.config.mistakes import validate
from spexporter.config.model import Boolean, FilePath, FreeText, Hidden, Section
from spexporter.config.nodes import Block, Complaints, Items, Node, Text
from spexporter.config.read import decode, failed, read, read_bytes
from spexporter.config.secret import Secret, read_secret
from spexporter.domain.errors import ConfigError
from spexporter.domain.values import replace

# No message repeats what stands under these keys: secrets, and what is mistaken for one.
_HIDDEN = frozenset({"password", "password_file", "type", "credentials", "credentials_file"})
_SCHEME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class BasicAuthSection(Section):
    """`basic_auth`."""

    username: FreeText | None = None
    password: Hidden | None = None
    password_file: FilePath | None = None


class AuthorizationSection(Section):
    """`authorization`."""

    type: FreeText | None = None
    credentials: Hidden | None = None
    credentials_file: FilePath | None = None


class TlsSection(Section):
    """`tls_config`."""

    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    server_name: FreeText | None = None
    insecure_skip_verify: Boolean | None = None


class HttpClientSection(Section):
    """The whole file."""

    basic_auth: BasicAuthSection | None = None
    authorization: AuthorizationSection | None = None
    tls_config: TlsSection | None = None


@dataclass(frozen=True, slots=True)
class HttpAccess:
    """How requests are authorized, with which `username` where that is `Basic`, and how TLS is spoken.

    `server_name` is what the server's certificate is to say where that is not the host of the URL.
    """

    scheme: str = ""
    username: str = ""
    secret: Secret | None = None
    tls: ssl.SSLContext | None = None
    server_name: str | None = None

    def authorization(self) -> str | None:
        """Return the value of the header `Authorization`, None for none; a file is read again at each call.

        Raises:
            OSError: The file cannot be read or holds no usable text; `strerror` says why.
        """
        if self.secret is None:
            return None
        secret = _one_line(self.secret.reveal().strip())
        if self.username:
            secret = base64.b64encode(f"{self.username}:{secret}".encode()).decode()
        return f"{self.scheme} {secret}"


def load_http_client(path: Path) -> HttpAccess:
    """Return what the file at `path` says; relative paths start at its folder, and a dollar sign is nothing special.

    Raises:
        ConfigError: The file cannot be used; it carries every mistake, in file order.
    """
    complaints = Complaints()
    root = _root(path, complaints)
    section = validate(root, HttpClientSection, complaints)
    _check(root, complaints)
    problems = complaints.of(path)
    if problems or section is None:
        raise ConfigError(problems)
    scheme, username, secret = _who(section, path.parent)
    tls = section.tls_config
    if tls is None:
        return HttpAccess(scheme, username, secret)
    return HttpAccess(scheme, username, secret, _tls(tls, path.parent), tls.server_name)


def _root(path: Path, complaints: Complaints) -> Block:
    # Prometheus fills in no variables here: doubled, every dollar sign is what it is.
    text = decode(read_bytes(path), path).replace("$", "$$")
    match read(text, path, {}, complaints):
        case None:
            return Block({}, str(path), 1, "")
        case Block() as root:
            return _hide(root)
        case other:
            keys = ", ".join(HttpClientSection.fields_by_key())
            raise failed(path, other.line, f"the top level must be a mapping with some of {keys}")


def _hide(block: Block) -> Block:
    """Return `block` with nothing to be shown, nor looked into, under keys that hold secrets."""

    def hidden(key: str, node: Node) -> Node:
        match node:
            case Text():
                return replace(node, hidden=node.hidden or key in _HIDDEN)
            case Block():
                return replace(node, entries={}, empty={}) if key in _HIDDEN else _hide(node)
            case Items():
                return replace(node, nodes=())

    return replace(block, entries={key: hidden(key, node) for key, node in block.entries.items()})


def _check(root: Block, complaints: Complaints) -> None:
    """Note what concerns several keys, or the files that are named."""
    _not_both(root, "basic_auth", "authorization", complaints)
    if isinstance(basic := root.entries.get("basic_auth"), Block):
        if "username" not in basic.entries:
            complaints.about(basic, "is missing; give the name beside the password", key="username")
        _one_secret(basic, "password", complaints)
    if isinstance(authorization := root.entries.get("authorization"), Block):
        _one_secret(authorization, "credentials", complaints)
        _check_type(authorization, complaints)
    if isinstance(tls := root.entries.get("tls_config"), Block):
        _check_tls(tls, complaints)


def _not_both(section: Block, one: str, other: str, complaints: Complaints) -> None:
    first, second = section.entries.get(one), section.entries.get(other)
    if first and second:
        later, name = (first, other) if first.line > second.line else (second, one)
        complaints.about(later, f"cannot stand beside {name}; keep one of the two")


def _one_secret(section: Block, key: str, complaints: Complaints) -> None:
    in_file = f"{key}_file"
    _not_both(section, key, in_file, complaints)
    if not section.entries.keys() & {key, in_file}:
        complaints.about(section, f"is missing; write it or {in_file}", key=key)
    text, path = section.entries.get(key), section.entries.get(in_file)
    if isinstance(text, Text) and (wrong := _wrong(lambda: _one_line(text.text))):
        complaints.about(text, wrong)
    if isinstance(path, Text) and path.text:
        file = Path(path.file).parent / path.text
        if wrong := _wrong(lambda: _one_line(read_secret(file).strip())):
            complaints.about(path, f"the file cannot be used: {wrong}")


def _check_type(section: Block, complaints: Complaints) -> None:
    node = section.entries.get("type")
    if not isinstance(node, Text) or not node.text:
        return
    if node.text.strip().lower() == "basic":
        complaints.about(node, "must not be Basic; write basic_auth instead of authorization")
    elif not _SCHEME.fullmatch(node.text.strip()):
        complaints.about(node, "must be one word such as Bearer; the secret belongs into credentials")


def _check_tls(section: Block, complaints: Complaints) -> None:
    files = {
        key: Path(node.file).parent / node.text
        for key in ("ca_file", "cert_file", "key_file")
        if isinstance(node := section.entries.get(key), Text) and node.text and not node.broken
    }
    for key, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if key in files and other not in section.entries:
            complaints.about(section, f"is missing; it belongs to {key}", key=other)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if "ca_file" in files:
        wrong = _wrong(lambda: context.load_verify_locations(files["ca_file"]), "holds no PEM certificates")
        _complain(section, "ca_file", wrong, complaints)
    if {"cert_file", "key_file"} <= files.keys():
        pair = "holds no PEM certificate that fits key_file, or the key has a passphrase"
        wrong = _wrong(lambda: _load_pair(context, files["cert_file"], files["key_file"]), pair)
        _complain(section, "cert_file", wrong, complaints)


def _complain(section: Block, key: str, wrong: str | None, complaints: Complaints) -> None:
    if wrong:
        complaints.about(section.entries[key], wrong, show=True)


def _wrong(use: Callable[[], object], not_pem: str = "") -> str | None:
    """Say why something cannot be used, None where it can."""
    try:
        use()
    except ssl.SSLError:
        return not_pem
    except OSError as error:
        return str(error.strerror)
    except ValueError as error:
        return str(error)
    return None


def _one_line(secret: str) -> str:
    if not secret.isprintable():
        raise OSError(errno.EINVAL, "must be one line without control characters")
    return secret


def _load_pair(context: ssl.SSLContext, cert_file: Path, key_file: Path) -> None:
    # With an empty passphrase: without any, OpenSSL would ask for one at the terminal.
    context.load_cert_chain(cert_file, key_file, password="")


def _who(section: HttpClientSection, folder: Path) -> tuple[str, str, Secret | None]:
    """Return the scheme of authorization, the username of `Basic`, and the secret."""
    if basic := section.basic_auth:
        return "Basic", basic.username or "", _secret(basic.password, basic.password_file, folder)
    if it := section.authorization:
        return it.type or "Bearer", "", _secret(it.credentials, it.credentials_file, folder)
    return "", "", None


def _secret(text: SecretStr | None, file: str | None, folder: Path) -> Secret:
    return Secret(folder / file if text is None and file else text or SecretStr(""))


def _tls(section: TlsSection, folder: Path) -> ssl.SSLContext:
    """Return a context that trusts `ca_file` alone where there is one, as Prometheus does."""
    context = ssl.create_default_context(cafile=folder / section.ca_file if section.ca_file else None)
    if section.cert_file and section.key_file:
        _load_pair(context, folder / section.cert_file, folder / section.key_file)
    if section.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
