"""What every ledger does, wherever it keeps what it knows."""

import pytest

from spexporter.domain.budget import BudgetState
from spexporter.domain.counting import object_type_baseline, operation_baseline
from spexporter.domain.durations import usual
from spexporter.domain.job import JobKey, JobState, Operation, WatchedJob
from spexporter.domain.ports import Change, Group, StoredWindow, Terms
from spexporter.domain.values import replace
from spexporter.domain.view import TenantState
from tests.support.clock import START_WALL_S as NOW_S
from tests.support.ledgers import (
    DAY_S,
    ERRORS,
    EXPORT,
    EXPORTED,
    IMPORT,
    RESULT,
    RETENTION_S,
    TERMS,
    WATCH,
    WRITTEN_AFTER_S,
    Bench,
    SqliteBench,
    durable,
    ended,
    ends_of,
    export,
    seen,
    values,
    visible,
)

GROUP = Group("synthetic-group")
LEFT = StoredWindow(clean=True, windows={"v2025": BudgetState()})


async def test_a_tenant_never_met_has_nothing(bench: Bench) -> None:
    """Neither jobs nor counters, and nothing is made up."""
    assert await bench.open(TERMS, Terms("other")) == {"acme": TenantState(), "other": TenantState()}


async def test_an_operation_and_an_object_type_begin_at_zero(bench: Bench) -> None:
    """Their counters exist before anything happened, those of other operations do not."""
    await bench.open(TERMS)
    change = Change(operations=frozenset({Operation.IMPORT}), object_types=frozenset({"SOURCE"}), at_s=NOW_S)
    state = await bench.apply(change)
    assert set(state.totals) == {*operation_baseline(Operation.IMPORT), *object_type_baseline("SOURCE")}
    assert values(state) == visible(state) == {}
    assert {cell.created_s for cell in state.totals.values()} == {NOW_S}


async def test_a_change_applied_again_changes_nothing(bench: Bench) -> None:
    """Whoever is not sure that a change has arrived can apply it again."""
    await bench.open(TERMS)
    changes = (WATCH, ends_of(EXPORT, IMPORT), RESULT, Change(answered_s=NOW_S, tenant_offset_s=1.5))
    for change in changes:
        once = await bench.apply(change)
        assert await bench.apply(change) == once
    counted = values(once)
    assert (counted[EXPORTED], counted[ERRORS]) == (1, 2)
    for change in changes:
        assert values(await bench.apply(change)) == counted


async def test_tenants_do_not_mix(bench: Bench) -> None:
    """The same id of another tenant is another job."""
    await bench.open(TERMS, Terms("other"))
    await bench.apply(WATCH)
    other = export("e", "other")
    await bench.apply(Change(added=(WatchedJob(other),), observations=(ended(other),)), "other")
    assert values(await bench.apply(Change())) == {}
    assert (await bench.apply(Change(), "other")).jobs.keys() == {other}


async def test_what_is_published_never_moves_back(bench: Bench) -> None:
    """A page that was told to show 1 never shows less again, whatever is asked for."""
    await bench.open(TERMS)
    await bench.apply(WATCH)
    await bench.apply(ends_of(EXPORT))
    assert visible(await bench.apply(Change())) == {}
    state = await bench.publish()
    assert visible(state) == values(state)
    again = await bench.ledger.publish("acme", {EXPORTED: 0.0}, fence=0)
    assert visible(again) == visible(state)


