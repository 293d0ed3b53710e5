"""Addresses; most of what is refused has its file in bad/."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from spexporter.config import urls


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://acme.example/", "https://acme.example"),
        ("https://ACME.example:8443/Path//", "https://acme.example:8443/Path"),
        ("HTTPS://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_api_url_is_brought_into_one_form(text: str, url: str) -> None:
    """Host in lower case, path as it is, no slash at the end."""
    assert urls.api_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acme",
        "ftp://acme.example",
        "https://",
        "https:///path",
        "https://:443",
        "https://acme.example:",
        "https://acme.example:0",
        "https://acme.example:port",
        "https://[::1",
        "https://[acme]",
        "https://acme example",
        "https://acme.example\\@evil.example",
        "https://acme.example\n",
        "https://-acme.example",
        "https://acmé.example",
        "https://acme.example?",
        "https://acme.example#a",
        "https://@acme.example",
    ],
)
def test_other_api_urls_are_refused(text: str) -> None:
    """Nothing that two parsers could read differently gets through."""
    with pytest.raises(ValueError, match="must"):
        urls.api_url(text)


@pytest.mark.parametrize(
    "url", ["https://acme.example", "http://localhost:1", "http://a.localhost", "http://127.9.9.9", "http://[::1]:80"]
)
def test_tls_and_loopback_keep_a_secret(url: str) -> None:
    """What never leaves the host in the clear is allowed."""
    assert not urls.needs_tls(url)


@pytest.mark.parametrize(
    "url", ["http://acme.example", "http://10.0.0.1", "http://localhost.example", "http://127.0.0.1.example"]
)
def test_other_http_would_send_a_secret_in_the_clear(url: str) -> None:
    """What only looks like loopback is not."""
    assert urls.needs_tls(url)


def test_proxy_keeps_its_user() -> None:
    """A proxy may ask for a password."""
    assert urls.proxy_url("http://user:pass@proxy.example:3128/") == "http://user:pass@proxy.example:3128/"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("sqlite://", None),
        ("sqlite:///spexporter.db", Path("spexporter.db")),
        ("sqlite:///../a b/c%20d.db", Path("../a b/c%20d.db")),
        ("sqlite:////var/lib/spexporter.db", Path("/var/lib/spexporter.db")),
    ],
)
def test_store_is_a_file_or_memory(text: str, path: Path | None) -> None:
    """Three slashes before a path as it is, which the fourth makes absolute; none for memory alone."""
    assert urls.store_path(text) == path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *(
            (text, "must be sqlite:///spexporter.db")
            for text in ("", "a.db", "/a.db", "sqlite", "sqlite:", "sqlite:/a")
        ),
        *(
            (text, "must be sqlite:///spexporter.db")
            for text in ("SQLITE:///a", "sqlite3:///a", "sqlite+x:///a", "://")
        ),
        *((f"{scheme}://h/a", "must be postgresql:") for scheme in ("postgres", "postgresql+asyncpg")),
        *(
            (f"postgresql://{rest}", "must be postgresql:")
            for rest in ("", "h", "h/", "h/a#b", "h/a b", "h/a/b", "h/a\n")
        ),
        *((f"sqlite:{slashes}:memory:", "without :memory:") for slashes in ("//", "///", "////")),
        *((f"sqlite://{rest}", r"\(\? and #\)") for rest in ("?a", "#", "/a?", "/a#b", "a?mode=memory", "/?a=/b")),
        *((f"sqlite://{rest}", "must have three slashes") for rest in ("a", "a/b", "localhost/a.db", " ", "../a")),
        *((f"sqlite:///{rest}", "must end with the name of a file") for rest in ("", "/", "a/", "/a/", ".", "a/..")),
        *((f"sqlite:///{rest}", "must not hold") for rest in ("a\n", "a\0b", "a ", "a\tb", "\x1b[31m", "a\u2028b")),
    ],
)
def test_other_stores_are_refused(text: str, message: str) -> None:
    """Each with what would be right."""
    with pytest.raises(ValueError, match=message):
        urls.store_place(text)


@pytest.mark.parametrize("rest", ["h/d", "u:p%40@h:5432/d", "a,b:2/d?target_session_attrs=any", "/d?host=/run/pg"])
def test_store_is_a_database_whose_url_is_hidden(rest: str) -> None:
    """It may carry a password, name several hosts, or a socket."""
    place = urls.store_place(f"postgresql://{rest}")
    assert isinstance(place, SecretStr)
    assert place.get_secret_value() == f"postgresql://{rest}"
    assert "d" not in str(place)


@given(st.text(alphabet=st.sampled_from("abz:/.?#~ @%") | st.characters(codec="utf-8"), max_size=8))
def test_store_names_what_can_be_a_file(rest: str) -> None:
    """Whatever follows the scheme, the result is memory where nothing follows, else a path that ends with a name."""
    try:
        path = urls.store_path(f"sqlite://{rest}")
    except ValueError as error:
        assert str(error).startswith("must")  # noqa: PT017 - a path is as good
    else:
        assert (path is None) == (not rest)
        assert path is None or (path.name not in {"", ".", ".."} and str(path).isprintable())
