"""What the daemon serves over HTTP."""

import asyncio
import gzip
import math
import re
from unittest.mock import patch
from urllib.parse import urlsplit

import aiohttp
import pytest
from multidict import CIMultiDict

from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.domain.values import replace
from spexporter.exposition.families import TENANT_FAMILIES
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.exposition.page import BlockPage, Rendered
from spexporter.simulator import default_plans
from tests.support.world import OPENMETRICS, World, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=12, starts_per_minute=0.0)
PROMETHEUS_2_53 = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


async def raw(
    running: World, path: str = "/metrics", method: str = "GET", **headers: str
) -> tuple[int, CIMultiDict[str], bytes]:
    """Return status, headers and the body as it was sent, without decompression."""
    async with (
        aiohttp.ClientSession(auto_decompress=False) as http,
        http.request(method, running.url + path, headers=headers, skip_auto_headers=["Accept-Encoding"]) as response,
    ):
        return response.status, CIMultiDict(response.headers), await response.read()


async def test_the_page_comes_as_text_unless_openmetrics_wins() -> None:
    """Both forms parse, carry the same samples, and name themselves in Content-Type."""
    async with world([PLAN]) as running:
        await running.advance(30)
        text, openmetrics = await running.scrape(), await running.scrape(OPENMETRICS)
        assert openmetrics.text.endswith("# EOF\n")
        names = {family.name for family in TENANT_FAMILIES}
        for name in {name for name in text.samples if name.startswith("spconfig_")}:
            assert text.samples[name] == openmetrics.samples[name], name
        assert {sample for sample in text.samples if sample in names}
        _, headers, _ = await raw(running, Accept=PROMETHEUS_2_53)
        assert headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        _, headers, _ = await raw(running)
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert headers["Vary"] == "Accept, Accept-Encoding"


async def test_every_family_is_on_the_page_once_with_its_help_and_type() -> None:
    """What docs/metrics.md lists is what Prometheus reads; no `_created` series double the counters."""
    async with world([PLAN]) as running:
        await running.advance(30)
        page = await running.scrape()
        for family in (*TENANT_FAMILIES, *OWN_FAMILIES):
            assert page.text.count(f"# TYPE {family.name} {family.type}\n") == 1, family.name
            assert f"# HELP {family.name} " in page.text
        assert "_created" not in page.text.replace("spconfig_job_created_timestamp_seconds", "")
        assert {family.name for family in page.families} >= {"process_resident_memory_bytes", "python_info"}


async def test_labels_are_those_of_the_table() -> None:
    """Each family's samples carry exactly the labels that it promises, and none that Prometheus attaches itself."""
    async with world([PLAN]) as running:
        await running.advance(120)
        page = await running.scrape()
        families = {family.name: family for family in (*TENANT_FAMILIES, *OWN_FAMILIES)}
        for name, samples in page.samples.items():
            if name in families:
                for labels in samples:
                    assert {label for label, _ in labels} == set(families[name].labels), name
                    assert not {label for label, _ in labels} & {"job", "instance", "type"}