async def test_a_job_removed_and_given_again_is_neither_asked_for_nor_counted_anew(bench: Bench) -> None:
    """An id that leaves the configuration and comes back is the same job, with its new description."""
    await bench.open(TERMS)
    await bench.apply(WATCH)
    await bench.apply(ends_of(EXPORT, IMPORT))
    before = await bench.apply(RESULT)
    gone = await bench.apply(Change(removed=(EXPORT, IMPORT), at_s=NOW_S))
    assert gone.jobs == {}
    assert gone.totals == before.totals
    back = await bench.apply(replace(WATCH, added=(WatchedJob(EXPORT, name="nightly"), WatchedJob(IMPORT))))
    assert {key: (job.settled, job.watched.name) for key, job in back.jobs.items()} == {
        EXPORT: (True, "nightly"),
        IMPORT: (True, ""),
    }
    await bench.apply(ends_of(EXPORT, IMPORT))
    assert (await bench.apply(RESULT)).totals == before.totals


async def test_an_id_given_long_after_its_job_ended_is_counted_but_never_seen_to_rise(bench: Bench) -> None:
    """What a page has shown at 0 stays at 0; what no page has shown begins where it stands."""
    await bench.open(TERMS)
    zero = await bench.apply(WATCH)
    late = Change(observations=(ended(EXPORT, ended_s=NOW_S - 3601),), at_s=NOW_S)
    await bench.apply(late)
    state = await bench.publish()
    assert (values(state)[EXPORTED], state.totals[EXPORTED].late, visible(state)) == (1, 1, {})
    second = export("second")
    known = Change(added=(WatchedJob(second),), observations=(ended(second, ended_s=NOW_S - 3601),), at_s=NOW_S)
    state = await bench.apply(replace(known, unseen=frozenset(zero.totals)))
    assert (values(state)[EXPORTED], visible(state)[EXPORTED]) == (2, 1)
    assert state.totals[EXPORTED].created_s is None


async def test_an_id_given_in_time_rises(bench: Bench) -> None:
    """An end that is exactly as old as `count_new_within` is still news."""
    await bench.open(TERMS)
    await bench.apply(WATCH)
    await bench.apply(Change(observations=(ended(EXPORT, ended_s=NOW_S - 3600),), at_s=NOW_S))
    state = await bench.publish()
    assert (state.totals[EXPORTED].late, visible(state)[EXPORTED]) == (0, 1)


async def test_an_ended_job_leaves_after_retention_only_once_nothing_is_left_to_ask(bench: Bench) -> None:
    """An import whose result has no outcome yet stays, however long that takes."""
    await bench.open(TERMS)
    await bench.apply(WATCH)
    state = await bench.apply(ends_of(EXPORT, IMPORT))
    assert state.leaves_s == NOW_S + RETENTION_S
    assert (await bench.apply(Change(at_s=NOW_S + RETENTION_S - 1))).jobs.keys() == {EXPORT, IMPORT}
    assert (await bench.apply(Change(at_s=NOW_S + RETENTION_S))).jobs.keys() == {IMPORT}
    state = await bench.apply(replace(RESULT, at_s=NOW_S + RETENTION_S + 1))
    assert state.jobs == {}
    assert (values(state)[EXPORTED], values(state)[ERRORS]) == (1, 2)


async def test_an_id_whose_job_has_left_the_pages_does_not_come_back(bench: Bench) -> None:
    """Named again, from wherever, it is neither shown, nor asked for, nor counted again."""
    await bench.open(TERMS)
    await bench.apply(WATCH)
    await bench.apply(ends_of(EXPORT))
    gone = await bench.apply(Change(at_s=NOW_S + RETENTION_S))
    for removed in ((), (EXPORT,)):
        again = Change(removed=removed, at_s=NOW_S + RETENTION_S + 1)
        await bench.apply(again)
        state = await bench.apply(replace(WATCH, at_s=NOW_S + RETENTION_S + 2))
        assert EXPORT not in state.jobs
        assert values(await bench.apply(ends_of(EXPORT))) == values(gone)


