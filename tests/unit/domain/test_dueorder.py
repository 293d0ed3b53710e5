"""Places in the order of their due times, held against a list that is sorted anew each time."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from spexporter.domain.dueorder import DueOrder

# Few times for many places, so that more are due at once than one run holds.
STEPS = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 1.0, 1.5, 2.0]), st.integers(0, 5_000), st.integers(1, 700)),
    max_size=12,
)


def add(order: DueOrder, plain: dict[int, float], due_s: float, place: int) -> None:
    if place not in plain:
        plain[place] = due_s
        order.add(due_s, place)


def first_of(plain: dict[int, float]) -> int | None:
    return min(plain, key=lambda place: (plain[place], place), default=None)


@settings(max_examples=50)
@given(steps=STEPS)
@example(steps=[(True, 1.0, 0, 700), (True, 1.0, 700, 700), (True, 2.0, 1400, 700), (False, 0.0, 500, 1000)])
def test_the_first_is_the_first_whatever_comes_and_goes(steps: list[tuple[bool, float, int, int]]) -> None:
    """Also where runs are cut, emptied, and full of places that are due at the same time; in the end all come out."""
    order, plain = DueOrder(), dict[int, float]()
    for comes, due_s, start, count in steps:
        for place in range(start, start + count):
            if comes:
                add(order, plain, due_s, place)
            elif place in plain:
                order.remove(plain.pop(place), place)
        assert order.first() == first_of(plain)
    for place in sorted(plain, key=lambda place: (plain[place], place)):
        assert order.first() == place
        order.remove(plain[place], place)
    assert order.first() is None
