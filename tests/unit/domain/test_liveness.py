from spexporter.domain.liveness import Liveness


def test_ready_once_every_tenant_was_tried() -> None:
    """One tenant without a first attempt holds readiness back; trying it settles it for ever."""
    liveness = Liveness(["a", "b"], opened_s=0.0)
    liveness.attempted("a")
    assert not liveness.ready(1.0)
    liveness.attempted("b")
    assert liveness.ready(1.0)


def test_ready_after_half_a_minute_whatever_happens() -> None:
    """A tenant that hangs does not keep the others off the load balancer."""
    liveness = Liveness(["a"], opened_s=0.0)
    assert not liveness.ready(29.9)
    assert liveness.ready(30.0)


def test_healthy_while_the_slowest_scheduler_beats() -> None:
    """One silent scheduler is enough to be unhealthy; where there is none, none is silent."""
    liveness = Liveness([], opened_s=0.0)
    assert liveness.healthy(1000.0)
    liveness.beat("x", 10.0)
    liveness.beat("y", 50.0)
    assert liveness.healthy(40.0)
    assert not liveness.healthy(40.1)


def test_ready_only_once_the_store_was_opened_and_then_for_ever() -> None:
    """A replica whose tenants are all somebody else's is ready; what comes later takes nothing back."""
    liveness = Liveness(["a"], opened_s=None)
    assert not liveness.ready(1000.0)
    liveness.opened([], 1000.0)
    assert liveness.ready(1000.0)
    liveness.opened(["b"], 1001.0)
    assert liveness.ready(1001.0)
