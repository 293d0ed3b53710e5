"""What a file that is imported may say of its own future."""

from collections.abc import Mapping

import pytest

from spexporter.simulator.orders import Order
from spexporter.simulator.wishes import wish

IMPORT = Order("import", types=("SOURCE",))
COUNTS = {"SOURCE": {"errors": 2, "warnings": 1, "objects": 4}, "RULE": {}}
NOTHING = {"errors": 0, "warnings": 0, "infos": 0, "objects": 0}


def test_file_without_a_wish_is_left_to_chance() -> None:
    """As one that SailPoint would take."""
    assert wish(IMPORT, {"version": 1, "objects": []}) == IMPORT


def test_whole_future_can_be_wished_for() -> None:
    """The state, how long it takes, and exactly these numbers by object type."""
    order = wish(IMPORT, {"simulate": {"state": "FAILED", "seconds": 2.5, "result": COUNTS}})
    assert (order.final_state, order.duration_s, order.types) == ("FAILED", 2.5, ("SOURCE",))
    assert order.result
    assert order.result.counts() == {"SOURCE": NOTHING | COUNTS["SOURCE"], "RULE": NOTHING}


def test_state_alone_leaves_the_rest_to_chance_but_errors() -> None:
    """Who wishes for COMPLETE does not mean errors."""
    order = wish(IMPORT, {"simulate": {"state": "COMPLETE"}})
    assert (order.final_state, order.duration_s, order.result, order.troubled) == ("COMPLETE", None, None, False)


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        pytest.param("FAILED", "must be an object", id="text"),
        pytest.param({"status": "FAILED"}, "some of state, seconds, result", id="key"),
        pytest.param({"state": "DONE"}, "one of COMPLETE, FAILED, CANCELLED", id="state"),
        pytest.param({"seconds": -1}, "at least 0", id="time"),
        pytest.param({"seconds": "2s"}, "must be a number", id="duration"),
        pytest.param({"result": {"BASKET": {}}}, "object types", id="type"),
        pytest.param({"result": {"SOURCE": {"error": 1}}}, "how many errors, warnings", id="count"),
        pytest.param({"result": {"SOURCE": {"errors": 1_000_000}}}, "at most 10000", id="number"),
        pytest.param({"result": []}, "object types", id="list"),
    ],
)
def test_other_wishes_are_refused_with_what_would_be_right(wishes: Mapping[str, object] | str, said: str) -> None:
    """A typing mistake must not look like chance."""
    with pytest.raises(ValueError, match=said):
        wish(IMPORT, {"simulate": wishes})
