"""What SailPoint has published of Configuration Hub's lists decodes to what those lists say.

`published`: an example of SailPoint's API specification (github.com/sailpoint-oss/api-specs, MIT licence).
`reconstructed`: rebuilt from the facts of a published payload, whose exact text is not at hand.
"""

import json
from datetime import datetime
from typing import Any

import pytest

from spexporter.domain.hub import ListedJob
from spexporter.domain.job import HubFacts, JobKey, JobState, Observation, Operation
from spexporter.sailpoint.lists import Reading, decode_list

UPLOAD = {
    "jobId": "281d421c-0643-4004-9fe5-29a95d2f73df",
    "status": "COMPLETE",
    "type": "BACKUP",
    "tenant": "someTenant",
    "requesterName": "support",
    "fileExists": True,
    "created": "2024-03-07T21:11:00.375Z",
    "modified": "2024-03-07T21:11:25.046Z",
    "completed": "2024-03-07T21:11:00.66Z",
    "name": "test1",
    "userCanDelete": False,
    "isPartial": False,
    "backupType": "UPLOADED",
    "hydrationStatus": "HYDRATED",
    "totalObjectCount": 64,
}
FAILED_UPLOAD = {
    "jobId": "00000000-0000-0000-0000-000000000785",
    "status": "FAILED",
    "type": "BACKUP",
    "tenant": "company10352-poc",
    "message": "com.sailpoint.sp.config.exception.IncorrectBackupUploadFormatException: Uploaded backup file could not "
    "be parsed to correct format.",
    "requesterName": "support",
    "fileExists": False,
    "created": "2025-03-30T17:09:13.195Z",
    "modified": "2025-03-30T17:09:13.285Z",
    "name": "test4",
    "userCanDelete": False,
    "isPartial": False,
    "backupType": "UPLOADED",
    "hydrationStatus": "NOT_HYDRATED",
    "totalObjectCount": 0,
}
BACKUP = {
    "jobId": "09491993-9cb6-49a7-8d37-8bef54d33502",
    "status": "COMPLETE",
    "type": "BACKUP",
    "tenant": "tenant-name",
    "requesterName": "Requester Name",
    "fileExists": True,
    "created": "2024-02-19T19:54:15.373Z",
    "modified": "2024-02-19T20:39:00.341Z",
    "completed": "2024-02-19T19:54:15.605Z",
    "name": "Backup name",
    "userCanDelete": False,
    "isPartial": True,
    "backupType": "MANUAL",
    "options": {"includeTypes": ["SOURCE"], "objectOptions": {"SOURCE": {"includedNames": ["Source Name"]}}},
    "hydrationStatus": "HYDRATED",
    "totalObjectCount": 2,
    "cloudStorageStatus": "SYNCED",
}
DRAFT = {
    "jobId": "07659d7d-2cce-47c0-9e49-185787ee565a",
    "status": "COMPLETE",
    "type": "CREATE_DRAFT",
    "message": "Draft creation message",
    "requesterName": "Requester Name",
    "fileExists": True,
    "created": "2024-08-16T14:16:58.389Z",
    "completed": "2024-08-16T14:17:12.355Z",
    "name": "Draft Name",
    "sourceTenant": "source-tenant",
    "sourceBackupId": "9393e1f5-bed6-4fa8-80fb-6f86b19bd3d6",
    "sourceBackupName": "Source Backup Name",
    "mode": "RESTORE",
    "approvalStatus": "DEFAULT",
    "approvalComment": [
        {
            "comment": "Approval comment",
            "timestamp": "2024-08-26T19:32:46.384137Z",
            "user": "User name",
            "id": "User id",
            "changedToStatus": "PENDING_FOR_APPROVAL",
        }
    ],
}
DEPLOYED = {
    "jobId": "3d0fe04b-57df-4a46-a83b-8f04b0f9d10b",
    "status": "COMPLETE",
    "type": "CONFIG_DEPLOY_DRAFT",
    "message": "Deploy outcome message",
    "requesterName": "requester.name",
    "fileExists": True,
    "created": "2023-08-29T01:54:37.069Z",
    "modified": "2024-07-15T16:53:45.925Z",
    "completed": "2023-08-29T01:54:41.924Z",
    "draftId": "925e34e3-fa7c-4e7a-9b9a-cf3b8b4b1068",
    "draftName": "Source draft name",
    "cloudStorageStatus": "SYNCED",
}
FAILED_DEPLOY = {
    "jobId": "bdbcaae6-5e2a-4ebd-9eb3-37b09ec7eea4",
    "status": "FAILED",
    "type": "CONFIG_DEPLOY_DRAFT",
    "message": "Deploy outcome message",
    "requesterName": "requester.name",
    "fileExists": True,
    "created": "2023-07-20T18:38:00.812Z",
    "modified": "2024-07-15T16:53:59.778Z",
    "completed": "2023-07-20T18:38:01.783Z",
    "draftId": "e04da89d-941f-41e8-83ab-dd185ef5e646",
    "draftName": "Source draft name",
    "cloudStorageStatus": "NOT_SYNCED",
}


