"""A tenant that cannot be watched says so on /metrics, on the status page and in the log, with what helps."""

import math
import re
from pathlib import Path

import pytest

from spexporter.domain.values import replace
from spexporter.simulator import default_plans
from spexporter.simulator.faults import Fault
from tests.support.world import World, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
EXPORT = {"tenant": "acme", "operation": "export", "job_id": "export-1", "duration_s": math.inf}
IMPORT = {"tenant": "acme", "operation": "import", "job_id": "import-1", "duration_s": math.inf}
JOBS = (EXPORT, IMPORT)

CONFIG = """
defaults: {{allow_http: true}}
tenants:
  - name: acme
    base_url: {base_url}
    client_id: {client_id}
    client_secret: {secret}
    jobs: [{{id: export-1, operation: export}}, {{id: import-1, operation: import}}]
"""


def config(base_url: str = "{url}/acme", secret: str = PLAN.client_secret) -> str:
    return CONFIG.format(base_url=base_url, client_id=PLAN.client_id, secret=secret)


async def reasons(running: World) -> set[str]:
    """Return the reasons of `spexporter_api_errors_total` that are above zero."""
    found = (await running.scrape()).all("spexporter_api_errors_total", tenant="acme")
    return {dict(labels)["reason"] for labels, value in found.items() if value}


async def test_wrong_credentials_are_named_and_tried_rarely(capsys: pytest.CaptureFixture[str]) -> None:
    """Down, with a reason and the setting to check; one log line, and no hammering of the token endpoint."""
    async with world([PLAN], plant=JOBS, config=config(secret="wrong-secret")) as running:
        await running.advance(600)
        page, (_, html) = await running.scrape(), await running.get("/")
        assert page.value("spconfig_tenant_up", tenant="acme") == 0
        assert page.all("spconfig_job_state") == {}
        assert page.value("spconfig_jobs", tenant="acme", operation="import", state="UNOBSERVED") == 1
        assert await reasons(running) == {"unauthorized"}
        assert "the token endpoint answered 401: invalid_client: Bad client credentials" in html
        assert "credential refused, next try in " in html
        assert "check client_id and client_secret" in html
        requests = page.value("spexporter_api_requests_total", tenant="acme", endpoint="token", code="401")
        assert requests is not None
        assert 2 <= requests <= 6  # three refusals at first, then one every five minutes
    assert capsys.readouterr().err.count("event=trouble_began") == 1


@pytest.mark.parametrize(
    ("base_url", "error", "cure"),
    [
        (
            "http://127.0.0.1:9",
            "Cannot connect to host 127.0.0.1:9 [Connection refused]",
            "check base_url, the proxy setting",
        ),
        ("{url}/nobody", "token answered 404", "check org, base_url and token_url"),
        ("http://no-such-host.invalid", "no answer: Cannot connect to host no-such-host.invalid", "DNS"),
    ],
    ids=["closed port", "another tenant", "no such host"],
)
async def test_a_wrong_address_is_named_with_what_to_check(base_url: str, error: str, cure: str) -> None:
    """The operator reads what was tried and which setting to look at."""
    async with world([PLAN], config=config(base_url=base_url)) as running:
        await running.advance(10)
        _, html = await running.get("/")
        assert error in html
        assert cure in html
        # A 404 from something that is there tells neither up nor down.
        up = (await running.scrape()).value("spconfig_tenant_up", tenant="acme")
        assert up == (None if "404" in error else 0)


async def test_a_host_that_serves_no_sp_config_is_named() -> None:
    """A good token and no API under any version: the address is of something else."""
    async with world([replace(PLAN, versions=())], plant=JOBS, config=config()) as running:
        await running.advance(10)
        _, html = await running.get("/")
        assert "no API version (v1, v2026, v2025, v2024, beta) answers at" in html
        assert "check that org or base_url names the API host" in html
        page = await running.scrape()
        assert page.value("spconfig_tenant_info", api_version="unknown") == 1


