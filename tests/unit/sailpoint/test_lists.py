import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.hub import ListedJob
from spexporter.domain.job import JobState, Operation
from spexporter.sailpoint.client import own_names
from spexporter.sailpoint.fields import Unreadable
from spexporter.sailpoint.lists import Reading, decode_credential_end, decode_list

GOOD = {"jobId": "good", "status": "COMPLETE"}
LISTED = (Operation.BACKUP, Operation.UPLOAD, Operation.DRAFT, Operation.DEPLOY)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["COMPLETE", "PENDING_APPROVAL", "2024-03-07T21:11:00.375Z", "acme"])
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=4,
)
FIELDS = (
    *("jobId", "status", "type", "message", "created", "modified", "completed", "name", "tenant", "sourceTenant"),
    *("isPartial", "options", "totalObjectCount", "cloudStorageStatus", "approvalStatus", "approvalComment"),
    *("draftName", "id", "expirationDate", "items", "includeTypes", "timestamp", "changedToStatus"),
)
PARTS = st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3), max_size=2)
ENTRY = st.dictionaries(st.sampled_from(FIELDS), JSON | PARTS, max_size=6)


def listed(
    entries: object, operation: Operation = Operation.BACKUP, own: frozenset[str] = frozenset({"acme"})
) -> tuple[tuple[ListedJob, ...], list[str]]:
    """Return what a list says, and what was unknown in it."""
    unknown: list[str] = []
    reading = Reading("prod", own, 7.0, unknown.append)
    return decode_list(json.dumps(entries).encode(), operation, reading), unknown


def one(operation: Operation = Operation.BACKUP, **fields: object) -> ListedJob:
    """Return what is said by an entry in which nothing is unknown."""
    (job,), unknown = listed([{**GOOD, **fields}], operation)
    assert unknown == []
    return job


def ids(jobs: tuple[ListedJob, ...]) -> list[str]:
    return [job.observation.key.job_id for job in jobs]


@pytest.mark.parametrize("operation", LISTED)
def test_an_entry_needs_an_id_and_a_state_and_nothing_else(operation: Operation) -> None:
    """What is missing or null is not known, and says nothing bad about the job."""
    plain = one(operation)
    assert plain == one(operation, **dict.fromkeys(set(FIELDS) - {"jobId", "status"}))
    assert (plain.observation.key.tenant, plain.observation.key.operation) == ("prod", operation)
    assert plain.observation.ended_s is None
    assert plain == ListedJob(plain.observation)


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (None, "items"),
        (17, "items"),
        ([], "items"),
        ({}, "jobId"),
        ({**GOOD, "jobId": None}, "jobId"),
        ({**GOOD, "jobId": {"id": "1"}}, "jobId"),
        ({**GOOD, "jobId": ""}, "jobId"),
        ({**GOOD, "jobId": "a/../b"}, "jobId"),
        ({**GOOD, "jobId": "a\n"}, "jobId"),
        ({**GOOD, "jobId": "é"}, "jobId"),
        ({**GOOD, "jobId": "a" * 65}, "jobId"),
    ],
    ids=lambda value: None if isinstance(value, str) else json.dumps(value)[:30],
)
def test_a_broken_entry_is_counted_and_spoils_no_other(broken: object, field: str) -> None:
    """What is before and behind it is read as if it were not there."""
    other = {**GOOD, "jobId": "a" * 64}
    jobs, unknown = listed([GOOD, broken, other])
    assert ids(jobs) == ["good", "a" * 64]
    assert unknown == [field]


@pytest.mark.parametrize("status", [{}, {"status": None}, {"status": ["COMPLETE"]}, {"status": ""}])
def test_an_entry_without_a_status_says_that_the_job_is_there(status: dict[str, object]) -> None:
    """Its id can be read: it is not gone, and what waits for approval is counted."""
    fields = {"jobId": "1", "approvalStatus": "PENDING_APPROVAL", **status}
    (job,), unknown = listed([fields], Operation.DRAFT)
    assert (ids((job,)), job.tells_state, job.pending_approval) == (["1"], False, True)
    assert unknown == ["status"]


