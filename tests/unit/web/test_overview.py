"""What the first page says at a glance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.job import Job, JobKey, JobState, Observation, Operation, WatchedJob
from spexporter.domain.result import ImportResult, TypeCounts
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantHealth, TenantState, TenantView
from spexporter.web.joblist import Query, needs_attention, select
from spexporter.web.overview import Attention, ConfigRow, attention, verdict

NOW = Moment(1_800_000_000.0, 500.0)


def job(tenant: str, number: int, state: JobState, ended_ago_s: float, errors: int) -> Job:
    key = JobKey(tenant, Operation.IMPORT, f"i{number}")
    latest = Observation(key, state, state.value, observed_s=NOW.wall_s, created_s=NOW.wall_s - 1000 - ended_ago_s)
    ended_s = NOW.wall_s - ended_ago_s if state.ended else None
    result = ImportResult({"ROLE": TypeCounts(errors=errors)}) if state.ended else None
    return Job(WatchedJob(key), latest=latest, ended_s=ended_s, result=result)


def view(tenant: str, jobs: list[tuple[JobState, float, int]]) -> TenantView:
    found = [job(tenant, number, *facts) for number, facts in enumerate(jobs)]
    health = TenantHealth(f"https://{tenant}.example", up=True)
    return TenantView(tenant, 1, TenantState(jobs={it.key: it for it in found}), health)


JOBS = st.lists(st.tuples(st.sampled_from(JobState), st.floats(0, 5000), st.integers(0, 2)), max_size=12)


@given(JOBS, JOBS)
async def test_what_needs_attention_is_what_the_list_begins_with(
    acme: list[tuple[JobState, float, int]], globex: list[tuple[JobState, float, int]]
) -> None:
    """As many jobs as the list has in front, and the newest is its first row."""
    views = [view("acme", acme), view("globex", globex)]
    found = await attention(views, NOW)
    rows = (await select(views, Query(), NOW, lambda _: None)).rows
    urgent = [row.job for row in rows if needs_attention(row.job, row.view, NOW)]
    assert found.jobs == len(urgent)
    assert found.failed == sum(it.state is JobState.FAILED for it in urgent)
    assert [it.job for it in rows[: len(urgent)]] == urgent
    assert found.newest is (urgent[0] if urgent else None)


@pytest.mark.parametrize(
    ("jobs", "problems", "level"), [(0, (), "well"), (1, (), "warned"), (0, ("x",), "bad"), (1, ("x",), "bad")]
)
def test_bad_files_are_worse_than_bad_jobs(jobs: int, problems: tuple[str, ...], level: str) -> None:
    """Jobs are what the exporter is there to tell of; a bad file makes it tell less."""
    config = ConfigRow(in_use_since=None, reloaded=None, problems=problems, bad_files=())
    assert verdict([], config, Attention(jobs), {}).level == level
