"""The one way every request to a tenant goes: noted, limited, let in, answered, sent, noted again."""

import itertools
import json
from collections.abc import Mapping
from contextlib import suppress
from email.utils import formatdate

from aiohttp import web

from spexporter.clock import Clock
from spexporter.simulator.calls import INFO, TOKEN, Call, read_call
from spexporter.simulator.chance import chance, hex_id
from spexporter.simulator.endpoints import Answer, answer, permit
from spexporter.simulator.limiter import RateLimiter
from spexporter.simulator.record import Exchange, Record
from spexporter.simulator.refusals import Refusal, not_found, rate_limited, token_refused
from spexporter.simulator.tenant import Tenant
from spexporter.simulator.tokens import TokenOffice

NOBODY = "unknown"
"""The client id of requests without one: they are recorded under it and not limited."""


class Pipeline:
    """Answers everything below `/<tenant>/`.

    `_answer` shows the order of the steps; whoever wants a tenant to misbehave adds a step there, or changes what
    `_send` is given.
    """

    def __init__(
        self,
        tenants: Mapping[str, Tenant],
        *,
        clock: Clock,
        limiter: RateLimiter,
        record: Record,
        seed: int,
    ) -> None:
        self._tenants = tenants
        self._clock = clock
        self._limiter = limiter
        self._record = record
        self._tokens = TokenOffice(clock, seed)
        self._seed = seed
        self._refusals = itertools.count()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        received_s = self._clock.monotonic()
        call = read_call(request.method, request.match_info["tenant"], request.match_info["path"])
        form = await _read_form(request) if call.action == TOKEN else {}
        client_id = form.get("client_id") or self._tokens.client_of(request.headers.get("Authorization", "")) or NOBODY
        exchange = Exchange(received_s, call.version, call.endpoint)
        self._record.received(client_id, exchange)
        try:
            reply = await self._answer(call, request, client_id, form, received_s)
        except Refusal as refusal:
            return await self._send(request, exchange, Answer(self._tracked(refusal), refusal.status), refusal.headers)
        return await self._send(request, exchange, reply, {})

    async def _answer(
        self, call: Call, request: web.Request, client_id: str, form: Mapping[str, str], received_s: float
    ) -> Answer:
        self._limit(call, client_id, received_s)
        tenant = self._tenants.get(call.tenant)
        if tenant is None:
            raise not_found()
        if call.action == TOKEN:
            return Answer(self._token(tenant, form))
        if call.action == INFO:
            return Answer(_info(tenant, request))
        self._tokens.check(request.headers.get("Authorization", ""), tenant.plan)
        permit(call, tenant.plan)
        return await answer(call, request, tenant, self._record, self._clock.wall())

    def _limit(self, call: Call, client_id: str, received_s: float) -> None:
        if client_id == NOBODY:
            return
        if call.action == TOKEN:
            wait_s = self._limiter.take_for_token(client_id, received_s)
        else:
            wait_s = self._limiter.take(client_id, call.version, received_s)
        if wait_s:
            raise rate_limited(wait_s)

    def _token(self, tenant: Tenant, form: Mapping[str, str]) -> dict[str, object]:
        if form.get("grant_type") != "client_credentials":
            raise token_refused(400, "unsupported_grant_type", "Unsupported grant type")
        if (form.get("client_id"), form.get("client_secret")) != (tenant.plan.client_id, tenant.plan.client_secret):
            raise token_refused(401, "invalid_client", "Bad client credentials")
        return self._tokens.issue(tenant.plan)

    def _tracked(self, refusal: Refusal) -> Mapping[str, object]:
        if "messages" not in refusal.body:
            return refusal.body
        return {**refusal.body, "trackingId": hex_id(chance(self._seed, "tracking", next(self._refusals)))}

    async def _send(
        self, request: web.Request, exchange: Exchange, reply: Answer, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        response = web.Response(
            status=reply.status,
            body=json.dumps(reply.body, ensure_ascii=False).encode(),
            content_type="application/json",
            # The tenant's clock is ours, which need not be this host's.
            headers={"Date": formatdate(self._clock.wall(), usegmt=True), **headers},
        )
        try:
            await response.prepare(request)
            await response.write_eof()
        except ConnectionError:
            return response  # nobody was there to get it, so it does not count as sent
        exchange.status = reply.status
        reply.on_sent()
        return response


async def _read_form(request: web.Request) -> dict[str, str]:
    """Read what a token request says; the API takes it from the body and from the query."""
    form = dict(request.query)
    with suppress(ValueError):  # an unreadable body: the credential is missing, and that is what it will be told
        form.update((name, value) for name, value in (await request.post()).items() if isinstance(value, str))
    return form


def _info(tenant: Tenant, request: web.Request) -> dict[str, object]:
    base_url = f"{request.url.origin()}/{tenant.plan.name}"
    return {
        "tenantId": hex_id(chance(tenant.plan.name, "tenant")),
        "tenantName": tenant.plan.name,
        "authorizeEndpoint": f"{base_url}/oauth/authorize",
        "tokenEndpoint": f"{base_url}/oauth/token",
        "cloudDomainUrl": base_url,
        "logoutUrl": f"{base_url}/logout",
        "pod": "simulated",
    }
