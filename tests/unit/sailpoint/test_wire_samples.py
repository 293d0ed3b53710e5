"""What SailPoint has published of its answers decodes to what those answers say.

`published`: an example of SailPoint's API specification (github.com/sailpoint-oss/api-specs, MIT licence).
`reconstructed`: rebuilt from the facts of a published payload, whose exact text is not at hand.
"""

import json
from datetime import datetime

import pytest

from spexporter.domain.job import JobKey, JobState, Operation
from spexporter.domain.result import ImportResult, TypeCounts
from spexporter.sailpoint.wire import ErrorBody, decode_error, decode_object_types, decode_result, decode_status

EXPORT = JobKey("acme", Operation.EXPORT, "asked")
IMPORT = JobKey("acme", Operation.IMPORT, "asked")
UNIX = datetime.fromisoformat

STATUSES = {
    "published: export status": (
        EXPORT,
        {
            "jobId": "1e824aa0-4c6e-4f14-95e9-e7dc5234aa51",
            "status": "COMPLETE",
            "type": "EXPORT",
            "message": None,
            "description": "Export Job 1 Test",
            "expiration": "2021-05-20T15:04:24Z",
            "created": "2021-05-13T15:04:24.112Z",
            "modified": "2021-05-13T15:04:27.363Z",
            "completed": "2021-05-13T15:04:27.358Z",
        },
        (JobState.COMPLETE, "", "Export Job 1 Test", 3.246, 7 * 86400),
    ),
    "published: import status": (
        IMPORT,
        {
            "jobId": "4fb10503-1c49-4603-8f8d-886e1f6aa47b",
            "status": "COMPLETE",
            "type": "IMPORT",
            "message": "Download import results for details.",
            "description": None,
            "expiration": "2021-05-20T16:42:39Z",
            "created": "2021-05-13T16:42:39.333Z",
            "modified": "2021-05-13T16:42:40.71Z",
            "completed": "2021-05-13T16:42:40.705Z",
        },
        (JobState.COMPLETE, "Download import results for details.", "", 1.372, 7 * 86400),
    ),
    "reconstructed: 202 of an export in the guide": (
        EXPORT,
        {
            "jobId": "19169053-66d2-0000-0000-000000000000",
            "status": "NOT_STARTED",
            "type": "EXPORT",
            "message": None,
            "description": "Export from Neil's SailPoint tenant",
            "expiration": "2021-09-03T15:55:29.127Z",
            "created": "2021-08-27T15:55:29.127Z",
            "modified": "2021-08-27T15:55:29.127Z",
            "completed": None,
        },
        (JobState.NOT_STARTED, "", "Export from Neil's SailPoint tenant", None, 7 * 86400),
    ),
    "reconstructed: the same job's status in the guide, expiration without milliseconds": (
        EXPORT,
        {
            "jobId": "19169053-66d2-0000-0000-000000000000",
            "status": "COMPLETE",
            "type": "EXPORT",
            "message": None,
            "description": "Export from Neil's SailPoint tenant",
            "expiration": "2021-09-03T15:55:29Z",
            "created": "2021-08-27T15:55:29.127Z",
            "modified": "2021-08-27T15:55:37.59Z",
            "completed": "2021-08-27T15:55:37.583Z",
        },
        (JobState.COMPLETE, "", "Export from Neil's SailPoint tenant", 8.456, 7 * 86400),
    ),
    "reconstructed: a real failed export (sailpoint-cli issue 97): no completed, no description": (
        EXPORT,
        {
            "jobId": "517b1476-0000-0000-0000-000000000000",
            "status": "FAILED",
            "type": "EXPORT",
            "message": "java.lang.IllegalArgumentException: Supplied types are not supported: [WORKFLOWS]",
            "expiration": "2023-09-15T17:41:00Z",
            "created": "2023-09-08T17:41:00.777Z",
            "modified": "2023-09-08T17:41:00.902Z",
        },
        (
            JobState.FAILED,
            "java.lang.IllegalArgumentException: Supplied types are not supported: [WORKFLOWS]",
            "",
            0.125,
            7 * 86400,
        ),
    ),
    "reconstructed: a failed import in the guide": (
        IMPORT,
        {
            "jobId": "333e8c69-0000-0000-0000-000000000000",
            "status": "FAILED",
            "type": "IMPORT",
            "message": "Import halted because of errors. Download results for error details.",
            "description": None,
            "expiration": "2021-06-11T02:59:56Z",
            "created": "2021-06-04T02:59:56.569Z",
            "modified": "2021-06-04T02:59:57.568Z",
            "completed": "2021-06-04T02:59:57.563Z",
        },
        (
            JobState.FAILED,
            "Import halted because of errors. Download results for error details.",
            "",
            0.994,
            7 * 86400,
        ),
    ),
}


@pytest.mark.parametrize(("key", "payload", "facts"), STATUSES.values(), ids=STATUSES)
def test_published_statuses_decode_to_their_facts(
    key: JobKey, payload: dict[str, object], facts: tuple[JobState, str, str, float | None, float]
) -> None:
    """State, texts, duration and expiry are those of the payload; nothing in it is unknown."""
    unknown: list[str] = []
    seen = decode_status(json.dumps(payload).encode(), key, observed_s=0.0, unknown=unknown.append)
    state, message, description, took_s, kept_s = facts
    assert (seen.state, seen.message, seen.description) == (state, message, description)
    assert seen.reported_id == payload["jobId"]
    assert seen.created_s is not None
    assert seen.expires_s is not None
    assert seen.expires_s - seen.created_s == pytest.approx(kept_s, abs=1.0)
    if took_s is None:
        assert seen.ended_s is None
    else:
        assert seen.ended_s is not None
        assert seen.ended_s - seen.created_s == pytest.approx(took_s, abs=1e-4)
    assert unknown == []