async def test_a_missing_scope_shuts_out_imports_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Exports go on; the message names the scope that imports need, and the tenant stays up."""
    async with world([replace(PLAN, scopes=("sp:config:read",))], plant=JOBS, config=config()) as running:
        await running.advance(300)
        page, (_, html) = await running.scrape(), await running.get("/")
        assert page.value("spconfig_tenant_up", tenant="acme") == 1
        assert page.state("export-1") == "IN_PROGRESS"
        assert page.state("import-1") is None
        assert page.value("spconfig_tenant_access", endpoint="export-status") == 1
        assert page.value("spconfig_tenant_access", endpoint="import-status") == 0
        assert await reasons(running) == {"forbidden"}
        assert (
            "refuses to authorize it. <em>What helps: the personal access token lacks the scope sp:config:manage"
            in html
        )
    assert capsys.readouterr().err.count("event=trouble_began") == 1


@pytest.mark.parametrize(
    ("plan", "cure"),
    [
        (replace(PLAN, has_user=False), "the token has no user context"),
        (
            replace(PLAN, has_admin=False),
            "the owner of the personal access token lacks the user level Admin (ORG_ADMIN)",
        ),
    ],
    ids=["API client", "user level too low"],
)
async def test_a_credential_of_the_wrong_kind_is_told_apart(plan: object, cure: str) -> None:
    """An API client's credentials and a user below Admin both get 403, and different advice."""
    async with world([plan], plant=JOBS, config=config()) as running:  # type: ignore[list-item]
        await running.advance(10)
        assert cure in (await running.get("/"))[1]
        assert await reasons(running) == {"forbidden"}


async def test_running_durations_stand_still_while_the_tenant_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody knows how long a job runs that nobody can ask about; when the tenant is back the true age shows."""

    async def duration() -> float:
        value = (await running.scrape()).value("spconfig_job_duration_seconds", job_id="export-1")
        assert value is not None
        return value

    async with world([PLAN], plant=JOBS, config=config()) as running:
        await running.advance(100)
        before_s = await duration()
        assert before_s == pytest.approx(100, abs=1.5)
        await running.cut_off()
        await running.advance(30)
        away_s = await duration()
        await running.advance(1000)
        assert await duration() == away_s
        page = await running.scrape()
        assert page.value("spconfig_tenant_up", tenant="acme") == 0
        assert page.state("export-1") == "IN_PROGRESS"
        assert await reasons(running) == {"unreachable"}
        await running.reconnect()
        await running.advance(120)
        assert await duration() == pytest.approx(1250, abs=2)
        assert (await running.scrape()).value("spconfig_tenant_up", tenant="acme") == 1
        assert "no answer" not in (await running.get("/"))[1]
    log = capsys.readouterr().err
    assert log.count("event=trouble_began") <= 3  # one for each endpoint asked
    assert log.count("event=trouble_began") == log.count("event=trouble_ended")


async def test_a_tenant_away_is_tried_rarely() -> None:
    """An outage of an hour costs about as many tries as minutes, not as many as looks were due."""
    async with world([PLAN], plant=JOBS, config=config()) as running:
        await running.advance(60)
        await running.cut_off()
        await running.advance(3600)
        tries = sum((await running.scrape()).all("spexporter_api_requests_total", code="none").values())
        assert 60 <= tries <= 140
        skipped = (await running.scrape()).value("spexporter_polls_skipped_total", reason="backoff")
        assert skipped is not None
        assert skipped > 0


async def test_one_tenant_in_trouble_does_not_touch_another() -> None:
    """Each tenant has its own health, series and back-off."""
    other = replace(PLAN, name="globex", client_id="other-client", client_secret="other-planted-secret")
    plant = [*JOBS, {**EXPORT, "tenant": "globex", "job_id": "globex-1", "duration_s": 40.0}]
    async with world([PLAN, other], plant=plant) as running:
        running.simulator.rotate_secret("acme", "changed-planted-secret")
        await running.advance(60)
        page = await running.scrape()
        assert page.value("spconfig_tenant_up", tenant="acme") == 0
        assert page.value("spconfig_tenant_up", tenant="globex") == 1
        assert page.state("globex-1") == "COMPLETE"


async def test_a_rate_limit_lower_than_we_were_told_pauses_and_loses_nothing() -> None:
    """Another user of the client eats the budget: 429s, a pause that the page shows, and right states at the end."""
    plant = [{**IMPORT, "job_id": f"import-{n}", "duration_s": 60.0} for n in range(40)]
    async with world([PLAN], plant=plant, requests=10) as running:
        await running.advance(5)
        page = await running.scrape()
        until_s = page.value("spconfig_tenant_throttled_until_timestamp_seconds", tenant="acme")
        assert until_s is not None
        assert page.value("spconfig_tenant_up", tenant="acme") == 1
        assert "throttled" in await reasons(running)
        await running.advance(1800)
        page = await running.scrape()
        assert page.value("spconfig_jobs_finished_total", operation="import", state="COMPLETE") == 40
        assert page.value("spconfig_import_results_total", outcome="counted") == 40
        _, html = await running.get("/")
        assert "throttled" not in html


async def test_a_throttled_token_endpoint_is_not_asked_over_and_over() -> None:
    """Looks that wait for a token come back after the pause: one error for each look and pause, no spinning."""
    plant = [{**EXPORT, "job_id": f"export-{n}"} for n in range(20)]
    throttled = Fault("status", status=429, retry_after="30", endpoints=frozenset({"token"}), until_s=100.0)
    async with world([replace(PLAN, faults=(throttled,))], plant=plant) as running:
        await running.advance(95)
        errors = (await running.scrape()).value("spexporter_api_errors_total", reason="throttled")
        assert errors is not None
        assert 1 <= errors <= 4 * 25
        await running.advance(60)
        assert (await running.scrape()).value("spconfig_jobs", operation="export", state="IN_PROGRESS") == 20


async def test_one_broken_gateway_is_one_trouble_on_the_page_and_few_lines_in_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Fifty jobs that get a web page instead of an answer read as one cause, with some of the jobs named."""
    plant = [{**EXPORT, "job_id": f"export-{n}"} for n in range(50)]
    async with world([PLAN], plant=plant) as running:
        await running.advance(10)
        running.simulator.afflict("acme", Fault("html", endpoints=frozenset({"export_status"})))
        await running.advance(120)
        _, html = await running.get("/")
        assert html.count("<li>") == 1
        assert "export export-" in html
        assert re.search(r"and [0-9]+ more|export export-", html)
        running.simulator.heal("acme")
        await running.advance(120)
        assert "<li>" not in (await running.get("/"))[1]
    log = capsys.readouterr().err
    assert log.count("event=trouble_began") == log.count("event=trouble_ended") <= 4


