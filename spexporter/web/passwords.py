"""Passwords against bcrypt hashes: each is looked at once, off the event loop, and what came out is remembered.

A look takes as long as the hash wants, 70 ms as a rule; a scrape must not, and wrong passwords must hold up nobody.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import bcrypt

_LONGEST_BYTES = 72  # bcrypt looks at no more, so a longer one would pass by its beginning
_REMEMBERED = 256  # right ones, and as many wrong ones
_WAITING = 64  # so that the last one waits for some seconds, which is less than a scrape may take
_WAITING_FROM_ONE_PLACE = 16
# No password is this one's: what is checked where there is no such user, so that the answer comes no sooner.
_NOBODYS = b"$2b$%s$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"


class TooManyLooks(Exception):
    """So many passwords are being looked at that another one would wait too long."""


class Passwords:
    """Tells whether a password is right; it remembers no password, only keyed hashes of all that made the answer."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        # Apart, so that wrong ones, of which there is no end, never push out right ones.
        self._right, self._wrong = _Recent(_REMEMBERED), _Recent(_REMEMBERED)
        self._looks: dict[bytes, asyncio.Future[bool]] = {}
        self._waiting: Counter[str] = Counter()
        self._turn = asyncio.Semaphore(1)

    async def fit(self, users: Mapping[bytes, bytes], user: bytes, password: bytes, peer: str) -> bool:
        """Tell whether `user` is one of `users`, which are hashes by name, and this the password; `peer` is who asks.

        Raises:
            TooManyLooks: ask again later.
        """
        if len(password) > _LONGEST_BYTES:
            return False
        hashed = users.get(user, _nobodys(users))
        mark = self._mark(user, hashed, password)
        if mark in self._right or mark in self._wrong:
            return mark in self._right
        if look := self._looks.get(mark):
            return await asyncio.shield(look)
        with self._place(peer), self._look_of(mark) as look:
            async with self._turn:
                fits = await asyncio.to_thread(bcrypt.checkpw, password, hashed) and user in users
            (self._right if fits else self._wrong).add(mark)
            look.set_result(fits)
        return fits

    def _mark(self, *parts: bytes) -> bytes:
        joined = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._key, joined, hashlib.sha256)

    @contextmanager
    def _look_of(self, mark: bytes) -> Iterator[asyncio.Future[bool]]:
        """Let others who ask the same wait for this look."""
        look = self._looks[mark] = asyncio.get_running_loop().create_future()
        try:
            yield look
        finally:
            look.cancel()  # unless it has come to its end
            del self._looks[mark]

    @contextmanager
    def _place(self, peer: str) -> Iterator[None]:
        if self._waiting.total() >= _WAITING or self._waiting[peer] >= _WAITING_FROM_ONE_PLACE:
            raise TooManyLooks
        self._waiting[peer] += 1
        try:
            yield
        finally:
            self._waiting[peer] -= 1
            if not self._waiting[peer]:
                del self._waiting[peer]


class _Recent:
    """The marks that were asked for last."""

    def __init__(self, size: int) -> None:
        self._marks: OrderedDict[bytes, None] = OrderedDict()
        self._size = size

    def __contains__(self, mark: bytes) -> bool:
        if mark not in self._marks:
            return False
        self._marks.move_to_end(mark)
        return True

    def add(self, mark: bytes) -> None:
        self._marks[mark] = None
        if len(self._marks) > self._size:
            self._marks.popitem(last=False)


def _nobodys(users: Mapping[bytes, bytes]) -> bytes:
    """Return a hash that takes as long as the slowest of the users'."""
    return _NOBODYS % max((hashed[4:6] for hashed in users.values()), default=b"10")
