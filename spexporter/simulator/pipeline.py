"""The one way every request to a tenant goes: noted, limited, let in, answered, sent, noted again."""

import itertools
from collections.abc import Mapping
from contextlib import suppress

from aiohttp import web

from spexporter.clock import Clock
from spexporter.simulator.calls import INFO, TOKEN, Call, read_call
from spexporter.simulator.chance import chance, hex_id
from spexporter.simulator.conditions import altered, clock_of
from spexporter.simulator.delivery import Delivery
from spexporter.simulator.endpoints import Answer, answer, permit
from spexporter.simulator.faults import BODIES, DELIVERIES, ERROR, LATENCY, REVOKED, TOKEN_DIES
from spexporter.simulator.letters import write_letter
from spexporter.simulator.limiter import RateLimiter
from spexporter.simulator.personal_tokens import ends_s
from spexporter.simulator.plan import TenantPlan
from spexporter.simulator.planted import planted_refusal, revoked_refusal
from spexporter.simulator.record import Exchange, Record
from spexporter.simulator.refusals import Refusal, not_found, rate_limited, token_refused
from spexporter.simulator.tenant import Tenant
from spexporter.simulator.tokens import TokenOffice
from spexporter.simulator.troubles import Met, Troubles

NOBODY = "unknown"
"""The client id of requests without one: they are recorded under it and not limited."""


class Pipeline:
    """Answers everything below `/<tenant>/`.

    `handle` and `_answer` show the order of the steps. Each request meets the faults of its tenant once; the steps ask
    what it has met, and without faults nothing is there to meet.
    """

    def __init__(
        self,
        tenants: Mapping[str, Tenant],
        *,
        clock: Clock,
        limiter: RateLimiter,
        record: Record,
        troubles: Troubles,
        seed: int,
    ) -> None:
        self._tenants = tenants
        self._clock = clock
        self._limiter = limiter
        self._record = record
        self._troubles = troubles
        self._tokens = TokenOffice(clock, seed)
        self._delivery = Delivery(clock)
        self._seed = seed
        self._refusals = itertools.count()

    def add_to(self, app: web.Application) -> None:
        """Answer everything in `app` that is below a tenant's name."""
        app.router.add_route("*", "/{tenant}/{path:.*}", self.handle)
        app.on_response_prepare.append(_drop_empty_date)
        app.on_shutdown.append(self._delivery.release)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        received_s = self._clock.monotonic()
        call = read_call(request.method, request.match_info["tenant"], request.match_info["path"])
        form = await _read_form(request) if call.action == TOKEN else {}
        client_id = form.get("client_id") or self._tokens.client_of(request.headers.get("Authorization", "")) or NOBODY
        exchange = Exchange(received_s, call.version, call.endpoint)
        self._record.received(client_id, exchange)
        met = self._troubles.meet(call)
        try:
            self._limit(call, client_id, received_s)
            reply = await self._answer(call, request, form, met)
        except Refusal as refusal:
            reply = Answer(self._tracked(refusal), refusal.status, refusal.headers, refusal.page)
        return await self._send(request, call, exchange, reply, met)

    async def _answer(self, call: Call, request: web.Request, form: Mapping[str, str], met: Met) -> Answer:
        tenant = self._tenants.get(call.tenant)
        if tenant is None:
            raise not_found()
        await self._linger(request, met)
        authorization = request.headers.get("Authorization", "")
        self._refuse(call, authorization, met)
        plan = altered(tenant.plan, met)
        if call.action == TOKEN:
            return Answer(self._token(plan, form, met, ends_s(plan, tenant.start_s)))
        if call.action == INFO:
            return Answer(_info(tenant, request))
        self._tokens.check(authorization, plan)
        permit(call, plan, request.query.get("owner-id"))
        return await answer(call, request, tenant, self._record, self._clock.wall(), met=met)

    def _limit(self, call: Call, client_id: str, received_s: float) -> None:
        if client_id == NOBODY:
            return
        taken = self._troubles.taken(client_id, received_s)
        if call.action == TOKEN:
            wait_s = self._limiter.take_for_token(client_id, received_s, taken=taken)
        else:
            wait_s = self._limiter.take(client_id, call.version, received_s, taken=taken)
        if wait_s:
            raise rate_limited(wait_s)

    async def _linger(self, request: web.Request, met: Met) -> None:
        for fault in met.all(LATENCY):
            met.served(fault)
            with suppress(ConnectionError):  # the client is gone, which sending will find out
                await self._delivery.linger(request, self._clock.monotonic() + fault.seconds)

    def _refuse(self, call: Call, authorization: str, met: Met) -> None:
        """Refuse what a fault has refused, whatever it deserves."""
        if fault := met.replaced_by(ERROR):
            met.served(fault)
            raise planted_refusal(fault, call, self._tenant_s(met))
        if (fault := met.replaced_by(TOKEN_DIES)) and self._tokens.revoke(authorization):
            met.served(fault)
        if met.first(REVOKED):
            raise revoked_refusal(call)

    def _token(self, plan: TenantPlan, form: Mapping[str, str], met: Met, ends_s: float) -> dict[str, object]:
        if form.get("grant_type") != "client_credentials":
            raise token_refused(400, "unsupported_grant_type", "Unsupported grant type")
        known = (form.get("client_id"), form.get("client_secret")) == (plan.client_id, plan.client_secret)
        if not known or self._clock.wall() >= ends_s:
            raise token_refused(401, "invalid_client", "Bad client credentials")
        return self._tokens.issue(plan, ahead_s=self._tenant_s(met) - self._clock.wall())

    def _tenant_s(self, met: Met) -> float:
        """Return what the tenant's clock says, Unix seconds."""
        now_s = self._clock.wall()
        return now_s + clock_of(met, self._troubles.start_s)(now_s)

    def _tracked(self, refusal: Refusal) -> Mapping[str, object]:
        if "messages" not in refusal.body:
            return refusal.body
        return {**refusal.body, "trackingId": hex_id(chance(self._seed, "tracking", next(self._refusals)))}

    async def _send(
        self, request: web.Request, call: Call, exchange: Exchange, reply: Answer, met: Met
    ) -> web.StreamResponse:
        now_s = self._tenant_s(met)
        letter, sent = write_letter(reply, call, met, now_s=now_s, ahead_s=clock_of(met, self._troubles.start_s))
        badly = met.replaced_by(*DELIVERIES)
        try:
            if badly is None:
                response: web.StreamResponse = await self._delivery.send(request, letter)
            else:
                met.served(badly)
                response = await self._delivery.send_badly(request, letter, badly)
        except ConnectionError:
            return web.Response()  # nobody was there to get it, so it does not count as sent
        exchange.status = letter.status
        if met.replaced_by(*BODIES) is None:
            reply.on_sent(sent)
        return response


async def _drop_empty_date(_: web.Request, response: web.StreamResponse) -> None:
    if response.headers.get("Date") == "":
        del response.headers["Date"]


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
