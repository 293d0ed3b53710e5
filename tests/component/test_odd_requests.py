"""Requests that no decent client sends: each is answered in words, and none of them is a failure of ours."""

from collections.abc import AsyncIterator
from unittest.mock import patch

import pytest
import pytest_asyncio

from spexporter.board import LatestViews
from spexporter.domain.values import replace
from spexporter.simulator import default_plans
from tests.support.bytesent import answered, request
from tests.support.world import World, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
JSON = "Content-Type: application/json"
JOB = "/api/v1/jobs/acme/import/i1"
ONE_FAMILY = "/metrics?name[]=spexporter_build_info"
LONG = "x" * 9000  # more than a line of HTTP may have here


@pytest_asyncio.fixture
async def running() -> AsyncIterator[World]:
    """An exporter that takes jobs."""
    async with world([PLAN], lifecycle=True) as started:
        yield started


async def status(running: World, sent: bytes) -> int:
    answer = await answered(running.url, sent)
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(request("FOO", "/metrics"), id="method"),
        pytest.param(request("GET", "*"), id="asterisk"),
        pytest.param(request("GET", "http://test:abc/metrics"), id="port-of-letters"),
        pytest.param(request("GET", f"/metrics?name[]={LONG}"), id="long-target"),
        pytest.param(request("GET", "/metrics?name[]=\xff"), id="raw-byte-in-target"),
        pytest.param(request("GET", "/metrics", f"X: {LONG}"), id="long-header"),
        pytest.param(request("GET", "/metrics", "X: \x00"), id="nul-in-header"),
        pytest.param(request("GET", "/metrics", *(f"X{n}: y" for n in range(300))), id="many-headers"),
        pytest.param(request("GET", "/metrics", host=""), id="no-host"),
        pytest.param(request("GET", "/metrics", "Host: other"), id="two-hosts"),
        pytest.param(request("POST", "/-/reload", "Transfer-Encoding: chunked", body=b"zz\r\n"), id="chunk-size"),
        pytest.param(request("DELETE", JOB, "Content-Encoding: br", "Content-Length: 2", body=b"{}"), id="encoding"),
        pytest.param(request("POST", "/api/v1/jobs", JSON, "Content-Length: 2, 2", body=b"{}"), id="two-lengths"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="tls"),
    ],
)
async def test_what_is_not_http_is_400_and_leaves_no_trace_in_the_log(
    running: World, sent: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reaches the port could fill the log with tracebacks otherwise."""
    assert await status(running, sent) == 400
    assert "library_said" not in capsys.readouterr().err


async def test_a_compressed_body_that_nobody_reads_leaves_no_trace_in_the_log(
    running: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says gzip and is none: the answer was sent before that shows."""
    sent = request("DELETE", JOB, "Content-Encoding: gzip", "Content-Length: 2", body=b"{}")
    assert await status(running, sent) == 404
    assert "library_said" not in capsys.readouterr().err


async def test_a_failure_of_ours_is_in_the_log(running: World, capsys: pytest.CaptureFixture[str]) -> None:
    """500, and a line with the traceback: that is for somebody here to mend."""
    with patch.object(LatestViews, "snapshot", side_effect=RuntimeError("planted")):
        assert await status(running, request("GET", "/")) == 500
    assert "RuntimeError: planted" in capsys.readouterr().err
