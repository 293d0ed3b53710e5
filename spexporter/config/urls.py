"""Addresses in the configuration file. No message repeats an address: it may carry a password."""

import re
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

SERVER_PATTERN = r"postgresql://[^/?#\s]*/[^/?#\s]+(\?[^#\s]*)?"
STORE_PATTERN = rf"sqlite://(/[^?#]*[^?#/])?|{SERVER_PATTERN}"

_STORES = (
    "sqlite:///spexporter.db (in the working directory), sqlite:////var/lib/spexporter/spexporter.db (an absolute"
    " path), sqlite:// (memory alone) or postgresql://user:password@host/database"
)
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")


def api_url(text: str) -> str:
    """Return an http or https URL, its host in lower case, without the slash at its end.

    Raises:
        ValueError: It is not a URL, or has a user, a query or a fragment.
    """
    url = _split(text, "https://acme.api.identitynow.com")
    if "@" in url.netloc:
        raise ValueError("must not carry a user or password; they belong into client_id and client_secret")
    if "?" in text or "#" in text:
        raise ValueError("must end before the query and fragment (? and #)")
    return f"{url.scheme}://{url.netloc.lower()}{url.path.rstrip('/')}"


def proxy_url(text: str) -> str:
    """Return a proxy's URL as it is; it may carry a user and password.

    Raises:
        ValueError: It is not an http or https URL of a host alone.
    """
    url = _split(text, "http://proxy.example:3128")
    if url.path not in ("", "/") or "?" in text or "#" in text:
        raise ValueError("must name the proxy's host and port alone, such as http://proxy.example:3128")
    return text


def store_place(text: str) -> Path | SecretStr | None:
    """Return where a store is: a file or memory as `store_path` says, or the URL of a PostgreSQL database, hidden.

    Raises:
        ValueError: It is no URL of a store.
    """
    scheme = text.partition("://")[0]
    if not re.fullmatch(r"postgres(ql)?(\+.*)?", scheme):
        return store_path(text)
    if not text.isprintable() or not re.fullmatch(SERVER_PATTERN, text):
        raise ValueError("must be postgresql://user:password@host/database; what is special in a password as %40 for @")
    return SecretStr(text)


def store_path(text: str) -> Path | None:
    """Return the path in the URL of an SQLite file, as it is written, or None for `sqlite://`: memory alone.

    Raises:
        ValueError: It is not such a URL, or cannot name a file.
    """
    scheme, found, rest = text.partition("://")
    if scheme != "sqlite" or not found:
        raise ValueError(f"must be {_STORES}")
    if wrong := _wrong_place(rest):
        raise ValueError(wrong)
    return Path(rest[1:]) if rest else None


def _wrong_place(rest: str) -> str | None:
    """Say what is wrong with what follows `sqlite://`."""
    if "?" in rest or "#" in rest:
        return "must end before the query and fragment (? and #)"
    if rest.lstrip("/") == ":memory:":
        return "must be sqlite://, without :memory:, to keep everything in memory alone"
    if rest and not rest.startswith("/"):
        return "must have three slashes before a path: sqlite:///spexporter.db, or four before an absolute one"
    if not rest.isprintable() or rest != rest.rstrip():
        return "must not hold a line break or control character, nor end with a blank"
    if rest and rest.rpartition("/")[2] in {"", ".", ".."}:
        return "must end with the name of a file, such as sqlite:///spexporter.db"
    return None


def server_place(url: str) -> str:
    """Return the URL of a database without user, password and parameters, for people."""
    parts = urlsplit(url)
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"


def needs_tls(url: str) -> bool:
    """Tell whether `url`, as `api_url` returns it, would send a secret over a network in the clear."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


def _split(text: str, example: str) -> SplitResult:
    """Take an http or https URL apart.

    Raises:
        ValueError: It is not one; the message shows `example`.
    """
    wrong = f"must be an http or https URL such as {example}"
    if not text.isprintable() or re.search(r"[\s\\]", text):
        # urlsplit would drop line breaks and tabs without a word.
        raise ValueError(f"{wrong}, without blanks")
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
        if ":" in host:
            ip_address(host)
    except ValueError:
        raise ValueError(wrong) from None
    host_ok = ":" in host or _HOST.fullmatch(host)
    if url.scheme not in ("http", "https") or not host_ok or port == 0 or url.netloc.endswith(":"):
        raise ValueError(wrong)
    return url
