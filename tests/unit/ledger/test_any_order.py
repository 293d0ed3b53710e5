"""Any order of changes, restarts, crashes and failures of the store, against a plain model of what has happened."""

import asyncio
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from spexporter.domain import counting
from spexporter.domain.counting import SeriesKey
from spexporter.domain.errors import StoreError
from spexporter.domain.job import ENDED_STATES, JobKey, JobState, WatchedJob
from spexporter.domain.ports import Change, Counted, Terms
from spexporter.domain.result import ImportResult, Outcome, TypeCounts
from spexporter.domain.values import replace
from tests.support.clock import FakeClock
from tests.support.ledgers import BENCHES, MemoryBench, SqliteBench, durable, export, imported, seen

TERMS = Terms("acme", retention_s=3600.0, count_new_within_s=600.0)
KEYS = (export("e1"), imported("i1"), imported("i2"))
TYPES = {"SOURCE": TypeCounts(errors=1, warnings=2, objects=4), "RULE": TypeCounts(objects=8)}

EXAMPLES = {"memory": 50, "sqlite": 20, "postgresql": 10}

keys = st.sampled_from(KEYS)
pauses_s = st.sampled_from([0.5, 6.0, 700.0, 4000.0])


@dataclass
class Model:
    """What has happened, told as plainly as possible: each event once, whatever the ledger makes of it."""

    watched: set[JobKey] = field(default_factory=set)
    given_s: dict[JobKey, float] = field(default_factory=dict)
    ended: dict[JobKey, JobState] = field(default_factory=dict)
    late: set[JobKey] = field(default_factory=set)
    settled: set[JobKey] = field(default_factory=set)
    totals: Counter[SeriesKey] = field(default_factory=Counter)
    hidden: Counter[SeriesKey] = field(default_factory=Counter)

    def watch(self, key: JobKey, now_s: float) -> None:
        self.watched.add(key)
        self.given_s.setdefault(key, now_s)

    def end(self, key: JobKey, state: JobState, ended_s: float | None, old: set[SeriesKey]) -> None:
        if key not in self.watched or key in self.ended:
            return
        self.ended[key] = state
        if ended_s is not None and self.given_s[key] - ended_s > TERMS.count_new_within_s:
            self.late.add(key)
        added = {SeriesKey(counting.JOBS_FINISHED, (key.operation, state)): 1}
        if state is JobState.COMPLETE and ended_s is not None:  # each took ten seconds
            added[SeriesKey(f"{counting.RUN_SECONDS}_sum", (key.operation,))] = 10
            added |= {
                SeriesKey(f"{counting.RUN_SECONDS}_bucket", (key.operation, bound)): 1
                for bound in [str(float(bound_s)) for bound_s in counting.RUN_BUCKETS_S if bound_s >= 10] + ["+Inf"]
            }
        self._add(key, added, old)

    def settle(self, key: JobKey, outcome: Outcome, old: set[SeriesKey]) -> None:
        if key not in self.watched or key not in self.ended or key in self.settled:
            return
        self.settled.add(key)
        added = {SeriesKey(counting.IMPORT_RESULTS, (outcome,)): 1}
        if outcome is Outcome.COUNTED:
            for object_type, counts in TYPES.items():
                added[SeriesKey(counting.IMPORT_ERRORS, (object_type,))] = counts.errors
                added[SeriesKey(counting.IMPORT_WARNINGS, (object_type,))] = counts.warnings
                added[SeriesKey(counting.IMPORTED_OBJECTS, (object_type,))] = counts.objects
        self._add(key, added, old)

    def _add(self, key: JobKey, added: dict[SeriesKey, int], old: set[SeriesKey]) -> None:
        self.totals.update(added)
        if key in self.late:
            self.hidden.update({series: amount for series, amount in added.items() if series in old})


