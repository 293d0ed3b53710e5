from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain import counting
from spexporter.domain.counting import SeriesKey
from spexporter.domain.job import JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.ports import Change, Counted, Terms
from spexporter.domain.result import ImportResult, Outcome, TypeCounts
from spexporter.domain.values import replace
from spexporter.domain.view import TenantState
from spexporter.ledger.book import Book

TERMS = Terms("acme")
IMPORT = JobKey("acme", Operation.IMPORT, "i")
EXPORT = JobKey("acme", Operation.EXPORT, "e")


def ended(key: JobKey, state: JobState = JobState.COMPLETE, completed_s: float | None = 110.0) -> Observation:
    return Observation(key, state, state, observed_s=120.0, created_s=100.0, completed_s=completed_s)


def result(errors: int = 0, warnings: int = 0, objects: int = 0) -> ImportResult:
    return ImportResult({"SOURCE": TypeCounts(errors, warnings, 0, objects)})


def value(state: TenantState, name: str, *labels: str) -> float:
    return state.totals[SeriesKey(name, labels)].value


@pytest.fixture
def book() -> Book:
    book = Book(TERMS)
    book.apply(Change(added=(WatchedJob(IMPORT), WatchedJob(EXPORT))))
    return book


def test_closed_label_sets_start_at_zero(book: Book) -> None:
    """Every counter of a watched operation, and of each known object type, exists before anything happens."""
    book.apply(Change(object_types=frozenset({"SOURCE"})))
    totals = book.state().totals
    assert {cell.value for cell in totals.values()} == {0.0}
    assert SeriesKey(counting.IMPORT_ERRORS, ("SOURCE",)) in totals
    assert SeriesKey(counting.IMPORT_RESULTS, ("too_large",)) in totals
    assert SeriesKey(counting.JOBS_FINISHED, ("import", "CANCELLED")) in totals
    assert SeriesKey(f"{counting.RUN_SECONDS}_bucket", ("export", "+Inf")) in totals


def test_an_operation_without_a_job_has_no_series() -> None:
    """A tenant that only exports says nothing of imports."""
    book = Book(TERMS)
    book.apply(Change(added=(WatchedJob(EXPORT),)))
    assert not [key for key in book.state().totals if "import" in key.labels or key.name == counting.IMPORT_RESULTS]


CHANGES: dict[str, Callable[[], Change]] = {
    "watch": lambda: Change(added=(WatchedJob(IMPORT), WatchedJob(EXPORT))),
    "forget": lambda: Change(removed=(IMPORT, EXPORT)),
    "running": lambda: Change(observations=(replace(ended(IMPORT), state=JobState.IN_PROGRESS),)),
    "import ends": lambda: Change(observations=(ended(IMPORT),)),
    "export ends": lambda: Change(observations=(ended(EXPORT, JobState.FAILED),)),
    "result": lambda: Change(results=(Counted(IMPORT, Outcome.COUNTED, result(2, 3, 4)),)),
    "missing": lambda: Change(results=(Counted(IMPORT, Outcome.MISSING),)),
    "types": lambda: Change(object_types=frozenset({"SOURCE", "RULE"})),
}


@given(steps=st.lists(st.sampled_from(sorted(CHANGES)), max_size=30))
def test_whatever_is_repeated_or_reordered_nothing_is_counted_twice(steps: list[str]) -> None:
    """Each job's end and each import's result count at most once, and counters never go back."""
    book = Book(TERMS)
    before: Counter[SeriesKey] = Counter()
    for step in steps:
        book.apply(CHANGES[step]())
        now = Counter({key: cell.value for key, cell in book.state().totals.items()})
        assert all(now[key] >= total for key, total in before.items())
        before = now
    assert before[SeriesKey(counting.IMPORT_ERRORS, ("SOURCE",))] in {0, 2}
    assert sum(before[SeriesKey(counting.IMPORT_RESULTS, (outcome,))] for outcome in Outcome) <= 1
    assert before[SeriesKey(counting.JOBS_FINISHED, ("import", "COMPLETE"))] in {0, 1}
    assert before[SeriesKey(f"{counting.RUN_SECONDS}_bucket", ("import", "+Inf"))] in {0, 1}


