"""`GET /api/v1/openapi.json`: what the API takes and answers, as OpenAPI 3.1.

The shapes of answers come from `answers`, the patterns of what is handed in from the configuration's own.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from spexporter import __version__
from spexporter.config.convert import DURATION_PATTERN, IDENTIFIER_PATTERN
from spexporter.domain.job import Operation
from spexporter.web.answers import STATES, JobAnswer, JobsAnswer, TenantsAnswer
from spexporter.web.refusal import ErrorAnswer

_Json = dict[str, Any]
_Identifier = Annotated[str, Meta(pattern=f"^{IDENTIFIER_PATTERN}$")]


class JobOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job to watch from now on; null is as good as left out."""

    tenant: Annotated[_Identifier, Meta(description="a tenant of this exporter")]
    operation: Literal["export", "import"]
    id: Annotated[_Identifier, Meta(description="as SailPoint gave it when the job was started")]
    name: Annotated[str, Meta(min_length=1, description="for people")] | None = None
    max_age: (
        Annotated[
            str, Meta(pattern=f"^{DURATION_PATTERN}$", description="such as 30m: a job still running then is stuck")
        ]
        | None
    ) = None
    preview: Annotated[bool, Meta(description="whether the import is a dry run; else found out")] | None = None


_SCHEMAS = msgspec.json.schema_components(
    [TenantsAnswer, JobsAnswer, JobAnswer, JobOrder, ErrorAnswer], ref_template="#/components/schemas/{name}"
)[1]

_SAID = {
    400: "the request is wrong; every mistake is named",
    403: "the exporter runs without `--web.enable-lifecycle`",
    404: "there is no such tenant, operation or job",
    408: "the body did not arrive within 10 s",
    409: "another source than the API names the job",
    413: "the body is larger than 64 KiB",
    415: "the body is not said to be JSON in UTF-8, or is compressed",
    429: "the tenant has `limits.max_jobs_per_tenant` jobs that have not ended",
    503: "the store cannot tell now whether the job was counted before, or another replica has the tenant",
}


def _content(schema: str) -> _Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _operation(
    summary: str, answers: Mapping[int, tuple[str, str]], refusals: Sequence[int] = (), **more: object
) -> _Json:
    """Describe one method of a path; `answers` by status: what it means, and the shape, empty for no body."""
    good = {
        str(status): {"description": meaning, **({"content": _content(schema)} if schema else {})}
        for status, (meaning, schema) in answers.items()
    }
    bad = {str(status): {"description": _SAID[status], "content": _content("ErrorAnswer")} for status in refusals}
    return {"summary": summary, **more, "responses": {**good, **bad}}


def _parameter(place: str, name: str, words: Sequence[str] = ()) -> _Json:
    text: _Json = {"type": "string", **({"enum": list(words)} if words else {})}
    if place == "path":
        return {"name": name, "in": place, "required": True, "schema": text}
    # Each filter may be given several times: any of its values fits.
    return {"name": name, "in": place, "schema": {"type": "array", "items": text}, "explode": True}


_JOB_PARAMETERS = [
    _parameter("path", "tenant"),
    _parameter("path", "operation", list(Operation)),
    _parameter("path", "id"),
]

DOCUMENT: Final[_Json] = {
    "openapi": "3.1.0",
    "info": {
        "title": "spexporter",
        "version": __version__,
        "description": "Tenants and jobs as the exporter sees them, from memory. Times are RFC 3339 in UTC, durations"
        " seconds; null means not known.",
    },
    "paths": {
        "/api/v1/tenants": {
            "get": _operation("All tenants", {200: ("the tenants, by name", "TenantsAnswer")}),
        },
        "/api/v1/jobs": {
            "get": _operation(
                "The watched jobs that fit all filters",
                {200: ("the jobs, by tenant, operation and id", "JobsAnswer")},
                [400],
                parameters=[
                    _parameter("query", "tenant"),
                    _parameter("query", "state", list(STATES)),
                    _parameter("query", "operation", list(Operation)),
                ],
            ),
            "post": _operation(
                "Hand in a job to watch; needs `--web.enable-lifecycle`",
                {
                    201: ("watched from now on, over restarts", "JobAnswer"),
                    200: ("already watched", "JobAnswer"),
                },
                [400, 403, 404, 408, 413, 415, 429, 503],
                requestBody={"required": True, "content": _content("JobOrder")},
            ),
        },
        "/api/v1/jobs/{tenant}/{operation}/{id}": {
            "parameters": _JOB_PARAMETERS,
            "get": _operation("One job", {200: ("the job", "JobAnswer")}, [404]),
            "delete": _operation(
                "Take back a job that was handed in; needs `--web.enable-lifecycle`",
                {204: ("not watched any more", "")},
                [403, 404, 409, 503],
            ),
        },
        "/api/v1/openapi.json": {
            "get": {
                "summary": "This document",
                "responses": {
                    "200": {
                        "description": "OpenAPI 3.1",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
            }
        },
    },
    "components": {"schemas": _SCHEMAS},
}
