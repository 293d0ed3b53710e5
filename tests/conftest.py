"""Every test logs down to debug, and no test may show a secret that it planted."""

from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from spexporter.logs import LogFormat, LogLevel, set_up_logs
from tests.support.clients import PLANTED_SECRET, PLANTED_TOKEN
from tests.support.secrets import CLIENT_SECRET, PROXY_PASSWORD, leaks

PLANTED = (CLIENT_SECRET, PROXY_PASSWORD, PLANTED_SECRET, PLANTED_TOKEN, "simulated-secret-of-")


def _count(_logger: object, _method: str, event: dict[str, object]) -> dict[str, object]:
    return event


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests talk to loopback, whatever proxy this machine uses."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(autouse=True)
def _logs() -> None:
    """Set up logs anew for each test: one may have set them up in its own way."""
    set_up_logs(LogLevel.DEBUG, LogFormat.LOGFMT, _count)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Search all that a test wrote, to standard output, standard error and the log, for planted secrets and tokens."""
    report = yield
    for section, text in report.sections:
        if found := leaks(text, PLANTED):
            report.outcome = "failed"
            report.longrepr = f"{report.nodeid} wrote a secret to {section}: {found}"
    return report


# How long an example takes says more of what else the machine does than of our code.
settings.register_profile("default", settings.get_profile("default"), deadline=None)
settings.load_profile("default")
settings.register_profile("long", max_examples=50_000, deadline=None, suppress_health_check=list(HealthCheck))
