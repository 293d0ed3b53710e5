from collections.abc import Callable
from pathlib import Path

import pytest

from spexporter.config import Config
from spexporter.config.values import Counters, Store
from spexporter.domain.errors import ConfigError, Problem
from spexporter.domain.values import replace
from spexporter.simulator import TenantPlan, default_plans
from tests.support.world import World, read_config, world

PLANS = [replace(plan, jobs_at_start=4, starts_per_minute=0.0) for plan in default_plans(3, seed=5)]
ACME, GLOBEX, INITECH = (plan.name for plan in PLANS)


def changed(running: World, change: Callable[[Config], Config]) -> Callable[[Config], Config]:
    """Return what reads the configuration of `running` with a change."""
    text = running.simulator.config_yaml(running.tenants_url, named_jobs_alone=True)
    fresh = replace(read_config(text), store=Store(None, 1e9), counters=Counters(0.0, created=False))
    return lambda _: change(fresh)


def without(*names: str) -> Callable[[Config], Config]:
    return lambda config: replace(config, tenants=tuple(it for it in config.tenants if it.name not in names))


def without_jobs(config: Config) -> Config:
    return replace(config, tenants=tuple(replace(tenant, jobs=()) for tenant in config.tenants))


def slower(name: str) -> Callable[[Config], Config]:
    """Return what gives one tenant another time-out."""
    return lambda config: replace(
        config, tenants=tuple(replace(it, timeout_s=7.0) if it.name == name else it for it in config.tenants)
    )


def tokens(running: World, plan: TenantPlan) -> int:
    return int(running.telemetry.meters[plan.name].counts("spexporter_api_requests_total").get(("token", "200"), 0))


async def test_a_tenant_leaves_with_all_that_belongs_to_it_and_comes_back() -> None:
    """Its series go at once, nothing is asked of it any more, and its counters are what they were when it returns."""
    async with world(PLANS, seed=5) as running:
        await running.advance(600)
        before = await running.scrape()
        difference = await running.exporter.files.reload(changed(running, without(GLOBEX)))
        assert (difference.added, difference.removed, difference.changed) == ([], [GLOBEX], [])
        page = await running.scrape()
        assert f'tenant="{GLOBEX}"' not in page.text
        assert f'tenant="{ACME}"' in page.text
        asked = len(running.simulator.record.times_s(PLANS[1].client_id, "v1", count_tokens=True))
        await running.advance(600)
        assert len(running.simulator.record.times_s(PLANS[1].client_id, "v1", count_tokens=True)) == asked
        await running.exporter.files.reload(changed(running, lambda config: config))
        await running.advance(60)
        after = await running.scrape()
    for name in ("spconfig_import_errors_total", "spconfig_jobs_finished_total"):
        assert after.all(name, tenant=GLOBEX) == before.all(name, tenant=GLOBEX)
    assert after.value("spconfig_tenant_up", tenant=GLOBEX) == 1


async def test_what_has_not_changed_goes_on_as_if_nothing_had_happened() -> None:
    """Its token is not renewed, and no page lacks any of its series; a tenant that has changed gets a new token."""
    async with world(PLANS, seed=5) as running:
        await running.advance(300)
        before = [tokens(running, plan) for plan in PLANS]
        series = set((await running.scrape()).all("spconfig_job_state", tenant=ACME))
        for _ in range(3):
            await running.exporter.files.reload(changed(running, slower(GLOBEX)))
            await running.exporter.files.reload(changed(running, lambda config: config))
            page = await running.scrape_once()
            assert set(page.all("spconfig_job_state", tenant=ACME)) == series
            assert set(page.all("spconfig_job_state", tenant=GLOBEX))
        await running.advance(60)
        after = [tokens(running, plan) for plan in PLANS]
    assert after[0] == before[0]
    assert after[2] == before[2]
    assert after[1] > before[1]


async def test_a_job_that_is_added_is_asked_about_and_one_that_is_removed_leaves() -> None:
    """Jobs change without anything else of their tenant."""
    async with world(PLANS, seed=5) as running:
        await running.advance(60)
        job = running.simulator.start(ACME, "export", duration_s=5.0, final_state="COMPLETE")
        read = changed(running, lambda config: config)
        assert (await running.exporter.files.reload(read)).changed == []
        await running.advance(60)
        assert (await running.scrape()).state(job.id) == "COMPLETE"
        await running.exporter.files.reload(changed(running, without_jobs))
        assert (await running.scrape()).state(job.id) is None


async def test_a_configuration_with_mistakes_changes_nothing() -> None:
    """The metric says so, until one is read that has none."""

    def bad(_: Config) -> Config:
        raise ConfigError((Problem("spexporter.yaml", 3, "tenants", "planted"),))

    async with world(PLANS, seed=5) as running:
        await running.advance(60)
        before = await running.scrape()
        with pytest.raises(ConfigError):
            await running.exporter.files.reload(bad)
        page = await running.scrape()
        assert page.value("spexporter_config_last_reload_successful") == 0
        assert page.all("spconfig_job_state") == before.all("spconfig_job_state")
        await running.exporter.files.reload(changed(running, lambda config: config))
        assert (await running.scrape()).value("spexporter_config_last_reload_successful") == 1


