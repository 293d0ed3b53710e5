"""Secrets are hidden, and read again when they are needed."""

from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import SecretStr

from spexporter.config import Secret


def secret_file(folder: Path, content: bytes) -> Secret:
    file = folder / "secret"
    file.write_bytes(content)
    return Secret(file)


@pytest.mark.parametrize("content", [b"planted", b"planted\n", b"planted\r\n", b"\xef\xbb\xbfplanted\n"])
def test_line_break_at_the_end_is_dropped(tmp_path: Path, content: bytes) -> None:
    """However an editor or a tool wrote the file, the secret is the same."""
    assert secret_file(tmp_path, content).reveal() == "planted"


def test_nothing_but_the_last_line_break_is_dropped(tmp_path: Path) -> None:
    """A secret may have blanks."""
    assert secret_file(tmp_path, b" a b \n\n").reveal() == " a b \n"


def test_file_is_read_again_each_time(tmp_path: Path) -> None:
    """A secret that was changed in its file is used without a restart."""
    secret = secret_file(tmp_path, b"old")
    assert secret.reveal() == "old"
    secret_file(tmp_path, b"new")
    assert secret.reveal() == "new"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xffplanted", "is not UTF-8 text"),
        (b"x" * (64 * 1024 + 1), "is larger than 65536 bytes"),
    ],
    ids=["empty", "blank", "not text", "huge"],
)
def test_unusable_file_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    """Each reason is in words, and none shows the content."""
    with pytest.raises(OSError, match=reason) as raised:
        secret_file(tmp_path, content).reveal()
    assert raised.value.strerror == reason
    assert raised.value.__cause__ is None


def test_secret_is_not_shown() -> None:
    """Neither repr, str nor a dump of the fields shows the text."""
    secret = Secret(SecretStr("planted"))
    assert secret.reveal() == "planted"
    assert "planted" not in f"{secret!r} {secret} {asdict(secret)}"
