"""What can happen to the disk or the file of a store, each for as long as a block lasts."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

BLOCK = 4096
GARBAGE = b"This is no database: synthetic garbage in a test.\n" * 400


@contextmanager
def small_disk(folder: Path, size_kib: int = 1024) -> Iterator[Path]:
    """Mount a disk in memory at the new `folder`; the test is skipped where this user may not mount anything."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size_kib}k", "none", folder)
    try:
        yield folder
    finally:
        _unmount(folder)


@contextmanager
def full(store: Path) -> Iterator[None]:
    """Leave no room on the disk of `store`."""
    fill(store)
    try:
        yield
    finally:
        _ballast(store).unlink()


def fill(store: Path) -> None:
    """Take what room there is on the disk of `store`, as long as `full` lasts."""
    with _ballast(store).open("ab", buffering=0) as file, suppress(OSError):
        while file.write(bytes(BLOCK)):
            pass
    assert shutil.disk_usage(store.parent).free == 0


def _ballast(store: Path) -> Path:
    return store.with_name("ballast")


@contextmanager
def read_only(store: Path) -> Iterator[None]:
    """Make the folder of `store`, which is a disk of its own, read-only, as the kernel does after an error of the disk.

    Remounting is refused while a daemon holds its lock file open, so a read-only view is laid over it.
    """
    _mount("--bind", "-o", "ro", store.parent, store.parent)
    try:
        assert os.statvfs(store.parent).f_flag & os.ST_RDONLY
        yield
    finally:
        _unmount(store.parent)


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the lock that SQLite takes to write the whole file."""
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def overwritten(store: Path) -> Iterator[None]:
    """Write garbage into the file, and remove it at the end."""
    with store.open("r+b") as file:
        file.write(GARBAGE)
        file.truncate()
    yield
    store.unlink()


def back_up(store: Path) -> None:
    """Copy the store as the documentation says, while a daemon uses it."""
    with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(_backup(store))) as target:
        source.backup(target)


@contextmanager
def exchanged(store: Path) -> Iterator[None]:
    """Move garbage to where the file is, and at the end the copy back that `back_up` has made."""
    garbage = store.with_name("garbage")
    garbage.write_bytes(GARBAGE)
    garbage.replace(store)
    yield
    _backup(store).replace(store)


def empty(store: Path) -> None:
    """Take all that is in the file."""
    os.truncate(store, 0)


def set_version(store: Path, version: int) -> None:
    """Let the store look as if another version of the program had written it."""
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE ledger SET version = ?", (version,))


def _backup(store: Path) -> Path:
    return store.with_name("backup")


def _mount(*arguments: str | Path) -> None:
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S607
