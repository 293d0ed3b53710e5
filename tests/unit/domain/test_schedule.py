from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.job import JobKey, Operation
from spexporter.domain.schedule import Pace, Schedule, Target, TargetKind, next_look_s, spread_s


def target(tenant: str, number: int = 0) -> Target:
    return Target(tenant, TargetKind.STATUS, JobKey(tenant, Operation.EXPORT, f"job-{number}"))


@given(dues=st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1000)), max_size=40))
def test_the_most_overdue_target_is_taken_first_whatever_its_tenant(dues: list[tuple[str, float]]) -> None:
    """Targets come out in the order of their due times, each once."""
    schedule = Schedule()
    for number, (tenant, due_s) in enumerate(dues):
        schedule.add(target(tenant, number), due_s)
    taken = []
    while entry := schedule.take(1000.0):
        taken.append(entry[1])
    assert taken == sorted(due_s for _, due_s in dues)
    assert schedule.head() is None


def test_nothing_is_taken_before_it_is_due() -> None:
    """The head says when to come back."""
    schedule = Schedule()
    schedule.add(target("a"), 5.0)
    assert schedule.take(4.9) is None
    assert schedule.head() == 5.0
    assert schedule.take(5.0) == (target("a"), 5.0)


def test_adding_again_moves_a_target() -> None:
    """A target is in the queue once."""
    schedule = Schedule()
    schedule.add(target("a"), 5.0)
    schedule.add(target("a"), 7.0)
    assert schedule.due(target("a")) == 7.0
    assert schedule.take(6.0) is None
    assert schedule.take(7.0) == (target("a"), 7.0)
    assert schedule.take(1000.0) is None


def test_discarded_targets_are_never_taken() -> None:
    """Discarding works for what is queued and for what is not."""
    schedule = Schedule()
    schedule.add(target("a"), 5.0)
    schedule.discard(target("a"))
    schedule.discard(target("b"))
    assert schedule.take(1000.0) is None
    assert schedule.due(target("a")) is None


def test_busy_tenants_are_passed_over() -> None:
    """A tenant with its hands full does not hold up the others."""
    schedule = Schedule()
    schedule.add(target("hung"), 1.0)
    schedule.add(target("fine"), 2.0)
    assert schedule.head(frozenset({"hung"})) == 2.0
    assert schedule.take(3.0, frozenset({"hung"})) == (target("fine"), 2.0)
    assert schedule.take(3.0, frozenset({"hung"})) is None
    assert schedule.take(3.0) == (target("hung"), 1.0)


def test_a_held_tenant_waits_and_is_not_called_late_for_it() -> None:
    """What was due during a hold is due at its end."""
    schedule = Schedule()
    schedule.add(target("a"), 1.0)
    schedule.hold("a", 60.0)
    assert schedule.take(59.0) is None
    assert schedule.head() == 60.0
    assert schedule.due(target("a")) == 60.0
    assert schedule.take(61.0) == (target("a"), 60.0)


@given(age_s=st.one_of(st.none(), st.floats(0, 1e9)))
def test_looks_stay_between_fastest_and_slowest(age_s: float | None) -> None:
    """However old a job is, it is looked at within the bounds."""
    pace = Pace(2.0, 60.0, 300.0)
    assert 2.0 <= next_look_s(pace, age_s) <= 60.0


def test_looks_get_rarer_with_age() -> None:
    """A job is looked at again after a tenth of its age."""
    assert [next_look_s(Pace(), age_s) for age_s in (None, 1.0, 100.0, 1e6)] == [2.0, 2.0, 10.0, 60.0]


@given(subject=st.text())
def test_first_looks_are_spread_and_always_the_same(subject: str) -> None:
    """Within one shortest pause; the same subject always gets the same place in it."""
    assert 0 <= spread_s(Pace(), subject) <= Pace().fastest_s
    assert spread_s(Pace(), subject) == spread_s(Pace(), subject)


def test_first_looks_do_not_come_in_a_heap() -> None:
    """A thousand subjects fill every tenth of the pause."""
    tenths = {int(spread_s(Pace(), f"acme/import/{n}") / Pace().fastest_s * 10) for n in range(1000)}
    assert tenths == set(range(10))