@pytest.mark.parametrize(
    ("field", "value", "operation"),
    [
        ("created", "yesterday", Operation.BACKUP),
        ("completed", [], Operation.DEPLOY),
        ("message", {}, Operation.DRAFT),
        ("name", [], Operation.UPLOAD),
        ("tenant", {}, Operation.BACKUP),
        ("isPartial", "perhaps", Operation.BACKUP),
        ("options", 7, Operation.BACKUP),
        ("totalObjectCount", -1, Operation.BACKUP),
        ("totalObjectCount", 1.5, Operation.BACKUP),
        ("totalObjectCount", 10**400, Operation.BACKUP),
        ("totalObjectCount", "inf", Operation.BACKUP),
        ("totalObjectCount", "nan", Operation.BACKUP),
        ("totalObjectCount", [], Operation.BACKUP),
        ("cloudStorageStatus", "SYNCING", Operation.DEPLOY),
        ("approvalStatus", "ESCALATED", Operation.DRAFT),
        ("draftName", {}, Operation.DEPLOY),
    ],
)
def test_an_odd_field_is_counted_and_as_good_as_missing(field: str, value: object, operation: Operation) -> None:
    """The job is there all the same."""
    (job,), unknown = listed([{**GOOD, field: value}], operation)
    assert job == one(operation)
    assert unknown == [field]


def test_unknown_states_are_kept_as_unknown() -> None:
    """A word that a later version of the API adds is reported, not left out."""
    (job,), unknown = listed([{**GOOD, "status": "PAUSED"}])
    assert (job.observation.state, job.observation.raw_state, unknown) == (JobState.UNKNOWN, "PAUSED", ["status"])


def test_of_two_entries_with_one_id_the_first_counts() -> None:
    """One that tells no state is none of them."""
    jobs, _ = listed([{"jobId": "good"}, {**GOOD, "name": "first"}, {**GOOD, "name": "second"}])
    assert [job.name for job in jobs] == ["first"]


@pytest.mark.parametrize("operation", LISTED)
def test_each_list_may_be_bare_or_below_items(operation: Operation) -> None:
    """One of them has changed its shape already."""
    assert listed({"items": [GOOD], "count": 1}, operation) == listed([GOOD], operation)
    assert listed({"items": []}, operation) == listed([], operation) == ((), [])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"items": null}',
        b'{"items": {}}',
        b"null",
        b'"text"',
        b"[" * 100_000,
        b"[17",
        b"[17, null]",
        b'[{"jobId": "1", "status": "COMPLETE", "name": "\xff"}]',
    ],
    ids=[
        "empty",
        "html",
        "object",
        "null items",
        "odd items",
        "null",
        "string",
        "deep",
        "cut",
        "no object",
        "bad utf-8",
    ],
)
def test_what_is_no_list_is_unreadable(body: bytes) -> None:
    """An answer without a list is not taken for a list without entries: all jobs would seem to be gone."""
    with pytest.raises(Unreadable):
        decode_list(body, Operation.DEPLOY, Reading("prod", frozenset(), 7.0, lambda _: None))
    with pytest.raises(Unreadable):
        decode_credential_end(body, "mine", lambda _: None)


def test_half_an_emoji_spoils_no_list() -> None:
    """A name that was cut at a bad place is still a name."""
    body = rb'[{"jobId": "1", "status": "COMPLETE", "name": "cut \ud83d"}]'
    (job,) = decode_list(body, Operation.BACKUP, Reading("prod", frozenset(), 7.0, lambda _: None))
    assert job.name == "cut \ufffd"