BACKUP = "be9e116d-08e1-49fc-ab7f-fa585e96c9e4"
PREVIEW_INFOS = [
    {"key": "IMPORT_PREVIEW", "text": "Object to be imported: [c953134c-0000, Test 2]", "detail": None},
    {"key": "IMPORT_PREVIEW", "text": "Object to be imported: [be9e116d-0000, Test 1]", "detail": None},
]
PREVIEW = {"TRIGGER_SUBSCRIPTION": {"infos": PREVIEW_INFOS, "warnings": [], "errors": [], "importedObjects": []}}
RESULTS = {
    "reconstructed: the guide's error with partial success: key and detail null, no exportJobId": (
        {
            "results": {
                "TRIGGER_SUBSCRIPTION": {
                    "infos": [],
                    "warnings": [],
                    "errors": [
                        {
                            "key": None,
                            "text": "There was an error importing 'TRIGGER_SUBSCRIPTION' with name 'Access Request' "
                            "Exception com.sailpoint.ets.exception.DuplicatedSubscriptionException",
                            "detail": None,
                        }
                    ],
                    "importedObjects": [
                        {"type": "TRIGGER_SUBSCRIPTION", "id": "be9e116d-0000", "name": "Test 1"},
                        {"type": "TRIGGER_SUBSCRIPTION", "id": "c953134c-0000", "name": "Test 2"},
                    ],
                }
            }
        },
        ImportResult({"TRIGGER_SUBSCRIPTION": TypeCounts(errors=1, objects=2)}),
    ),
    "reconstructed: a preview, flat as the guide has it": (
        {"results": PREVIEW, "exportJobId": BACKUP},
        ImportResult({"TRIGGER_SUBSCRIPTION": TypeCounts(infos=2)}, preview=True, backup_id=BACKUP),
    ),
    "published: the same preview as the API page renders it, `results` twice": (
        {"results": {"results": PREVIEW}, "exportJobId": BACKUP},
        ImportResult({"TRIGGER_SUBSCRIPTION": TypeCounts(infos=2)}, preview=True, backup_id=BACKUP),
    ),
    "published: a reference that cannot be resolved, with filled details": (
        {
            "results": {
                "SOURCE": {
                    "errors": [
                        {
                            "key": "UNKNOWN_REFERENCE_RESOLVER",
                            "text": "Unable to resolve reference for object [type: IDENTITY, id: 2c91, name: random]",
                            "details": {"details": "message details"},
                        }
                    ]
                }
            }
        },
        ImportResult({"SOURCE": TypeCounts(errors=1)}),
    ),
}


@pytest.mark.parametrize(("payload", "result"), RESULTS.values(), ids=RESULTS)
def test_published_import_results_decode_to_their_facts(payload: dict[str, object], result: ImportResult) -> None:
    """Counts by type and severity, preview and backup id are those of the payload."""
    assert decode_result(json.dumps(payload).encode()) == result


REFUSED = {"locale": "en-US", "localeOrigin": "DEFAULT", "text": "The server refuses to authorize it."}
ERRORS = {
    "published: 403": (
        {"detailCode": "403 Forbidden", "trackingId": "b21b1f7c", "messages": [REFUSED]},
        ErrorBody("403 Forbidden: The server refuses to authorize it.", "b21b1f7c"),
    ),
    "published: causes come before messages": (
        {"detailCode": "400.1", "messages": [REFUSED], "causes": [{"text": "the cause"}]},
        ErrorBody("400.1: the cause", ""),
    ),
    "published: 401": (
        {"error": "JWT validation failed: JWT is expired"},
        ErrorBody("JWT validation failed: JWT is expired", ""),
    ),
    "published: 429": ({"message": " Rate Limit Exceeded "}, ErrorBody("Rate Limit Exceeded", "")),
    "reconstructed: a bad secret (powershell-sdk pull request 32)": (
        {"error": "invalid_client", "error_description": "Bad client credentials"},
        ErrorBody("invalid_client: Bad client credentials", ""),
    ),
    "reconstructed: what SailPoint's VS Code extension also looks for": (
        {"formatted_msg": "Something broke"},
        ErrorBody("Something broke", ""),
    ),
}


@pytest.mark.parametrize(("payload", "said"), ERRORS.values(), ids=ERRORS)
def test_published_error_bodies_become_one_line(payload: dict[str, object], said: ErrorBody) -> None:
    """Every shape gives its text and SailPoint's tracking id."""
    assert decode_error(json.dumps(payload).encode()) == said


def test_object_types_are_read_from_the_object_configurations() -> None:
    """Other fields, and entries without a type, do not matter (shape of the published schema)."""
    body = json.dumps([{"objectType": "SOURCE", "exportable": True}, {"objectType": None}, {"objectType": "RULE"}])
    assert decode_object_types(body.encode()) == {"SOURCE", "RULE"}
