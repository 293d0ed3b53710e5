"""`--web.config.file`: how the daemon serves: TLS, headers, and who may come in.

The format is that of Prometheus' exporter-toolkit, see `webmodel`.
"""

import hashlib
import ipaddress
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from spexporter.config.mistakes import validate
from spexporter.config.nodes import Block, Complaints, Node, Text
from spexporter.config.read import MAX_BYTES, decode, failed, read, read_bytes
from spexporter.config.servertls import Papers, check_tls, server_context
from spexporter.config.webmodel import USERS, HeadersSection, TlsServerSection, WebSection
from spexporter.domain.errors import ConfigError, Problem

_LIMIT = {
    "rate_limit": "is not supported: how many connections and passwords are looked at is bounded already; leave it out"
}


@dataclass(frozen=True, slots=True)
class WebConfig:
    """How to serve.

    `tls` is None for plain HTTP. Where there are `client_sans`, one of them must be in a client's certificate. `users`
    are bcrypt hashes by name; without any, everybody may come in. `files` are all that were read, and `digest` is what
    `fingerprint` says of them; `remarks` are what the file asks for and does not get.
    """

    tls: ssl.SSLContext | None = None
    client_sans: frozenset[str] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    files: Sequence[Path] = ()
    digest: bytes = b""
    remarks: Sequence[Problem] = ()


def load_web_config(path: Path) -> WebConfig:
    """Return what the file at `path` says; relative paths start at its folder, and a dollar sign is nothing special.

    Raises:
        ConfigError: The file, or one that it names, cannot be used; it carries every mistake, in file order.
    """
    complaints, remarks = Complaints(), Complaints()
    root = _root(path, complaints)
    tls = root.entries.get("tls_server_config")
    papers = Papers.named_by(tls) if isinstance(tls, Block) else Papers()
    files = [path, *papers.files()]
    digest = fingerprint(files)
    section = validate(root, WebSection, complaints)
    if isinstance(tls, Block):
        check_tls(tls, papers, complaints, remarks)
    _remark(root, remarks)
    problems = complaints.of(path)
    if problems or section is None:
        raise ConfigError(problems)
    wanted = section.tls_server_config
    return WebConfig(
        tls=_context(wanted, papers, path),
        client_sans=frozenset(map(plain_address, wanted.client_allowed_sans or ())) if wanted else frozenset(),
        headers=_headers(section.http_server_config.headers if section.http_server_config else None),
        users={name.encode(): hashed for name, hashed in (section.basic_auth_users or {}).items()},
        files=files,
        digest=digest,
        remarks=remarks.of(path),
    )


def plain_address(name: str) -> str:
    """Return an IP address in the one way in which all are written here, and any other name as it is."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def fingerprint(files: Iterable[Path]) -> bytes:
    """Return what differs as soon as a file holds something else, or cannot be read any more."""
    together = hashlib.sha256()
    for file in files:
        together.update(_digest(file))
    return together.digest()


def _digest(file: Path) -> bytes:
    try:
        content = file.read_bytes() if file.stat().st_size <= MAX_BYTES else b""
    except OSError as error:
        return hashlib.sha256(f"unreadable {error.errno}".encode()).digest()
    return hashlib.sha256(content).digest()


def _root(path: Path, complaints: Complaints) -> Block:
    # As the toolkit, which fills in no variables: doubled, every dollar sign is what it is.
    text = decode(read_bytes(path, regular=True), path).replace("$", "$$")
    match read(text, path, {}, complaints):
        case None:
            return Block({}, str(path), 1, "")
        case Block() as root:
            return _refuse_limit(_hide(root), complaints)
        case other:
            keys = ", ".join(WebSection.fields_by_key())
            raise failed(path, other.line, f"the top level must be a mapping with some of {keys}")


def _refuse_limit(root: Block, complaints: Complaints) -> Block:
    """Say of keys that others take why they are not taken here."""
    for key, message in _LIMIT.items():
        if node := root.entries.get(key) or root.empty.get(key):
            complaints.about(node, message)
    left = {key: node for key, node in root.entries.items() if key not in _LIMIT}
    return replace(root, entries=left, empty={key: text for key, text in root.empty.items() if key not in _LIMIT})


def _hide(root: Block) -> Block:
    """Return `root` with nothing to be shown of keys and passwords, nor of who has one."""
    entries = dict(root.entries)
    if isinstance(tls := entries.get("tls_server_config"), Block):
        entries["tls_server_config"] = _hide_texts(tls, ("key", "cert", "client_ca"))
    match entries.get(USERS):
        case Block() as users:
            both: Mapping[str, Node] = {**users.empty, **users.entries}
            hidden = {name: _hide_user(node, users.path) for name, node in both.items()}
            entries[USERS] = replace(users, entries=hidden, empty={})
        case Text() as text:
            entries[USERS] = replace(text, hidden=True)
    return replace(root, entries=entries)


def _hide_texts(block: Block, keys: Iterable[str]) -> Block:
    hidden = {
        key: replace(node, hidden=True) for key, node in block.entries.items() if key in keys and isinstance(node, Text)
    }
    return replace(block, entries={**block.entries, **hidden})


def _hide_user(node: Node, path: str) -> Node:
    # The line tells which one it is: who mixes up name and password would see it in the log.
    return Text(node.text if isinstance(node, Text) else "", node.file, node.line, path, hidden=True)


def _remark(root: Block, remarks: Complaints) -> None:
    if not isinstance(http := root.entries.get("http_server_config"), Block):
        return
    if isinstance(http2 := http.entries.get("http2"), Text) and http2.text == "true":
        remarks.about(http2, "is ignored: HTTP/1.1 alone is spoken here, which every client can; write false")


def _headers(section: HeadersSection | None) -> Mapping[str, str]:
    if section is None:
        return {}
    return section.model_dump(by_alias=True, exclude_none=True)


def _context(wanted: TlsServerSection | None, papers: Papers, path: Path) -> ssl.SSLContext | None:
    """Make the context, of files that were good when they were checked."""
    if wanted is None or not (wanted.cert or wanted.cert_file):
        return None
    try:
        return server_context(wanted, papers)
    except (OSError, ValueError) as error:
        raise failed(path, 0, f"a file that it names has changed while it was read: {error}") from None
