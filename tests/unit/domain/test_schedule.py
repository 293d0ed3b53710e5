import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.inspection import Fit
from spexporter.domain.job import JobKey, Operation
from spexporter.domain.schedule import Opens, Outlook, Pace, Schedule, Target, TargetKind, next_look_s, spread_s

SHORT = Fit(60.0, 0.5)


def target(tenant: str, number: int = 0) -> Target:
    return Target(tenant, TargetKind.STATUS, JobKey(tenant, Operation.EXPORT, f"job-{number}"))


def unless(*full: str) -> Opens:
    """Let looks at all but these start at once."""
    return lambda tenant: math.inf if tenant in full else 0.0


@given(dues=st.lists(st.floats(0, 1000), max_size=40))
def test_the_most_overdue_target_is_taken_first(dues: list[float]) -> None:
    """Targets of one tenant come out in the order of their due times, each once."""
    schedule = Schedule()
    for number, due_s in enumerate(dues):
        schedule.add(target("a", number), due_s)
    taken = []
    while entry := schedule.take(1000.0):
        taken.append(entry[1])
    assert taken == pytest.approx(sorted(dues), abs=2e-6)
    assert schedule.head() == math.inf


def test_tenants_take_turns() -> None:
    """One with a thousand overdue targets does not keep others waiting, and gets all that they leave."""
    schedule = Schedule()
    for number in range(1000):
        schedule.add(target("large", number), 0.0)
    for number in range(10):
        schedule.add(target("small", number), 5.0)
    looks = Counter(taken[0].tenant for _ in range(30) if (taken := schedule.take(10.0)))
    assert looks == {"small": 10, "large": 20}
    for number in range(10):  # rest is not saved up
        schedule.add(target("small", number), 20.0)
    looks = Counter(taken[0].tenant for _ in range(10) if (taken := schedule.take(20.0)))
    assert looks == {"small": 5, "large": 5}


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
    assert schedule.head(unless("hung")) == 2.0
    assert schedule.take(3.0, unless("hung")) == (target("fine"), 2.0)
    assert schedule.take(3.0, unless("hung")) is None
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


def test_looks_at_a_job_of_which_nothing_is_known_get_rarer_with_age() -> None:
    """From seconds to a minute."""
    waits = [next_look_s(Pace(), age_s) for age_s in (10.0, 100.0, 1000.0, 10_000.0, 1e6)]
    assert waits == sorted(waits)
    assert waits[0] < 4
    assert waits[-1] == 60


def watched(count: int, pace: Pace, *, age_s: float = 0.0) -> Schedule:
    """Return a schedule with jobs that were just seen, all alike."""
    schedule = Schedule()
    schedule.pace("a", pace)
    for number in range(count):
        schedule.look_again(target("a", number), [Outlook(SHORT, age_s)], 0.0)
    return schedule


def test_a_job_is_looked_at_again_when_it_is_worth_it() -> None:
    """Rarely while it can hardly have ended, and often when it is likely to have."""
    young, old = watched(1, Pace()), watched(1, Pace(), age_s=60.0)
    assert 10 < young.head() < 25
    assert old.head() < 4


def test_no_job_is_looked_at_sooner_or_later_than_allowed() -> None:
    """Where the budget allows it."""
    assert watched(1, Pace(fastest_s=5.0), age_s=60.0).head() == 5
    assert watched(1, Pace(slowest_s=9.0)).head() == 9


def test_one_look_at_a_list_answers_for_many() -> None:
    """It is made sooner for a hundred running jobs than for one."""
    listing = Target("a", TargetKind.LIST, operation=Operation.BACKUP)
    heads = []
    for count in (1, 100):
        schedule = Schedule()
        schedule.pace("a", Pace(0.1, 60.0))
        schedule.look_again(listing, [Outlook(SHORT, 50.0)] * count, 0.0)
        heads.append(schedule.head())
        assert schedule.take(heads[-1]) == (listing, heads[-1])
    assert heads[0] == pytest.approx(10 * heads[1])


def looks(jobs: int, *, apart_s: float, until_s: float, pace: Pace) -> tuple[Counter[Target], float, list[float]]:
    """Look as fast as a budget of one look each `apart_s` allows at jobs that never end.

    Return how often each was looked at, the longest wait between two looks at one, and how late each look was.
    """
    schedule = watched(jobs, pace)
    now_s, free_s, longest_s = 0.0, 0.0, 0.0
    count: Counter[Target] = Counter()
    seen_s = {target("a", number): 0.0 for number in range(jobs)}
    late_s = []
    while now_s < until_s:
        now_s = max(now_s, free_s, schedule.head())
        taken = schedule.take(now_s)
        assert taken is not None
        found, due_s = taken
        free_s = now_s + apart_s
        count[found] += 1
        late_s.append(now_s - due_s)
        longest_s = max(longest_s, now_s - seen_s[found])
        seen_s[found] = now_s
        schedule.look_again(found, [Outlook(SHORT, now_s)], now_s)
    return count, longest_s, late_s


def test_places_are_not_used_up_for_a_few_jobs() -> None:
    """Requests are shared with others: what is hardly worth a look gets none."""
    count, longest_s, late_s = looks(3, apart_s=0.1, until_s=1000.0, pace=Pace())
    assert count.total() < 1000
    assert longest_s <= 60
    assert max(late_s) < 0.5


def test_what_is_tried_again_has_its_turn_among_many_that_are_looked_at() -> None:
    """One look that failed has a fixed time: with more looks due than the budget allows it is made all the same."""
    schedule, again = watched(30, Pace(), age_s=60.0), target("a", 1000)
    schedule.add(again, 40.0)
    now_s, taken = 0.0, set()
    while now_s < 60.0:
        now_s = max(now_s + 0.3, schedule.head())
        found, _ = schedule.take(now_s) or (again, 0.0)
        taken.add((found, now_s > 40))
        if found != again:
            schedule.look_again(found, [Outlook(SHORT, 60.0 + now_s)], now_s)
    assert (again, True) in taken
    assert (again, False) not in taken


def test_all_places_are_used_where_looks_are_scarce_and_no_job_starves() -> None:
    """A thousand jobs and a look each second: everybody has a turn about as often as in a round."""
    count, longest_s, late_s = looks(1000, apart_s=1.0, until_s=20_000.0, pace=Pace())
    assert count.total() >= 19_900
    assert len(count) == 1000
    assert longest_s < 2500
    assert max(late_s) > 900  # that it is so is told


@given(subject=st.text())
def test_first_looks_are_spread_and_always_the_same(subject: str) -> None:
    """Within one shortest pause; the same subject always gets the same place in it."""
    assert 0 <= spread_s(Pace(), subject) <= Pace().fastest_s
    assert spread_s(Pace(), subject) == spread_s(Pace(), subject)


def test_first_looks_do_not_come_in_a_heap() -> None:
    """A thousand subjects fill every tenth of the pause."""
    tenths = {int(spread_s(Pace(), f"acme/import/{n}") / Pace().fastest_s * 10) for n in range(1000)}
    assert tenths == set(range(10))