def seen(operation: Operation, payload: dict[str, Any], message: str = "") -> Observation:
    """Write the observation that a payload should give."""

    def unix(name: str) -> float | None:
        return datetime.fromisoformat(payload[name]).timestamp() if name in payload else None

    return Observation(
        JobKey("acme", operation, payload["jobId"]),
        JobState(payload["status"]),
        payload["status"],
        observed_s=7.0,
        created_s=unix("created"),
        modified_s=unix("modified"),
        completed_s=unix("completed"),
        message=message,
        reported_id=payload["jobId"],
    )


def deploy(payload: dict[str, Any], *, synced: bool) -> ListedJob:
    return ListedJob(
        seen(Operation.DEPLOY, payload, "Deploy outcome message"), "Source draft name", HubFacts(synced=synced)
    )


SAMPLES: dict[str, tuple[Operation, object, list[ListedJob], list[float | None]]] = {
    "published: uploads": (
        Operation.UPLOAD,
        [UPLOAD],
        [ListedJob(seen(Operation.UPLOAD, UPLOAD), "test1", HubFacts(64, of_other_tenant=True))],
        [0.285],
    ),
    "reconstructed: a real failed upload (developer.sailpoint.com issue 785): no completed": (
        Operation.UPLOAD,
        [FAILED_UPLOAD],
        [ListedJob(seen(Operation.UPLOAD, FAILED_UPLOAD, str(FAILED_UPLOAD["message"])), "test4", HubFacts(0))],
        [None],
    ),
    "published: backups": (
        Operation.BACKUP,
        [BACKUP],
        [
            ListedJob(
                seen(Operation.BACKUP, BACKUP),
                "Backup name",
                HubFacts(2, synced=True, partial=True, of_other_tenant=True),
            )
        ],
        [0.232],
    ),
    "published: drafts": (
        Operation.DRAFT,
        [DRAFT],
        [ListedJob(seen(Operation.DRAFT, DRAFT, "Draft creation message"), name="Draft Name")],
        [13.966],
    ),
    "reconstructed: the published draft while it waits for approval": (
        Operation.DRAFT,
        [{**DRAFT, "approvalStatus": "PENDING_APPROVAL"}],
        [
            ListedJob(
                seen(Operation.DRAFT, DRAFT, "Draft creation message"),
                name="Draft Name",
                pending_approval=True,
                pending_since_s=1724700766.384137,
            )
        ],
        [13.966],
    ),
    "published: deploys, modified ten months after their end": (
        Operation.DEPLOY,
        {"items": [DEPLOYED, FAILED_DEPLOY]},
        [deploy(DEPLOYED, synced=True), deploy(FAILED_DEPLOY, synced=False)],
        [4.855, 0.971],
    ),
    "reconstructed: the same deploys as a bare array, as they were published at first": (
        Operation.DEPLOY,
        [DEPLOYED, FAILED_DEPLOY],
        [deploy(DEPLOYED, synced=True), deploy(FAILED_DEPLOY, synced=False)],
        [4.855, 0.971],
    ),
}


@pytest.mark.parametrize(("operation", "payload", "jobs", "took_s"), SAMPLES.values(), ids=SAMPLES)
def test_published_lists_decode_to_their_facts(
    operation: Operation, payload: object, jobs: list[ListedJob], took_s: list[float | None]
) -> None:
    """Each entry is what it says, `modified` is no end of it, and nothing in it is unknown."""
    unknown: list[str] = []
    reading = Reading("acme", frozenset({"company10352-poc"}), 7.0, unknown.append)
    found = decode_list(json.dumps(payload).encode(), operation, reading)
    assert list(found) == jobs
    assert unknown == []
    for job, seconds in zip(found, took_s, strict=True):
        created_s, ended_s = job.observation.created_s, job.observation.ended_s
        assert created_s is not None
        assert (ended_s and ended_s - created_s) == (seconds and pytest.approx(seconds, abs=1e-4))
