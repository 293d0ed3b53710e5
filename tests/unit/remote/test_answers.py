"""What an exporter says of a job, read as this version writes it, and as another may."""

import json
from collections.abc import Mapping

import msgspec
import pytest

from spexporter.domain.durations import Usual
from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.result import ImportResult, Outcome, TypeCounts
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantHealth, TenantState, TenantView, Trouble
from spexporter.remote.answers import read_sight
from spexporter.web.answers import job_answer
from tests.support.fakeexporter import ENDED, JOB

WATCHED = WatchedJob(JobKey("acme", Operation.IMPORT, "i1"))
NOW = Moment(1_800_000_000.0, 1000.0)
RESULT = ImportResult({"SOURCE": TypeCounts(2, 1, 4, 3), "RULE": TypeCounts()})


def told(changes: Mapping[str, object], base: Mapping[str, object] = ENDED) -> bytes:
    return json.dumps({**base, **changes}).encode()


def test_what_this_version_says_is_read_again() -> None:
    """State, times, result and usual durations are those of the exporter."""
    observation = Observation(
        WATCHED.key, JobState.COMPLETE, "COMPLETE", NOW.wall_s, NOW.wall_s - 90, message="Download the results."
    )
    job = Job(
        WATCHED,
        latest=observation,
        ended_s=NOW.wall_s - 10,
        end_seen_s=NOW.wall_s,
        outcome=Outcome.COUNTED,
        result=RESULT,
    )
    state = TenantState({WATCHED.key: job}, usual={Operation.IMPORT: Usual(60.0, 120.0)})
    view = TenantView("acme", 1, state, TenantHealth("https://acme.example"))
    sight = read_sight(msgspec.json.encode(job_answer(job, view, NOW)), WATCHED)
    assert sight
    assert (sight.job.state, sight.job.result, sight.job.settled, sight.job.preview) == (
        JobState.COMPLETE,
        RESULT,
        True,
        False,
    )
    assert (sight.elapsed_s, sight.usual, sight.trouble) == (80.0, Usual(60.0, 120.0), None)
    assert sight.job.latest
    assert sight.job.latest.message == "Download the results."
    assert sight.failed


def test_trouble_that_this_version_tells_is_read_again() -> None:
    """Words, cure and tracking id; a job without an answer has no state."""
    trouble = Trouble("import_status", "malformed", "not JSON", "tell SailPoint", "4711", NOW.wall_s)
    health = TenantHealth("https://acme.example", troubles={"import i1": trouble})
    job = Job(WATCHED)
    view = TenantView("acme", 1, TenantState({WATCHED.key: job}), health)
    sight = read_sight(msgspec.json.encode(job_answer(job, view, NOW)), WATCHED)
    assert sight
    assert (sight.job.state, sight.job.settled) == (None, False)
    assert sight.trouble
    assert (sight.trouble.message, sight.trouble.cure, sight.trouble.tracking_id) == (
        "not JSON",
        "tell SailPoint",
        "4711",
    )


def test_another_version_may_say_more_and_other_words() -> None:
    """New keys are passed over, a new state is UNKNOWN, and a time that cannot be read is one all the same."""
    sight = read_sight(told({"state": "PAUSED", "end_seen": None, "outcome": None, "mood": "fine"}), WATCHED)
    assert sight
    assert (sight.job.state, sight.job.settled) == (JobState.UNKNOWN, False)
    sight = read_sight(told({"end_seen": "some time"}), WATCHED)
    assert sight
    assert sight.succeeded


@pytest.mark.parametrize("outcome", ["missing", "forbidden", "malformed", "too_large", "lost at sea"])
def test_complete_import_without_its_result_is_no_success(outcome: str) -> None:
    """Nothing more is to come, and why is said."""
    sight = read_sight(told({"outcome": outcome, "messages": None, "objects": None}), WATCHED)
    assert sight
    assert (sight.job.settled, sight.succeeded) == (True, False)
    assert sight.trouble
    assert f"could not read its result ({outcome})" in sight.trouble.message


def test_failed_import_needs_no_result() -> None:
    """Many have none, and that it failed says enough."""
    sight = read_sight(told({"state": "FAILED", "outcome": "missing", "messages": None}), WATCHED)
    assert sight
    assert (sight.job.settled, sight.failed, sight.trouble) == (True, True, None)


def test_tenant_that_is_down_is_a_trouble_until_the_end() -> None:
    """What is known may be old."""
    sight = read_sight(told({"tenant_up": False}, JOB), WATCHED)
    assert sight
    assert sight.trouble
    assert sight.trouble.reason == "down"
    ended = read_sight(told({"tenant_up": False}), WATCHED)
    assert ended
    assert ended.trouble is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        told({"tenant": "globex"}),
        told({"operation": "export"}),
        told({"id": "i2"}),
        told({"messages": {"SOURCE": 3}}),
        told({"elapsed_seconds": "long"}),
    ],
)
def test_anything_else_is_about_nothing(body: bytes) -> None:
    """Another job, another shape, no JSON."""
    assert read_sight(body, WATCHED) is None