@pytest.mark.parametrize(
    ("fields", "own", "other"),
    [
        ({}, {"acme"}, False),
        ({"tenant": "acme"}, {"acme"}, False),
        ({"tenant": "ACME"}, {"acme", "acme-prod"}, False),
        ({"tenant": "acme-sandbox"}, {"acme"}, True),
        ({"sourceTenant": "acme-sandbox"}, {"acme"}, True),
        ({"tenant": "acme", "sourceTenant": "acme-sandbox"}, {"acme"}, False),
        ({"tenant": "acme"}, set(), None),
        ({}, set(), False),
    ],
)
@pytest.mark.parametrize("operation", [Operation.BACKUP, Operation.UPLOAD])
def test_backups_of_connected_tenants_are_told_apart(
    operation: Operation, fields: dict[str, object], own: set[str], *, other: bool | None
) -> None:
    """By the name that they bear; where we know no name of ours, there is no saying."""
    (job,), _ = listed([{**GOOD, **fields}], operation, frozenset(own))
    assert job.facts.of_other_tenant is other


def test_a_draft_from_another_tenant_is_ours() -> None:
    """It was made here, from what was brought here."""
    assert one(Operation.DRAFT, sourceTenant="acme-sandbox").facts.of_other_tenant is False


@pytest.mark.parametrize(
    ("base_url", "org", "names"),
    [
        ("https://acme.api.identitynow.com", "", {"acme"}),
        ("https://Acme-POC.api.identitynow-demo.com", "acme-poc", {"acme-poc"}),
        ("https://acme.api.identitynow.com", "Acme-Org", {"acme", "acme-org"}),
        ("http://127.0.0.1:9978/acme", "", set()),
        ("https://proxy.example", "acme", {"acme"}),
    ],
)
def test_a_tenants_own_names_come_from_its_host_and_its_token(base_url: str, org: str, names: set[str]) -> None:
    """Hosts that are not of SailPoint's pattern tell no name."""
    assert own_names(base_url, org) == names


@pytest.mark.parametrize(
    ("fields", "partial"),
    [
        ({"isPartial": True}, True),
        ({"isPartial": "True"}, True),
        ({"isPartial": False, "options": {"includeTypes": ["SOURCE"]}}, False),
        ({"options": {"includeTypes": ["SOURCE"]}}, True),
        ({"options": {"includeTypes": []}}, False),
        ({"options": {}}, False),
    ],
)
def test_a_backup_of_named_types_is_partial(fields: dict[str, Any], *, partial: bool) -> None:
    """It says so itself; where it does not, its options do."""
    assert one(**fields).facts.partial is partial


@pytest.mark.parametrize(
    ("word", "synced"), [("SYNCED", True), ("NOT_SYNCED", False), ("SYNC_FAILED", False), (None, None)]
)
@pytest.mark.parametrize("operation", [Operation.BACKUP, Operation.DEPLOY])
def test_cloud_storage_has_it_or_not(operation: Operation, word: str | None, *, synced: bool | None) -> None:
    """A failed synchronisation is none; what is not told is not known."""
    assert one(operation, cloudStorageStatus=word).facts.synced is synced


@pytest.mark.parametrize(("count", "read"), [(0, 0), (7, 7), ("64", 64), (2.0, 2)])
def test_object_counts_are_whole_numbers(count: object, read: int) -> None:
    """However they are written."""
    assert one(totalObjectCount=count).facts.object_count == read


def comment(second: int, word: str | None) -> dict[str, object]:
    return {"timestamp": f"1970-01-01T00:00:{second:02d}.000001Z", "changedToStatus": word, "comment": "synthetic"}


@pytest.mark.parametrize(
    ("comments", "since_s"),
    [
        ([comment(5, "PENDING_APPROVAL")], 5.000001),
        ([comment(5, "PENDING_FOR_APPROVAL"), comment(9, "PENDING_APPROVAL")], 5.000001),
        ([comment(30, "PENDING_APPROVAL"), comment(20, "REJECTED"), comment(10, "PENDING_APPROVAL")], 30.000001),
        ([comment(30, "APPROVED")], None),
        ([comment(30, None)], None),
        ([], None),
    ],
    ids=["once", "twice, in both words", "again after a no, newest first", "a yes", "no word", "no comment"],
)
def test_a_draft_waits_since_the_first_comment_after_the_last_decision(
    comments: list[dict[str, object]], since_s: float | None
) -> None:
    """Whatever the order of its comments."""
    job = one(Operation.DRAFT, approvalStatus="PENDING_APPROVAL", approvalComment=comments)
    assert job.pending_approval
    assert job.pending_since_s == (since_s and pytest.approx(since_s, abs=1e-6))


