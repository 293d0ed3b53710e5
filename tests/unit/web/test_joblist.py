"""Which jobs a page shows, in which order."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict
from yarl import URL

from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.result import ImportResult, TypeCounts
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantHealth, TenantState, TenantView, Trouble
from spexporter.web.joblist import ROWS, SORTS, Query, Row, needs_attention, select

NOW = Moment(1_800_000_000.0, 500.0)
WORDS = st.sampled_from(["", "acme", "a b", "&=?#", "%2F", "é", "FAILED", "export"])
QUERIES = st.builds(
    Query,
    tenant=st.lists(WORDS.filter(bool), unique=True, max_size=3).map(tuple),
    state=st.lists(WORDS.filter(bool), unique=True, max_size=3).map(tuple),
    operation=st.lists(WORDS.filter(bool), unique=True, max_size=3).map(tuple),
    text=WORDS,
    sort=st.sampled_from(list(SORTS)),
    page=st.integers(1, 999_999),
)


def job(number: int, state: JobState | None = JobState.COMPLETE, **facts: object) -> Job:
    key = JobKey("acme", Operation.IMPORT, f"i{number:03}")
    if state is None:
        return Job(WatchedJob(key))
    latest = Observation(key, state, state.value, observed_s=NOW.wall_s - number, created_s=NOW.wall_s - 100 - number)
    ended_s = NOW.wall_s - number if state.ended else None
    return Job(WatchedJob(key), latest=latest, ended_s=ended_s, end_seen_s=ended_s, **facts)  # type: ignore[arg-type]


def view(*jobs: Job, troubles: dict[str, Trouble] | None = None, tenant: str = "acme") -> TenantView:
    state = TenantState(jobs={it.key: it for it in jobs})
    return TenantView(tenant, 1, state, TenantHealth("https://acme.example", up=True, troubles=troubles or {}))


JOBS = st.lists(
    st.builds(
        job,
        st.integers(0, 299),
        st.sampled_from([None, *JobState]),
        result=st.none() | st.integers(0, 3).map(lambda errors: ImportResult({"ROLE": TypeCounts(errors=errors)})),
    ),
    max_size=30,
)


def soon(it: Job) -> float | None:
    return None if it.end_seen_s else float(it.key.job_id[1:])


@given(QUERIES)
def test_a_link_leads_to_the_same_query(query: Query) -> None:
    """Whatever stands in it: what a link asks for is what it was made of."""
    assert Query.read(URL(f"http://x/{query.link(page=query.page)}").query) == query
    assert Query.read(URL(f"http://x/{query.link()}").query).page == 1


@given(st.lists(st.tuples(st.sampled_from(["tenant", "state", "text", "sort", "page", "x"]), st.text(max_size=9))))
def test_any_address_is_some_query(pairs: list[tuple[str, str]]) -> None:
    """What cannot be read is passed over."""
    query = Query.read(MultiDict(pairs))
    assert query.sort in SORTS
    assert query.page >= 1


@given(JOBS, st.sampled_from(list(SORTS)))
async def test_sorting_loses_no_job_and_what_is_not_known_comes_last(jobs: list[Job], sort: str) -> None:
    """In either direction; the other direction turns what is known around."""
    one = view(*jobs)
    there = await select([one], Query(sort=sort), NOW, soon)
    assert {row.job.key for row in there.rows} == set(one.state.jobs)
    assert len(there.rows) == there.total == len(one.state.jobs)
    if sort.removeprefix("-") == "next":
        known = [due_s for row in there.rows if (due_s := soon(row.job)) is not None]
        assert known == sorted(known, reverse=sort.startswith("-"))
        assert all(soon(row.job) is not None for row in there.rows[: len(known)])


@given(JOBS)
async def test_what_needs_attention_comes_first(jobs: list[Job]) -> None:
    """Then what has not ended, then the rest."""
    found = await select([view(*jobs)], Query(), NOW, soon)
    ranks = [0 if needs_attention(*row, NOW) else 1 if row.job.end_seen_s is None else 2 for row in found.rows]
    assert ranks == sorted(ranks)


@given(st.integers(0, 350), st.integers(1, 9))
async def test_pages_hold_all_jobs_once(count: int, page: int) -> None:
    """A page beyond the last one is the last one."""
    one = view(*(job(number) for number in range(count)))
    found = await select([one], Query(sort="name", page=page), NOW, soon)
    assert found.page == min(page, found.pages)
    numbers = [int(row.job.key.job_id[1:]) for row in found.rows]
    assert numbers == list(range(count))[(found.page - 1) * ROWS : found.page * ROWS]
    assert numbers == list(range(found.first - 1, found.last))


@pytest.mark.parametrize(
    ("it", "wanted"),
    [
        (job(1, JobState.FAILED), True),
        (job(1, JobState.NOT_FOUND), True),
        (job(1, JobState.UNKNOWN), True),
        (job(1, JobState.CANCELLED), False),
        (job(1, JobState.IN_PROGRESS), False),
        (job(1, JobState.COMPLETE, result=ImportResult({"ROLE": TypeCounts(errors=1)})), True),
        (job(1, JobState.COMPLETE, result=ImportResult({"ROLE": TypeCounts(warnings=1)})), False),
        (job(1, None), False),
    ],
)
def test_attention_is_for_what_a_person_can_mend(it: Job, wanted: bool) -> None:  # noqa: FBT001 (a case)
    """A job that failed, is gone, has errors, or cannot be read."""
    assert needs_attention(it, view(it), NOW) == wanted
    trouble = Trouble("import-status", "forbidden", "m", "c", "", 0.0)
    assert needs_attention(it, view(it, troubles={"import i001": trouble}), NOW)


async def test_others_run_while_many_jobs_are_chosen() -> None:
    """A scrape does not wait for ten thousand jobs."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await select([view(*(job(number) for number in range(10_000)))], Query(), NOW, soon)
    counting.cancel()
    assert turns >= 30


def test_rows_of_other_tenants_are_passed_over() -> None:
    """Without a look at their jobs."""
    asked: list[Job] = []

    def look(it: Job) -> float | None:
        asked.append(it)
        return None

    views = [view(job(1)), view(job(2), tenant="globex")]
    found = asyncio.run(select(views, Query(tenant=("acme",), sort="next"), NOW, look))
    assert found.rows == [Row(job(1), views[0])]
    assert [it.key.job_id for it in asked] == ["i001"]
