"""Above `limits.max_series` series of single jobs leave the page, the least wanted first, and nothing else does."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from spexporter.clock import Pace
from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.values import replace
from spexporter.domain.view import TenantHealth, TenantState, TenantView
from spexporter.exposition.guard import Guard
from spexporter.exposition.joblines import series_of

BEGAN_S = 1.7e9


def job(number: int, state: JobState, *, missing: bool = False) -> Job:
    """Return a synthetic export that has nine series, or eight and an end of its own where it has ended."""
    key = JobKey("acme", Operation.EXPORT, f"{state.lower()}-{number}")
    end_s = BEGAN_S + number if state.ended else None
    return Job(
        WatchedJob(key),
        latest=Observation(key, state, state, observed_s=BEGAN_S),
        ended_s=end_s,
        end_seen_s=end_s,
        missing_s=BEGAN_S if missing else None,
    )


def view_of(*jobs: Job, per_job: bool = True) -> TenantView:
    return TenantView(
        "acme", 1, TenantState(jobs={it.key: it for it in jobs}), TenantHealth("https://x"), per_job=per_job
    )


def total(view: TenantView) -> int:
    return sum(series_of(it) for it in view.charted(stale=False)) if view.per_job else 0


def adapted(guard: Guard, view: TenantView) -> tuple[TenantView, int | None]:
    """Return what a page shows of a tenant once the guard has seen its series, and how many it dropped."""
    shown = guard.limited(view)
    dropped = asyncio.run(guard.adapt([shown], total(shown), Pace()))
    shown = guard.limited(view)
    return shown, dropped


def ids(view: TenantView) -> list[str]:
    return [it.key.job_id for it in view.charted(stale=False)]


MANY = [
    job(3, JobState.COMPLETE),
    job(1, JobState.COMPLETE),
    job(2, JobState.FAILED),
    job(0, JobState.CANCELLED),
    job(0, JobState.IN_PROGRESS),
]


def test_the_oldest_success_leaves_first_and_what_runs_last() -> None:
    """COMPLETE by its end, then other ends, then unfinished jobs."""
    view = view_of(*MANY)
    order = []
    for limit in range(total(view) - 1, 0, -1):
        shown, _ = adapted(Guard(limit), view)
        order += [name for name in ids(view) if name not in ids(shown) and name not in order]
    assert order == ["complete-1", "complete-3", "cancelled-0", "failed-2", "in_progress-0"]


def test_a_job_that_was_not_found_leaves_before_one_that_runs() -> None:
    """Nothing more is to be expected of it."""
    view = view_of(job(0, JobState.IN_PROGRESS), job(1, JobState.NOT_FOUND, missing=True))
    shown, _ = adapted(Guard(total(view) - 1), view)
    assert ids(shown) == ["in_progress-0"]


def test_what_has_left_comes_back_only_where_there_is_room() -> None:
    """Five per cent below the limit: a page at its limit does not show another job each time."""
    view = view_of(*MANY)
    guard = Guard(total(view) - 1)
    shown, dropped = adapted(guard, view)
    assert dropped == series_of(MANY[1])
    assert adapted(guard, view) == (shown, None)
    guard.limit = total(view)
    assert adapted(guard, view) == (shown, None)
    guard.limit = round(total(view) / 0.95) + 1
    back, dropped = adapted(guard, view)
    assert ids(back) == ids(view)
    assert dropped == -series_of(MANY[1])


def test_a_job_that_is_gone_makes_room_and_is_not_remembered() -> None:
    """It leaves with what was known of it."""
    view = view_of(*MANY)
    guard = Guard(total(view) - 1)
    shown, _ = adapted(guard, view)
    gone = replace(view, state=TenantState(jobs={it.key: it for it in MANY if it.key.job_id != "complete-1"}))
    assert adapted(guard, gone)[0].left_out == frozenset()
    assert shown.left_out


def test_tenants_without_series_of_jobs_have_nothing_to_leave_out() -> None:
    """What is above the limit then stays: tenants and counters are never left out."""
    view = view_of(*MANY, per_job=False)
    guard = Guard(1)
    shown = guard.limited(view)
    assert asyncio.run(guard.adapt([shown], 500, Pace())) is None
    assert guard.limited(view) is view


@settings(deadline=None)
@given(
    numbers=st.lists(st.tuples(st.integers(0, 99), st.sampled_from(JobState)), max_size=12, unique=True),
    limits=st.lists(st.integers(1, 150), min_size=1, max_size=4),
)
def test_no_page_has_more_series_than_the_limit(numbers: list[tuple[int, JobState]], limits: list[int]) -> None:
    """Whatever the limit was before; and what is shown is never worth less than what is not."""
    view = view_of(*(job(number, state) for number, state in numbers))
    guard = Guard(1)
    for limit in limits:
        guard.limit = limit
        shown, dropped = adapted(guard, view)
        assert total(shown) <= limit
        if total(view) <= limit * 0.95 - 1:
            assert not shown.left_out
        assert guard.limited(view) is guard.limited(view)  # so that nothing is rendered twice
        assert dropped is None or dropped
