"""`/api/v1`: tenants and jobs as JSON, and jobs handed in by pipelines."""

from collections.abc import Awaitable, Callable, Collection, Iterator

import msgspec
import structlog
from aiohttp import web

from spexporter.domain.errors import (
    NamedElsewhere,
    SpexporterError,
    StoreError,
    TenantElsewhere,
    TooManyJobs,
    UnknownJob,
    UnknownTenant,
    WatchError,
)
from spexporter.domain.job import Job, JobKey, Operation, WatchedJob
from spexporter.domain.ports import JobDesk
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantHealth, TenantState, TenantView
from spexporter.web.answers import STATES, JobAnswer, JobsAnswer, TenantsAnswer, state_of
from spexporter.web.body import parse_job, read_body
from spexporter.web.known import Known
from spexporter.web.openapi import document
from spexporter.web.refusal import ErrorAnswer, Refusal, some, tried_elsewhere, would_be_right

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_ROOT = "/api/"
JOBS = "/api/v1/jobs"
_JOB = JOBS + "/{tenant}/{operation}/{id}"
_FILTERS = ("tenant", "state", "operation")
_STATUS: dict[type[SpexporterError], int] = {
    UnknownTenant: 404,
    UnknownJob: 404,
    NamedElsewhere: 409,
    TooManyJobs: 429,
    TenantElsewhere: 503,
    StoreError: 503,
}
_RETRY_AFTER_S = {429: 60, 503: 5}
_UNREAD = (408, 413)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """Answers with what is known; what is handed in goes to the desk, where `lifecycle` allows it."""

    def __init__(self, known: Known, desk: JobDesk, *, lifecycle: bool) -> None:
        self._known = known
        self._desk = desk
        self._lifecycle = lifecycle

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get("/api/v1/tenants", _answering(self._tenants))
        router.add_get(JOBS, _answering(self._jobs))
        router.add_post(JOBS, _answering(self._hand_in))
        router.add_get(_JOB, _answering(self._job))
        router.add_delete(_JOB, _answering(self._take_back))
        router.add_get("/api/v1/openapi.json", _answering(self._openapi))

    async def _tenants(self, _request: web.Request) -> web.Response:
        now = self._known.now()
        return _json(200, TenantsAnswer([self._known.tenant(view, now) for view in self._known.views()]))

    async def _jobs(self, request: web.Request) -> web.Response:
        """All jobs that fit; a filter may be given several times, and an empty one asks for nothing."""
        views, now = self._known.views(), self._known.now()
        wanted = _filters(request, [*(view.tenant for view in views), *self._known.elsewhere()])
        for tenant in wanted.get("tenant", ()):
            self._known.view(tenant)  # that another replica has it does not mean that it has no such jobs
        fit = [self._known.job(job, view, now) for view in views for job in _fit(view, wanted, now)]
        return _json(200, JobsAnswer(fit))

    async def _job(self, request: web.Request) -> web.Response:
        key = _key(request)
        view = self._known.view(key.tenant)
        if job := view.state.jobs.get(key):
            return _json(200, self._known.detail(job, view, self._known.now()))
        others = [other for other in view.state.jobs if other.job_id == key.job_id]
        other = next((f"there is one among its {it.operation} jobs" for it in others), "")
        cure = other or would_be_right(key.job_id, _ids(view, key.operation))
        raise Refusal(404, f"tenant {key.tenant} has no {key.operation} job {key.job_id}; {cure}")

    async def _hand_in(self, request: web.Request) -> web.Response:
        self._check_allowed()
        watched = parse_job(await read_body(request))
        key = watched.key
        new = await self._desk.add_job(watched)
        if new:
            log.info("job_handed_in", tenant=key.tenant, operation=key.operation.value, job_id=key.job_id)
        headers = {"Location": f"{JOBS}/{key}"}
        return _json(201 if new else 200, self._handed_in(watched), headers)

    async def _take_back(self, request: web.Request) -> web.Response:
        self._check_allowed()
        key = _key(request)
        await self._desk.remove_job(key)
        log.info("job_taken_back", tenant=key.tenant, operation=key.operation.value, job_id=key.job_id)
        return web.Response(status=204)

    async def _openapi(self, _request: web.Request) -> web.Response:
        return _json(200, document([*(view.tenant for view in self._known.views()), *self._known.elsewhere()]))

    def _check_allowed(self) -> None:
        if not self._lifecycle:
            raise Refusal(403, "handing in jobs is switched off; start the exporter with --web.enable-lifecycle")

    def _handed_in(self, watched: WatchedJob) -> JobAnswer:
        """Say what is known of a job that was handed in: nothing, if it has left the pages or is another replica's."""
        tenant = watched.key.tenant
        try:
            view = self._known.view(tenant)
        except TenantElsewhere:
            view = TenantView(tenant, 0, TenantState(), TenantHealth(""))
        return self._known.job(view.state.jobs.get(watched.key) or Job(watched), view, self._known.now())


