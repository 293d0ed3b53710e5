"""How a job ended that was followed: the words, the JSON and the exit status are one for both ways to follow it."""

import json

import pytest

from spexporter.cli.ending import tell
from spexporter.cli.show import Output
from spexporter.direct.following import Followed
from spexporter.direct.looks import Sight, Trouble
from spexporter.domain.durations import Usual
from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.result import ImportReport, ImportResult, Outcome, Texts, TypeCounts
from spexporter.domain.values import replace
from spexporter.sailpoint.advice import NO_SUCH_JOB

KEY = JobKey("acme", Operation.IMPORT, "i1")
CLEAN = ImportResult({"SOURCE": TypeCounts(objects=2)})
BAD = ImportResult({"SOURCE": TypeCounts(2, 1), "RULE": TypeCounts(warnings=3), "ROLE": TypeCounts(objects=1)})
REPORT = ImportReport(BAD, {name: Texts(("its error",), ()) for name in BAD.types})


def ended(state: JobState | None, result: ImportResult | None = None) -> Sight:
    latest = Observation(KEY, state, str(state), 0.0) if state else None
    seen_s = 1.0 if state and state.ended else None
    job = Job(WatchedJob(KEY), latest=latest, end_seen_s=seen_s, outcome=Outcome.COUNTED, result=result)
    return Sight(job, 61.0, usual=Usual(50.0, 70.0))


@pytest.mark.parametrize(
    ("followed", "status"),
    [
        pytest.param(Followed(ended(JobState.COMPLETE, CLEAN)), 0, id="clean"),
        pytest.param(Followed(ended(JobState.COMPLETE, BAD)), 1, id="errors"),
        pytest.param(Followed(ended(JobState.COMPLETE)), 1, id="no result"),
        pytest.param(Followed(ended(JobState.FAILED, CLEAN)), 1, id="failed"),
        pytest.param(Followed(ended(JobState.CANCELLED)), 1, id="cancelled"),
        pytest.param(Followed(ended(JobState.NOT_FOUND)), 1, id="not found"),
        pytest.param(Followed(ended(None)), 1, id="not known"),
        pytest.param(Followed(ended(JobState.IN_PROGRESS), timed_out=True), 3, id="out of time"),
        pytest.param(Followed(ended(JobState.COMPLETE), timed_out=True), 3, id="result out of time"),
    ],
)
@pytest.mark.parametrize("output", list(Output))
def test_exit_status_follows_from_the_end(followed: Followed, status: int, output: Output) -> None:
    """0 only for COMPLETE with a result that was read and has no errors."""
    assert tell(followed, "30m", output) == status


def test_counts_stand_for_texts_that_nobody_has(capsys: pytest.CaptureFixture[str]) -> None:
    """By object type, with the way to the texts; types without messages are left out."""
    tell(Followed(ended(JobState.COMPLETE, BAD)), "30m", Output.TEXT)
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "acme/import/i1 COMPLETE 1m01s 2 errors, 4 warnings (usually 50.0s)",
        "SOURCE: 2 errors, 1 warning",
        "RULE: 0 errors, 3 warnings",
    ]
    assert "spexporter wait --config.file" in said.err


def test_job_that_nobody_knows_is_told_with_what_to_check(capsys: pytest.CaptureFixture[str]) -> None:
    """And not with how long other jobs take."""
    tell(Followed(ended(JobState.NOT_FOUND)), "30m", Output.TEXT)
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "acme/import/i1 NOT_FOUND 1m01s"
    assert said.err == f"{NO_SUCH_JOB}\n"


def test_texts_are_told_where_they_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    """And how many more there are."""
    tell(Followed(ended(JobState.COMPLETE, BAD), REPORT), "30m", Output.TEXT)
    said = capsys.readouterr()
    assert said.out.splitlines()[1:] == [*(f"{name}: error: its error" for name in BAD.types), "and 3 more"]
    assert said.err == ""


def test_out_of_time_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """The end of the job, or its result."""
    tell(Followed(ended(JobState.IN_PROGRESS), timed_out=True), "5m", Output.TEXT)
    tell(Followed(ended(JobState.COMPLETE), timed_out=True), "5m", Output.TEXT)
    assert capsys.readouterr().err.splitlines() == ["not ended within 5m", "its result was not read within 5m"]


def test_json_has_null_where_texts_are_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list would say that there are none."""
    trouble = Trouble("exporter", "refused", "no", "ask")
    tell(Followed(replace(ended(JobState.COMPLETE, BAD), trouble=trouble)), "30m", Output.JSON)
    found = json.loads(capsys.readouterr().out)
    assert found["types"]["SOURCE"] == {
        "errors": 2,
        "warnings": 1,
        "objects": 0,
        "error_texts": None,
        "warning_texts": None,
    }
    assert (found["usual_duration_seconds"], found["errors"]) == ({"p50": 50.0, "p95": 70.0}, 2)
    assert (found["trouble"]["reason"], found["trouble"]["tracking_id"]) == ("refused", "")