async def test_gzip_is_used_where_it_is_preferred_and_content_length_is_known() -> None:
    """The compressed page is the page; its length is told before its first byte."""
    async with world([PLAN]) as running:
        await running.advance(30)
        _, plain_headers, plain = await raw(running)
        _, headers, packed = await raw(running, **{"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in plain_headers
        assert headers["Content-Encoding"] == "gzip"
        assert int(headers["Content-Length"]) == len(packed) < len(plain) / 4
        assert gzip.decompress(packed).count(b"\n") == plain.count(b"\n")
        _, headers, _ = await raw(running, **{"Accept-Encoding": "gzip;q=0"})
        assert "Content-Encoding" not in headers


async def test_head_answers_like_get_without_a_body() -> None:
    """Health checkers ask so."""
    async with world([PLAN]) as running:
        status, headers, body = await raw(running, method="HEAD")
        assert (status, body) == (200, b"")
        assert int(headers["Content-Length"]) > 1000


async def test_the_page_can_be_limited_by_name() -> None:
    """`name[]` takes families and samples, any number of them."""
    async with world([PLAN]) as running:
        await running.advance(30)
        _, _, body = await raw(running, "/metrics?name[]=spconfig_jobs&name[]=spconfig_job_run_seconds_count")
        names = {line.split(b"{")[0] for line in body.splitlines() if not line.startswith(b"#")}
        assert names == {b"spconfig_jobs", b"spconfig_job_run_seconds_count"}
        _, _, body = await raw(running, "/metrics?name[]=spconfig_jobs_finished_total", **OPENMETRICS)
        assert b"spconfig_jobs_finished_total{" in body
        assert body.endswith(b"# EOF\n")


async def test_a_page_that_cannot_be_rendered_is_refused_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """500 and a log line: half a page would look like series that have ended."""
    async with world([PLAN]) as running:
        with patch.object(BlockPage, "render", side_effect=RuntimeError("planted")):
            status, _, body = await raw(running)
        assert status == 500
        assert b"could not be rendered" in body
        assert (await running.scrape()).samples
    assert "event=page_failed" in capsys.readouterr().err


async def test_the_board_knows_what_was_served() -> None:
    """After the last byte of a whole page, and not for a page that failed."""
    async with world([PLAN]) as running:
        await running.advance(30)
        assert running.exporter.board.served_version("acme") == 0
        with patch.object(BlockPage, "render", side_effect=RuntimeError("planted")):
            await raw(running)
        assert running.exporter.board.served_version("acme") == 0
        (view,) = running.exporter.board.snapshot()
        await raw(running)
        await running.settle()  # the client has the last byte a moment before the server knows
        assert running.exporter.board.served_version("acme") == view.version


@pytest.mark.parametrize(
    ("told", "took_s", "counts"),
    [("10", 9.0, True), ("10", 11.0, False), ("0.5", 0.6, False), ("soon", 99.0, True), (None, 99.0, True)],
)
async def test_a_page_that_comes_too_late_for_who_asked_was_not_served(
    told: str | None, took_s: float, *, counts: bool
) -> None:
    """Prometheus tells how long it waits, and throws away what is late, such as that of a process that stood still."""
    render = BlockPage.render
    async with world([PLAN]) as running:
        await running.advance(30)

        async def late(page: BlockPage, *arguments: object) -> Rendered:
            running.clock.jump_to(running.clock.monotonic() + took_s)
            return await render(page, *arguments)  # type: ignore[arg-type]  # handed on

        headers = {} if told is None else {"X-Prometheus-Scrape-Timeout-Seconds": told}
        with patch.object(BlockPage, "render", late):
            status, _, _ = await raw(running, **headers)
        await running.settle()
        assert status == 200
        assert (running.exporter.board.served_version("acme") > 0) is counts


async def test_ready_waits_for_the_first_attempt_of_every_tenant() -> None:
    """503 with a reason before, 200 from then on, also when the tenant goes away."""
    async with world([PLAN]) as running:
        assert await running.get("/-/ready") == (503, "Not every tenant was tried yet.\n")
        await running.advance(5)
        assert await running.get("/-/ready") == (200, "spexporter is ready.\n")
        await running.cut_off()
        await running.advance(600)
        assert (await running.get("/-/ready"))[0] == 200


async def test_healthy_until_a_scheduler_falls_silent() -> None:
    """The heart beats by itself even when nothing is due; a jump of time without a beat is noticed."""
    async with world([PLAN]) as running:
        await running.advance(600)
        assert await running.get("/-/healthy") == (200, "spexporter is healthy.\n")
        running.clock._monotonic_s += 40  # noqa: SLF001 (nobody is woken: as if the schedulers hung)
        status, text = await running.get("/-/healthy")
        assert status == 503
        assert text.startswith("A scheduler has not shown a sign of life for 4")


async def test_the_status_page_needs_nothing_from_elsewhere_and_escapes_what_tenants_say() -> None:
    """A strict policy, only our own script, and text stays text."""
    async with world([PLAN]) as running:
        job = WatchedJob(JobKey("acme", Operation.EXPORT, "<script>alert(1)</script>"))
        await running.exporter.fleet.desk.watch(Source.CONFIG, "acme", [job])
        await running.advance(30)
        _, headers, body = await raw(running, "/")
        html = body.decode()
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert headers["Content-Security-Policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
            " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert re.findall(r"<script[^>]*", html) == re.findall(r'<script src="static/page\.js\?[0-9a-f]+" defer', html)
        assert not re.search(r"(src|href)=.(https?:)?//|style=|\son[a-z]+=", html)
        assert "<script>" not in html
        assert '<span class="health">up</span>' in html
        assert "NOT_FOUND" in html


async def test_the_status_page_says_when_a_tenant_is_paused() -> None:
    """An operator sees why nothing moves."""
    plant = [{"tenant": "acme", "operation": "export", "job_id": f"e{n}", "duration_s": math.inf} for n in range(30)]
    async with world([replace(PLAN, jobs_at_start=0)], plant=plant, requests=5) as running:
        await running.advance(4)
        assert "paused for" in (await running.get("/"))[1]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    ],
    ids=["long-header", "control-character", "no-header-name"],
)
async def test_what_is_no_http_is_refused_without_an_error_in_the_log(
    capsys: pytest.CaptureFixture[str], sent: bytes
) -> None:
    """400, and closed: whoever reaches the port cannot fill the log with errors that nobody here can mend."""
    async with world([PLAN]) as running:
        address = urlsplit(running.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(sent)
        assert (await reader.read()).split(b"\r\n")[0] == b"HTTP/1.0 400 Bad Request"
        writer.close()
        await writer.wait_closed()
    said = capsys.readouterr().err
    assert "level=error" not in said
    assert "level=warning" not in said


@pytest.mark.parametrize("path", ["/nothing", "/-/nothing", "/metrics/"])
async def test_unknown_paths_are_404(path: str) -> None:
    """Nothing is served that is not documented."""
    async with world([PLAN]) as running:
        assert (await raw(running, path))[0] == 404
