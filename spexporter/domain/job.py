"""A job: what we were asked to watch, what we have seen of it, and what we believe."""

import math
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from spexporter.domain.result import ImportResult, Outcome


class Operation(StrEnum):
    """What a job does; the label `operation`."""

    EXPORT = "export"
    IMPORT = "import"
    BACKUP = "backup"
    UPLOAD = "upload"
    DRAFT = "draft"
    DEPLOY = "deploy"

    # That of an enumeration is reckoned in Python, each time that a key is looked up.
    __hash__ = str.__hash__


# Those whose jobs are watched by an id that we are given; the others are Configuration Hub's.
SP_CONFIG_OPERATIONS = (Operation.EXPORT, Operation.IMPORT)


class JobState(StrEnum):
    """The API's own words for a job's state, and two of ours; the label `state`.

    Source: SailPoint API specification, schema SpConfigJob, property `status`.
    """

    NOT_STARTED = "NOT_STARTED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    NOT_FOUND = "NOT_FOUND"  # the tenant answers 404
    UNKNOWN = "UNKNOWN"  # a word that this version does not know

    @property
    def ended(self) -> bool:
        """Whether the tenant will never change this state again."""
        return self in ENDED_STATES


ENDED_STATES = (JobState.COMPLETE, JobState.CANCELLED, JobState.FAILED)


class JobKey(msgspec.Struct, frozen=True, gc=False):
    """Names one job for ever; `job_id` is the id that was asked for."""

    tenant: str
    operation: Operation
    job_id: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.operation}/{self.job_id}"


class Source(StrEnum):
    """Where a job id came from; the label `source`. What an earlier one says of a job wins over a later one."""

    CONFIG = "config"
    FILE = "file"
    API = "api"
    DISCOVERY = "discovery"
    BACKUP = "backup"


class WatchedJob(msgspec.Struct, frozen=True, gc=False):
    """What somebody asked us to watch. `preview` None means: to be found out from the result.

    `by_api` tells that our API was asked for it, too, where a stronger `source` describes it.
    """

    key: JobKey
    source: Source = Source.CONFIG
    name: str = ""
    max_age_s: float | None = None
    preview: bool | None = None
    by_api: bool = False


class Observation(msgspec.Struct, frozen=True, gc=False):
    """One decoded answer about one job.

    Times are Unix seconds by the tenant's clock, None where the answer tells none; `observed_s` is ours.
    `raw_state` is the tenant's own word, empty where it knows no such job or tells no state; `reported_id` is the
    `jobId` of the answer, which can differ from the one asked for.
    """

    key: JobKey
    state: JobState
    raw_state: str
    observed_s: float
    created_s: float | None = None
    modified_s: float | None = None
    completed_s: float | None = None
    expires_s: float | None = None
    message: str = ""
    description: str = ""
    reported_id: str = ""

    def under(self, key: JobKey) -> "Observation":
        """Return the same of a job by another name, with texts that say what others do as one object with them."""
        return replace(
            self,
            key=key,
            raw_state=shared(self.raw_state, self.state.value),
            reported_id=shared(self.reported_id, key.job_id),
        )

    @property
    def ended_s(self) -> float | None:
        """When the job ended: `completed`, else `modified`, which stands still after the end of an SP-Config job.

        That of Configuration Hub's jobs moves on for months, so that it tells no end.
        """
        if not self.state.ended:
            return None
        if self.key.operation not in SP_CONFIG_OPERATIONS:
            return self.completed_s
        return self.completed_s if self.completed_s is not None else self.modified_s


class HubFacts(msgspec.Struct, frozen=True, gc=False):
    """What Configuration Hub tells of one of its jobs beside its state; this can change after the job's end.

    `object_count` and `synced`, whether cloud storage has it, are None where that is not told. `of_other_tenant` is
    None where the answer names a tenant and we do not know the names of ours.

    Source: SailPoint API specification, Configuration Hub: schemas of backups, drafts and deploys.
    """

    object_count: int | None = None
    synced: bool | None = None
    partial: bool = False
    of_other_tenant: bool | None = False

    @property
    def whole(self) -> bool:
        """Whether it is known to be all of this tenant's configuration."""
        return not self.partial and self.of_other_tenant is False


