"""Access tokens: shaped like the real ones, good for one tenant and a limited time."""

import base64
import json
from dataclasses import dataclass

from spexporter.clock import Clock
from spexporter.simulator.chance import chance, dashed_id, hex_id
from spexporter.simulator.personal_tokens import user_id
from spexporter.simulator.plan import TenantPlan
from spexporter.simulator.refusals import JWT_EXPIRED, unauthorized

SIGNATURE = "not-a-real-signature-"
"""How the third part of every token begins, so that one can search for tokens that got out."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A token that was handed out; `expires_s` is monotonic."""

    plan: TenantPlan
    expires_s: float


class TokenOffice:
    """Hands out tokens and knows them again; they expire by the monotonic clock."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self._clock = clock
        self._seed = seed
        self._issued: dict[str, Issued] = {}

    def issue(self, plan: TenantPlan, *, ahead_s: float = 0.0) -> dict[str, object]:
        """Make a token for the tenant's credential and return the body that carries it.

        The tenant's clock is `ahead_s` seconds ahead, which shows in the claim `exp`.
        """
        rng = chance(self._seed, plan.name, "token", len(self._issued))
        jti, owner_id = dashed_id(rng), user_id(plan)
        user: dict[str, object] = {"user_id": owner_id, "identity_id": owner_id} if plan.has_user else {}
        claims: dict[str, object] = {
            "tenant_id": hex_id(chance(plan.name, "tenant")),
            "pod": "simulated",
            "org": plan.name,
            "authorities": ["ORG_ADMIN"] if plan.has_admin else ["ORG_USER"],
            "client_id": plan.client_id,
            "scope": list(plan.scopes),
            "exp": int(self._clock.wall() + ahead_s) + plan.token_lifetime_s,
            "jti": jti,
        }
        if plan.has_user:
            claims["user_name"] = f"pat-owner-of-{plan.name}"
        token = f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}.{SIGNATURE}{hex_id(rng)}"
        self._issued[token] = Issued(plan, self._clock.monotonic() + plan.token_lifetime_s)
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": plan.token_lifetime_s,
            "scope": " ".join(plan.scopes),
            "tenant_id": claims["tenant_id"],
            "pod": "simulated",
            "org": plan.name,
            "strong_auth_supported": False,
            "strong_auth": True,
            "internal": False,
            "enabled": True,
            "accessType": "OFFLINE",
            "jti": jti,
            **user,
        }

    def client_of(self, authorization: str) -> str | None:
        """Return the client id of the token in an Authorization header, expired or not; None if it is not ours."""
        issued = self._issued.get(_bearer(authorization))
        return issued.plan.client_id if issued else None

    def revoke(self, authorization: str) -> bool:
        """Let the token in an Authorization header be expired from now on; tell whether it is one of ours."""
        token = _bearer(authorization)
        if issued := self._issued.get(token):
            self._issued[token] = Issued(issued.plan, self._clock.monotonic())
        return issued is not None

    def check(self, authorization: str, plan: TenantPlan) -> None:
        """Refuse an Authorization header that is not good for this tenant now.

        Raises:
            Refusal: 401, with the published words for a missing and an expired token and our own for the others.
        """
        token = _bearer(authorization)
        if not token:
            raise unauthorized("JWT is required")
        issued = self._issued.get(token)
        if issued is None:
            raise unauthorized("JWT validation failed: JWT signature does not match")
        if issued.plan.name != plan.name:
            raise unauthorized("JWT validation failed: JWT belongs to another tenant")
        if self._clock.monotonic() >= issued.expires_s:
            raise unauthorized(JWT_EXPIRED)


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _part(claims: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
