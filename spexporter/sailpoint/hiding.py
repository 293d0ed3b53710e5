"""What a tenant was asked with is taken out of what it answers: a hostile or careless gateway may send it back.

Else it would come into errors, the log and the page for people.
"""

import re
from functools import lru_cache
from urllib.parse import quote, quote_plus

HIDDEN = "(hidden)"
_SAME_EVERYWHERE = re.compile("[A-Za-z0-9_.~-]*")  # unreserved: RFC 3986 section 2.3


@lru_cache(maxsize=1024)
def spellings(secret: str) -> frozenset[str]:
    """Return how a secret may be written in an answer; most tokens look the same everywhere."""
    if _SAME_EVERYWHERE.fullmatch(secret):
        return frozenset({secret})
    return frozenset({secret, quote(secret), quote(secret, safe=""), quote_plus(secret)})


def without(body: bytes, *secrets: str) -> bytes:
    """Return a body without secrets; the very same where there are none in it."""
    for secret in secrets:
        if not secret or len(secret) > len(body):  # no spelling is shorter, and a token is longer than most answers
            continue
        for spelling in spellings(secret):
            body = body.replace(spelling.encode(), HIDDEN.encode())
    return body


class Hiding:
    """Takes a secret out of a body that comes in pieces; the end of each is held until the next one has come."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._longest = max(len(spelling.encode()) for spelling in spellings(secret))
        self._held = b""

    def without(self, piece: bytes) -> bytes:
        """Return what was held and `piece`, but for its end, without the secret."""
        data = without(self._held + piece, self._secret)
        end = max(0, len(data) - self._longest + 1)
        self._held = data[end:]
        return data[:end]

    def rest(self) -> bytes:
        """Return what is held at the end of the body."""
        return self._held
