from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.values import replace
from spexporter.simulator import ALL_QUIRKS, KINDS, QUIRKS, Fault, all_quirks, default_plans, hostile
from spexporter.simulator.calls import Call, read_call
from spexporter.simulator.chance import chance
from spexporter.simulator.faults import ENDPOINTS, INSTEAD, RESULTS
from spexporter.simulator.limiter import RateLimiter, most_in_any_window
from spexporter.simulator.orders import draw_order, make_job
from spexporter.simulator.quirks import bend
from spexporter.simulator.rival import Rival, busiest_together
from spexporter.simulator.troubles import Met, Troubles
from tests.support.clock import FakeClock

PLAN = default_plans(1)[0]
STATUS = read_call("GET", PLAN.name, "sp-config/v1/import/17")
PER_S = 10.0


def troubles(*faults: Fault, seed: int = 1) -> Troubles:
    return Troubles([replace(PLAN, faults=faults)], clock=FakeClock(), seed=seed, per_s=PER_S)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"kind": "hanging"}, "no such kind of fault: 'hanging'; there are .*hang"),
        ({"kind": "hang", "share": 1.5}, "share must be from 0 to 1"),
        ({"kind": "hang", "share": float("nan")}, "share must be from 0 to 1"),
        ({"kind": "hang", "endpoints": frozenset({"status"})}, "no such endpoint: status; there are .*import_status"),
        ({"kind": "revoked", "share": 0.5}, "revoked holds for every answer"),
        ({"kind": "rival", "endpoints": frozenset({"token"})}, "rival holds for every answer"),
        ({"kind": "status", "status": 200}, "status must be from 300 to 599"),
        ({"kind": "rival", "count": 0}, "count at least 1"),
    ],
)
def test_impossible_faults_are_refused(wrong: dict[str, Any], words: str) -> None:
    """A mistake of the test that plants it is explained."""
    with pytest.raises(ValueError, match=words):
        Fault(**wrong)


def test_tenant_without_faults_meets_none() -> None:
    """Nor does one that there is not."""
    met = troubles().meet(STATUS)
    assert (met.instead, met.beside) == (None, ())
    met.served(Fault("hang"))
    assert troubles(Fault("hang")).meet(replace(STATUS, tenant="nobody")).instead is None


@given(seed=st.integers(), shares=st.lists(st.floats(0, 0.4), min_size=1, max_size=4))
def test_shares_add_up_and_one_answer_meets_one_fault(seed: int, shares: list[float]) -> None:
    """What comes instead of an answer comes as often as asked for, within what 400 throws allow."""
    faults = tuple(Fault("status", share, status=500 + place) for place, share in enumerate(shares))
    mine = troubles(*faults, seed=seed)
    met = Counter(fault.status if (fault := mine.meet(STATUS).instead) else 0 for _ in range(400))
    left = 1.0
    for fault in faults:
        expected = min(fault.share, left)
        left -= expected
        assert abs(met[fault.status] / 400 - expected) < 0.15


def test_fault_for_all_comes_always() -> None:
    """A share of 1 leaves nothing to chance, one of 0 nothing to fear."""
    always = troubles(Fault("nulls", 0.0), Fault("empty", 0.0), Fault("hang"), Fault("cut"), Fault("details"))
    for _ in range(100):
        met = always.meet(STATUS)
        assert (met.instead and met.instead.kind, [fault.kind for fault in met.beside]) == ("hang", ["details"])


CALLS = st.lists(st.sampled_from(["import/17", "import/18", "import/17/download", "export/17"]), max_size=30)


def met_by(mine: Troubles, calls: Sequence[Call]) -> list[tuple[Fault | None, tuple[Fault, ...], float]]:
    return [(met.instead, met.beside, met.dice.random()) for met in map(mine.meet, calls)]


@given(seed=st.integers(), paths=CALLS, order=st.randoms(use_true_random=False))
def test_what_a_request_meets_does_not_depend_on_what_else_is_asked(seed: int, paths: list[str], order: Any) -> None:  # noqa: ANN401
    """Asked in another order, the requests for each job and endpoint meet the same, one after the other."""
    faults = (*hostile(0.5, slow=True), *ALL_QUIRKS)
    calls = [read_call("GET", PLAN.name, f"sp-config/v1/{path}") for path in paths]
    shuffled = order.sample(calls, len(calls))

    def by_call(asked: Sequence[Call]) -> dict[Call, list[object]]:
        met = list(zip(asked, met_by(troubles(*faults, seed=seed), asked), strict=True))
        return {call: [one for other, one in met if other == call] for call in asked}

    assert by_call(calls) == by_call(shuffled)


