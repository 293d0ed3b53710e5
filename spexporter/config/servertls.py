"""`tls_server_config`: what is wrong with it, and the context that does what it says."""

import ssl
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from spexporter.config.gotls import CIPHERS, CURVES, VERSIONS
from spexporter.config.nodes import Block, Complaints, Text, texts
from spexporter.config.webmodel import NO_CLIENT, REQUIRED, TlsServerSection

_OLD = ("TLS10", "TLS11")
_VERIFY = {NO_CLIENT: ssl.CERT_NONE, REQUIRED: ssl.CERT_REQUIRED}


@dataclass(frozen=True, slots=True)
class Papers:
    """The PEM files that a section names, and what it holds itself: certificate, key, authority of the clients."""

    cert: Path | str | None = None
    key: Path | str | None = field(default=None, repr=False)
    client_ca: Path | str | None = None

    @classmethod
    def named_by(cls, section: Block) -> Self:
        """Read the keys of a section; relative paths start at the folder of its file."""

        def find(key: str) -> Path | str | None:
            if text := section.text(key):
                return text
            node = section.entries.get(f"{key}_file")
            return Path(node.file).parent / node.text if isinstance(node, Text) and node.text else None

        return cls(find("cert"), find("key"), find("client_ca"))

    def files(self) -> Iterator[Path]:
        """Yield those that are files."""
        yield from (it for it in (self.cert, self.key, self.client_ca) if isinstance(it, Path))

    def load_pair(self, context: ssl.SSLContext) -> None:
        """Load certificate and key; only files can be: what is none becomes one, for the owner alone, and goes at once.

        Raises:
            OSError: They cannot be used.
        """
        with tempfile.TemporaryDirectory(prefix="spexporter-") as folder:
            cert, key = _as_file(self.cert, Path(folder) / "cert"), _as_file(self.key, Path(folder) / "key")
            # With an empty passphrase: without any, OpenSSL would ask for one at the terminal.
            context.load_cert_chain(cert, key, password="")

    def load_authority(self, context: ssl.SSLContext) -> None:
        """Trust clients whose certificates the authority has signed; nothing where there is none.

        Raises:
            OSError: It cannot be used.
        """
        match self.client_ca:
            case Path() as file:
                context.load_verify_locations(cafile=file)
            case str() as text:
                context.load_verify_locations(cadata=text)


def _as_file(paper: Path | str | None, place: Path) -> Path:
    if isinstance(paper, Path):
        return paper
    place.touch(mode=0o600)
    place.write_text(paper or "", encoding="utf-8")
    return place