@pytest.mark.parametrize("fault", [Fault("html"), Fault("status", status=404), Fault("status", status=302)])
async def test_a_broken_token_endpoint_is_one_trouble_of_the_tenant(
    fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is shown, it holds the tenant back, and it is not told once for each job."""
    plant = [{**EXPORT, "job_id": f"export-{n}"} for n in range(50)]
    async with world([replace(PLAN, token_lifetime_s=15)], plant=plant) as running:
        await running.advance(10)
        running.simulator.afflict("acme", replace(fault, endpoints=frozenset({"token"})))
        await running.advance(120)
        _, html = await running.get("/")
        assert html.count("<li>") == 1
        assert "<strong>token: " in html
        assert "circuit breaker" in html or fault.status == 302  # which is asked too rarely for one
    assert capsys.readouterr().err.count("event=trouble_began") == 1


async def test_requests_that_get_no_answer_are_not_sent_again_behind_our_back() -> None:
    """What the tenant receives is what we count: a connection that closes early makes no second request."""
    plant = [{**EXPORT, "job_id": f"export-{n}"} for n in range(10)]
    async with world([replace(PLAN, faults=(Fault("hang_up", share=0.5),))], plant=plant) as running:
        await running.advance(120)
        counted = sum((await running.scrape()).all("spexporter_api_requests_total").values())
        received = sum(len(client["requests"]) for client in running.simulator.truth()["clients"].values())  # type: ignore[attr-defined,misc]
    assert received == counted


async def test_looking_for_the_version_in_vain_is_left_alone_for_a_while() -> None:
    """Five requests for each search: a host without the API is not searched by every look."""
    plant = [{**EXPORT, "job_id": f"export-{n}"} for n in range(10)]
    async with world([replace(PLAN, versions=())], plant=plant) as running:
        await running.advance(600)
        counted = sum((await running.scrape()).all("spexporter_api_requests_total").values())
        assert counted <= 5 * 40


async def test_a_rotated_secret_file_is_taken_up_within_seconds(tmp_path: Path) -> None:
    """The operator writes the new secret into the file; nobody restarts anything."""
    secret = tmp_path / "secret"
    secret.write_text(f"{PLAN.client_secret}\n")
    text = config().replace(f"client_secret: {PLAN.client_secret}", f"client_secret_file: {secret}")
    async with world([replace(PLAN, token_lifetime_s=60)], plant=JOBS, config=text) as running:
        await running.advance(30)
        running.simulator.rotate_secret("acme", "another-planted-secret")
        await running.advance(600)
        assert (await running.scrape()).value("spconfig_tenant_up", tenant="acme") == 0
        secret.write_text("another-planted-secret\n")
        await running.advance(10)
        page = await running.scrape()
        assert page.value("spconfig_tenant_up", tenant="acme") == 1
        assert page.state("export-1") == "IN_PROGRESS"
        assert "<li>" not in (await running.get("/"))[1]