class Job(msgspec.Struct, frozen=True, gc=False):
    """What we believe about one watched job. The end is frozen as it was when the final state was first seen.

    `given_s` is when its id was first given to us, and `missing_s` since when the tenant knows no such job (our clock).
    A `late` job had ended long before it was given to us. A missing one that has `left` is not shown any more.
    """

    watched: WatchedJob
    given_s: float | None = None
    latest: Observation | None = None
    missing_s: float | None = None
    left: bool = False
    ended_s: float | None = None
    end_seen_s: float | None = None
    late: bool = False
    outcome: Outcome | None = None
    result: ImportResult | None = None
    hub: HubFacts | None = None

    @property
    def key(self) -> JobKey:
        """The job's name."""
        return self.watched.key

    @property
    def state(self) -> JobState | None:
        """The last state seen, None before the first answer."""
        return self.latest.state if self.latest else None

    @property
    def running(self) -> bool:
        """Whether the tenant has said that the job exists and has not ended."""
        return self.latest is not None and self.end_seen_s is None and self.state is not JobState.NOT_FOUND

    @property
    def settled(self) -> bool:
        """Whether nothing is left to ask: the job has ended and, for an import, its result has an outcome."""
        return self.end_seen_s is not None and (self.key.operation is not Operation.IMPORT or self.outcome is not None)

    @property
    def succeeded(self) -> bool:
        """Whether it did, at a known time, all that its operation is for; what SailPoint does by the way does not."""
        if self.state is not JobState.COMPLETE or self.ended_s is None:
            return False
        if self.key.operation is Operation.IMPORT:
            return self.outcome is Outcome.COUNTED and self.result is not None and not self.result.errors
        if self.key.operation is Operation.EXPORT:
            return self.watched.source is not Source.BACKUP
        return self.hub is None or self.hub.whole

    @property
    def preview(self) -> bool | None:
        """Whether the import is a dry run: as declared, else as its result shows, None while unknown."""
        if self.key.operation is not Operation.IMPORT:
            return False
        if self.watched.preview is not None:
            return self.watched.preview
        return self.result.preview if self.result else None

    @property
    def duration_s(self) -> float | None:
        """How long the ended job took, None where its beginning or end is not known."""
        if self.ended_s is None or self.latest is None or self.latest.created_s is None:
            return None
        return seconds_between(self.latest.created_s, self.ended_s)

    def under(self, key: JobKey) -> "Job":
        """Return the same job by another name: its tenant has got a new one."""
        latest = self.latest and self.latest.under(key)
        return replace(self, watched=replace(self.watched, key=key), latest=latest)

    def outcome_of(self, result: ImportResult) -> Outcome:
        """Say whether `result` counts: a dry run, as declared or else as it shows itself, changes nothing."""
        preview = result.preview if self.watched.preview is None else self.watched.preview
        return Outcome.PREVIEW if preview else Outcome.COUNTED

    def seen(
        self, observation: Observation, count_new_within_s: float = math.inf, tenant_offset_s: float = 0.0
    ) -> "Job":
        """Return what we believe after one more observation. An ended job does not change any more.

        It is late where its end was more than `count_new_within_s` before its id was given to us; one that we saw
        running is not, whatever the clocks say. The tenant's clock was `tenant_offset_s` ahead of ours then.
        """
        if self.end_seen_s is not None:
            return self
        if observation.state is JobState.NOT_FOUND:
            # A 404 tells nothing but itself: what was known of the job stays.
            latest = replace(self.latest, state=observation.state) if self.latest else observation
            missing_s = observation.observed_s if self.missing_s is None else self.missing_s
            return replace(self, latest=latest, missing_s=missing_s)
        found = replace(self, latest=observation, missing_s=None, left=False)
        if not observation.state.ended:
            return found
        return replace(
            found,
            ended_s=observation.ended_s,
            end_seen_s=observation.observed_s,
            late=not self.running and self._given_late(observation, count_new_within_s, tenant_offset_s),
        )

    def _given_late(self, observation: Observation, within_s: float, tenant_offset_s: float) -> bool:
        # A job of Configuration Hub that tells no end was last modified at its end or later.
        ended_s = observation.modified_s if observation.ended_s is None else observation.ended_s
        if self.given_s is None or ended_s is None:
            return False
        return self.given_s + tenant_offset_s - ended_s > within_s


def shared(text: str, known: str) -> str:
    """Return `known` where `text` says the same: two texts would take twice the room, and jobs are many."""
    return known if text == known else text


def seconds_between(start_s: float, end_s: float) -> float:
    """Return how long it was, at least 0, without the noise that a difference of two Unix times has below 1 us."""
    return max(0.0, round(end_s - start_s, 6))
