"""The personal access tokens of the user behind a credential, as `GET /personal-access-tokens` lists them.

Source: the published schema; the id of a personal access token is the client id that it is used with.
"""

import math

from spexporter.simulator.chance import chance, hex_id
from spexporter.simulator.plan import DAY_S, TenantPlan
from spexporter.simulator.stamps import stamp

OTHERS = (("laptop scripts", None, False), ("build server", 5 * DAY_S, True))
"""More tokens of the user: name, when it ends after the simulator's start (None: never), and whether it was used."""


def ends_s(plan: TenantPlan, start_s: float) -> float:
    """Return when the credential ends, Unix seconds; infinity for never. `start_s` is the simulator's start."""
    return math.inf if plan.credential_lasts_s is None else start_s + plan.credential_lasts_s


def list_tokens(plan: TenantPlan, start_s: float, now_s: float) -> list[dict[str, object]]:
    """Write the user's tokens at `now_s`, Unix seconds: the credential in use is one of them, and not the first."""
    entries = [
        _entry(
            plan,
            hex_id(chance(plan.client_id, name)),
            name,
            created_s=start_s - 40 * DAY_S,
            end_s=math.inf if lasts_s is None else start_s + lasts_s,
            used_s=start_s - 2 * DAY_S if was_used else None,
        )
        for name, lasts_s, was_used in OTHERS
    ]
    # When it was used last is brought up to date once a day.
    mine = _entry(
        plan,
        plan.client_id,
        "spexporter",
        created_s=start_s - 100 * DAY_S,
        end_s=ends_s(plan, start_s),
        used_s=math.floor(now_s / DAY_S) * DAY_S,
    )
    return [entries[0], mine, *entries[1:]]


def _entry(
    plan: TenantPlan, token_id: str, name: str, *, created_s: float, end_s: float, used_s: float | None
) -> dict[str, object]:
    return {
        "id": token_id,
        "name": name,
        "scope": list(plan.scopes),
        "owner": {"type": "IDENTITY", "id": user_id(plan), "name": f"pat-owner-of-{plan.name}"},
        "created": stamp(created_s),
        "lastUsed": None if used_s is None else stamp(used_s),
        "managed": False,
        "accessTokenValiditySeconds": plan.token_lifetime_s,
        "expirationDate": None if math.isinf(end_s) else stamp(end_s),
        "userAwareTokenNeverExpires": math.isinf(end_s),
    }


def user_id(plan: TenantPlan) -> str:
    """Return the id of the user behind a credential."""
    return hex_id(chance(plan.client_id, "user"))
