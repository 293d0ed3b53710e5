"""Access tokens. No other room ever holds a client secret or a token.

Source: SailPoint API documentation, "Authentication": client credentials grant; RFC 6749 sections 4.4 and 5.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import structlog

from spexporter.clock import Clock
from spexporter.domain.errors import (
    TenantError,
    TenantMalformed,
    TenantUnauthorized,
)
from spexporter.sailpoint import advice
from spexporter.sailpoint.endpoints import VERSIONS, Endpoint
from spexporter.sailpoint.fields import Unreadable
from spexporter.sailpoint.replies import check
from spexporter.sailpoint.transport import Transport
from spexporter.sailpoint.wire import Grants, decode_error, decode_token

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# Where neither `expires_in` nor anything else tells: the shortest lifetime in SailPoint's own examples.
_FALLBACK_LIFETIME_S = 749.0
_LONGEST_LIFETIME_S = 7 * 86400.0  # SailPoint's own are 12 h at the most; an absurd one is not waited for
_MAX_TOKEN_ANSWER_BYTES = 1 << 20
# Looks that were under way together all learn of one failure: a wrong secret tried by each could lock the client.
_FAILURE_HOLDS_S = 1.0


@dataclass(frozen=True, slots=True)
class Credential:
    """Names a client and reads its secret; `read_secret` raises OSError or ValueError where it cannot."""

    token_url: str
    client_id: str
    read_secret: Callable[[], str]

    def __repr__(self) -> str:
        return f"Credential(token_url={self.token_url!r})"


@dataclass(frozen=True, slots=True)
class Token:
    """An access token of the tenant that calls itself `org`, empty where not told. Times are monotonic seconds."""

    text: str
    renew_at_s: float
    grants: Grants
    org: str = ""

    def __repr__(self) -> str:
        return "Token(…)"


class TokenSource:
    """Gives out one tenant's token and renews it in time, once for all who wait."""

    def __init__(self, credential: Credential, transport: Transport, clock: Clock) -> None:
        self._credential = credential
        self._transport = transport
        self._clock = clock
        self._token: Token | None = None
        self._renewing = asyncio.Lock()
        self._failure: TenantError | None = None
        self._failed_at_s = -math.inf
        self._tried_secret = ""

    @property
    def client_id(self) -> str:
        """Whose tokens these are; it is in no metric, log or error."""
        return self._credential.client_id

    @property
    def org(self) -> str:
        """The tenant's own name as the latest token tells it, empty while that is not known."""
        return self._token.org if self._token else ""

    @property
    def good(self) -> Token | None:
        """A token that is not about to expire, None while there is none."""
        return self._token if self._token and self._clock.monotonic() < self._token.renew_at_s else None

    async def get(self) -> Token:
        """Return a token that is not about to expire.

        Raises:
            TenantError: the token endpoint did not give one.
        """
        return self.good or await self._renewed(refused=self._token)

    async def replace(self, refused: Token) -> Token:
        """Return another token than `refused`, which the tenant did not take."""
        return await self._renewed(refused=refused)

    def secret_changed(self) -> bool:
        """Tell whether the secret is another one than that of the last token request; a file is read anew."""
        try:
            return self._credential.read_secret() != self._tried_secret
        except (OSError, ValueError):
            return False

    async def _renewed(self, refused: Token | None) -> Token:
        async with self._renewing:
            if self._token is not None and self._token is not refused:
                return self._token
            if self._failure is not None and self._clock.monotonic() < self._failed_at_s + _FAILURE_HOLDS_S:
                raise self._failure
            try:
                self._token, self._failure = await self._ask(), None
            except TenantError as error:
                self._failure, self._failed_at_s = error, self._clock.monotonic()
                raise
            return self._token

    async def _ask(self) -> Token:
        secret = self._tried_secret = self._read_secret()
        form = {"grant_type": "client_credentials", "client_id": self._credential.client_id, "client_secret": secret}
        sent_s = self._clock.monotonic()
        answer = await self._transport.ask(
            Endpoint.TOKEN, self._credential.token_url, VERSIONS, max_bytes=_MAX_TOKEN_ANSWER_BYTES, form=form
        )
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:  # a token may look like anything, and must stay what it is
            answer = answer.without(secret, self._credential.client_id)
        if answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            self._transport.vitals.up(up=False)
            said = decode_error(answer.body)
            raise TenantUnauthorized(
                f"the token endpoint answered {answer.status}: {said.text}",
                endpoint=Endpoint.TOKEN,
                cure=advice.about_unauthorized(Endpoint.TOKEN),
                tracking_id=said.tracking_id,
            )
        check(answer, Endpoint.TOKEN, VERSIONS, self._transport, clock=self._clock)
        try:
            body = decode_token(answer.body)
        except Unreadable as error:
            self._transport.vitals.up(up=False)
            raise TenantMalformed(f"the token endpoint answered {error}", endpoint=Endpoint.TOKEN) from None
        lifetime_s = min(body.lifetime_s or _FALLBACK_LIFETIME_S, _LONGEST_LIFETIME_S)
        self._transport.vitals.token(self._clock.wall() + lifetime_s)
        log.info("token_renewed", lifetime_s=lifetime_s, has_user=body.grants.has_user)
        return Token(body.access_token, sent_s + lifetime_s - renewal_margin_s(lifetime_s), body.grants, body.org)

    def _read_secret(self) -> str:
        try:
            return self._credential.read_secret()
        except (OSError, ValueError) as error:
            raise TenantUnauthorized(
                f"the client secret cannot be read: {error}",
                endpoint=Endpoint.TOKEN,
                cure="check client_secret_file and who may read it",
            ) from None


def renewal_margin_s(lifetime_s: float) -> float:
    """Return how long before its end a token is renewed, in seconds: tokens live from 15 s to 12 h."""
    return min(60.0, lifetime_s / 10)
