"""What a running job weighs as the daemon holds it: there may be a million of them."""

import gc
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from spexporter.domain.inspection import Fit
from spexporter.domain.job import HubFacts, Job, JobKey, JobState, Observation, Operation, Source, WatchedJob
from spexporter.domain.ports import Change, Terms
from spexporter.domain.result import ImportResult, TypeCounts
from spexporter.domain.schedule import Outlook, Schedule, Target, TargetKind
from spexporter.ledger.book import Book, Remembered
from spexporter.ledger.rows import job_row, read_jobs
from spexporter.sailpoint.fields import ignore
from spexporter.sailpoint.wire import decode_status
from spexporter.watch.watchlist import Watchlist

TENANTS, JOBS = 20, 100
# benchmarks/RESULTS.md has the figure by part; a seventh more is allowed here.
MOST_BYTES = 750


class Held:
    """All that the daemon holds of running jobs, but for the page's text."""

    def __init__(self) -> None:
        self.watchlist, self.schedule = Watchlist(), Schedule()
        self.names = [f"tenant-{number}" for number in range(TENANTS)]
        self.books = [Book(Terms(name)) for name in self.names]
        for book in self.books:
            book.apply(Change(operations=frozenset({Operation.EXPORT})))  # its counters are the tenant's
        self.states = [book.state() for book in self.books]

    def fill(self) -> None:
        for number, (name, book) in enumerate(zip(self.names, self.books, strict=True)):
            keys = [JobKey(name, Operation.EXPORT, f"{job:036}") for job in range(JOBS)]
            delta = self.watchlist.replace(Source.CONFIG, name, [WatchedJob(key) for key in keys])
            book.apply(Change(added=delta.added, at_s=1000.0))
            for place, job in enumerate(book.state().jobs.values()):
                book.apply(Change(observations=(seen(job.key, 1000.0 + place),)))
                target = Target(job.key.tenant, TargetKind.STATUS, job.key)
                self.schedule.look_again(target, [Outlook(Fit(60.0, 1.0), 30.0)], 1000.0)
            book.changed()
            self.states[number] = book.state()


def seen(key: JobKey, observed_s: float = 1000.0) -> Observation:
    """Read an answer with as many fields as the API specification has."""
    times = {"created": "2026-11-28T05:00:00Z", "modified": "2026-11-28T05:00:01Z", "expiration": "2026-12-05T05:00Z"}
    body = json.dumps({"jobId": key.job_id, "status": "IN_PROGRESS", "type": "EXPORT", **times}).encode()
    return decode_status(body, key, observed_s=observed_s, unknown=ignore)


@contextmanager
def counted() -> Iterator[list[int]]:
    """Leave in the list how many bytes the block has allocated and kept."""
    gc.collect()
    grown: list[int] = []
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield grown
        gc.collect()
        grown.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()


def test_a_running_job_does_not_become_heavier() -> None:
    """In the ledger, on the board, in the due queue and on the watchlist together."""
    Held().fill()  # what is kept once for all is there from now on
    held = Held()
    with counted() as grown:
        held.fill()
    assert sum(len(state.jobs) for state in held.states) == TENANTS * JOBS
    assert grown[0] / (TENANTS * JOBS) < MOST_BYTES


def test_texts_that_say_the_same_are_one_object() -> None:
    """Each answer, and each row of the store, brings the job's id and a word for its state."""
    key = JobKey("acme", Operation.EXPORT, "synthetic-1")
    told = seen(key)
    row = job_row(key, Remembered(Job(WatchedJob(key), latest=told), watched=True), 0.0)
    (restored,) = read_jobs([type("Row", (), row)])
    stored = read_jobs([type("Row", (), row)])[restored].job
    assert stored is not None
    assert stored.latest is not None
    for observation in (told, stored.latest):
        assert observation.reported_id is observation.key.job_id
        assert observation.raw_state is JobState.IN_PROGRESS.value
    assert stored.key is stored.latest.key


def test_collections_of_garbage_do_not_look_at_jobs() -> None:
    """None of these values can be part of a cycle."""
    key = JobKey("acme", Operation.IMPORT, "synthetic-1")
    counts = TypeCounts(errors=1)
    job = Job(WatchedJob(key), latest=seen(key), result=ImportResult({"SOURCE": counts}), hub=HubFacts())
    values = (key, job, job.watched, job.latest, job.result, job.hub, counts, Remembered(job, watched=True))
    assert [value for value in values if gc.is_tracked(value)] == []
