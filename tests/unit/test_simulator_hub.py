import json
import math
from datetime import datetime
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spexporter.domain.values import replace
from spexporter.simulator import QUIRKS, Fault, HubJob, HubKind, HubOptions, default_plans
from spexporter.simulator.calls import Call
from spexporter.simulator.chance import chance
from spexporter.simulator.hub import Hub
from spexporter.simulator.quirks import bend
from spexporter.simulator.troubles import Met
from tests.support.clock import START_WALL_S

PLAN = replace(default_plans(1)[0], jobs_at_start=0, starts_per_minute=0)
LIVE = replace(default_plans(1)[0], starts_per_minute=12)
API_STATES = {"NOT_STARTED", "IN_PROGRESS", "COMPLETE", "FAILED", "CANCELLED"}
SEEDS = st.integers(0, 10_000)
DAY_S = 86_400.0
LISTS = {"backup": "backups", "upload": "uploads", "draft": "drafts", "deploy": "deploys"}


def hub(plan: Any = PLAN, seed: int = 1, speed: float = 1.0) -> Hub:  # noqa: ANN401 - a plan
    return Hub(plan, seed=seed, speed=speed, start_s=START_WALL_S)


def made(kind: HubKind, options: HubOptions) -> HubJob:
    return hub().start(kind, {"final_state": "COMPLETE", **options}, START_WALL_S)


def test_backup_lives_from_its_start_to_its_cloud_storage() -> None:
    """It is queued, runs, ends, can then be looked at and is then stored; `modified` moves with each of these."""
    job = made(
        "backup",
        {
            "job_id": "b-1",
            "name": "Sources only",
            "queue_s": 2,
            "duration_s": 10,
            "backup_type": "MANUAL",
            "include_types": ("SOURCE",),
            "object_count": 2,
            "hydrated_after_s": 60,
            "sync": "SYNCED",
            "settled_after_s": 3600,
            "touched_after_s": (300 * DAY_S,),
        },
    )
    entry = job.entry_at(START_WALL_S + 5)
    assert (entry["status"], entry["fileExists"], entry["totalObjectCount"]) == ("IN_PROGRESS", False, 0)
    assert "completed" not in entry
    assert "message" not in entry
    assert job.entry_at(START_WALL_S + 10) == {
        "jobId": "b-1",
        "status": "COMPLETE",
        "type": "BACKUP",
        "tenant": "acme-prod",
        "requesterName": job.requester,
        "fileExists": True,
        "created": "2027-01-15T08:00:00Z",
        "modified": "2027-01-15T08:00:10Z",
        "completed": "2027-01-15T08:00:10Z",
        "name": "Sources only",
        "userCanDelete": False,
        "isPartial": True,
        "backupType": "MANUAL",
        "options": {"includeTypes": ["SOURCE"], "objectOptions": {}},
        "hydrationStatus": "NOT_HYDRATED",
        "totalObjectCount": 2,
        "cloudStorageStatus": "NOT_SYNCED",
    }
    seen = [job.entry_at(START_WALL_S + 10 + after_s) for after_s in (0, 60, 3600, 300 * DAY_S)]
    assert [(one["hydrationStatus"], one["cloudStorageStatus"], one["modified"]) for one in seen] == [
        ("NOT_HYDRATED", "NOT_SYNCED", "2027-01-15T08:00:10Z"),
        ("HYDRATED", "NOT_SYNCED", "2027-01-15T08:01:10Z"),
        ("HYDRATED", "SYNCED", "2027-01-15T09:00:10Z"),
        ("HYDRATED", "SYNCED", "2027-11-11T08:00:10Z"),
    ]
    assert {one["completed"] for one in seen} == {"2027-01-15T08:00:10Z"}


