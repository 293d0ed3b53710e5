from pathlib import Path

import pytest
import typer

from spexporter.cli.listen import parse_address, parse_place
from spexporter.domain.errors import StartError
from spexporter.web.listeners import Address, HandedOver, Place, UnixSocket, handed_over


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


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:9977", Address("127.0.0.1", 9977)),
        ("unix:/run/spexporter.sock", UnixSocket(Path("/run/spexporter.sock"))),
        ("unix:///run/spexporter.sock", UnixSocket(Path("/run/spexporter.sock"))),
        ("unix:spexporter.sock", UnixSocket(Path("spexporter.sock"))),
    ],
)
def test_daemon_may_listen_at_a_path_too(text: str, place: Place) -> None:
    """As a URL or without its slashes."""
    assert parse_place(text, "--flag") == place


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("unix:", "must be unix:PATH, such as unix:/run/spexporter.sock"),
        ("unix:/a\0b", "must be unix:PATH, such as unix:/run/spexporter.sock"),
        ("unix://run/x.sock", "must have a path that begins with / after unix://, such as unix:///run/x.sock"),
        ("unix", "must be HOST:PORT or :PORT"),
    ],
)
def test_other_paths_are_refused_with_an_example(text: str, said: str) -> None:
    """What is wrong and what would be right."""
    with pytest.raises(typer.BadParameter) as raised:
        parse_place(text, "--flag")
    assert raised.value.message.startswith(said)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "LISTEN_PID is not this process"),
        ({"LISTEN_PID": "8", "LISTEN_FDS": "1"}, "LISTEN_PID is not this process"),
        ({"LISTEN_PID": "7"}, "LISTEN_FDS is no number above 0"),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "0"}, "LISTEN_FDS is no number above 0"),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "x"}, "LISTEN_FDS is no number above 0"),
    ],
)
def test_who_was_handed_no_socket_is_told_how_to_be(environ: dict[str, str], said: str) -> None:
    """Somebody else's sockets are none."""
    with pytest.raises(StartError, match=rf"{said}\); start it with a \.socket unit, or leave"):
        handed_over(environ, 7)


def test_sockets_are_handed_over_from_three_on() -> None:
    """As systemd has it."""
    assert handed_over({"LISTEN_PID": "7", "LISTEN_FDS": "2"}, 7) == [HandedOver(3), HandedOver(4)]
