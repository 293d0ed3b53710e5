"""Passwords are looked at once, all in the same way, and never so many that others wait."""

import asyncio
import threading
from collections.abc import Iterator
from unittest.mock import patch

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.web.passwords import Passwords, TooManyLooks

QUICK = bcrypt.gensalt(4)
RIGHT = b"correct horse"
USERS = {b"alice": bcrypt.hashpw(RIGHT, QUICK), b"bob": bcrypt.hashpw(b"battery", QUICK)}
PEER = "192.0.2.1"


class Looks:
    """Counts looks, and holds them up where a test wants."""

    def __init__(self) -> None:
        self.hashes: list[bytes] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.at_once = self.most_at_once = 0

    def check(self, password: bytes, hashed: bytes) -> bool:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.hashes.append(hashed)
        assert self.go_on.wait(10)
        self.at_once -= 1
        return check(password, hashed)


check = bcrypt.checkpw


@pytest.fixture
def looks() -> Iterator[Looks]:
    with patch.object(bcrypt, "checkpw", Looks().check) as patched:
        yield patched.__self__  # type: ignore[attr-defined]  # the method's


async def test_right_password_is_looked_at_once(looks: Looks) -> None:
    """However often a scraper comes."""
    passwords = Passwords()
    assert [await passwords.fit(USERS, b"alice", RIGHT, PEER) for _ in range(5)] == [True] * 5
    assert looks.hashes == [USERS[b"alice"]]


async def test_wrong_password_is_looked_at_once(looks: Looks) -> None:
    """The password of another user is a wrong one, too."""
    passwords = Passwords()
    assert [await passwords.fit(USERS, b"alice", b"battery", PEER) for _ in range(5)] == [False] * 5
    assert len(looks.hashes) == 1


async def test_unknown_user_takes_the_same_way(looks: Looks) -> None:
    """A look at a hash of the same cost, so that nobody finds out who is one by the time that it takes."""
    users = {b"alice": USERS[b"alice"].replace(b"$04$", b"$05$"), b"bob": USERS[b"bob"]}
    passwords = Passwords()
    assert [await passwords.fit(users, b"mallory", RIGHT, PEER) for _ in range(2)] == [False, False]
    assert [hashed[:7] for hashed in looks.hashes] == [b"$2b$05$"]


async def test_nobodys_hash_lets_nobody_in(looks: Looks) -> None:
    """Whatever stands in for a hash that there is not would fit: who is no user stays outside."""
    with patch.object(looks, "check", return_value=True), patch.object(bcrypt, "checkpw", return_value=True):
        assert not await Passwords().fit(USERS, b"mallory", RIGHT, PEER)


@pytest.mark.parametrize("length", [73, 10_000])
async def test_password_that_bcrypt_would_cut_is_wrong(looks: Looks, length: int) -> None:
    """It would pass by its first 72 bytes, or be an error of the library."""
    longest = b"x" * 72
    users = {b"alice": bcrypt.hashpw(longest, QUICK)}
    assert await Passwords().fit(users, b"alice", longest, PEER)
    assert not await Passwords().fit(users, b"alice", b"x" * length, PEER)
    assert len(looks.hashes) == 1


async def test_changed_hash_is_looked_at_anew(looks: Looks) -> None:
    """What was right before is of no account."""
    passwords = Passwords()
    assert await passwords.fit(USERS, b"alice", RIGHT, PEER)
    changed = {**USERS, b"alice": bcrypt.hashpw(b"new", QUICK)}
    assert not await passwords.fit(changed, b"alice", RIGHT, PEER)
    assert await passwords.fit(changed, b"alice", b"new", PEER)
    assert not await passwords.fit({}, b"alice", b"new", PEER)
    assert len(looks.hashes) == 4


async def test_those_who_ask_the_same_wait_for_one_look(looks: Looks) -> None:
    """Fifty scrapers after a start."""
    passwords = Passwords()
    answers = await asyncio.gather(*(passwords.fit(USERS, b"alice", RIGHT, PEER) for _ in range(50)))
    assert answers == [True] * 50
    assert len(looks.hashes) == 1


async def test_flood_of_wrong_passwords_holds_up_nobody_who_is_known(looks: Looks) -> None:
    """One is looked at after the other, few wait, the rest are sent away, and who was right before comes in at once."""
    passwords = Passwords()
    assert await passwords.fit(USERS, b"alice", RIGHT, PEER)
    looks.go_on.clear()
    flood = [
        asyncio.ensure_future(passwords.fit(USERS, b"alice", str(n).encode(), f"192.0.2.{n % 9}")) for n in range(1000)
    ]
    await asyncio.sleep(0)
    sent_away = [ask for ask in flood if ask.done() and isinstance(ask.exception(), TooManyLooks)]
    assert len(sent_away) == 1000 - 64
    assert await passwords.fit(USERS, b"alice", RIGHT, PEER)
    with pytest.raises(TooManyLooks):
        await passwords.fit(USERS, b"bob", b"battery", PEER)
    looks.go_on.set()
    waited = await asyncio.gather(*(ask for ask in flood if ask not in sent_away))
    assert waited == [False] * 64
    assert looks.most_at_once == 1
    assert await passwords.fit(USERS, b"bob", b"battery", PEER)


async def test_flood_from_one_place_leaves_room_for_others(looks: Looks) -> None:
    """Only so many wait from each."""
    passwords = Passwords()
    looks.go_on.clear()
    flood = [asyncio.ensure_future(passwords.fit(USERS, b"eve", str(n).encode(), "192.0.2.66")) for n in range(100)]
    other = asyncio.ensure_future(passwords.fit(USERS, b"alice", RIGHT, PEER))
    await asyncio.sleep(0)
    looks.go_on.set()
    ended = await asyncio.gather(*flood, return_exceptions=True)
    assert (ended.count(False), sum(isinstance(one, TooManyLooks) for one in ended)) == (16, 84)
    assert await other


async def test_wrong_passwords_never_push_out_right_ones(looks: Looks) -> None:
    """And no more than so many of either are remembered."""
    passwords = Passwords()
    assert await passwords.fit(USERS, b"alice", RIGHT, PEER)
    for n in range(300):
        await passwords.fit(USERS, b"alice", str(n).encode(), PEER)
    before = len(looks.hashes)
    assert await passwords.fit(USERS, b"alice", RIGHT, PEER)
    assert not await passwords.fit(USERS, b"alice", b"299", PEER)
    assert len(looks.hashes) == before
    assert not await passwords.fit(USERS, b"alice", b"0", PEER)
    assert len(looks.hashes) == before + 1


@given(st.binary(max_size=80), st.binary(max_size=80))
async def test_only_the_pair_of_user_and_password_fits(user: bytes, password: bytes) -> None:
    """Whatever bytes either has; none of them is an error."""
    assert await Passwords().fit(USERS, user, password, PEER) == (
        (user, password) in {(b"alice", RIGHT), (b"bob", b"battery")}
    )