async def test_a_job_removed_before_its_retention_was_over_does_not_come_back_after_it(bench: Bench) -> None:
    """Retention counts from the end, whether anybody watches or not."""
    await bench.open(TERMS)
    await bench.apply(WATCH)
    await bench.apply(ends_of(EXPORT))
    before = await bench.apply(Change(removed=(EXPORT,), at_s=NOW_S))
    await bench.move(RETENTION_S)
    state = await bench.apply(replace(WATCH, at_s=bench.clock.wall()))
    assert EXPORT not in state.jobs
    assert values(await bench.apply(ends_of(EXPORT, at_s=bench.clock.wall()))) == values(before)


async def test_a_job_that_is_not_found_leaves_the_pages_after_retention_and_an_answer_revives_it(bench: Bench) -> None:
    """It is asked for all the same, and counts when it ends."""
    await bench.open(TERMS)
    await bench.apply(WATCH)
    missing = Change(observations=(seen(EXPORT, JobState.NOT_FOUND, NOW_S),), at_s=NOW_S)
    assert (await bench.apply(missing)).leaves_s == NOW_S + RETENTION_S
    still = Change(observations=(seen(EXPORT, JobState.NOT_FOUND, NOW_S + 60),), at_s=NOW_S + RETENTION_S - 1)
    assert not (await bench.apply(still)).jobs[EXPORT].left
    state = await bench.apply(Change(at_s=NOW_S + RETENTION_S))
    assert state.jobs[EXPORT].left
    revived = Change(observations=(seen(EXPORT, JobState.IN_PROGRESS, NOW_S + RETENTION_S + 1),), at_s=NOW_S)
    job = (await bench.apply(revived)).jobs[EXPORT]
    assert (job.left, job.missing_s, job.running) == (False, None, True)
    assert values(await bench.apply(ends_of(EXPORT)))[EXPORTED] == 1


async def test_a_job_found_again_starts_its_absence_anew(bench: Bench) -> None:
    """Two short absences are not one long one."""
    await bench.open(TERMS)
    await bench.apply(WATCH)
    for state, at_s in (
        (JobState.NOT_FOUND, NOW_S),
        (JobState.IN_PROGRESS, NOW_S + DAY_S),
        (JobState.NOT_FOUND, NOW_S + 2 * DAY_S),
    ):
        await bench.apply(Change(observations=(seen(EXPORT, state, at_s),), at_s=at_s))
    assert not (await bench.apply(Change(at_s=NOW_S + RETENTION_S))).jobs[EXPORT].left
    assert (await bench.apply(Change(at_s=NOW_S + 2 * DAY_S + RETENTION_S))).jobs[EXPORT].left


async def test_an_id_that_nobody_wanted_for_long_is_forgotten(bench: Bench) -> None:
    """After `remember_counted` it is a new job, and not a day before; wanted again, it is remembered anew."""
    await bench.open(TERMS)
    await bench.apply(WATCH)
    await bench.apply(ends_of(EXPORT))
    await remove(bench, EXPORT)
    await bench.move(29 * DAY_S)
    assert values(await give(bench, EXPORT))[EXPORTED] == 1
    second = export("second")
    await give(bench, second)
    await remove(bench, second)
    await bench.move(31 * DAY_S)
    await bench.apply(Change(at_s=bench.clock.wall()))
    assert values(await give(bench, second))[EXPORTED] == 3
    assert values(await give(bench, EXPORT))[EXPORTED] == 3


async def test_an_id_is_forgotten_though_its_job_had_left_the_pages_before_it_was_removed(store: SqliteBench) -> None:
    """What counts is when it was last configured."""
    bench = store
    await bench.open(TERMS)
    await bench.apply(WATCH)
    await bench.apply(ends_of(EXPORT))
    await bench.apply(Change(at_s=NOW_S + RETENTION_S))
    await bench.move(WRITTEN_AFTER_S)
    await remove(bench, EXPORT)
    await bench.move(31 * DAY_S)
    await bench.apply(Change(at_s=bench.clock.wall()))
    assert values(await give(bench, EXPORT))[EXPORTED] == 2


