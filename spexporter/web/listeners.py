"""Where the daemon listens: addresses, sockets in the file system, and sockets that systemd has opened."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from spexporter.domain.errors import StartError, words_of

_WAITING = 1024  # connections that nobody has looked at yet
_FIRST_HANDED_OVER = 3  # source: sd_listen_fds(3), SD_LISTEN_FDS_START


class Address(NamedTuple):
    """Where to listen; an empty host means all addresses, port 0 a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixSocket(NamedTuple):
    """A socket in the file system."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


class HandedOver(NamedTuple):
    """A socket that was opened before the program began: its number as a file."""

    number: int

    def __str__(self) -> str:
        return f"the socket {self.number} of systemd"


Place = Address | UnixSocket | HandedOver


class Listening(NamedTuple):
    """Sockets on which connections arrive, what follows the scheme in their URL, and the file that was made."""

    sockets: Sequence[socket.socket]
    rest: str
    made: Path | None = None

    def url(self, scheme: str) -> str:
        """Return the URL under which a place is reached; that of a socket in the file system is none for browsers."""
        return self.rest if self.rest.startswith("unix:") else f"{scheme}://{self.rest}"


@asynccontextmanager
async def listening(place: Place) -> AsyncIterator[Listening]:
    """Listen at a place for as long as the block lasts.

    Raises:
        StartError: that is not possible; it says what would be.
    """
    try:
        match place:
            case Address():
                found = await _open_address(place)
            case UnixSocket():
                found = _open_path(place)
            case HandedOver():
                found = _take_over(place)
    except OSError as error:
        cure = "choose another address with --web.listen-address"
        if isinstance(place, HandedOver):
            cure = "let the .socket unit have as many ListenStream= as it hands over"
        raise StartError(f"cannot listen on {place}: {words_of(error)}; {cure}") from error
    try:
        yield found
    finally:
        for each in found.sockets:
            each.close()
        if found.made:
            found.made.unlink(missing_ok=True)


async def _open_address(address: Address) -> Listening:
    # It knows which addresses a name has, and how those of two families go together.
    server = await asyncio.get_running_loop().create_server(
        asyncio.Protocol, address.host or None, address.port, start_serving=False
    )
    sockets = [each.dup() for each in server.sockets]
    server.close()
    for each in sockets:
        each.listen(_WAITING)
    port = sockets[-1].getsockname()[1]
    return Listening(sockets, str(Address(address.host or "localhost", port)))


def _open_path(place: UnixSocket) -> Listening:
    mode = _clear(place)
    opened = socket.socket(socket.AF_UNIX)
    try:
        opened.setblocking(False)  # noqa: FBT003 - the name says what
        opened.bind(str(place.path))
        if mode is not None:
            place.path.chmod(mode)
        opened.listen(_WAITING)
    except OSError:
        opened.close()
        raise
    return Listening([opened], str(place), made=place.path)


def _clear(place: UnixSocket) -> int | None:
    """Remove a socket that nobody serves any more, and return its mode.

    Raises:
        StartError: something else is there, or somebody serves it.
    """
    try:
        mode = place.path.lstat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISSOCK(mode):
        raise StartError(
            f"cannot listen on {place}: there is a file that is no socket; remove it, or choose another path"
        )
    with socket.socket(socket.AF_UNIX) as trial:
        try:
            trial.connect(str(place.path))
        except ConnectionRefusedError:
            place.path.unlink()
            return stat.S_IMODE(mode)
    raise StartError(f"cannot listen on {place}: another process serves there; end it, or choose another path")


def _take_over(place: HandedOver) -> Listening:
    os.set_inheritable(place.number, False)  # noqa: FBT003 - the name says what
    taken = socket.socket(fileno=place.number)
    try:
        listens = taken.type == socket.SOCK_STREAM and taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        listens = 0
    if not listens:
        taken.detach()
        raise StartError(
            f"{place} does not listen for streams; write ListenStream= and no Accept=yes in the .socket unit"
        )
    taken.setblocking(False)  # noqa: FBT003 - the name says what
    name = taken.getsockname()
    return Listening([taken], f"unix:{name}" if isinstance(name, str) else str(Address(*name[:2])))


def handed_over(environ: Mapping[str, str], pid: int) -> list[HandedOver]:
    """Return the sockets that systemd has opened for this process.

    Raises:
        StartError: there are none; it says how there would be.
    """
    cure = "start it with a .socket unit, or leave --web.systemd-socket out"
    if environ.get("LISTEN_PID") != str(pid):
        raise StartError(f"systemd has handed over no socket (LISTEN_PID is not this process); {cure}")
    count = environ.get("LISTEN_FDS", "")
    if not count.isdecimal() or not 0 < int(count) <= _WAITING:
        raise StartError(f"systemd has handed over no socket (LISTEN_FDS is no number above 0); {cure}")
    return [HandedOver(_FIRST_HANDED_OVER + index) for index in range(int(count))]
