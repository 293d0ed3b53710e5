"""Somebody who hears what a program tells its supervisor, as systemd does."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Ear:
    """A datagram socket at `address`, which is a path, or a name in no folder where it begins with `@`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)  # noqa: FBT003 - the only way to say so

    def heard(self) -> list[str]:
        """Return what came since the last call, the oldest first, the lines of each joined by a space."""
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode().replace("\n", " "))
            except BlockingIOError:
                return messages

    def close(self) -> None:
        """Hear nothing any more."""
        self._socket.close()


@contextmanager
def listening(folder: Path, address: str | None = None) -> Iterator[Ear]:
    """Hear what is told, in `folder` unless an `address` is given, for as long as the block lasts."""
    ear = Ear(address or str(folder / "notify"))
    try:
        yield ear
    finally:
        ear.close()
