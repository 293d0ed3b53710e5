import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from spexporter.domain.values import replace
from spexporter.simulator import API_VERSIONS, Simulator, TenantPlan, default_plans, serving
from tests.support.clock import START_WALL_S, FakeClock

ACME, SANDBOX, GLOBEX = default_plans(3)
LIVES_S = 749
SCOPES = [
    "sp:config:read",
    "sp:config:manage",
    "sp:config-backup:read",
    "sp:config-draft:read",
    "sp:config-deploy:read",
    "sp:my-personal-access-tokens:read",
]
PLANS = (
    replace(ACME, token_lifetime_s=LIVES_S),
    replace(SANDBOX, client_id=ACME.client_id),
    replace(GLOBEX, scopes=("sp:config:read",)),
    TenantPlan("no-admin", "a", "simulated-a", has_admin=False),
    TenantPlan("no-user", "b", "simulated-b", has_user=False),
    TenantPlan("no-scope", "c", "simulated-c", scopes=("sp:search:read",)),
    TenantPlan("all-scopes", "d", "simulated-d", scopes=("sp:scopes:all",)),
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def http(clock: FakeClock) -> AsyncIterator[aiohttp.ClientSession]:
    simulator = Simulator(PLANS, clock=clock, requests=5, per_s=10)
    async with serving(simulator) as url, aiohttp.ClientSession(url) as session:
        yield session


def credential(plan: TenantPlan) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_id": plan.client_id,
        "client_secret": plan.client_secret,
    }


async def token(http: aiohttp.ClientSession, plan: TenantPlan) -> str:
    async with http.post(f"/{plan.name}/oauth/token", data=credential(plan)) as response:
        return str((await response.json())["access_token"])


async def ask(
    http: aiohttp.ClientSession, tenant: str, token: str | None, path: str = "sp-config/v1/config-objects"
) -> tuple[int, Any]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with http.get(f"/{tenant}/{path}", headers=headers) as response:
        return response.status, await response.json()


async def test_token_tells_what_it_is_good_for(http: aiohttp.ClientSession) -> None:
    """The answer has the documented fields, the JWT the documented claims, and its signature can be searched for."""
    async with http.post("/acme-prod/oauth/token", data=credential(PLANS[0])) as response:
        body = await response.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("bearer", LIVES_S, " ".join(SCOPES))
    header, claims, signature = body["access_token"].split(".")
    assert decoded(header)["typ"] == "JWT"
    assert decoded(claims) == {
        "tenant_id": body["tenant_id"],
        "pod": "simulated",
        "org": "acme-prod",
        "authorities": ["ORG_ADMIN"],
        "client_id": ACME.client_id,
        "scope": SCOPES,
        "exp": START_WALL_S + LIVES_S,
        "jti": body["jti"],
        "user_name": "pat-owner-of-acme-prod",
    }
    assert signature.startswith("not-a-real-signature-")


def decoded(part: str) -> dict[str, object]:
    value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert isinstance(value, dict)
    return value


async def test_token_without_a_user_has_no_user_name(http: aiohttp.ClientSession) -> None:
    """A plain API client gets a token that names nobody, and one below Admin a lesser authority."""
    nobody = decoded((await token(http, PLANS[4])).split(".")[1])
    assert "user_name" not in nobody
    assert decoded((await token(http, PLANS[3])).split(".")[1])["authorities"] == ["ORG_USER"]


async def test_credential_is_taken_from_the_query_too(http: aiohttp.ClientSession) -> None:
    """In the query, or half there and half in the body, as clients in the wild do it."""
    whole = credential(ACME)
    async with http.post("/acme-prod/oauth/token", params=whole) as response:
        assert response.status == 200
    grant = {"grant_type": whole.pop("grant_type")}
    async with http.post("/acme-prod/oauth/token", params=grant, data=whole) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        pytest.param({"client_secret": "wrong"}, 401, "invalid_client", id="wrong secret"),
        pytest.param({"client_id": "wrong"}, 401, "invalid_client", id="wrong id"),
        pytest.param({"grant_type": "password"}, 400, "unsupported_grant_type", id="wrong grant"),
    ],
)
async def test_wrong_credential_gets_no_token(
    http: aiohttp.ClientSession, change: dict[str, str], status: int, error: str
) -> None:
    """The body has the published shape of the token service."""
    async with http.post("/acme-prod/oauth/token", data=credential(ACME) | change) as response:
        body = await response.json()
    assert (response.status, body["error"], sorted(body)) == (status, error, ["error", "error_description"])


