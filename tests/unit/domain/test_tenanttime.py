from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.tenanttime import TenantTime, learn


@given(
    offset_s=st.floats(-1e6, 1e6),
    exchanges=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 5), st.floats(0, 5)), min_size=1, max_size=30),
)
def test_the_bounds_always_hold_the_truth(offset_s: float, exchanges: list[tuple[float, float, float]]) -> None:
    """However long exchanges take, the tenant's true offset stays between the bounds, and they only get closer."""
    known: TenantTime | None = None
    now_s, width_s = 0.0, float("inf")
    for pause_s, out_s, back_s in exchanges:
        sent_s = now_s + pause_s
        written_s = sent_s + out_s
        now_s = written_s + back_s
        date_s = float((written_s + offset_s) // 1)
        known = learn(known, date_s=date_s, sent_s=sent_s, received_s=now_s)
        assert known.low_s - 1e-6 <= offset_s <= known.high_s + 1e-6
        assert known.high_s - known.low_s <= width_s + 1e-9
        width_s = known.high_s - known.low_s


def test_a_contradiction_starts_anew() -> None:
    """A tenant whose clock was set is believed at once."""
    known = learn(None, date_s=1000.0, sent_s=0.0, received_s=0.1)
    known = learn(known, date_s=5000.0, sent_s=10.0, received_s=10.1)
    assert known.at(10.0) - 5000.0 < 1.0