def server_context(wanted: TlsServerSection, papers: Papers) -> ssl.SSLContext:
    """Return a context for a section without mistakes.

    Raises:
        OSError: A file cannot be used any more; `ssl.SSLError` is one, too.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    _set_ciphers(context, wanted)
    _set_versions(context, wanted)
    if len(wanted.curve_preferences) == 1:
        context.set_ecdh_curve(CURVES[wanted.curve_preferences[0]])
    if wanted.prefer_server_cipher_suites is False:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    papers.load_pair(context)
    papers.load_authority(context)
    context.verify_mode = _VERIFY.get(wanted.client_auth_type, ssl.CERT_OPTIONAL)
    # As in Go, every certificate in the file is trusted, not only those that signed themselves.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def check_tls(section: Block, papers: Papers, complaints: Complaints, remarks: Complaints) -> None:
    """Note what concerns several keys or the files, and in `remarks` what cannot be had."""
    for key in ("cert", "key", "client_ca"):
        _not_both(section, key, complaints)
    if section.entries:
        _check_pair(section, complaints)
    _check_clients(section, complaints)
    _check_versions(section, complaints)
    _check_files(section, papers, complaints)
    if len(curves := texts(section, "curve_preferences")) > 1:
        remarks.about(curves[0], "is ignored, with those after it: all of them are on, and only one can be preferred")


def _not_both(section: Block, key: str, complaints: Complaints) -> None:
    here, there = section.entries.get(key), section.entries.get(f"{key}_file")
    if here and there:
        later, name = (here, f"{key}_file") if here.line > there.line else (there, key)
        complaints.about(later, f"cannot stand beside {name}; keep one of the two")


def _has(section: Block, key: str) -> bool:
    return bool(section.entries.keys() & {key, f"{key}_file"})


def _check_pair(section: Block, complaints: Complaints) -> None:
    for key in ("cert", "key"):
        if not _has(section, key):
            cure = "name the PEM file, or leave tls_server_config out for plain HTTP"
            complaints.about(section, f"is missing; {cure}", key=f"{key}_file")


def _check_clients(section: Block, complaints: Complaints) -> None:
    kind, has_authority = section.text("client_auth_type") or NO_CLIENT, _has(section, "client_ca")
    if has_authority and kind == NO_CLIENT:
        why = "without it no client is asked for a certificate"
        complaints.about(section, f"is missing: {why}; write {REQUIRED}", key="client_auth_type")
    if not has_authority and kind != NO_CLIENT:
        cure = "name the authority that signed the clients' certificates"
        complaints.about(section, f"is missing; {cure}", key="client_ca_file")
    if (allowed := section.entries.get("client_allowed_sans")) and kind != REQUIRED:
        complaints.about(allowed, f"needs client_auth_type {REQUIRED}: others let clients without a certificate in")


def _check_versions(section: Block, complaints: Complaints) -> None:
    lowest, highest = section.text("min_version") or "TLS12", section.text("max_version") or "TLS13"
    if {lowest, highest} <= VERSIONS.keys() and VERSIONS[lowest] > VERSIONS[highest]:
        key = "max_version" if "max_version" in section.entries else "min_version"
        complaints.about(section.entries[key], f"leaves no version between {lowest} and {highest}")
    names = [CIPHERS.get(node.text, "unknown") for node in texts(section, "cipher_suites")]
    if names and not any(names) and highest != "TLS13":
        message = f"names none that {highest} has, only some of TLS 1.3; add one with WITH in its name"
        complaints.about(section.entries["cipher_suites"], message)


def _check_files(section: Block, papers: Papers, complaints: Complaints) -> None:
    def complain(key: str, wrong: str | None) -> None:
        if wrong:
            complaints.about(section.entries.get(f"{key}_file") or section.entries[key], wrong, show=True)

    scratch = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if papers.cert and papers.key:
        wrong = _unreadable(papers.cert), _unreadable(papers.key)
        complain("cert", wrong[0])
        complain("key", wrong[1])
        if not any(wrong):
            not_pem = "holds no PEM certificate that fits the key, or the key has a passphrase"
            complain("cert", _wrong(lambda: papers.load_pair(scratch), not_pem))
    if papers.client_ca:
        complain("client_ca", _wrong(lambda: papers.load_authority(scratch), "holds no PEM certificates"))


def _unreadable(paper: Path | str) -> str | None:
    return _wrong(paper.read_bytes, "") if isinstance(paper, Path) else None


def _wrong(use: Callable[[], object], not_pem: str) -> str | None:
    """Say why something cannot be used, None where it can."""
    try:
        use()
    except (ssl.SSLError, ValueError):
        return not_pem
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    return None


def _set_ciphers(context: ssl.SSLContext, wanted: TlsServerSection) -> None:
    names = [CIPHERS[name] for name in wanted.cipher_suites if CIPHERS[name]]
    # OpenSSL's own level of security forbids what older versions are made of.
    level = ["@SECLEVEL=0"] if wanted.min_version in _OLD else []
    if names or level:
        context.set_ciphers(":".join([*(names or ["DEFAULT"]), *level]))


def _set_versions(context: ssl.SSLContext, wanted: TlsServerSection) -> None:
    if wanted.min_version not in _OLD:
        context.minimum_version, context.maximum_version = VERSIONS[wanted.min_version], VERSIONS[wanted.max_version]
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # some old client may need what is deprecated
        context.minimum_version, context.maximum_version = VERSIONS[wanted.min_version], VERSIONS[wanted.max_version]
