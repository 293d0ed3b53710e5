"""Certificates for tests, and bcrypt hashes that take no time."""

from pathlib import Path
from typing import NamedTuple

import bcrypt
import trustme


class Papers(NamedTuple):
    """PEM files of one certificate, and of the authority that signed it."""

    cert: Path
    key: Path
    authority: Path

    def replace_by(self, other: "Papers") -> None:
        """Put another pair into the files."""
        self.cert.write_bytes(other.cert.read_bytes())
        self.key.write_bytes(other.key.read_bytes())


def papers(folder: Path, name: str, *identities: str, authority: trustme.CA | None = None) -> Papers:
    """Write a new certificate for `identities`, by default loopback, into files that begin with `name`."""
    authority = authority or trustme.CA()
    issued = authority.issue_cert(*(identities or ("127.0.0.1", "localhost")))
    found = Papers(folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}-ca.pem")
    found.cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    found.key.write_bytes(issued.private_key_pem.bytes())
    authority.cert_pem.write_to_path(str(found.authority))
    return found


def hashed(password: str, cost: int = 4) -> str:
    """Return the hash of a password as `htpasswd -nB` writes it."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode().replace("$2b$", "$2y$")
