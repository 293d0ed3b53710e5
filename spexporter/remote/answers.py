"""What a running exporter says in JSON, as domain values.

It may be of another version than ours, so only what is used here is asked for, and what is new to us is passed over.
"""

import msgspec

from spexporter.config.convert import unix_time
from spexporter.direct.looks import Sight, Trouble
from spexporter.domain.durations import Usual
from spexporter.domain.job import Job, JobState, Observation, Operation, WatchedJob
from spexporter.domain.result import ImportResult, Outcome, TypeCounts

_UNOBSERVED = "UNOBSERVED"


class _Usual(msgspec.Struct, frozen=True):
    """In seconds."""

    p50: float
    p95: float


class _Trouble(msgspec.Struct, frozen=True):
    """Why something cannot be read."""

    endpoint: str = ""
    reason: str = ""
    message: str = ""
    cure: str = ""
    tracking_id: str = ""


class _Job(msgspec.Struct, frozen=True):
    """One job; see `spexporter.web.answers.JobAnswer`."""

    tenant: str
    operation: str
    id: str
    state: str
    end_seen: str | None
    message: str = ""
    preview: bool | None = None
    elapsed_seconds: float | None = None
    usual_duration_seconds: _Usual | None = None
    outcome: str | None = None
    messages: dict[str, dict[str, int]] | None = None
    objects: dict[str, int] | None = None
    trouble: _Trouble | None = None
    tenant_up: bool | None = None


class _Error(msgspec.Struct, frozen=True):
    """Why a request was refused."""

    error: str


def read_error(body: bytes) -> str:
    """Return the words of a refusal by the exporter's API, empty for anything else."""
    try:
        return msgspec.json.decode(body, type=_Error).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def read_sight(body: bytes, watched: WatchedJob) -> Sight | None:
    """Return what an exporter tells of the job that it was asked for, None where it is about nothing of that kind."""
    try:
        told = msgspec.json.decode(body, type=_Job)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    key = watched.key
    if (told.tenant, told.operation, told.id) != (key.tenant, key.operation.value, key.job_id):
        return None
    usual = told.usual_duration_seconds
    job = Job(
        watched=WatchedJob(key, watched.source, watched.name, watched.max_age_s, told.preview),
        latest=_observation(told, watched),
        end_seen_s=_seconds(told.end_seen),
        outcome=_outcome(told.outcome),
        result=_result(told),
    )
    return Sight(job, told.elapsed_seconds, _trouble(told, job), Usual(usual.p50, usual.p95) if usual else None)


def _observation(told: _Job, watched: WatchedJob) -> Observation | None:
    if told.state == _UNOBSERVED:
        return None
    state = JobState(told.state) if told.state in set(JobState) else JobState.UNKNOWN
    return Observation(watched.key, state, told.state, observed_s=0.0, message=told.message)


def _seconds(text: str | None) -> float | None:
    """Return the Unix seconds of a time; one that cannot be read was long ago."""
    try:
        return None if text is None else unix_time(text)
    except ValueError:
        return 0.0


def _outcome(word: str | None) -> Outcome | None:
    """Return what became of the result; a word that is new to us is one that does not say that it was read."""
    if word is None:
        return None
    return Outcome(word) if word in set(Outcome) else Outcome.MALFORMED


def _result(told: _Job) -> ImportResult | None:
    if told.messages is None:
        return None
    objects = told.objects or {}
    types = {
        name: TypeCounts(it.get("error", 0), it.get("warning", 0), it.get("info", 0), objects.get(name, 0))
        for name, it in told.messages.items()
    }
    return ImportResult(types, preview=bool(told.preview))


def _trouble(told: _Job, job: Job) -> Trouble | None:
    """Return why the job, or its result, is not known."""
    if job.settled:
        must_have = job.key.operation is Operation.IMPORT and job.state is JobState.COMPLETE
        if not must_have or (job.outcome and job.outcome.read):
            return None
        words = f"the import is COMPLETE, and the exporter could not read its result ({told.outcome})"
        return Trouble("import_result", told.outcome or "", words, "read it in SailPoint")
    if it := told.trouble:
        return Trouble(it.endpoint, it.reason, it.message, it.cure, it.tracking_id)
    if told.tenant_up is False:
        words = "the tenant does not answer the exporter as it should"
        return Trouble("tenant", "down", words, "the exporter's page for people says why")
    return None