def _answering(handle: Handler) -> Handler:
    """Turn what `handle` refuses, and what the desk cannot do, into answers."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handle(request)
        except Refusal as refusal:
            return _refused(refusal)
        except (WatchError, StoreError) as error:
            status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
            response = _refused(Refusal(status, _in_words(error)))
            return tried_elsewhere(response) if isinstance(error, TenantElsewhere) else response

    return answer


@web.middleware
async def in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say in the API's own shape what the router says of paths and methods that there are not."""
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as found:
        if not request.path.startswith(_ROOT):
            raise
        if isinstance(found, web.HTTPMethodNotAllowed):
            allowed = ", ".join(sorted(found.allowed_methods))
            error = f"{found.method} is not possible here; possible are {allowed}"
            return _json(405, ErrorAnswer(error), {"Allow": allowed})
        return _json(404, ErrorAnswer("there is nothing at this path; /api/v1/openapi.json says what there is"))


def _refused(refusal: Refusal) -> web.Response:
    headers = {}
    if retry_s := _RETRY_AFTER_S.get(refusal.status):
        headers["Retry-After"] = str(retry_s)
    response = _json(refusal.status, refusal.answer, headers)
    if refusal.status in _UNREAD:
        response.force_close()  # the rest of the body is not worth reading
    return response


def _in_words(error: WatchError | StoreError) -> str:
    match error:
        case UnknownTenant():
            return f"{error}; {would_be_right(error.tenant, error.known)}"
        case StoreError():
            return f"the store fails now: {error.message}; {error.cure}"
        case _:
            return str(error)


def _json(status: int, answer: object, headers: dict[str, str] | None = None) -> web.Response:
    headers = {"Cache-Control": "no-store", **(headers or {})}
    return web.Response(
        status=status, body=msgspec.json.encode(answer), content_type="application/json", headers=headers
    )


def _key(request: web.Request) -> JobKey:
    """Return the job that a path names."""
    tenant, operation, job_id = (request.match_info[part] for part in ("tenant", "operation", "id"))
    if operation not in set(Operation):
        raise Refusal(404, f"there is no operation {operation}; {would_be_right(operation, tuple(Operation))}")
    return JobKey(tenant, Operation(operation), job_id)


def _filters(request: web.Request, tenants: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the values that are asked for, of those filters that are in use."""
    known: dict[str, Collection[str]] = {"tenant": tenants, "state": STATES, "operation": tuple(Operation)}
    others = sorted(request.query.keys() - known.keys())
    wrong = some(others, lambda it: f"{it} is no filter; {would_be_right(it, _FILTERS)}")
    wanted: dict[str, frozenset[str]] = {}
    for name, words in known.items():
        if given := frozenset(filter(None, request.query.getall(name, []))):
            wanted[name] = given
            wrong += _wrong(name, given, words)
    if wrong:
        raise Refusal(400, "; ".join(wrong))
    return wanted


def _wrong(name: str, given: frozenset[str], words: Collection[str]) -> list[str]:
    return some(sorted(given - set(words)), lambda it: f"{name} {it}: {would_be_right(it, words)}")


def _fit(view: TenantView, wanted: dict[str, frozenset[str]], now: Moment) -> Iterator[Job]:
    """Yield the jobs of one tenant that are wanted, by operation and id."""
    for job in sorted(view.state.jobs.values(), key=lambda job: (job.key.operation, job.key.job_id)):
        facts = {"tenant": view.tenant, "state": state_of(job, view, now), "operation": job.key.operation.value}
        if not job.left and all(facts[name] in values for name, values in wanted.items()):
            yield job


def _ids(view: TenantView, operation: Operation) -> list[str]:
    return [key.job_id for key in view.state.jobs if key.operation is operation]
