from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.sharing import dealt, surplus

names = st.sampled_from(["r1", "r2", "r3", "r4"])
costs = st.floats(1.0, 1000.0)
groups = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), costs, max_size=30)


@given(st.dictionaries(names, costs, min_size=1), groups)
def test_all_together_take_each_free_group_once(loads: dict[str, float], free: dict[str, float]) -> None:
    """Those who see the same deal out the same: nothing is left, and nothing is wanted by two."""
    taken = [group for me in loads for group in dealt(loads, free, me)]
    assert sorted(taken) == sorted(free)


@given(st.dictionaries(names, costs, min_size=1), groups)
def test_nobody_gets_more_than_its_part(loads: dict[str, float], free: dict[str, float]) -> None:
    """Whoever takes had the least before its last group: so it has at most the mean and that group more."""
    after = {me: loads[me] + sum(free[group] for group in dealt(loads, free, me)) for me in loads}
    mean = sum(after.values()) / len(after)
    for me, load in after.items():
        if taken := dealt(loads, free, me):
            assert load <= mean + min(free[group] for group in taken) + 1e-6


@given(st.lists(groups, min_size=1, max_size=4))
def test_what_is_let_go_is_no_more_than_what_the_others_lack(of: list[dict[str, float]]) -> None:
    """Nobody falls below the mean by letting go: nothing goes to and fro."""
    mine = {f"r{number}": each for number, each in enumerate(of)}
    loads = {me: sum(each.values()) for me, each in mine.items()}
    mean = sum(loads.values()) / len(loads)
    for me, each in mine.items():
        let_go = surplus(loads, each, me)
        assert set(let_go) <= each.keys()
        if let_go:
            assert sum(cost for group, cost in each.items() if group not in let_go) >= mean - 1e-6


def test_a_replica_that_joins_gets_its_share_from_all_others() -> None:
    """Three hundred groups of one cost, and a third replica: each of the others lets go of fifty."""
    of = {
        "r1": dict.fromkeys((f"a{n}" for n in range(150)), 1.0),
        "r2": dict.fromkeys((f"b{n}" for n in range(150)), 1.0),
    }
    loads = {"r1": 150.0, "r2": 150.0, "r3": 0.0}
    assert [len(surplus(loads, of[me], me)) for me in ("r1", "r2")] == [50, 50]
    assert surplus({**loads, "r3": 140.0}, of["r1"], "r1") == []


def test_a_group_that_costs_more_than_a_share_stays() -> None:
    """Somebody must have it, and all else is somewhere else."""
    mine = {"large": 100.0, "small": 1.0}
    assert surplus({"r1": 101.0, "r2": 0.0}, mine, "r1") == ["small"]
    assert surplus({"r1": 100.0, "r2": 1.0}, {"large": 100.0}, "r1") == []


def test_what_stays_weighs_and_does_not_move() -> None:
    """Others do not know it: what they know makes up for it."""
    mine = {f"g{number}": 1.0 for number in range(10)}
    stay = ["g0", "g1", "g2", "g3"]
    assert surplus({"r1": 10.0, "r2": 0.0}, mine, "r1", stay=stay) == ["g4", "g5", "g6", "g7", "g8"]
