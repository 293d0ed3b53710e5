"""Secrets that tests plant, and the search for them in all that a program wrote."""

import base64
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from spexporter.simulator.tokens import SIGNATURE

CLIENT_SECRET = "pl@nted/client+secret=1"
"""Looks different in a urlencoded body, so that a search for its plain text alone would miss it there."""

PROXY_PASSWORD = "planted-proxy-password"


def leaks(text: str, secrets: Iterable[str] = (CLIENT_SECRET, PROXY_PASSWORD)) -> list[str]:
    """Return which of `secrets` are in `text` in any spelling, and whether a token of the simulator is."""
    spellings = {
        spelling
        for secret in secrets
        for spelling in (secret, quote(secret), quote_plus(secret), base64.b64encode(secret.encode()).decode())
    }
    return sorted(spelling for spelling in {*spellings, SIGNATURE} if spelling in text)
