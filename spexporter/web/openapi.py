"""`GET /api/v1/openapi.json`: what the API takes and answers, as OpenAPI 3.1.

The shapes of answers come from `answers`, the patterns of what is handed in from the configuration's own.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from spexporter import __version__
from spexporter.config.convert import IDENTIFIER_PATTERN
from spexporter.domain.job import Operation
from spexporter.web.answers import STATES, JobAnswer, JobDetailAnswer, JobsAnswer, TenantsAnswer
from spexporter.web.refusal import ErrorAnswer

_Json = dict[str, Any]
_MEDIA: Final = "application/json"

_NAME_PATTERN = rf"^(?!\.\.?$){IDENTIFIER_PATTERN}$"
# What Python takes for a blank, as patterns of JSON Schema have another opinion of `\s`.
_BLANKS = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_FREE_PATTERN = rf"^[^{_BLANKS}]([\s\S]*[^{_BLANKS}])?$"
# Somewhat less than is accepted: a pattern cannot add up, so each unit has a bound, together less than 100 years.
_MAX_AGE_PATTERN = (
    "^(?=.*[1-9])([0-8]?[0-9]y)?([0-9]{1,2}w)?([0-9]{1,3}d)?([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?([0-9]{1,9}ms)?$"
)
_Name = Annotated[str, Meta(pattern=_NAME_PATTERN)]


class JobOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job to watch from now on; null is as good as left out."""

    tenant: Annotated[_Name, Meta(description="a tenant of this exporter")]
    operation: Literal["export", "import"]
    id: Annotated[_Name, Meta(description="as SailPoint gave it when the job was started")]
    name: Annotated[str, Meta(pattern=_FREE_PATTERN, description="for people; no blank at either end")] | None = None
    max_age: (
        Annotated[
            str, Meta(pattern=_MAX_AGE_PATTERN, description="such as 30m or 1h30m: a job still running then is stuck")
        ]
        | None
    ) = None
    preview: Annotated[bool, Meta(description="whether the import is a dry run; else found out")] | None = None


_SCHEMAS = msgspec.json.schema_components(
    [TenantsAnswer, JobsAnswer, JobAnswer, JobDetailAnswer, JobOrder, ErrorAnswer],
    ref_template="#/components/schemas/{name}",
)[1]

_SAID = {
    400: "the request is wrong, and the answer says where",
    403: "the exporter runs without `--web.enable-lifecycle`",
    404: "there is no such tenant, operation or job",
    408: "the body did not arrive within 10 s",
    409: "another source than the API names the job",
    413: "the body is larger than 64 KiB",
    415: "the body is not said to be JSON in UTF-8, or is compressed",
    429: "the tenant has `limits.max_jobs_per_tenant` jobs that have not ended",
    503: "another replica has the tenant, or the store fails now",
}


_LOCATION = {"Location": {"description": "the job's own path", "schema": {"type": "string"}}}
_RETRY_AFTER = {"Retry-After": {"description": "in seconds", "schema": {"type": "integer"}}}
_LINKED = {part: f"$response.body#/{part}" for part in ("tenant", "operation", "id")}
_LINKS = {name: {"operationId": name, "parameters": _LINKED} for name in ("getJob", "takeBackJob")}


def document(tenants: Sequence[str]) -> _Json:
    """Describe the API of an exporter with these tenants: there is nothing to choose among others."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "spexporter",
            "version": __version__,
            "description": "Tenants and jobs as the exporter sees them, from memory. Times are RFC 3339 in UTC,"
            " durations seconds; null means not known. Paths (404) and methods (405) that are not described here are"
            " refused with an ErrorAnswer, too.",
        },
        "paths": {
            "/api/v1/tenants": {"get": _LIST_TENANTS},
            "/api/v1/jobs": {"get": _list_jobs(tenants), "post": _hand_in_job(tenants)},
            "/api/v1/jobs/{tenant}/{operation}/{id}": {
                "parameters": [
                    _in_path("tenant", examples=tenants[:1]),
                    _in_path("operation", enum=list(Operation)),
                    _in_path("id"),
                ],
                "get": _GET_JOB,
                "delete": _TAKE_BACK_JOB,
            },
            "/api/v1/openapi.json": {"get": _GET_OPENAPI},
        },
        "components": {"schemas": _SCHEMAS},
    }


def _list_jobs(tenants: Sequence[str]) -> _Json:
    return _operation(
        "listJobs",
        "The watched jobs that fit all filters",
        {200: _content("the jobs, by tenant, operation and id", "JobsAnswer")},
        [400, 503],
        parameters=[_filter("tenant", tenants), _filter("state", STATES), _filter("operation", list(Operation))],
    )


def _hand_in_job(tenants: Sequence[str]) -> _Json:
    example = {"tenant": next(iter(tenants), "acme-prod"), "operation": "import", "id": "ef38f943", "max_age": "30m"}
    return _operation(
        "handInJob",
        "Hand in a job to watch; needs `--web.enable-lifecycle`",
        {
            201: {**_content("watched from now on, over restarts", "JobAnswer"), "headers": _LOCATION, "links": _LINKS},
            200: {**_content("already watched", "JobAnswer"), "headers": _LOCATION, "links": _LINKS},
        },
        [400, 403, 404, 408, 413, 415, 429, 503],
        requestBody={"required": True, "content": {_MEDIA: {"schema": _ref("JobOrder"), "example": example}}},
    )


def _operation(
    name: str, summary: str, answers: Mapping[int, _Json], refusals: Sequence[int] = (), **more: object
) -> _Json:
    """Describe one method of a path, with its answers by status."""
    refused = {status: _content(_SAID[status], "ErrorAnswer") for status in refusals}
    for status in {429, 503} & refused.keys():
        refused[status]["headers"] = _RETRY_AFTER
    responses = {str(status): answer for status, answer in {**answers, **refused}.items()}
    return {"operationId": name, "summary": summary, **more, "responses": responses}


def _content(meaning: str, shape: str) -> _Json:
    return {"description": meaning, "content": {_MEDIA: {"schema": _ref(shape)}}}


def _ref(shape: str) -> _Json:
    return {"$ref": f"#/components/schemas/{shape}"}


def _in_path(name: str, **schema: object) -> _Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", **schema}}


def _filter(name: str, words: Sequence[str]) -> _Json:
    return {
        "name": name,
        "in": "query",
        "description": "may be given several times: any of the values fits, and an empty one asks for nothing",
        "schema": {"type": "array", "items": {"type": "string", "enum": ["", *words]}},
        "explode": True,
    }


_LIST_TENANTS = _operation("listTenants", "All tenants", {200: _content("the tenants, by name", "TenantsAnswer")})
_GET_JOB = _operation("getJob", "One job", {200: _content("the job", "JobDetailAnswer")}, [404, 503])
_TAKE_BACK_JOB = _operation(
    "takeBackJob",
    "Take back a job that was handed in; needs `--web.enable-lifecycle`",
    {204: {"description": "not watched any more"}},
    [403, 404, 409, 503],
)
_GET_OPENAPI = _operation(
    "getOpenapi",
    "This document",
    {200: {"description": "OpenAPI 3.1", "content": {_MEDIA: {"schema": {"type": "object"}}}}},
)