@pytest.mark.parametrize("word", ["DEFAULT", "APPROVED", "DENIED", None])
def test_other_drafts_do_not_wait(word: str | None) -> None:
    """Whatever their comments say."""
    job = one(Operation.DRAFT, approvalStatus=word, approvalComment=[comment(5, "PENDING_APPROVAL")])
    assert (job.pending_approval, job.pending_since_s) == (False, None)


def test_an_odd_comment_spoils_no_other() -> None:
    """It is counted, and the others tell since when the draft waits."""
    odd: list[Any] = [
        7,
        {"timestamp": "soon", "changedToStatus": "PENDING_APPROVAL"},
        comment(1, "FORWARDED"),
        comment(5, "PENDING_APPROVAL"),
    ]
    (job,), unknown = listed([{**GOOD, "approvalStatus": "PENDING_APPROVAL", "approvalComment": odd}], Operation.DRAFT)
    assert job.pending_since_s == pytest.approx(5.000001, abs=1e-6)
    assert unknown == ["approvalComment", "timestamp", "changedToStatus"]


@pytest.mark.parametrize(
    ("tokens", "ends_s", "odd"),
    [
        ([{"id": "mine", "expirationDate": "1970-01-01T00:01:00Z"}], 60.0, []),
        ([{"id": "other", "expirationDate": "1970-01-01T00:01:00Z"}, {"id": "mine"}], None, []),
        ([None, {"id": "mine", "expirationDate": "1970-01-01T00:01:00Z"}], 60.0, ["items"]),
        ([{"id": "mine", "expirationDate": None}], None, []),
        ([{"id": "mine", "expirationDate": "never"}], None, ["expirationDate"]),
        ([{"id": "other", "expirationDate": "1970-01-01T00:01:00Z"}, {"id": []}], None, []),
        ([], None, []),
    ],
    ids=["one", "not told", "behind a broken one", "never", "odd", "not among them", "none"],
)
def test_the_end_of_the_credential_is_that_of_the_token_in_use(
    tokens: list[object], ends_s: float | None, odd: list[str]
) -> None:
    """The user's other tokens end when they like."""
    unknown: list[str] = []
    assert decode_credential_end(json.dumps(tokens).encode(), "mine", unknown.append) == ends_s
    assert unknown == odd


@given(
    body=st.binary()
    | st.builds(
        lambda value: json.dumps(value).encode(),
        JSON | st.lists(ENTRY, max_size=3) | st.fixed_dictionaries({"items": JSON}),
    ),
    operation=st.sampled_from(LISTED),
)
def test_no_body_raises_anything_but_unreadable(body: bytes, operation: Operation) -> None:
    """Any JSON value and any bytes: a list, or one kind of error."""
    reading = Reading("prod", frozenset({"acme"}), 7.0, lambda _: None)
    for decode in (
        lambda: decode_list(body, operation, reading),
        lambda: decode_credential_end(body, "acme", lambda _: None),
    ):
        try:
            decode()
        except Unreadable:
            continue


@given(entries=st.lists(JSON | ENTRY, max_size=3), operation=st.sampled_from(LISTED))
def test_no_entry_can_hold_anything_that_hides_another(entries: list[object], operation: Operation) -> None:
    """A good entry is read whatever is before it, each id is there once, and each end is one that was told."""
    jobs, _ = listed([*entries, GOOD], operation)
    assert ids(jobs).count("good") == 1
    assert len(set(ids(jobs))) == len(jobs) <= len(entries) + 1
    for job in jobs:
        assert job.observation.ended_s in {None, job.observation.completed_s}
