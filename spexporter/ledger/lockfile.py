"""One daemon for each store: a lock beside its file, which the system takes back when the process ends in any way."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from spexporter.domain.errors import StoreError


@contextmanager
def sole_owner(path: Path) -> Iterator["Lock"]:
    """Hold the lock of the store at `path` for as long as the block lasts.

    Raises:
        StoreError: another process holds it, or the folder cannot be written.
    """
    lock = Lock(path)
    lock.take()
    try:
        yield lock
    finally:
        lock.release()


class Lock:
    """The file `<store>.lock`, locked; it says who holds it."""

    def __init__(self, path: Path) -> None:
        self._store = path
        self._path = path.with_name(f"{path.name}.lock")
        self._handle: TextIO | None = None

    def take(self) -> None:
        """Lock the file that is there now, or a new one, unless it is the one that is locked already.

        Raises:
            StoreError: another process holds it, or the folder cannot be written.
        """
        if self._handle is not None and self._is_there(self._handle):
            return
        handle = self._opened()
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            owner = handle.read().strip() or "it does not say which"
            handle.close()
            raise StoreError(
                f"store {self._store} is in use by another spexporter: {owner}",
                cure="stop that one first, or give each a store of its own with store.url",
            ) from error
        with suppress(OSError):  # a full disk: the store itself says so, better than this file can
            _sign(handle.fileno())
        self.release()
        self._handle = handle

    def release(self) -> None:
        """Let another process have it."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def _opened(self) -> TextIO:
        try:
            return self._path.open("a+")
        except OSError as error:
            raise StoreError(
                f"store {self._store}: cannot write {self._path}: {os.strerror(error.errno or 0)}",
                cure="let store.url name a file in a folder that exists and that this user may write",
            ) from error

    def _is_there(self, handle: TextIO) -> bool:
        """Whether the locked file still has its name: somebody may have removed it with the store."""
        try:
            return os.path.samestat(os.fstat(handle.fileno()), self._path.stat())
        except OSError:
            return False


def _sign(handle: int) -> None:
    os.ftruncate(handle, 0)
    os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