class Anything(RuleBasedStateMachine):
    """One tenant's life. `seen` are the series that a page has shown, or an earlier process may have shown."""

    make: ClassVar[Callable[..., MemoryBench | SqliteBench]]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = TemporaryDirectory()
        self.clock = FakeClock()
        self.bench = type(self).make(Path(self.folder.name), self.clock)
        self.model = Model()
        self.written = Model()
        self.seen: set[SeriesKey] = set()
        self.shown: Counter[SeriesKey] = Counter()
        self.state = self.runner.run(self.bench.open(TERMS))["acme"]
        for key in KEYS:
            self.watch(key)

    def teardown(self) -> None:
        self.heal()
        self.runner.run(self.bench.close())
        self.runner.close()
        self.folder.cleanup()

    @property
    def lasting(self) -> bool:
        return isinstance(self.bench, SqliteBench)

    @property
    def failing(self) -> bool:
        return isinstance(self.bench, SqliteBench) and self.bench.database.broken

    @rule(key=keys)
    def watch(self, key: JobKey) -> None:
        """While the store fails, an id that memory does not know is not taken."""
        try:
            self.apply(Change(added=(WatchedJob(key),)))
        except StoreError:
            assert self.failing
            return
        self.model.watch(key, self.clock.wall())
        self.note()

    @rule(key=keys)
    def remove(self, key: JobKey) -> None:
        """While the store fails, an id that memory does not know cannot be removed either."""
        try:
            self.apply(Change(removed=(key,)))
        except StoreError:
            assert self.failing
            assert key not in self.state.jobs
            return
        self.model.watched.discard(key)
        self.note()

    @rule(key=keys, state=st.sampled_from([JobState.IN_PROGRESS, JobState.NOT_FOUND, JobState.UNKNOWN]))
    def look(self, key: JobKey, state: JobState) -> None:
        """See a job that has not ended, as far as the tenant tells."""
        now_s = self.clock.wall()
        self.apply(Change(observations=(seen(key, state, now_s),), answered_s=now_s, tenant_offset_s=0.5))

    @rule(key=keys, state=st.sampled_from(ENDED_STATES), ago_s=st.sampled_from([None, 0.0, 500.0, 5000.0]))
    def end(self, key: JobKey, state: JobState, ago_s: float | None) -> None:
        """See a job that ended some time ago; one that was seen running has only just ended."""
        now_s = self.clock.wall()
        if ago_s and key in self.state.jobs and self.state.jobs[key].running:
            ago_s = 0.0
        ended_s = None if ago_s is None else now_s - ago_s
        old = self.old()
        self.apply(Change(observations=(seen(key, state, now_s, ended_s),), answered_s=now_s))
        self.model.end(key, state, ended_s, old)
        self.note()

    @rule(key=keys.filter(lambda key: key.operation == "import"), outcome=st.sampled_from(Outcome))
    def settle(self, key: JobKey, outcome: Outcome) -> None:
        """Results are asked for once a job has ended, and only then."""
        if key not in self.model.ended:
            return
        old = self.old()
        self.apply(Change(results=(Counted(key, outcome, ImportResult(TYPES) if outcome.read else None),)))
        self.model.settle(key, outcome, old)
        self.note()

    @rule(key=keys, ago_s=st.sampled_from([0.0, 5000.0]))
    def live(self, key: JobKey, ago_s: float) -> None:
        """Watch a job, see its end, count its result, and show all that: what mostly happens."""
        self.watch(key)
        self.end(key, JobState.COMPLETE, ago_s)
        if key.operation == "import":
            self.settle(key, Outcome.COUNTED)
        self.publish("all")
        self.serve()

    @rule(object_types=st.frozensets(st.sampled_from(sorted(TYPES))))
    def meet(self, object_types: frozenset[str]) -> None:
        self.apply(Change(object_types=object_types))

    @rule(part=st.sampled_from(["all", "some", "none"]))
    def publish(self, part: str) -> None:
        """Whoever asks for less than before is not heard."""
        due = {key: cell.due if part != "none" else 0.0 for key, cell in self.state.totals.items()}
        if part == "some":
            due = {key: value for key, value in due.items() if value % 2}
        self.state = self.runner.run(self.bench.ledger.publish("acme", due, fence=0))
        if part == "all" and not self.failing:
            self.note()
            assert {cell.due - cell.published for cell in self.state.totals.values()} <= {0.0}

    @rule()
    def serve(self) -> None:
        """Show a page: what it shows is seen from now on."""
        self.seen = set(self.state.totals)
        for key, cell in self.state.totals.items():
            self.shown[key] = max(self.shown[key], int(cell.published))

    @rule(by_s=pauses_s)
    def move(self, by_s: float) -> None:
        self.runner.run(self.bench.move(by_s))
        self.apply(Change())

    @precondition(lambda self: self.lasting and not self.failing)
    @rule(key=keys, then=st.sampled_from(["go on", "recover", "crash"]))
    def fail(self, key: JobKey, then: str) -> None:
        """Let the store fail between a count and its page; what happens then is written later, or lost with a crash."""
        self.end(key, JobState.COMPLETE, 0.0)
        self.break_it(broken=True)
        self.publish("all")
        self.serve()
        for other in KEYS:
            self.live(other, 0.0)
        self.move(6.0)  # it is tried again, in vain
        if then == "recover":
            self.recover()
        elif then == "crash":
            self.restart(clean=False)

    @precondition(lambda self: self.failing)
    @rule()
    def recover(self) -> None:
        """Once it works again, everything is written within seconds."""
        self.heal()
        self.runner.run(self.bench.move(6.0))
        self.apply(Change())
        self.note()
        assert isinstance(self.bench, SqliteBench)
        assert self.bench.watch.up
        assert durable(self.runner.run(self.bench.on_disk(TERMS))["acme"]) == durable(self.state)

    @precondition(lambda self: self.lasting)
    @rule(clean=st.booleans())
    def restart(self, *, clean: bool) -> None:
        """What was applied while the store worked is there again; the configuration names the same jobs as before."""
        assert isinstance(self.bench, SqliteBench)
        before, failing = self.state, self.failing
        self.runner.run(self.bench.close() if clean else self.bench.crash())
        self.model = deepcopy(self.written)
        self.state = self.runner.run(self.bench.open(TERMS))["acme"]
        if clean and not failing:
            assert durable(self.state) == durable(before)
        self.seen = set(self.state.totals)
        for key in sorted(self.model.watched, key=str):
            self.apply(Change(added=(WatchedJob(key),)))

    @invariant()
    def counters_are_what_has_happened(self) -> None:
        totals = {key: cell.value for key, cell in self.state.totals.items() if cell.value}
        assert totals == {key: value for key, value in self.model.totals.items() if value}
        late = {key: cell.late for key, cell in self.state.totals.items() if cell.late}
        assert late == {key: value for key, value in self.model.hidden.items() if value}

    @invariant()
    def pages_never_show_less_than_before_nor_more_than_is_due(self) -> None:
        for key, cell in self.state.totals.items():
            assert self.shown[key] <= cell.published <= cell.value - cell.late
        assert {key for key, shown in self.shown.items() if shown} <= self.state.totals.keys()

    @invariant()
    def only_watched_jobs_are_there(self) -> None:
        assert self.state.jobs.keys() <= self.model.watched
        unsettled = {key for key in self.model.watched if key not in self.model.ended}
        assert unsettled <= self.state.jobs.keys()
        assert {key for key, job in self.state.jobs.items() if job.end_seen_s is not None} <= self.model.ended.keys()

    def apply(self, change: Change) -> None:
        unseen = frozenset(self.state.totals.keys() - self.seen)
        dated = replace(change, unseen=unseen, at_s=self.clock.wall())
        self.state = self.runner.run(self.bench.apply(dated))

    def old(self) -> set[SeriesKey]:
        """Return the series in which what is late would look like an increase."""
        return self.seen & self.state.totals.keys()

    def note(self) -> None:
        """Remember what the store holds now."""
        if not self.failing:
            self.written = deepcopy(self.model)

    def break_it(self, *, broken: bool) -> None:
        if isinstance(self.bench, SqliteBench):
            self.bench.database.broken = broken

    def heal(self) -> None:
        self.break_it(broken=False)


@pytest.mark.parametrize("kind", BENCHES)
def test_whatever_happens_nothing_is_lost_or_counted_twice(kind: str, request: pytest.FixtureRequest) -> None:
    """Counters are what was seen, never go back on a page, and outlive stops, crashes and failures of the store."""
    if kind == "postgresql":
        request.getfixturevalue("pg_server")

    class Life(Anything):
        make = staticmethod(BENCHES[kind])

    many = settings(
        max_examples=max(EXAMPLES[kind], settings().max_examples // 20),
        stateful_step_count=25,
        phases=[phase for phase in Phase if kind == "memory" or phase is not Phase.shrink],  # a disk shrinks slowly
        deadline=None,
    )
    run_state_machine_as_test(Life, settings=many)