async def remove(bench: Bench, key: JobKey) -> None:
    await bench.apply(Change(removed=(key,), at_s=bench.clock.wall()))


async def give(bench: Bench, key: JobKey) -> TenantState:
    """Watch a job, which ends."""
    now_s = bench.clock.wall()
    return await bench.apply(Change(added=(WatchedJob(key),), observations=(ended(key, now_s, now_s),), at_s=now_s))


async def test_an_id_that_is_still_configured_is_remembered_for_ever(bench: Bench) -> None:
    """It has left the pages, but the configuration names it: only that counts."""
    await bench.open(TERMS)
    await bench.apply(WATCH)
    await bench.apply(ends_of(EXPORT))
    for _ in range(3):
        await bench.move(29 * DAY_S)
        await bench.apply(Change(at_s=bench.clock.wall()))
    await bench.apply(replace(WATCH, at_s=bench.clock.wall()))
    state = await bench.apply(ends_of(EXPORT, at_s=bench.clock.wall()))
    assert (EXPORT in state.jobs, values(state)[EXPORTED]) == (False, 1)


async def test_facts_of_a_tenant(bench: Bench) -> None:
    """The newest success of each operation, how long it usually takes, and when the tenant last answered."""
    await bench.open(TERMS)
    for number, took_s in enumerate((30.0, 10.0, 20.0)):
        key = export(f"e{number}")
        observation = seen(key, JobState.COMPLETE, NOW_S, NOW_S - 100 * number, took_s)
        await bench.apply(Change(added=(WatchedJob(key),), observations=(observation,), at_s=NOW_S))
    state = await bench.apply(Change(answered_s=NOW_S, tenant_offset_s=-2.5))
    assert state.successes == {Operation.EXPORT: NOW_S}
    assert state.usual == {Operation.EXPORT: usual([30.0, 10.0, 20.0])}
    assert (state.last_answer_s, state.tenant_offset_s) == (NOW_S, -2.5)


async def test_a_former_name_hands_over_all_it_had(bench: Bench) -> None:
    """Counters, jobs, facts and remembered ids become the new name's; nothing is left under the old one."""
    await bench.open(TERMS)
    aged = export("aged")
    await bench.apply(replace(WATCH, added=(*WATCH.added, WatchedJob(aged))))
    await bench.apply(Change(observations=(ended(aged, NOW_S - RETENTION_S, NOW_S - RETENTION_S),), at_s=NOW_S))
    for number in range(3):
        key = export(f"e{number}")
        await bench.apply(Change(added=(WatchedJob(key),), observations=(ended(key),), at_s=NOW_S))
    await bench.apply(Change(removed=(export("e0"),), answered_s=NOW_S, at_s=NOW_S))
    await bench.apply(ends_of(IMPORT))
    await bench.apply(RESULT)
    before = await bench.publish()
    await bench.close()

    renamed = replace(TERMS, tenant="acme-prod", former_names=("acme",))
    state = (await bench.open(renamed))["acme-prod"]
    assert {key.job_id for key in state.jobs} == {"e", "i", "e1", "e2"}
    assert {key.tenant for key in state.jobs} == {
        job.latest.key.tenant for job in state.jobs.values() if job.latest
    } | {job.watched.key.tenant for job in state.jobs.values()}
    assert {key: (cell.value, cell.published) for key, cell in state.totals.items()} == {
        key: (cell.value, cell.published) for key, cell in before.totals.items()
    }
    assert (state.successes, state.usual, state.last_answer_s) == (before.successes, before.usual, NOW_S)
    again = [export(job_id, "acme-prod") for job_id in ("aged", "e0", "e1")]
    watch = Change(added=tuple(WatchedJob(key) for key in again), at_s=NOW_S)
    assert export("aged", "acme-prod") not in (await bench.apply(watch, "acme-prod")).jobs
    assert values(await bench.apply(ends_of(*again), "acme-prod")) == values(before)
    await bench.close()
    assert (await bench.open(Terms("acme")))["acme"] == TenantState()