def test_failed_upload_looks_like_the_one_that_was_published() -> None:
    """It has a message, no `completed`, no file and no objects."""
    entry = made("upload", {"final_state": "FAILED", "duration_s": 0.09}).entry_at(START_WALL_S + 1e6)
    assert "IncorrectBackupUploadFormatException" in str(entry["message"])
    assert "completed" not in entry
    assert (entry["fileExists"], entry["hydrationStatus"], entry["totalObjectCount"], entry["backupType"]) == (
        False,
        "NOT_HYDRATED",
        0,
        "UPLOADED",
    )
    assert entry.keys().isdisjoint({"options", "cloudStorageStatus"})


@pytest.mark.parametrize(
    ("kind", "options", "has_completed"),
    [
        pytest.param("backup", {"final_state": "FAILED"}, False, id="failed backup"),
        pytest.param("deploy", {"final_state": "FAILED"}, True, id="failed deploy"),
        pytest.param("draft", {"final_state": "CANCELLED"}, False, id="cancelled draft"),
        pytest.param("draft", {}, True, id="complete draft"),
        pytest.param("backup", {"final_state": "FAILED", "sends_completed": True}, True, id="told to"),
        pytest.param("deploy", {"final_state": "FAILED", "sends_completed": False}, False, id="told not to"),
    ],
)
def test_completed_is_told_by_complete_jobs_and_failed_deploys(
    kind: HubKind,
    options: HubOptions,
    has_completed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Unless the plan says otherwise."""
    assert ("completed" in made(kind, options).entry_at(START_WALL_S + 1e6)) == has_completed


def test_draft_waits_for_approval_and_gets_an_answer() -> None:
    """Each step shows in `approvalStatus` when it is made, and leaves a comment with its moment."""
    job = made(
        "draft",
        {
            "duration_s": 5,
            "approval": "DENIED",
            "pending_after_s": 10,
            "decided_after_s": 20.5,
            "absent": (),
            "touched_after_s": (),
        },
    )
    seen = [job.entry_at(START_WALL_S + after_s) for after_s in (5, 15, 25.5)]
    assert [one["approvalStatus"] for one in seen] == ["DEFAULT", "PENDING_APPROVAL", "DENIED"]
    comments: Any = seen[-1]["approvalComment"]
    assert [datetime.fromisoformat(one["timestamp"]).timestamp() for one in comments] == pytest.approx(
        [START_WALL_S + 15, START_WALL_S + 25.5], abs=0.001
    )
    assert comments[0]["changedToStatus"] in {"PENDING_APPROVAL", "PENDING_FOR_APPROVAL"}
    assert comments[1]["changedToStatus"] == "REJECTED"
    assert all(len(one["timestamp"].partition(".")[2]) == 7 for one in comments)
    assert seen[-1]["modified"] == "2027-01-15T08:00:25.5Z"


@pytest.mark.parametrize(
    "options",
    [{"approval": "DEFAULT"}, {"approval": "APPROVED", "final_state": "FAILED"}, {"pending_after_s": math.inf}],
    ids=["nobody asked", "failed", "never"],
)
def test_draft_that_nobody_hands_in_stays_as_it_is(options: HubOptions) -> None:
    """No approval is asked for what has not been made."""
    entry = made("draft", options).entry_at(START_WALL_S + 1e9)
    assert (entry["approvalStatus"], entry["approvalComment"]) == ("DEFAULT", [])


def test_deploy_names_its_draft_and_tells_its_outcome() -> None:
    """It has a message whether it went well or not, and no name of its own."""
    mine: HubOptions = {"draft_id": "d-1", "draft_name": "Release 42", "sync": "SYNC_FAILED", "settled_after_s": 60}
    entry = made("deploy", {**mine, "duration_s": 4}).entry_at(START_WALL_S + 64)
    assert (entry["type"], entry["draftId"], entry["draftName"]) == ("CONFIG_DEPLOY_DRAFT", "d-1", "Release 42")
    assert (entry["cloudStorageStatus"], entry["message"]) == ("SYNC_FAILED", "Deploy outcome message")
    assert "name" not in entry
    failed = made("deploy", {**mine, "final_state": "FAILED"}).entry_at(START_WALL_S + 1e9)
    assert (failed["cloudStorageStatus"], failed["fileExists"]) == ("NOT_SYNCED", True)


def test_fields_can_be_left_out_or_null() -> None:
    """Whichever the test wants: no field is required."""
    job = made("backup", {"absent": ("status", "created"), "null": ("isPartial", "completed")})
    entry = job.entry_at(START_WALL_S + 1e6)
    assert entry.keys().isdisjoint({"status", "created"})
    assert (entry["isPartial"], entry["completed"]) == (None, None)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("restore", {}, "kind must be one of backup, upload, draft, deploy"),
        ("backup", {"final_state": "DONE"}, "final_state must be"),
        ("backup", {"backup_type": "DAILY"}, "backup_type must be"),
        ("deploy", {"sync": "LATER"}, "sync must be"),
        ("draft", {"approval": "REJECTED"}, "approval must be"),
    ],
)
def test_impossible_jobs_are_refused(kind: Any, options: Any, words: str) -> None:  # noqa: ANN401
    """A word that the API does not have is a mistake of the test that plants it."""
    with pytest.raises(ValueError, match=words):
        made(kind, options)


def test_id_is_given_once_for_each_kind() -> None:
    """An upload can be among the backups too, with the same id; nothing else can be twice."""
    mine = hub()
    mine.start("upload", {"job_id": "17"}, START_WALL_S)
    mine.start("backup", {"job_id": "17", "backup_type": "UPLOADED"}, START_WALL_S)
    with pytest.raises(ValueError, match="17 already"):
        mine.start("upload", {"job_id": "17"}, START_WALL_S)


def test_job_leaves_its_list_when_it_was_told_to() -> None:
    """The truth still has it then."""
    mine = hub()
    mine.start("backup", {"job_id": "17", "kept_s": 60}, START_WALL_S)
    assert [[job.id for job in mine.listed(START_WALL_S + after_s)] for after_s in (0, 59, 60)] == [["17"], ["17"], []]
    assert [job.id for job in mine.all_jobs(START_WALL_S + 60)] == ["17"]


def test_no_more_is_kept_than_sailpoint_keeps() -> None:
    """Ten manual backups, five automatic ones and ten uploads, the newest of each; other tenants' do not count."""
    mine = hub(replace(PLAN, hub_limits=True))
    for number in range(20):
        created_s = START_WALL_S - number * DAY_S
        mine.start("backup", {"job_id": f"m{number:02}", "backup_type": "MANUAL", "created_s": created_s}, START_WALL_S)
        mine.start("backup", {"job_id": f"a{number:02}", "backup_type": "AUTOMATED"}, created_s)
        mine.start("upload", {"job_id": f"u{number:02}"}, created_s)
        mine.start("backup", {"job_id": f"o{number:02}", "of_tenant": "other", "backup_type": "AUTOMATED"}, created_s)
    kept = sorted(job.id for job in mine.listed(START_WALL_S))
    expected = {"a": 5, "m": 10, "o": 20, "u": 10}
    assert kept == [f"{word}{number:02}" for word, count in expected.items() for number in range(count)]
    assert len(mine.all_jobs(START_WALL_S)) == 80


def test_lists_can_begin_with_a_long_history_of_failures() -> None:
    """One a day, all of them over and older than what else there is."""
    mine = hub(replace(LIVE, hub_old_failures=300, starts_per_minute=0))
    jobs = mine.listed(START_WALL_S)
    assert [job.state_at(START_WALL_S) for job in jobs[:300]] == ["FAILED"] * 300
    assert len({job.id for job in jobs}) == 300 + LIVE.jobs_at_start
    assert jobs[299].created_s < jobs[300].created_s - DAY_S


def test_hub_of_a_quiet_tenant_is_empty() -> None:
    """Only what somebody orders is there, unless the plan asks for jobs of Configuration Hub alone."""
    assert hub().listed(START_WALL_S + 1e6) == []
    own = replace(PLAN, hub_jobs_at_start=3, hub_starts_per_minute=60)
    assert len(hub(own).listed(START_WALL_S)) == 3
    assert 3000 <= len(hub(own).all_jobs(START_WALL_S + 3600)) <= 4200


@given(seed=SEEDS, speed=st.sampled_from([0.5, 1.0, 60.0]))
@settings(deadline=None)
def test_lists_of_a_newcomer_show_what_there_is_to_see(seed: int, speed: float) -> None:
    """Every kind, another tenant's backup, a partial one, failures, and a draft that waits for approval."""
    jobs = hub(default_plans(1)[0], seed, speed).listed(START_WALL_S)
    entries = [job.entry_at(START_WALL_S) for job in jobs]
    assert {job.kind for job in jobs} == set(LISTS)
    assert {entry["status"] for entry in entries} == {"COMPLETE", "FAILED"}
    assert {entry.get("tenant") for entry in entries} == {None, "acme-prod", "connected-sandbox"}
    assert any(entry.get("isPartial") for entry in entries)
    assert any(entry.get("approvalStatus") == "PENDING_APPROVAL" for entry in entries)
    ids = {job.id for job in jobs}
    assert all(entry[name] in ids for entry in entries for name in ("sourceBackupId", "draftId") if name in entry)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, pauses_s=st.lists(st.floats(0, 120), min_size=1, max_size=8))
