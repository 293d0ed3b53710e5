"""Addresses; most of what is refused has its file in bad/."""

import pytest

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
