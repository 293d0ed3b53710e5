"""The pages for people: all tenants and jobs, one tenant, one job."""

from collections.abc import Sequence

from aiohttp import web

from spexporter.clock import Pace
from spexporter.domain.errors import TenantElsewhere, UnknownTenant
from spexporter.domain.job import JobKey, Operation
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView
from spexporter.web.answers import STATES, TenantAnswer, rfc3339
from spexporter.web.joblist import OPERATIONS, SORTS, Query, select
from spexporter.web.known import Known
from spexporter.web.notices import Notices
from spexporter.web.overview import TENANTS, attention, by_need, config_row, in_trouble, states, verdict
from spexporter.web.refusal import tried_elsewhere, would_be_right
from spexporter.web.render import Templates
from spexporter.web.timeline import timeline
from spexporter.web.troubles import trouble_rows


class Pages:
    """Renders what is known, from memory; a script fetches the same pages again and shows what has changed."""

    def __init__(self, known: Known, notices: Notices) -> None:
        self._known = known
        self._notices = notices
        self._templates = Templates()

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get("/", self._overview)
        router.add_get("/tenants/{tenant}", self._tenant)
        router.add_get("/jobs/{tenant}/{operation}/{id}", self._job)
        router.add_get("/static/{name}", self._templates.static)

    async def _overview(self, request: web.Request) -> web.Response:
        now, views = self._known.now(), self._known.views()
        tenants = await self._tenants(views, now)
        elsewhere = self._known.elsewhere()
        config = config_row(self._notices)
        most = None if "tenants" in request.query else TENANTS
        shown = by_need(tenants)[:most]
        facts = {
            "verdict": verdict(tenants, config, await attention(views, now), elsewhere),
            "elsewhere": sorted(elsewhere.items())[:most],
            "all_elsewhere": len(elsewhere),
            "config": config,
            "one_tenant": False,
            "tenants": shown,
            "counted": {tenant.tenant: dict(sorted(states([tenant]).items())) for tenant in shown},
            "all_tenants": len(tenants),
            "troubles": {tenant.tenant: list(trouble_rows(tenant.troubles)) for tenant in shown},
        }
        return await self._templates.page("overview.html", {**facts, **await self._jobs(request, views, now)})

    async def _tenant(self, request: web.Request) -> web.Response:
        name, now = request.match_info["tenant"], self._known.now()
        try:
            view = self._known.view(name)
        except UnknownTenant as error:
            return await self._missing(f"{error}; {would_be_right(name, error.known)}", depth=1)
        except TenantElsewhere as error:
            return await self._elsewhere(error, depth=1)
        tenant = self._known.tenant(view, now)
        facts = {
            "tenant": tenant,
            "troubled": in_trouble(tenant),
            "troubles": list(trouble_rows(tenant.troubles)),
            "one_tenant": True,
        }
        return await self._templates.page("tenant.html", {**facts, **await self._jobs(request, [view], now)}, depth=1)

    async def _job(self, request: web.Request) -> web.Response:
        tenant, operation, job_id = (request.match_info[part] for part in ("tenant", "operation", "id"))
        now = self._known.now()
        try:
            view = self._known.view(tenant)
        except UnknownTenant:
            view = None
        except TenantElsewhere as error:
            return await self._elsewhere(error, depth=3)
        key = JobKey(tenant, Operation(operation), job_id) if operation in set(Operation) else None
        job = view.state.jobs.get(key) if view and key else None
        if view is None or job is None:
            return await self._missing(f"tenant {tenant} has no {operation} job {job_id} that is watched", depth=3)
        detail = self._known.detail(job, view, now)
        facts = {
            "job": detail,
            "events": timeline(detail),
            "trouble": list(trouble_rows([detail.trouble] if detail.trouble else [])),
        }
        return await self._templates.page("job.html", {**facts, **_times(now)}, depth=3)

    async def _jobs(self, request: web.Request, views: Sequence[TenantView], now: Moment) -> dict[str, object]:
        """Return what the list of jobs needs."""
        query = Query.read(request.query)
        selection = await select(views, query, now, self._known.next_look_s)
        return {
            "query": query,
            "selection": selection,
            "jobs": [self._known.job(job, view, now) for job, view in selection.rows],
            "names": [view.tenant for view in views],
            "known_states": STATES,
            "known_operations": OPERATIONS,
            "sorts": SORTS,
            **_times(now),
        }

    async def _tenants(self, views: Sequence[TenantView], now: Moment) -> Sequence[TenantAnswer]:
        pace, tenants = Pace(), []
        for view in views:
            tenants.append(self._known.tenant(view, now))
            await pace.did(len(view.state.jobs))
        return tenants

    async def _missing(self, words: str, *, depth: int) -> web.Response:
        return await self._without(404, "There is nothing here", words, depth)

    async def _elsewhere(self, error: TenantElsewhere, *, depth: int) -> web.Response:
        return tried_elsewhere(await self._without(503, "That is not here now", str(error), depth))

    async def _without(self, status: int, heading: str, words: str, depth: int) -> web.Response:
        facts = {"heading": heading, "words": words, **_times(self._known.now())}
        return await self._templates.page("missing.html", facts, status=status, depth=depth)


def _times(now: Moment) -> dict[str, object]:
    return {"now_s": now.wall_s, "now": rfc3339(now.wall_s)}
