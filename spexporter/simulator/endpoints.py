"""The answers of one tenant: the seven SP-Config operations, the lists of Configuration Hub, and who one is."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField

from spexporter.simulator.calls import (
    BACKUPS,
    CONFIG_OBJECTS,
    DEPLOYS,
    DRAFTS,
    PERSONAL_TOKENS,
    START,
    STATUS,
    UNKNOWN,
    UPLOADS,
    Call,
)
from spexporter.simulator.conditions import kept, listed, result_expired
from spexporter.simulator.faults import BARE_DEPLOYS, LISTS, RESULT_LATE
from spexporter.simulator.filters import FILTERS, read_filter
from spexporter.simulator.hub_jobs import DEPLOY, LIST_OF, HubJob
from spexporter.simulator.jobs import EXPORT, FAILED, IMPORT, SimulatedJob
from spexporter.simulator.objects import EXPORTABLE, OBJECT_TYPES
from spexporter.simulator.orders import Order
from spexporter.simulator.personal_tokens import list_tokens
from spexporter.simulator.plan import TenantPlan
from spexporter.simulator.record import Record
from spexporter.simulator.refusals import bad_request, forbidden, not_found
from spexporter.simulator.tenant import Tenant
from spexporter.simulator.troubles import UNTROUBLED, Met
from spexporter.simulator.wishes import wish

READ, MANAGE, ALL = "sp:config:read", "sp:config:manage", "sp:scopes:all"
HUB_SCOPES = {
    BACKUPS: frozenset({"sp:config-backup:read", "sp:config-backup:manage"}),
    UPLOADS: frozenset({"sp:config-backup:read", "sp:config-backup:manage"}),
    DRAFTS: frozenset({"sp:config-draft:read", "sp:config-draft:manage"}),
    DEPLOYS: frozenset({"sp:config-deploy:read", "sp:config-deploy:manage"}),
}
ALL_TOKENS = frozenset({"sp:all-personal-access-tokens:read", "sp:all-personal-access-tokens:manage"})
MY_TOKENS = ALL_TOKENS | {"sp:my-personal-access-tokens:read", "sp:my-personal-access-tokens:manage"}
ME = "me"
"""As `owner-id`: one's own tokens, which is all that the scopes for one's own are good for."""
ILLEGAL_VALUE, BAD_CONTENT = "400.1.3 Illegal value", "400.1 Bad Request Content"


def _nothing(_: object) -> None:
    """Note nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A body to send as JSON, or a `page` of HTML; `on_sent` is given what was sent once its last byte was written."""

    body: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    page: bytes | None = None
    on_sent: Callable[[Any], None] = _nothing


def permit(call: Call, plan: TenantPlan, owner: str | None = None) -> None:
    """Let a call with a good token pass if the tenant has such a path and its credential may use it.

    Raises:
        Refusal: 404 for a version that the tenant lacks and a path that none has; 403 without a fitting scope, the
            user level Admin, or a user. Exports can be read with either scope, imports with `manage` alone. The lists
            of Configuration Hub and of tokens name no user level; of tokens, `owner` says whose are asked for.
    """
    if call.action == UNKNOWN or call.version not in plan.versions:
        raise not_found()
    if not (plan.has_user and (_fitting(call, owner) | {ALL}) & set(plan.scopes)):
        raise forbidden()
    if not plan.has_admin and call.action not in LISTS:
        raise forbidden()


def _fitting(call: Call, owner: str | None) -> frozenset[str]:
    if call.action == PERSONAL_TOKENS:
        return MY_TOKENS if owner == ME else ALL_TOKENS
    if call.action in HUB_SCOPES:
        return HUB_SCOPES[call.action]
    return frozenset({MANAGE}) if call.operation == IMPORT else frozenset({READ, MANAGE})


async def answer(
    call: Call, request: web.Request, tenant: Tenant, record: Record, now_s: float, *, met: Met = UNTROUBLED
) -> Answer:
    """Answer a permitted call at `now_s`, Unix seconds.

    Raises:
        Refusal: 404 for an unknown or expired job or one without the artifact, 400 for a start we cannot read.
    """
    if call.action == CONFIG_OBJECTS:
        return Answer([kind.payload() for kind in OBJECT_TYPES.values()])
    if call.action == PERSONAL_TOKENS:
        return Answer(list_tokens(tenant.plan, tenant.start_s, now_s))
    if call.action in LISTS:
        return _listed(
            call, tenant.hub.listed(now_s), request.query.get("filters"), now_s=now_s, met=met, record=record
        )
    if call.action == START:
        read_order = _export_order if call.operation == EXPORT else _import_order
        return Answer(tenant.start(await read_order(request), now_s).accepted(), status=202)
    job = tenant.find(call.operation, call.job_id, now_s)
    job = job and kept(job, met)
    if job is None or not job.exists_at(now_s):
        raise not_found()
    return _status(job, record, now_s) if call.action == STATUS else _result(job, record, now_s, met)


def _listed(
    call: Call, jobs: Iterable[HubJob], wanted: str | None, *, now_s: float, met: Met, record: Record
) -> Answer:
    kind = next(kind for kind, name in LIST_OF.items() if name == call.action)
    fits = read_filter(wanted, FILTERS[call.action])
    shown = listed((job for job in jobs if job.kind == kind), met, now_s)
    found = [entry for job in shown if fits(entry := job.entry_at(now_s))]
    bare = met.first(BARE_DEPLOYS) if kind == DEPLOY else None
    if bare:
        met.served(bare)
    body = {"items": found} if kind == DEPLOY and not bare else found
    return Answer(body, on_sent=lambda sent: record.list_sent(call.tenant, kind, sent))


def _status(job: SimulatedJob, record: Record, now_s: float) -> Answer:
    return Answer(job.status_at(now_s), on_sent=lambda sent: record.status_sent(job, sent["status"]))


def _result(job: SimulatedJob, record: Record, now_s: float, met: Met) -> Answer:
    body = job.download_at(now_s)
    if body is None or result_expired(job, met, now_s):
        raise not_found()
    if (late := met.first(RESULT_LATE)) and record.withheld(job) < late.count:
        record.result_withheld(job)
        met.served(late)
        raise not_found()
    return Answer(body, on_sent=lambda _: record.result_sent(job))


async def _export_order(request: web.Request) -> Order:
    options = _read_json(await request.read())
    description = options.get("description")
    included, excluded = _words(options.get("includeTypes")), _words(options.get("excludeTypes"))
    order = Order(EXPORT, description=description if isinstance(description, str) else None)
    if unknown := [name for name in included if name not in EXPORTABLE]:
        text = f"java.lang.IllegalArgumentException: Supplied types are not supported: [{', '.join(unknown)}]"
        return Order(EXPORT, description=order.description, final_state=FAILED, duration_s=0.125, message=text)
    types = included or tuple(name for name in EXPORTABLE if name not in excluded)
    return Order(EXPORT, description=order.description, types=types)


async def _import_order(request: web.Request) -> Order:
    try:
        form = await request.post()
    except ValueError as error:
        raise bad_request(BAD_CONTENT, "The multipart body could not be read.") from error
    data, options = form.get("data"), form.get("options", "{}")
    if not isinstance(data, FileField):
        raise bad_request(ILLEGAL_VALUE, "No files were supplied for import.")
    content = _read_json(data.file.read())
    backup = (
        _read_json(options.file.read() if isinstance(options, FileField) else options).get("excludeBackup") is not True
    )
    objects = content.get("objects")
    selves = [entry.get("self") for entry in objects if isinstance(entry, dict)] if isinstance(objects, list) else []
    types = {str(ref.get("type")) for ref in selves if isinstance(ref, dict)}
    preview = request.query.get("preview", "false").lower() == "true"
    try:
        return wish(Order(IMPORT, preview=preview, types=tuple(sorted(types)), backup=backup), content)
    except ValueError as error:
        raise bad_request(ILLEGAL_VALUE, str(error)) from error


def _read_json(text: str | bytes | bytearray) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise bad_request(BAD_CONTENT, "The request content is not valid JSON.") from error
    if not isinstance(value, dict):
        raise bad_request(BAD_CONTENT, "The request content must be an object.")
    return value


def _words(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
