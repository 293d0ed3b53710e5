"""One daemon for each store: a lock beside its file, which the system takes back when the process ends in any way."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spexporter.domain.errors import StoreError


@contextmanager
def sole_owner(path: Path) -> Iterator[None]:
    """Hold the lock of the store at `path` for as long as the block lasts.

    Raises:
        StoreError: another process holds it, or the folder cannot be written.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        handle = lock.open("a+")
    except OSError as error:
        raise StoreError(
            f"store {path}: cannot write {lock}: {os.strerror(error.errno or 0)}",
            cure="let store.url name a file in a folder that exists and that this user may write",
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            raise StoreError(
                f"store {path} is in use by another spexporter: {handle.read().strip() or 'it does not say which'}",
                cure="stop that one first, or give each a store of its own with store.url",
            ) from error
        _sign(handle.fileno())
        yield


def _sign(handle: int) -> None:
    os.ftruncate(handle, 0)
    os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
