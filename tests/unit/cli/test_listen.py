import pytest
import typer

from spexporter.cli.listen import parse_address
from spexporter.web.listeners import Address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":9977", Address("", 9977)),
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("[::1]:9977", Address("::1", 9977)),
        ("exporter.example:80", Address("exporter.example", 80)),
    ],
)
def test_addresses_are_read_as_prometheus_flags_are(text: str, address: Address) -> None:
    """A missing host means all addresses."""
    assert parse_address(text, "--flag") == address


@pytest.mark.parametrize(
    "text", ["", "9977", "host", "host:port", "host:99999", "user@host:1", "http://host:1", "::1:9"]
)
def test_other_addresses_are_refused_with_the_flag_and_an_example(text: str) -> None:
    """What is wrong and what would be right."""
    with pytest.raises(typer.BadParameter, match=r"such as 127\.0\.0\.1:9977") as raised:
        parse_address(text, "--flag")
    assert raised.value.param_hint == "--flag"


def test_an_ipv6_address_is_shown_in_brackets() -> None:
    """As it was written."""
    assert str(Address("::1", 80)) == "[::1]:80"