async def test_unreadable_token_request_is_refused(http: aiohttp.ClientSession) -> None:
    """A body that is no form carries no credential."""
    headers = {"Content-Type": "multipart/form-data"}
    async with http.post("/acme-prod/oauth/token", data=b"--x", headers=headers) as response:
        assert response.status == 400


async def test_token_expires_by_the_monotonic_clock(http: aiohttp.ClientSession, clock: FakeClock) -> None:
    """It is good until its last second, whatever the wall clock does meanwhile."""
    mine = await token(http, PLANS[0])
    clock.step_wall(10 * LIVES_S)
    clock.jump_to(clock.monotonic() + LIVES_S - 0.5)
    assert (await ask(http, "acme-prod", mine))[0] == 200
    clock.jump_to(clock.monotonic() + 0.5)
    assert await ask(http, "acme-prod", mine) == (401, {"error": "JWT validation failed: JWT is expired"})


async def test_calls_without_a_good_token_are_refused(http: aiohttp.ClientSession) -> None:
    """No token, a made-up one and another tenant's each get a 401, and never reach the path."""
    assert await ask(http, "acme-prod", None) == (401, {"error": "JWT is required"})
    assert (await ask(http, "acme-prod", "made.up.token"))[0] == 401
    assert (await ask(http, "acme-prod", await token(http, PLANS[1])))[0] == 401
    async with http.get("/acme-prod/beta/nonsense", headers={"Authorization": "Basic abc"}) as response:
        assert response.status == 401


@pytest.mark.parametrize(
    ("plan", "exports", "imports"),
    [
        pytest.param(PLANS[2], 200, 403, id="read alone"),
        pytest.param(PLANS[3], 403, 403, id="not an admin"),
        pytest.param(PLANS[4], 403, 403, id="no user"),
        pytest.param(PLANS[5], 403, 403, id="another scope"),
        pytest.param(PLANS[6], 200, 404, id="all scopes"),
    ],
)
async def test_scope_level_and_user_decide(
    http: aiohttp.ClientSession, plan: TenantPlan, exports: int, imports: int
) -> None:
    """Exports need one of two scopes, imports the one that can write; all need an admin behind the token."""
    mine = await token(http, plan)
    assert (await ask(http, plan.name, mine))[0] == exports
    status, body = await ask(http, plan.name, mine, "sp-config/v1/import/17")
    assert status == imports
    if status == 403:
        assert body["detailCode"] == "403 Forbidden"


async def test_limit_holds_per_client_and_version(http: aiohttp.ClientSession, clock: FakeClock) -> None:
    """The request too many gets a 429 with the seconds to wait, also in another tenant of that client."""
    mine, others = await token(http, PLANS[0]), await token(http, PLANS[1])
    clock.jump_to(clock.monotonic() + 2.5)
    assert [(await ask(http, "acme-prod", mine))[0] for _ in range(3)] == [200, 200, 200]
    async with http.get(
        "/acme-sandbox/sp-config/v1/config-objects", headers={"Authorization": f"Bearer {others}"}
    ) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "8")
        assert await response.json() == {"message": " Rate Limit Exceeded "}
    assert (await ask(http, "acme-prod", mine, "beta/sp-config/config-objects"))[0] == 200
    clock.jump_to(clock.monotonic() + 8)
    assert (await ask(http, "acme-sandbox", others))[0] == 200


async def test_limit_comes_before_everything_else(http: aiohttp.ClientSession) -> None:
    """A client over its limit gets 429 for a path that does not exist, and for a new token."""
    mine = await token(http, PLANS[0])
    assert [(await ask(http, "acme-prod", mine, "v3/none"))[0] for _ in range(5)] == [404, 404, 404, 404, 429]
    async with http.post("/acme-prod/oauth/token", data=credential(PLANS[0])) as response:
        assert response.status == 429


async def test_info_needs_no_token(http: aiohttp.ClientSession) -> None:
    """It tells where tokens are to be had."""
    status, body = await ask(http, "acme-prod", None, "oauth/info")
    assert (status, body["tenantName"], body["pod"]) == (200, "acme-prod", "simulated")
    async with http.post(body["tokenEndpoint"], data=credential(PLANS[0])) as response:
        assert response.status == 200


async def test_unknown_tenant_is_not_found(http: aiohttp.ClientSession) -> None:
    """No tenant, no token."""
    async with http.post("/nobody/oauth/token", data=credential(ACME)) as response:
        assert response.status == 404


async def test_all_versions_ask_for_a_token(http: aiohttp.ClientSession) -> None:
    """Whoever looks for a version without a token is told that it exists."""
    for version in API_VERSIONS:
        path = "sp-config/v1/config-objects" if version == "v1" else f"{version}/sp-config/config-objects"
        assert (await ask(http, "acme-prod", None, path))[0] == 401
