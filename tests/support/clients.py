"""One tenant's client with scripted answers, for what a well-behaved server never sends."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aioresponses import aioresponses

from spexporter.config import MaxAnswer
from spexporter.domain.budget import RateLimit
from spexporter.domain.job import JobKey, Operation
from spexporter.sailpoint.auth import Credential, TokenSource
from spexporter.sailpoint.client import TenantClient
from spexporter.sailpoint.gate import Gate
from spexporter.sailpoint.transport import Route, Transport
from spexporter.sailpoint.vitals import Vitals
from tests.support.aioresponses_compat import ScriptedResponse
from tests.support.clock import FakeClock

BASE = "https://acme.api.identitynow.com"
TOKEN_URL = f"{BASE}/oauth/token"
PLANTED_SECRET = "planted-client-secret"
PLANTED_TOKEN = "planted-access-token"
KEY = JobKey("acme", Operation.IMPORT, "1")
STATUS_URL = f"{BASE}/sp-config/v1/import/1"
RESULT_URL = f"{STATUS_URL}/download"
OBJECTS_URL = f"{BASE}/sp-config/v1/config-objects"


@dataclass
class Heard:
    """Satisfies `Exchanges` and remembers what it heard."""

    exchanges: list[tuple[str, str]] = field(default_factory=list)
    deprecated: list[str] = field(default_factory=list)
    unknowns: list[str] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)

    def ended(self, tenant: str, endpoint: str, code: str, took_s: float, *, deprecated: bool) -> None:
        assert tenant == "acme"
        assert took_s >= 0
        self.exchanges.append((endpoint, code))
        if deprecated:
            self.deprecated.append(endpoint)

    def failed(self, tenant: str, reason: str) -> None:
        raise AssertionError(f"the client leaves counting to the poller: {tenant} {reason}")

    def waited(self, tenant: str, wait_s: float) -> None:
        assert tenant == "acme"
        self.waits_s.append(wait_s)

    def unknown(self, field_name: str) -> None:
        self.unknowns.append(field_name)


@dataclass
class Scripted:
    """A client, the clock that it lives by, and the script of its tenant."""

    client: TenantClient
    clock: FakeClock
    heard: Heard
    gate: Gate
    tokens: TokenSource
    script: aioresponses

    def get(self, url: str, **answer: Any) -> None:  # noqa: ANN401 (aioresponses' own arguments)
        """Script the next answer to a GET of `url`."""
        self.script.get(url, response_class=None if "exception" in answer else ScriptedResponse, **answer)

    def token(self, **answer: Any) -> None:  # noqa: ANN401 (aioresponses' own arguments)
        """Script the next answer of the token endpoint; a good one by default."""
        if not answer.keys() & {"payload", "body", "status", "exception"}:
            answer["payload"] = {"access_token": PLANTED_TOKEN, "expires_in": 749}
        self.script.post(TOKEN_URL, response_class=None if "exception" in answer else ScriptedResponse, **answer)

    def asked(self, method: str = "GET") -> list[str]:
        """Return the URLs asked for, in the order in which each was first asked, repeated as often."""
        return [str(url) for (verb, url), calls in self.script.requests.items() if verb == method for _ in calls]


@asynccontextmanager
async def scripted(
    version: str | None = "v1",
    *,
    max_bytes: int = 1 << 20,
    read_secret: Callable[[], str] = lambda: PLANTED_SECRET,
    token_url: str = TOKEN_URL,
) -> AsyncIterator[Scripted]:
    """Run a client of tenant `acme` whose every answer the test scripts."""
    clock, heard = FakeClock(), Heard()
    gate = Gate(RateLimit(), clock)
    vitals = Vitals(BASE, version, clock)
    with aioresponses() as script:
        async with aiohttp.ClientSession() as http:
            transport = Transport("acme", http, Route(10.0), gate=gate, vitals=vitals, exchanges=heard, clock=clock)
            tokens = TokenSource(Credential(token_url, "planted-client-id", read_secret), transport, clock)
            limits = MaxAnswer(max_bytes, max_bytes)
            client = TenantClient(BASE, version, tokens=tokens, transport=transport, limits=limits, clock=clock)
            yield Scripted(client, clock, heard, gate, tokens, script)