def test_an_import_is_counted_by_object_type_and_severity(book: Book) -> None:
    """Errors, warnings and objects go to their own counters."""
    book.apply(Change(observations=(ended(IMPORT),), results=(Counted(IMPORT, Outcome.COUNTED, result(2, 3, 4)),)))
    state = book.state()
    assert value(state, counting.IMPORT_ERRORS, "SOURCE") == 2
    assert value(state, counting.IMPORT_WARNINGS, "SOURCE") == 3
    assert value(state, counting.IMPORTED_OBJECTS, "SOURCE") == 4
    assert value(state, counting.IMPORT_RESULTS, "counted") == 1


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.COUNTED])
def test_other_outcomes_count_themselves_alone(book: Book, outcome: Outcome) -> None:
    """A preview's errors are no failed changes, and what was not read cannot be counted."""
    book.apply(Change(observations=(ended(IMPORT),), results=(Counted(IMPORT, outcome, result(2, 3, 4)),)))
    state = book.state()
    assert value(state, counting.IMPORT_RESULTS, outcome) == 1
    assert SeriesKey(counting.IMPORT_ERRORS, ("SOURCE",)) not in state.totals
    assert state.successes == {}


def test_only_a_complete_job_with_a_known_end_goes_into_the_histogram(book: Book) -> None:
    """A failed job's duration says nothing about how long the work takes."""
    book.apply(Change(observations=(ended(EXPORT, JobState.FAILED), ended(IMPORT))))
    state = book.state()
    assert value(state, f"{counting.RUN_SECONDS}_bucket", "export", "+Inf") == 0
    assert value(state, f"{counting.RUN_SECONDS}_bucket", "import", "5.0") == 0
    assert value(state, f"{counting.RUN_SECONDS}_bucket", "import", "10.0") == 1
    assert value(state, f"{counting.RUN_SECONDS}_bucket", "import", "+Inf") == 1
    assert value(state, f"{counting.RUN_SECONDS}_sum", "import") == 10.0


def test_success_is_a_complete_export_or_an_import_without_errors(book: Book) -> None:
    """COMPLETE is not enough for an import."""
    book.apply(Change(observations=(ended(IMPORT), ended(EXPORT))))
    assert book.state().successes == {Operation.EXPORT: 110.0}
    book.apply(Change(results=(Counted(IMPORT, Outcome.COUNTED, result(errors=0, warnings=3)),)))
    assert book.state().successes == {Operation.EXPORT: 110.0, Operation.IMPORT: 110.0}


def test_an_import_with_errors_is_no_success(book: Book) -> None:
    """Three lost sources are no success, whatever the state says."""
    book.apply(Change(observations=(ended(IMPORT),), results=(Counted(IMPORT, Outcome.COUNTED, result(errors=3)),)))
    assert book.state().successes == {}


def test_an_older_success_does_not_replace_a_newer_one(book: Book) -> None:
    """Jobs can be seen out of order."""
    older = JobKey("acme", Operation.EXPORT, "older")
    book.apply(Change(added=(WatchedJob(older),), observations=(ended(EXPORT), ended(older, completed_s=50.0))))
    assert book.state().successes == {Operation.EXPORT: 110.0}


def test_answers_about_jobs_not_watched_any_more_are_dropped(book: Book) -> None:
    """A look that was under way when its job left changes nothing."""
    book.apply(Change(removed=(EXPORT,)))
    before = book.state()
    book.apply(Change(observations=(ended(EXPORT),), results=(Counted(EXPORT, Outcome.MISSING),)))
    assert book.state() == before


def test_a_job_watched_again_is_still_known(book: Book) -> None:
    """It is neither asked for again nor counted again, but takes its new description."""
    book.apply(Change(observations=(ended(EXPORT),)))
    book.apply(Change(removed=(EXPORT,)))
    assert EXPORT not in book.state().jobs
    book.apply(Change(added=(WatchedJob(EXPORT, name="nightly"),)))
    job = book.state().jobs[EXPORT]
    assert (job.state, job.watched.name) == (JobState.COMPLETE, "nightly")


def test_pages_may_show_only_what_was_stored(book: Book) -> None:
    """Publishing moves forward, never back, and only once it is stored."""
    key = SeriesKey(counting.JOBS_FINISHED, ("export", "COMPLETE"))
    book.apply(Change(observations=(ended(EXPORT),)))
    book.publish({key: 1.0})
    book.publish({key: 0.0})
    assert book.state().totals[key].published == 0
    book.written(book.changed())
    assert book.state().totals[key].published == 1


@pytest.mark.parametrize("change", list(CHANGES.values()), ids=list(CHANGES))
def test_a_state_stays_as_it_is_whatever_comes_after(book: Book, change: Callable[[], Change]) -> None:
    """It is what a page shows, and holds the jobs themselves: they are copied when the next change comes."""
    state = book.state()
    jobs, totals = dict(state.jobs), dict(state.totals)
    book.apply(change())
    assert (state.jobs, state.totals) == (jobs, totals)


def test_jobs_that_have_not_changed_are_held_once(book: Book) -> None:
    """The ledger, the publisher and the board would each have a dictionary of their own."""
    state = book.state()
    book.apply(Change(operations=frozenset({Operation.BACKUP})))
    assert book.state().jobs is state.jobs
