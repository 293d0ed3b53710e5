import pytest

from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.result import ImportResult, Outcome, TypeCounts
from spexporter.domain.values import replace

KEY = JobKey("acme", Operation.IMPORT, "1")
RUNNING = Observation(KEY, JobState.IN_PROGRESS, "IN_PROGRESS", observed_s=105.0, created_s=100.0, modified_s=101.0)
ENDED = replace(RUNNING, state=JobState.COMPLETE, raw_state="COMPLETE", observed_s=120.0, completed_s=110.0)


def test_the_end_is_frozen_as_first_seen() -> None:
    """What comes after the final state changes nothing, not even a later `completed`."""
    job = Job(WatchedJob(KEY)).seen(RUNNING).seen(ENDED)
    assert (job.state, job.ended_s, job.end_seen_s, job.duration_s) == (JobState.COMPLETE, 110.0, 120.0, 10.0)
    assert job.seen(replace(ENDED, completed_s=999.0, observed_s=1000.0)) == job


def test_modified_stands_in_for_a_missing_completed() -> None:
    """A FAILED job without `completed` ended when it was last modified."""
    failed = replace(ENDED, state=JobState.FAILED, completed_s=None, modified_s=108.0)
    assert Job(WatchedJob(KEY)).seen(failed).duration_s == 8.0


def test_a_job_without_any_end_time_has_no_duration() -> None:
    """Absent is not zero."""
    failed = replace(ENDED, state=JobState.FAILED, completed_s=None, modified_s=None)
    job = Job(WatchedJob(KEY)).seen(failed)
    assert job.end_seen_s == 120.0
    assert job.duration_s is None


def test_a_404_keeps_what_was_known() -> None:
    """A job that cannot be found any more keeps its times, and revives with the next answer."""
    missing = Observation(KEY, JobState.NOT_FOUND, "", observed_s=130.0)
    job = Job(WatchedJob(KEY)).seen(RUNNING).seen(missing)
    assert job.state is JobState.NOT_FOUND
    assert not job.running
    assert job.latest is not None
    assert (job.latest.created_s, job.latest.observed_s) == (100.0, 105.0)
    assert job.seen(RUNNING).state is JobState.IN_PROGRESS


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("declared", [True, False, None])
def test_a_declared_preview_wins_over_what_the_result_shows(*, declared: bool | None, shown: bool) -> None:
    """The operator knows best; without a word of theirs the result tells."""
    job = Job(WatchedJob(KEY, preview=declared))
    outcome = job.outcome_of(ImportResult({"SOURCE": TypeCounts(infos=1)}, preview=shown))
    expected = shown if declared is None else declared
    assert outcome is (Outcome.PREVIEW if expected else Outcome.COUNTED)


def test_preview_is_unknown_until_told() -> None:
    """Neither true nor false before the result was read."""
    job = Job(WatchedJob(KEY))
    assert job.preview is None
    assert replace(job, result=ImportResult({}, preview=True)).preview is True


@pytest.mark.parametrize("operation", [Operation.BACKUP, Operation.UPLOAD, Operation.DRAFT, Operation.DEPLOY])
def test_modified_tells_no_end_of_a_job_of_configuration_hub(operation: Operation) -> None:
    """It moves on for months after the end: without `completed` the end is not known, and so is no duration."""
    ended = replace(ENDED, key=replace(KEY, operation=operation))
    assert ended.ended_s == 110.0
    untold = replace(ended, state=JobState.FAILED, completed_s=None)
    assert untold.modified_s is not None
    assert untold.ended_s is None
    job = Job(WatchedJob(untold.key)).seen(untold)
    assert (job.end_seen_s, job.ended_s, job.duration_s) == (120.0, None, None)


@pytest.mark.parametrize(("modified_s", "late"), [(100.0, True), (9_000.0, False), (None, False)])
def test_a_job_was_last_modified_at_its_end_or_later(modified_s: float | None, *, late: bool) -> None:
    """Where Configuration Hub tells no end of a failure, it is too old to be news if nothing has changed since."""
    key = replace(KEY, operation=Operation.UPLOAD)
    failed = replace(ENDED, key=key, state=JobState.FAILED, completed_s=None, modified_s=modified_s)
    assert Job(WatchedJob(key), given_s=10_000.0).seen(failed, count_new_within_s=3600.0).late is late
