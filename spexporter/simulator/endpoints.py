"""The answers of one tenant to the seven SP-Config operations."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField

from spexporter.simulator.calls import CONFIG_OBJECTS, START, STATUS, UNKNOWN, Call
from spexporter.simulator.conditions import kept, result_expired
from spexporter.simulator.faults import RESULT_LATE
from spexporter.simulator.jobs import EXPORT, FAILED, IMPORT, SimulatedJob
from spexporter.simulator.objects import EXPORTABLE, OBJECT_TYPES
from spexporter.simulator.orders import Order
from spexporter.simulator.plan import TenantPlan
from spexporter.simulator.record import Record
from spexporter.simulator.refusals import bad_request, forbidden, not_found
from spexporter.simulator.tenant import Tenant
from spexporter.simulator.troubles import UNTROUBLED, Met

READ, MANAGE, ALL = "sp:config:read", "sp:config:manage", "sp:scopes:all"
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


def permit(call: Call, plan: TenantPlan) -> None:
    """Let a call with a good token pass if the tenant has such a path and its credential may use it.

    Raises:
        Refusal: 404 for a version that the tenant lacks and a path that none has; 403 without a fitting scope, the
            user level Admin, or a user. Exports can be read with either scope, imports with `manage` alone.
    """
    if call.action == UNKNOWN or call.version not in plan.versions:
        raise not_found()
    fitting = {MANAGE, ALL} if call.operation == IMPORT else {READ, MANAGE, ALL}
    if not (plan.has_admin and plan.has_user and fitting & set(plan.scopes)):
        raise forbidden()


async def answer(
    call: Call, request: web.Request, tenant: Tenant, record: Record, now_s: float, *, met: Met = UNTROUBLED
) -> Answer:
    """Answer a permitted call at `now_s`, Unix seconds.

    Raises:
        Refusal: 404 for an unknown or expired job or one without the artifact, 400 for a start we cannot read.
    """
    if call.action == CONFIG_OBJECTS:
        return Answer([kind.payload() for kind in OBJECT_TYPES.values()])
    if call.action == START:
        read_order = _export_order if call.operation == EXPORT else _import_order
        return Answer(tenant.start(await read_order(request), now_s).accepted(), status=202)
    job = tenant.find(call.operation, call.job_id, now_s)
    job = job and kept(job, met)
    if job is None or not job.exists_at(now_s):
        raise not_found()
    return _status(job, record, now_s) if call.action == STATUS else _result(job, record, now_s, met)


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
    return Order(IMPORT, preview=preview, types=tuple(sorted(types)), backup=backup)


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