async def test_a_crash_while_a_former_name_is_taken_over_loses_nothing(store: SqliteBench) -> None:
    """Either name has the counters at any moment."""
    await store.open(TERMS)
    await store.apply(WATCH)
    await store.apply(ends_of(EXPORT))
    before = await store.publish()
    await store.close()
    renamed = replace(TERMS, tenant="acme-prod", former_names=("acme",))
    await store.open(renamed, crash_at="write")
    state = (await store.open(renamed))["acme-prod"]
    assert (values(state), visible(state)) == (values(before), visible(before))


async def test_where_both_names_have_a_counter_the_sum_is_kept_and_no_page_sees_it_rise(bench: Bench) -> None:
    """What was counted under the former name is no event of today."""
    await bench.open(TERMS, Terms("acme-prod"))
    for tenant, count in (("acme", 3), ("acme-prod", 2)):
        for number in range(count):
            key = export(f"e{number}", tenant)
            await bench.apply(Change(added=(WatchedJob(key),), observations=(ended(key),), at_s=NOW_S), tenant)
        await bench.publish(tenant)
    await bench.close()
    renamed = Terms("acme-prod", former_names=("acme",))
    assert values((await bench.open(renamed))["acme-prod"])[EXPORTED] == 5
    state = await bench.publish("acme-prod")
    assert visible(state)[EXPORTED] == 2
    assert (await bench.open(renamed))["acme-prod"].totals == state.totals


async def test_a_rate_limit_window_never_met_is_none_and_a_clean_one_comes_back(bench: Bench) -> None:
    """A first start owes nothing; a stop leaves what is still taken."""
    await bench.open(TERMS)
    assert (await bench.ledger.open_windows({GROUP: 0}, NOW_S)).get(GROUP) is None
    windows = {"v2025": BudgetState((1.0, 4.0), 30.0, 0.5), "v3": BudgetState()}
    await bench.ledger.close_windows({GROUP: windows}, NOW_S)
    assert (await bench.ledger.open_windows({GROUP: 0}, NOW_S)).get(GROUP) == StoredWindow(clean=True, windows=windows)


async def test_the_time_between_two_processes_frees_places(store: SqliteBench) -> None:
    """Three seconds later each place is free three seconds sooner; a clock set back frees nothing."""
    await store.open(TERMS)
    for passed_s, left in ((3.0, BudgetState((1.0,), 27.0, 0.5)), (-50.0, BudgetState((1.0, 4.0), 30.0, 0.5))):
        await store.ledger.close_windows({GROUP: {"v2025": BudgetState((1.0, 4.0), 30.0, 0.5)}}, NOW_S)
        await store.close()
        await store.open(TERMS)
        found = (await store.ledger.open_windows({GROUP: 0}, NOW_S + passed_s)).get(GROUP)
        assert found == StoredWindow(clean=True, windows={"v2025": left})


async def test_after_a_crash_a_window_is_as_good_as_spent(store: SqliteBench) -> None:
    """Nobody knows what a process that was killed has sent; other groups are not touched."""
    await store.open(TERMS)
    other = Group("other-group")
    await store.ledger.close_windows({GROUP: {"v2025": BudgetState()}}, NOW_S)
    await store.ledger.close_windows({other: {"v2025": BudgetState()}}, NOW_S)
    assert (await store.ledger.open_windows({GROUP: 0}, NOW_S)).get(GROUP) == LEFT
    await store.crash()
    await store.open(TERMS)
    assert (await store.ledger.open_windows({GROUP: 0}, NOW_S)).get(GROUP) == StoredWindow(clean=False)
    assert (await store.ledger.open_windows({other: 0}, NOW_S)).get(other) == LEFT