async def test_files_name_jobs_that_come_change_and_go(tmp_path: Path) -> None:
    """Within two seconds; a bad file keeps what it said, is counted, and stops no other."""
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"

    def with_files(config: Config) -> Config:
        named = {ACME: (str(tmp_path / "*.yaml"),)}
        tenants = (replace(tenant, job_files=named.get(tenant.name, ())) for tenant in config.tenants)
        return replace(config, tenants=tuple(tenants))

    async with world(PLANS, seed=5) as running:
        first = running.simulator.start(ACME, "export", duration_s=5.0, final_state="COMPLETE")
        second = running.simulator.start(ACME, "export", duration_s=5.0, final_state="FAILED")
        none = changed(
            running,
            lambda config: with_files(replace(config, tenants=tuple(replace(it, jobs=()) for it in config.tenants))),
        )
        await running.exporter.files.reload(none)
        await running.advance(60)
        one.write_text(f"- {{id: {first.id}, operation: export}}\n")
        await running.advance(60)
        page = await running.scrape()
        assert page.state(first.id) == "COMPLETE"
        assert page.value("spconfig_job_info", job_id=first.id, source="file") == 1
        assert page.value("spexporter_watched_files") == 1
        one.write_text("- {id: x}\n")
        other.write_text(f"- {{id: {second.id}, operation: export}}\n")
        await running.advance(60)
        page = await running.scrape()
        assert (page.state(first.id), page.state(second.id)) == ("COMPLETE", "FAILED")
        assert page.value("spexporter_watched_files_bad") == 1
        one.unlink()
        await running.advance(2)
        page = await running.scrape()
        assert (page.state(first.id), page.state(second.id)) == (None, "FAILED")
        assert (page.value("spexporter_watched_files"), page.value("spexporter_watched_files_bad")) == (1, 0)


async def test_series_of_single_jobs_can_be_left_out() -> None:
    """What sums up over jobs is still there, and a reload brings the others back."""
    async with world(PLANS, seed=5) as running:
        await running.advance(600)
        before = await running.scrape()
        await running.exporter.files.reload(changed(running, lambda config: replace(config, per_job_metrics=False)))
        await running.advance(60)
        page = await running.scrape()
        assert "job_id" not in page.text
        assert page.all("spconfig_jobs_finished_total") == before.all("spconfig_jobs_finished_total")
        assert page.all("spconfig_jobs")
        await running.exporter.files.reload(changed(running, lambda config: config))
        assert (await running.scrape()).all("spconfig_job_state").keys() == before.all("spconfig_job_state").keys()


async def test_the_end_of_a_credential_is_shown_where_it_is_known() -> None:
    """An alert can tell in time that the personal access token must be renewed."""
    name = "spconfig_tenant_credential_expiration_timestamp_seconds"

    def told(config: Config) -> Config:
        tenants = (replace(it, credential_expires=1.9e9) if it.name == ACME else it for it in config.tenants)
        return replace(config, tenants=tuple(tenants))

    async with world(PLANS, seed=5) as running:
        await running.exporter.files.reload(changed(running, told))
        page = await running.scrape()
        assert {dict(labels)["tenant"]: value for labels, value in page.all(name).items()} == {ACME: 1.9e9}


async def test_what_waits_for_the_store_outlives_a_reload() -> None:
    """A job that is not watched yet, as the store fails, is watched when it is back, though its tenant began anew."""
    async with world(PLANS[:1], seed=5) as running:
        await running.exporter.files.reload(changed(running, without_jobs))
        with running.store_without_new_jobs():
            await running.exporter.files.reload(changed(running, lambda config: config))
            await running.exporter.files.reload(changed(running, slower(ACME)))
        await running.advance(60)
        assert sum((await running.scrape()).all("spconfig_job_state", tenant=ACME).values()) == 4


async def test_a_lower_limit_of_series_is_taken_over() -> None:
    """The next page has fewer series of jobs, and all of them again when the limit is raised."""
    async with world(PLANS, seed=5) as running:
        await running.advance(300)
        series = (await running.scrape()).value("spexporter_series")
        assert series
        whole = len((await running.scrape()).all("spconfig_job_info"))
        used = running.used
        await running.exporter.files.reload(
            lambda _: replace(used, limits=replace(used.limits, max_series=int(series) - 50))
        )
        page = await running.scrape()
        assert len(page.all("spconfig_job_info")) < whole
        assert page.value("spexporter_series_dropped_total", reason="max_series")
        assert page.value("spexporter_series_limit") == series - 50 >= (page.value("spexporter_series") or 0)
        await running.exporter.files.reload(lambda _: used)
        assert len((await running.scrape()).all("spconfig_job_info")) == whole
