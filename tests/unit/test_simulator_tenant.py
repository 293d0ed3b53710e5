import json
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spexporter.domain.values import replace
from spexporter.simulator import TenantPlan, default_plans
from spexporter.simulator.orders import Order
from spexporter.simulator.tenant import Tenant
from tests.support.clock import START_WALL_S

API_STATES = {"NOT_STARTED", "IN_PROGRESS", "COMPLETE", "FAILED", "CANCELLED"}
SEEDS = st.integers(0, 10_000)


def made(plan: TenantPlan, seed: int = 1, speed: float = 1.0) -> Tenant:
    return Tenant(plan, seed=seed, speed=speed, start_s=START_WALL_S)


def told(tenant: Tenant, now_s: float) -> str:
    """Everything a tenant would tell at `now_s`, as text."""
    return json.dumps([[job.status_at(now_s), job.download_at(now_s)] for job in tenant.all_jobs(now_s)])


@given(seed=SEEDS, speed=st.sampled_from([0.5, 1.0, 60.0, 1000.0]))
def test_three_tenants_show_every_state_at_once(seed: int, speed: float) -> None:
    """Whatever the seed and speed, a newcomer sees all five states, and one job that is stuck."""
    jobs = [job for plan in default_plans(3, seed) for job in made(plan, seed, speed).started(START_WALL_S)]
    assert {job.state_at(START_WALL_S) for job in jobs} == API_STATES
    assert any(job.ended_s is None for job in jobs)


def test_three_tenants_show_results_of_every_kind() -> None:
    """Errors, warnings, infos and objects over at least five types; a preview; errors in a COMPLETE import; backups."""
    jobs = [job for plan in default_plans(3) for job in made(plan).started(START_WALL_S)]
    results = [job.result for job in jobs if job.result is not None and job.ended_s is not None]
    assert len({name for result in results for name in result.types}) >= 5
    for kind in ("errors", "warnings", "infos", "objects"):
        assert any(counts[kind] for result in results for counts in result.counts().values())
    assert any(job.preview for job in jobs)
    assert any(job.backup is not None for job in jobs)
    assert any(
        job.final_state == "COMPLETE" and any(one.errors and one.objects for one in job.result.types.values())
        for job in jobs
        if job.result is not None
    )
    assert sum((job.operation, job.final_state) == ("export", "FAILED") for job in jobs) == 1


@settings(max_examples=30)
@given(seed=SEEDS, pauses_s=st.lists(st.floats(0, 120), min_size=1, max_size=8))
def test_same_seed_gives_same_bytes_whoever_looked_when(seed: int, pauses_s: list[float]) -> None:
    """Looking often, looking once and starting other jobs in between changes nothing about the rest."""
    plan = replace(default_plans(1)[0], starts_per_minute=6, jobs_at_start=3)
    often, once, disturbed = made(plan, seed), made(plan, seed), made(plan, seed)
    for now_s in accumulate(pauses_s, initial=START_WALL_S):
        often.advance(now_s)
        disturbed.start(Order("export"), now_s)
    end_s = START_WALL_S + sum(pauses_s)
    assert told(often, end_s) == told(once, end_s)
    assert {job.id for job in once.started(end_s)} < {job.id for job in disturbed.started(end_s)}


def test_another_seed_gives_other_jobs() -> None:
    """No id is shared between two seeds or two tenants."""
    acme, globex = default_plans(3)[0], default_plans(3)[2]
    ids = [job.id for tenant in (made(acme), made(acme, 2), made(globex)) for job in tenant.started(START_WALL_S)]
    assert len(ids) == len(set(ids))


def test_jobs_start_by_themselves_at_the_planned_pace() -> None:
    """Two per minute over an hour, and ten times as many at ten times the speed."""
    plan = replace(default_plans(1)[0], jobs_at_start=0, starts_per_minute=2)
    assert 80 <= len(made(plan).started(START_WALL_S + 3600)) <= 160
    assert 1000 <= len(made(plan, speed=10).started(START_WALL_S + 3600)) <= 1400


def test_tenant_without_a_pace_starts_nothing() -> None:
    """With `starts_per_minute` 0 only what somebody orders exists."""
    tenant = made(TenantPlan("quiet", "id", "secret", jobs_at_start=0, starts_per_minute=0))
    assert tenant.started(START_WALL_S + 1e6) == []


def test_long_history_goes_on_by_chance() -> None:
    """More jobs than openings are drawn like any other, and have all ended."""
    tenant = made(replace(default_plans(1)[0], jobs_at_start=40))
    jobs = tenant.started(START_WALL_S)
    assert len(jobs) == 40
    assert [job.created_s for job in jobs] == sorted(job.created_s for job in jobs)
    assert sum(job.state_at(START_WALL_S) in {"NOT_STARTED", "IN_PROGRESS"} for job in jobs) == 4


def test_job_is_found_until_it_expires() -> None:
    """Seven days after its creation the API has forgotten a job; the truth has not."""
    tenant = made(TenantPlan("quiet", "id", "secret", jobs_at_start=0, starts_per_minute=0))
    tenant.start(Order("export", job_id="17"), START_WALL_S)
    week_s = 7 * 86_400
    assert len(tenant.all_jobs(START_WALL_S + week_s)) == 1
    assert tenant.find("export", "17", START_WALL_S + week_s - 1) is not None
    assert tenant.find("export", "17", START_WALL_S + week_s) is None
    assert tenant.find("import", "17", START_WALL_S) is None


def test_backup_is_found_from_the_moment_its_import_starts() -> None:
    """It is an export of its own, not among the jobs that somebody started."""
    tenant = made(TenantPlan("quiet", "id", "secret", jobs_at_start=0, starts_per_minute=0))
    job = tenant.start(Order("import", queue_s=5, duration_s=20, backup=True), START_WALL_S)
    assert job.backup is not None
    assert tenant.find("export", job.backup.id, START_WALL_S + 4.9) is None
    assert tenant.find("export", job.backup.id, START_WALL_S + 5) == job.backup
    assert tenant.started(START_WALL_S + 20) == [job]


def test_id_is_given_once() -> None:
    """Planting two jobs with one id and operation is a mistake."""
    tenant = made(default_plans(1)[0])
    tenant.start(Order("export", job_id="17"), START_WALL_S)
    tenant.start(Order("import", job_id="17"), START_WALL_S)
    with pytest.raises(ValueError, match="17 already"):
        tenant.start(Order("export", job_id="17"), START_WALL_S)


def test_default_tenants_have_names_and_credentials_of_their_own() -> None:
    """Even past the known companies; secrets say that they are simulated."""
    plans = default_plans(45)
    assert [plan.name for plan in plans[:3]] == ["acme-prod", "acme-sandbox", "globex-prod"]
    assert plans[20].name == "acme-prod-2"
    assert len({plan.name for plan in plans}) == len({plan.client_id for plan in plans}) == 45
    assert all(plan.client_secret.startswith(f"simulated-secret-of-{plan.name}-") for plan in plans)
