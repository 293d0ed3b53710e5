from random import Random

import pytest

from spexporter.domain.breaker import BreakerState
from spexporter.domain.errors import (
    TenantError,
    TenantForbidden,
    TenantMalformed,
    TenantNotFound,
    TenantRejected,
    TenantServerError,
    TenantThrottled,
    TenantTimeout,
    TenantUnauthorized,
    TenantUnreachable,
)
from spexporter.domain.job import JobKey, Operation
from spexporter.domain.patience import Patience
from spexporter.domain.schedule import Pace, Target, TargetKind

LOOK = Target("acme", TargetKind.STATUS, JobKey("acme", Operation.IMPORT, "1"))


@pytest.fixture
def patience() -> Patience:
    return Patience(Pace(2.0, 60.0, 300.0), Random(1))  # noqa: S311 (repeatable tests)


@pytest.mark.parametrize("kind", [TenantUnreachable, TenantTimeout, TenantServerError, TenantMalformed])
def test_an_outage_opens_the_breaker_of_the_whole_tenant(patience: Patience, kind: type[TenantError]) -> None:
    """Nothing is asked until it has passed; one success ends it."""
    for _ in range(5):
        patience.failed(LOOK, kind("", endpoint="import-status"), 0.0)
    assert patience.breaker(0.0) is BreakerState.OPEN
    until_s = patience.tenant_waits_until_s(0.0)
    assert until_s is not None
    assert patience.tenant_waits_until_s(until_s) is None
    assert patience.breaker(until_s) is BreakerState.HALF_OPEN
    patience.succeeded(LOOK, "import-status")
    assert patience.breaker(0.0) is BreakerState.CLOSED


@pytest.mark.parametrize("kind", [TenantRejected, TenantNotFound])
def test_trouble_with_one_job_does_not_touch_the_tenant(patience: Patience, kind: type[TenantError]) -> None:
    """The others are asked as ever."""
    for _ in range(50):
        patience.failed(LOOK, kind("", endpoint="import-status"), 0.0)
    assert patience.tenant_waits_until_s(0.0) is None
    assert patience.endpoint_waits_s("import-status", 0.0) == 0.0
    assert patience.failures(LOOK) == 50
    patience.forget(LOOK)
    assert patience.failures(LOOK) == 0


def test_a_missing_permission_closes_its_endpoint_alone(patience: Patience) -> None:
    """After three refusals in a row it is asked every `probe`, and a success opens it at once."""
    error = TenantForbidden("", endpoint="import-status")
    assert patience.failed(LOOK, error, 0.0) <= 2.0
    assert patience.failed(LOOK, error, 0.0) <= 4.0
    assert patience.failed(LOOK, error, 0.0) == 300.0
    assert patience.endpoint_waits_s("import-status", 100.0) == 200.0
    assert patience.endpoint_waits_s("export-status", 100.0) == 0.0
    assert patience.tenant_waits_until_s(100.0) is None
    patience.succeeded(LOOK, "import-status")
    assert patience.endpoint_waits_s("import-status", 100.0) == 0.0
    assert not patience.refused


def test_a_refused_credential_holds_the_tenant_until_it_changes(patience: Patience) -> None:
    """Three tries, then one every `probe`; `relent` when the secret has changed."""
    error = TenantUnauthorized("", endpoint="token")
    for _ in range(3):
        patience.failed(LOOK, error, 0.0)
    assert patience.tenant_waits_until_s(0.0) == 300.0
    assert patience.refused
    patience.relent()
    assert patience.tenant_waits_until_s(0.0) is None
    assert not patience.refused


def test_a_429_is_tried_again_after_its_pause_and_counts_for_nothing(patience: Patience) -> None:
    """The pause holds every request of the client; a look that came back at once would only spin."""
    assert patience.failed(LOOK, TenantThrottled("", endpoint="token", pause_s=7.0), 0.0) == 7.0
    assert patience.failures(LOOK) == 0
