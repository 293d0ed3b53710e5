"""What is known to have happened to a job, in order."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from spexporter.web.answers import JobDetailAnswer

OURS, THEIRS = "our clock", "SailPoint's clock"


class Event(NamedTuple):
    """Something that happened at `at` (RFC 3339) by one of two clocks, which may differ."""

    at: str
    words: str
    clock: str


def timeline(job: JobDetailAnswer) -> Sequence[Event]:
    """Return what is known to have happened, oldest first."""
    return sorted(_events(job), key=lambda event: event.at)


def _events(job: JobDetailAnswer) -> Iterator[Event]:
    facts = (
        (job.given, "The exporter was given its id", OURS),
        (job.created, "SailPoint created it", THEIRS),
        (job.completed, "It ended", THEIRS),
        (job.end_seen, f"The exporter saw its end: {job.state}", OURS),
        (job.missing_since, "SailPoint knows no such job from here on", OURS),
        (job.last_observed if job.last_observed != job.end_seen else None, "The exporter saw it last", OURS),
    )
    for at, words, clock in facts:
        if at is not None:
            yield Event(at, words, clock)
    for seen in job.states_seen:
        if seen.seen is not None and seen.seen != job.end_seen:
            yield Event(seen.seen, f"The exporter saw it get the state {seen.state}", OURS)
