"""What failures say."""

import errno
import socket
import ssl

import pytest

from spexporter.domain.errors import words_of


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(
            OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 9999)"), "Connection refused", id="asyncio"
        ),
        pytest.param(socket.gaierror(-2, "Name or service not known"), "Name or service not known", id="name server"),
        pytest.param(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), "[SSL: WRONG_VERSION_NUMBER]", id="TLS"),
        pytest.param(OSError("Multiple exceptions"), "Multiple exceptions", id="no number"),
    ],
)
def test_failures_speak_for_themselves(error: OSError, words: str) -> None:
    """The operating system's words where the number is its own: 1 is no lacking permission where TLS says it."""
    assert words_of(error) == words