@pytest.mark.parametrize("clean", [True, False], ids=["stop", "crash"])
async def test_all_that_counts_outlives_the_process(store: SqliteBench, *, clean: bool) -> None:
    """Jobs, counters, what pages may show, facts: as they were; only times of creation are left out."""
    await store.open(TERMS)
    await store.apply(replace(WATCH, object_types=frozenset({"RULE"})))
    running = Change(observations=(seen(EXPORT, JobState.IN_PROGRESS, NOW_S),), answered_s=NOW_S, tenant_offset_s=0.25)
    await store.apply(running)
    await store.apply(ends_of(IMPORT))
    await store.publish()
    before = await store.apply(RESULT)
    await (store.close() if clean else store.crash())
    after = (await store.open(TERMS))["acme"]
    assert durable(after) == durable(before)
    assert {cell.created_s for cell in after.totals.values()} == {None}


@pytest.mark.parametrize("clean", [True, False], ids=["stop", "crash"])
async def test_a_job_is_counted_once_whatever_process_looks_at_it(store: SqliteBench, *, clean: bool) -> None:
    """The same configuration and the same answers after a restart count nothing again."""
    await store.open(TERMS)
    for _ in range(3):
        await store.apply(WATCH)
        await store.apply(ends_of(EXPORT, IMPORT))
        state = await store.apply(RESULT)
        assert (values(state)[EXPORTED], values(state)[ERRORS]) == (1, 2)
        await store.apply(Change(removed=(EXPORT,), at_s=NOW_S))
        await (store.close() if clean else store.crash())
        await store.open(TERMS)


async def test_a_job_that_has_left_is_remembered_by_the_next_process(store: SqliteBench) -> None:
    """Its id alone is kept: the same configuration does not bring it back."""
    await store.open(TERMS)
    await store.apply(WATCH)
    await store.apply(ends_of(EXPORT))
    gone = await store.apply(Change(at_s=NOW_S + RETENTION_S))
    await store.close()
    assert EXPORT not in (await store.open(TERMS))["acme"].jobs
    state = await store.apply(replace(WATCH, at_s=NOW_S + RETENTION_S))
    assert EXPORT not in state.jobs
    assert values(await store.apply(ends_of(EXPORT))) == values(gone)


async def test_a_shorter_retention_holds_for_jobs_that_ended_before(store: SqliteBench) -> None:
    """It counts from the end, by the configuration of today."""
    await store.open(TERMS)
    await store.apply(WATCH)
    await store.apply(ends_of(EXPORT))
    await store.close()
    state = (await store.open(replace(TERMS, retention_s=60.0)))["acme"]
    assert state.leaves_s == NOW_S + 60.0
    assert EXPORT not in (await store.apply(Change(at_s=NOW_S + 60.0))).jobs


async def test_a_tenant_that_left_the_configuration_is_forgotten_in_the_end(store: SqliteBench) -> None:
    """It can come back within `remember_counted`, and is a new one after that."""
    await store.open(TERMS, Terms("other"))
    await store.apply(WATCH)
    await store.apply(replace(ends_of(EXPORT), answered_s=NOW_S))
    await store.close()
    await store.open(Terms("other"))
    await store.move(29 * DAY_S)
    assert values((await store.on_disk(TERMS))["acme"])[EXPORTED] == 1
    await store.move(2 * DAY_S)
    assert (await store.on_disk(TERMS))["acme"] == TenantState()


async def test_what_may_wait_is_written_within_five_seconds(store: SqliteBench) -> None:
    """A running job's answer costs no transaction of its own, and is not lost for longer than that."""
    await store.open(TERMS)
    await store.apply(WATCH)
    state = await store.apply(Change(observations=(seen(EXPORT, JobState.IN_PROGRESS, NOW_S),), answered_s=NOW_S))
    assert (await store.on_disk(TERMS))["acme"].jobs[EXPORT].latest is None
    await store.move(5.0)
    assert durable((await store.on_disk(TERMS))["acme"]) == durable(state)