def test_same_seed_gives_same_lists_whoever_looked_when(seed: int, pauses_s: list[float]) -> None:
    """Looking often, looking once and starting other jobs in between changes nothing about the rest."""
    often, once, disturbed = hub(LIVE, seed), hub(LIVE, seed), hub(LIVE, seed)
    for number, now_s in enumerate(accumulate(pauses_s, initial=START_WALL_S)):
        often.advance(now_s)
        disturbed.start("backup", {"job_id": f"mine-{number}"}, now_s)
    end_s = START_WALL_S + sum(pauses_s)

    def told(mine: Hub) -> list[str]:
        jobs = [job for job in mine.all_jobs(end_s) if not job.id.startswith("mine-")]
        return [json.dumps(job.entry_at(end_s)) for job in jobs]

    assert told(often) == told(once) == told(disturbed)


@settings(deadline=None)
@given(seed=SEEDS, kinds=st.sets(st.sampled_from(QUIRKS)), after_s=st.floats(0, 1e5))
def test_no_quirk_makes_a_list_untrue(seed: int, kinds: set[str], after_s: float) -> None:
    """Ids, final states, ends that are told, counts, tenants and approvals can still be read."""
    now_s = START_WALL_S + after_s
    jobs = hub(replace(LIVE, starts_per_minute=0.5), seed).all_jobs(now_s)
    for kind, name in LISTS.items():
        mine = [job for job in jobs if job.kind == kind]
        plain: Any = [job.entry_at(now_s) for job in mine]
        bent: Any = [job.entry_at(now_s) for job in mine]
        body = {"items": bent} if kind == "deploy" else bent
        met = Met(chance(seed, "met"), None, tuple(map(Fault, kinds)))
        bend(body, met, call=Call(PLAN.name, "v1", name), status=200, now_s=now_s)
        for before, after in zip(plain, bent, strict=True):
            still_true(before, after, now_s)


def still_true(before: dict[str, Any], after: dict[str, Any], now_s: float) -> None:
    assert before["status"] in API_STATES
    for name in ("jobId", "name", "tenant", "backupType", "approvalStatus", "draftId", "totalObjectCount"):
        assert after.get(name) == before.get(name)
    assert bool(after.get("isPartial")) == bool(before.get("isPartial"))
    assert moment(after["created"]) == moment(before["created"])
    if before["status"] in {"COMPLETE", "FAILED", "CANCELLED"}:
        assert after["status"] == before["status"]
        assert after.get("completed") is None or moment(after["completed"]) == moment(before["completed"])
    else:
        assert after["status"] not in {"COMPLETE", "FAILED", "CANCELLED"}
    assert after.get("modified") is None or moment(after["modified"]) <= now_s + 0.001


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