def test_fault_that_ends_changes_nothing_for_the_others() -> None:
    """Every fault throws its dice, whether it lasts or not."""
    calls = [STATUS] * 50
    both = [beside for _, beside, _ in met_by(troubles(Fault("nulls", 0.5, until_s=0), Fault("details", 0.5)), calls)]
    lasts = [beside for _, beside, _ in met_by(troubles(Fault("nulls", 0.5), Fault("details", 0.5)), calls)]
    assert both == [tuple(fault for fault in beside if fault.kind == "details") for beside in lasts]


def test_conditions_are_counted_by_the_answers_they_last_for() -> None:
    """Others when they show themselves."""
    mine = troubles(Fault("lost_user"), Fault("hang"))
    met = mine.meet(STATUS)
    assert mine.served == {PLAN.name: {"lost_user": 1}}
    assert met.instead is not None
    met.served(met.instead)
    assert mine.served == {PLAN.name: {"lost_user": 1, "hang": 1}}


@pytest.mark.parametrize("slow", [False, True])
def test_hostile_world_spoils_the_share_asked_for_everywhere(slow: bool) -> None:  # noqa: FBT001 - a parameter
    """On every endpoint the shares of what comes instead of an answer sum up to it."""
    for endpoint in ENDPOINTS:
        fitting = [fault for fault in hostile(0.1, slow=slow) if fault.concerns(endpoint) and fault.kind in INSTEAD]
        assert sum(fault.share for fault in fitting) == pytest.approx(0.1)
        assert ("hang" in {fault.kind for fault in fitting}) == slow
        statuses = {fault.status for fault in fitting if fault.kind == "status"}
        assert 403 not in statuses
        assert 404 not in statuses or endpoint not in RESULTS


def test_presets_name_known_kinds() -> None:
    """Every quirk once, and with the share asked for."""
    assert [fault.kind for fault in all_quirks(0.2)] == list(QUIRKS)
    assert {fault.share for fault in all_quirks(0.2)} == {0.2}
    assert {fault.kind for fault in hostile(1.0, slow=True)} | set(QUIRKS) <= KINDS


@given(
    seed=st.integers(),
    kinds=st.sets(st.sampled_from(QUIRKS)),
    ago_s=st.floats(-10, 1e5),
    path=st.sampled_from(["export/17", "import/17"]),
)
def test_no_quirk_makes_a_status_untrue(seed: int, kinds: set[str], ago_s: float, path: str) -> None:
    """Creation, end and final state of any job can still be read, whatever is done to its status."""
    job = make_job(draw_order(chance(seed)), chance(seed, "job"), PLAN, created_s=1.8e9, speed=1.0)
    now_s = job.created_s + ago_s
    plain, body = job.status_at(now_s), job.status_at(now_s)
    met = Met(chance(seed, "met"), None, tuple(map(Fault, kinds)))
    bend(body, met, call=read_call("GET", PLAN.name, f"sp-config/v1/{path}"), status=200, now_s=now_s)
    assert moment(body["created"]) == moment(plain["created"])
    if job.state_at(now_s) in {"COMPLETE", "FAILED", "CANCELLED"}:
        assert body["status"] == plain["status"]
        assert moment(body.get("completed") or body["modified"]) == moment(plain.get("completed") or plain["modified"])
    else:
        assert body["status"] not in {"COMPLETE", "FAILED", "CANCELLED"}
        assert not body.get("completed")


def moment(text: object) -> datetime:
    assert isinstance(text, str)
    return datetime.fromisoformat(text)


@given(
    count=st.integers(1, 120),
    pauses_s=st.lists(st.floats(0, 3), max_size=300),
    limit=st.sampled_from([10, 100]),
)
def test_no_window_of_both_holds_more_than_the_limit(count: int, pauses_s: list[float], limit: int) -> None:
    """With a rival that was there first, what is let through and what it takes never exceed the limit together."""
    rival, limiter = Rival(count, PER_S, from_s=0.0), RateLimiter(limit, PER_S)
    now_s, through_s = 2 * PER_S, []
    for pause_s in pauses_s:
        now_s += pause_s
        wait_s = limiter.take("client", "v1", now_s, taken=rival.taken_at(now_s))
        if wait_s == 0:
            through_s.append(now_s)
        else:
            assert 1 <= wait_s <= PER_S
    assert rival.taken_at(now_s) == count
    assert busiest_together(through_s, [rival], PER_S, now_s) <= max(limit, count)


@given(count=st.integers(1, 200), from_s=st.floats(0, 100), lasts_s=st.floats(0.1, 100), now_s=st.floats(0, 300))
def test_rival_is_reckoned_as_it_is_listed(count: int, from_s: float, lasts_s: float, now_s: float) -> None:
    """The number of its requests is that of its moments, none of them outside its time, at an even pace."""
    rival = Rival(count, PER_S, from_s, from_s + lasts_s)
    times_s = rival.times_s(now_s)
    assert len(times_s) == rival.made_until(now_s)
    assert all(from_s <= at_s <= min(now_s, from_s + lasts_s) + 1e-6 for at_s in times_s)
    assert most_in_any_window(times_s, PER_S - 1e-6) <= count
