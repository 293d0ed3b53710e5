import asyncio
import ssl
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from spexporter.domain import errors
from spexporter.domain.job import JobState
from tests.support.aioresponses_compat import ScriptedResponse
from tests.support.clients import (
    BASE,
    KEY,
    OBJECTS_URL,
    PLANTED_SECRET,
    PLANTED_TOKEN,
    RESULT_URL,
    STATUS_URL,
    TOKEN_URL,
    scripted,
)
from tests.support.secrets import leaks

RUNNING = {"status": "IN_PROGRESS", "jobId": "1"}
EXPIRED = {"error": "JWT validation failed: JWT is expired"}
CONNECTION = ConnectionKey(
    "acme.api.identitynow.com", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
)


async def test_the_secret_travels_in_a_urlencoded_body_and_the_token_in_a_header() -> None:
    """Neither is ever part of a URL, where proxies would log it."""
    async with scripted() as tenant:
        tenant.token()
        tenant.get(STATUS_URL, payload=RUNNING)
        assert (await tenant.client.status(KEY)).state is JobState.IN_PROGRESS
        calls = {str(url): call.kwargs for (_, url), (call,) in tenant.script.requests.items()}
        assert set(calls) == {TOKEN_URL, STATUS_URL}
        assert calls[TOKEN_URL]["data"]["client_secret"] == PLANTED_SECRET
        assert calls[TOKEN_URL]["data"]["grant_type"] == "client_credentials"
        assert calls[STATUS_URL]["headers"]["Authorization"] == f"Bearer {PLANTED_TOKEN}"
        assert all(call["allow_redirects"] is False for call in calls.values())


@pytest.mark.parametrize(("lifetime_s", "renewed_after_s"), [(15, 13.5), (749, 689.0), (43_200, 43_140.0)])
async def test_tokens_are_renewed_in_time_whatever_their_lifetime(lifetime_s: int, renewed_after_s: float) -> None:
    """A token of fifteen seconds and one of twelve hours both live most of their life, and neither is used up."""
    async with scripted() as tenant:
        tenant.token(payload={"access_token": PLANTED_TOKEN, "expires_in": lifetime_s}, repeat=True)
        tenant.get(STATUS_URL, payload=RUNNING, repeat=True)
        await tenant.client.status(KEY)
        tenant.clock.jump_to(tenant.clock.monotonic() + renewed_after_s - 0.01)
        await tenant.client.status(KEY)
        assert len(tenant.asked("POST")) == 1
        tenant.clock.jump_to(tenant.clock.monotonic() + 0.02)
        await tenant.client.status(KEY)
        assert len(tenant.asked("POST")) == 2


async def test_a_renewal_serves_all_who_wait_for_it() -> None:
    """Ten looks without a token make one request to the token endpoint."""
    async with scripted() as tenant:
        tenant.token(repeat=True)
        tenant.get(STATUS_URL, payload=RUNNING, repeat=True)
        await asyncio.gather(*(tenant.client.status(KEY) for _ in range(10)))
        assert len(tenant.asked("POST")) == 1


async def test_a_failed_renewal_fails_all_who_wait_for_it() -> None:
    """A wrong secret is tried once, not once for each look."""
    async with scripted() as tenant:
        answering = asyncio.Event()

        async def hesitate(*_: object, **__: object) -> None:
            await answering.wait()

        tenant.token(status=401, payload={"error": "invalid_client"}, repeat=True, callback=hesitate)
        looks = [asyncio.create_task(tenant.client.status(KEY)) for _ in range(10)]
        await asyncio.sleep(0.01)
        answering.set()
        outcomes = await asyncio.gather(*looks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {errors.TenantUnauthorized}
        assert len(tenant.asked("POST")) == 1
        with pytest.raises(errors.TenantUnauthorized):
            await tenant.client.status(KEY)
        assert len(tenant.asked("POST")) == 1
        tenant.clock.jump_to(tenant.clock.monotonic() + 1.0)
        with pytest.raises(errors.TenantUnauthorized):
            await tenant.client.status(KEY)
        assert len(tenant.asked("POST")) == 2  # a later look tries again


async def test_a_401_in_mid_life_is_cured_by_one_new_token() -> None:
    """A token can die before its time; nobody hears of it."""
    async with scripted() as tenant:
        tenant.token(repeat=True)
        tenant.get(STATUS_URL, status=401, payload=EXPIRED)
        tenant.get(STATUS_URL, payload=RUNNING)
        assert (await tenant.client.status(KEY)).state is JobState.IN_PROGRESS
        assert len(tenant.asked("POST")) == 2
        assert tenant.client.vitals.health.up is True


async def test_a_second_401_is_not_cured_by_asking_again() -> None:
    """One forced renewal, then the tenant is down and the error says what to check."""
    async with scripted() as tenant:
        tenant.token(repeat=True)
        tenant.get(STATUS_URL, status=401, payload=EXPIRED, repeat=True)
        with pytest.raises(errors.TenantUnauthorized) as raised:
            await tenant.client.status(KEY)
        assert "base_url and token_url" in raised.value.cure
        assert len(tenant.asked("POST")) == 2
        assert len(tenant.asked("GET")) == 2
        assert tenant.client.vitals.health.up is False


async def test_a_token_endpoint_that_repeats_the_secret_does_not_get_it_into_our_words() -> None:
    """Whatever a gateway says back, the secret and the client id stay out of errors."""
    async with scripted() as tenant:
        tenant.token(status=401, payload={"error": f"bad: {PLANTED_SECRET} of planted-client-id"})
        with pytest.raises(errors.TenantUnauthorized) as raised:
            await tenant.client.status(KEY)
        assert raised.value.message == "the token endpoint answered 401: bad: (hidden) of (hidden)"


@pytest.mark.parametrize(
    ("answer", "kind", "up"),
    [
        ({"status": 403, "payload": {"detailCode": "403 Forbidden", "trackingId": "t1"}}, errors.TenantForbidden, None),
        ({"status": 404, "payload": {}}, errors.TenantNotFound, None),
        ({"status": 400, "payload": {}}, errors.TenantRejected, True),
        ({"status": 302, "headers": {"Location": "https://evil.example/?q=1"}}, errors.TenantRejected, True),
        ({"status": 500, "payload": {}}, errors.TenantServerError, False),
        ({"status": 502, "body": "<html>Bad gateway</html>"}, errors.TenantServerError, False),
        ({"status": 429, "headers": {"Retry-After": "7"}}, errors.TenantThrottled, None),
        ({"status": 200, "body": "<html>Log in</html>"}, errors.TenantMalformed, False),
        ({"status": 200, "body": "x" * 2000}, errors.AnswerTooLarge, False),
        ({"exception": TimeoutError()}, errors.TenantTimeout, False),
        ({"exception": aiohttp.ServerDisconnectedError()}, errors.TenantUnreachable, False),
        ({"exception": aiohttp.ClientPayloadError("cut")}, errors.TenantUnreachable, False),
        ({"exception": aiohttp.ClientConnectorDNSError(CONNECTION, OSError("dns"))}, errors.TenantUnreachable, False),
        (
            {
                "exception": aiohttp.ClientConnectorCertificateError(
                    CONNECTION, ssl.SSLCertVerificationError("self-signed")
                )
            },
            errors.TenantUnreachable,
            False,
        ),
        ({"exception": aiohttp.ClientResponseError(Mock(), (), message="bad line")}, errors.TenantMalformed, False),
        ({"exception": ConnectionResetError("reset")}, errors.TenantUnreachable, False),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
async def test_every_failure_becomes_one_of_our_errors(
    answer: dict[str, object], kind: type[errors.TenantError], *, up: bool | None
) -> None:
    """The error tells its endpoint; `up` follows the contract: 403, 404 and 429 leave it alone."""
    async with scripted(max_bytes=1000) as tenant:
        tenant.token()
        await tenant.tokens.get()
        tenant.get(STATUS_URL, **answer)
        with pytest.raises(errors.TenantError) as raised:
            await tenant.client.status(KEY)
        assert type(raised.value) is kind
        assert raised.value.endpoint == "import-status"
        assert raised.value.reason in errors.REASONS
        assert tenant.client.vitals.health.up is up


def test_every_error_has_a_documented_reason() -> None:
    """The label `reason` is a closed set, and every member of it is in use."""

    def leaves(kind: type[errors.TenantError]) -> set[str]:
        return {kind.reason, *(reason for child in kind.__subclasses__() for reason in leaves(child))}

    assert {r for child in errors.TenantError.__subclasses__() for r in leaves(child)} == set(errors.REASONS)


async def test_redirects_are_named_but_not_followed() -> None:
    """A redirect would carry the token elsewhere; its query stays out of the log."""
    async with scripted() as tenant:
        tenant.token()
        tenant.get(STATUS_URL, status=302, headers={"Location": "https://evil.example/login?token=x"})
        with pytest.raises(errors.TenantRejected, match=r"redirected to https://evil.example/login, which"):
            await tenant.client.status(KEY)


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Fri, 15 Jan 2027 08:00:20 GMT"}, 20.0),  # the fake clock starts at 08:00:00
        ({"Retry-After": "soon"}, 2.0),
        ({"Retry-After": "0"}, 2.0),
        ({"Retry-After": "99999999999999999999"}, 900.0),
        ({}, 2.0),
    ],
    ids=["seconds", "date", "unreadable", "zero", "absurd", "none"],
)
async def test_no_request_starts_inside_a_pause(headers: dict[str, str], pause_s: float) -> None:
    """Whatever form Retry-After has, the whole budget is closed until then, token requests included."""
    async with scripted() as tenant:
        tenant.token()
        tenant.get(STATUS_URL, status=429, headers=headers)
        with pytest.raises(errors.TenantThrottled) as raised:
            await tenant.client.status(KEY)
        assert raised.value.pause_s == pytest.approx(pause_s, abs=0.01)
        throttled_until_s = tenant.client.vitals.health.throttled_until_s
        assert throttled_until_s is not None
        assert throttled_until_s - tenant.clock.wall() == pytest.approx(pause_s, abs=0.01)
        tenant.get(STATUS_URL, payload=RUNNING)
        look = asyncio.create_task(tenant.client.status(KEY))
        await asyncio.sleep(0.01)
        assert not look.done()
        tenant.clock.jump_to(tenant.clock.monotonic() + pause_s - 0.02)
        await asyncio.sleep(0.01)
        assert not look.done()
        tenant.clock.jump_to(tenant.clock.monotonic() + 0.04)
        assert (await look).state is JobState.IN_PROGRESS
        assert tenant.heard.waits_s[-1] == pytest.approx(pause_s, abs=0.05)


async def test_429s_in_flight_together_are_one_pause() -> None:
    """Our own back-off doubles for each pause that did not help, not for each refused request."""
    async with scripted() as tenant:
        pauses_s = {tenant.gate.throttled(["v1"], None) - tenant.clock.monotonic() for _ in range(4)}
        assert pauses_s == {2.0}
        tenant.clock.jump_to(tenant.clock.monotonic() + 2.0)
        assert tenant.gate.throttled(["v1"], None) - tenant.clock.monotonic() == 4.0
        tenant.clock.jump_to(tenant.clock.monotonic() + 4.0)
        tenant.gate.answered()
        assert tenant.gate.throttled(["v1"], None) - tenant.clock.monotonic() == 2.0


@pytest.mark.parametrize("there", ["v1", "v2026", "v2025", "v2024", "beta"])
async def test_auto_finds_the_newest_version_and_remembers_it(there: str) -> None:
    """404 means another version; the one found is asked from then on."""
    urls = {version: f"{BASE}/{version}/sp-config" for version in ("v2026", "v2025", "v2024", "beta")}
    urls["v1"] = f"{BASE}/sp-config/v1"
    async with scripted(version=None) as tenant:
        tenant.token()
        for version, root in urls.items():
            if version == there:
                tenant.get(f"{root}/config-objects", payload=[{"objectType": "SOURCE"}])
                tenant.get(f"{root}/import/1", payload=RUNNING)
            else:
                tenant.get(f"{root}/config-objects", status=404)
        assert (await tenant.client.status(KEY)).state is JobState.IN_PROGRESS
        assert tenant.client.vitals.health.api_version == there


async def test_object_types_come_from_the_very_answer_that_shows_the_version() -> None:
    """Finding out the version costs no extra request."""
    async with scripted(version=None) as tenant:
        tenant.token()
        tenant.get(OBJECTS_URL, payload=[{"objectType": "SOURCE"}])
        assert await tenant.client.object_types() == {"SOURCE"}
        assert tenant.asked() == [OBJECTS_URL]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_shows_that_the_version_exists(status: int) -> None:
    """401 and 403 come from an API that is there."""
    async with scripted(version=None) as tenant:
        tenant.token(repeat=True)
        tenant.get(OBJECTS_URL, status=status, payload={}, repeat=True)
        with pytest.raises(errors.TenantError):
            await tenant.client.object_types()
        assert tenant.client.vitals.health.api_version == "v1"


@pytest.mark.parametrize("answer", [{"status": 502}, {"body": "<html>"}, {"exception": TimeoutError()}])
async def test_trouble_decides_nothing_about_the_version(answer: dict[str, object]) -> None:
    """A gateway's bad moment does not send all later requests down a wrong path."""
    async with scripted(version=None) as tenant:
        tenant.token()
        tenant.get(OBJECTS_URL, **answer)
        with pytest.raises(errors.TenantError):
            await tenant.client.object_types()
        assert tenant.client.vitals.health.api_version is None


async def test_a_host_without_any_version_is_named_with_the_cure() -> None:
    """The operator reads which host was asked and what to check."""
    async with scripted(version=None) as tenant:
        tenant.token()
        for root in ("sp-config/v1", "v2026/sp-config", "v2025/sp-config", "v2024/sp-config", "beta/sp-config"):
            tenant.get(f"{BASE}/{root}/config-objects", status=404)
        with pytest.raises(errors.TenantNotFound) as raised:
            await tenant.client.object_types()
        assert BASE in raised.value.message
        assert "org or base_url" in raised.value.cure


@pytest.mark.parametrize("status", [404, 401])
async def test_a_broken_token_endpoint_says_nothing_about_versions(status: int) -> None:
    """Its 404 is not taken for a missing version, nor its 401 for an existing one."""
    async with scripted(version=None) as tenant:
        tenant.token(status=status, payload={})
        with pytest.raises(errors.TenantError) as raised:
            await tenant.client.object_types()
        assert raised.value.endpoint == "token"
        assert tenant.client.vitals.health.api_version is None
        assert tenant.asked() == []


async def test_an_unreadable_token_answer_is_malformed() -> None:
    """A login page with status 200 is no token."""
    async with scripted() as tenant:
        tenant.token(body="<html>")
        with pytest.raises(errors.TenantMalformed) as raised:
            await tenant.client.status(KEY)
        assert raised.value.endpoint == "token"
        assert tenant.client.vitals.health.up is False


async def test_deprecated_answers_and_odd_dates_are_noticed() -> None:
    """X-Deprecated is counted; a Date that is none is an unknown value and nothing more."""
    async with scripted() as tenant:
        tenant.token()
        tenant.get(STATUS_URL, payload=RUNNING, headers={"X-Deprecated": "true", "Date": "yesterday"})
        await tenant.client.status(KEY)
        assert tenant.heard.deprecated == ["import-status"]
        assert tenant.heard.unknowns == ["Date"]
        assert tenant.client.vitals.health.time is None


async def test_the_date_header_tells_the_tenants_time() -> None:
    """Ten minutes ahead of us is ten minutes ahead of us."""
    async with scripted() as tenant:
        tenant.token()
        tenant.get(STATUS_URL, payload=RUNNING, headers={"Date": "Fri, 15 Jan 2027 08:10:00 GMT"})
        await tenant.client.status(KEY)
        time = tenant.client.vitals.health.time
        assert time is not None
        assert time.at(tenant.clock.monotonic()) - tenant.clock.wall() == pytest.approx(600.0, abs=1.0)


async def test_a_job_answered_under_another_id_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The id asked for stays the job's name."""
    async with scripted() as tenant:
        tenant.token()
        tenant.get(STATUS_URL, payload={**RUNNING, "jobId": "other"}, repeat=True)
        for _ in range(3):
            assert (await tenant.client.status(KEY)).key.job_id == "1"
    assert capsys.readouterr().err.count("job_id_differs") == 1


async def test_results_have_a_limit_of_their_own() -> None:
    """An import's result beyond `max_answer.results` is refused without being read to its end."""
    async with scripted(max_bytes=100) as tenant:
        tenant.token()
        tenant.get(RESULT_URL, body=b'{"results": {' + b" " * 1000 + b"}}")
        with pytest.raises(errors.AnswerTooLarge, match="longer than 100 bytes") as raised:
            await tenant.client.result(KEY)
        assert "max_answer" in raised.value.cure


@pytest.mark.parametrize("error", [OSError("no such file"), ValueError("is empty")])
async def test_a_secret_that_cannot_be_read_names_its_setting(error: Exception) -> None:
    """The file may have gone since the start."""
    async with scripted(read_secret=Mock(side_effect=error)) as tenant:
        with pytest.raises(errors.TenantUnauthorized) as raised:
            await tenant.client.status(KEY)
        assert "client_secret_file" in raised.value.cure
        assert tenant.asked("POST") == []


async def test_the_proxy_of_the_environment_is_chosen_for_each_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY may name the API's host and not that of the token URL."""
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "acme.api.identitynow.com")
    async with scripted(token_url="https://login.example/oauth/token") as tenant:
        token = {"access_token": PLANTED_TOKEN}
        tenant.script.post("https://login.example/oauth/token", payload=token, response_class=ScriptedResponse)
        tenant.get(STATUS_URL, payload=RUNNING)
        await tenant.client.status(KEY)
        proxies = {url.host: call.kwargs["proxy"] for (_, url), (call,) in tenant.script.requests.items()}
        assert proxies == {"login.example": "http://proxy.example:3128", "acme.api.identitynow.com": None}


ECHO = f"you sent client_secret={PLANTED_SECRET} of planted-client-id with Bearer {PLANTED_TOKEN}"


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 405, 429, 500, 502])
async def test_a_gateway_that_sends_back_what_it_was_sent_does_not_get_it_into_our_words(
    status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever its status and whichever endpoint, neither secret nor token nor client id is in the error or the log."""
    shown = []
    async with scripted() as tenant:
        tenant.token(status=status, body=ECHO, headers={"Location": f"https://x/{PLANTED_SECRET}"})
        with pytest.raises(errors.TenantError) as raised:
            await tenant.client.status(KEY)
        shown.append(raised.value)
    async with scripted() as tenant:
        tenant.token(repeat=True)
        answer = {"status": status, "body": ECHO, "headers": {"Location": f"https://x/{PLANTED_TOKEN}"}}
        tenant.get(STATUS_URL, repeat=True, **answer)
        with pytest.raises(errors.TenantError) as raised:
            await tenant.client.status(KEY)
        shown.append(raised.value)
    words = [f"{error.message} {error.cure} {error.tracking_id}" for error in shown]
    assert not leaks(words[0], [PLANTED_SECRET, "planted-client-id"])
    assert not leaks(words[1], [PLANTED_TOKEN])
    assert not leaks(capsys.readouterr().err, [PLANTED_TOKEN])


@pytest.mark.parametrize("lifetime", ["inf", 1e15, 1e300])
async def test_absurd_lifetimes_of_tokens_are_not_believed(lifetime: object) -> None:
    """A week at the most: pages can show it, and a token that lives for ever is renewed all the same."""
    async with scripted() as tenant:
        tenant.token(payload={"access_token": PLANTED_TOKEN, "expires_in": lifetime})
        tenant.get(STATUS_URL, payload=RUNNING)
        await tenant.client.status(KEY)
        until_s = tenant.client.vitals.health.token_expires_s
        assert until_s is not None
        assert until_s - tenant.clock.wall() <= 7 * 86400


async def test_an_absurd_date_in_retry_after_is_as_good_as_none() -> None:
    """A year that no calendar has pauses like a 429 that names no time."""
    async with scripted() as tenant:
        tenant.token()
        when = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
        tenant.get(STATUS_URL, status=429, headers={"Retry-After": when})
        with pytest.raises(errors.TenantThrottled) as raised:
            await tenant.client.status(KEY)
        assert raised.value.pause_s == 2.0


async def test_a_long_error_answer_is_still_the_error_that_its_status_says() -> None:
    """A 500 with an endless page is a broken gateway, not an answer to allow more room for."""
    async with scripted(max_bytes=100) as tenant:
        tenant.token()
        tenant.get(STATUS_URL, status=500, body="x" * 5000)
        with pytest.raises(errors.TenantServerError):
            await tenant.client.status(KEY)


async def test_a_proxy_that_refuses_is_named_as_such() -> None:
    """407 on CONNECT says nothing about the tenant's answers."""
    async with scripted() as tenant:
        tenant.token(exception=aiohttp.ClientHttpProxyError(Mock(), (), status=407, message="Authentication Required"))
        with pytest.raises(errors.TenantUnreachable, match="the proxy answered 407") as raised:
            await tenant.client.status(KEY)
        assert "user and password" in raised.value.cure


async def test_durations_stand_still_from_the_first_failure_to_the_first_good_look() -> None:
    """A good token does not show that the API answers: the moment at which time stood still stays the same."""
    async with scripted() as tenant:
        tenant.token(repeat=True)
        tenant.get(STATUS_URL, status=401, payload=EXPIRED, repeat=True)
        stood = set()
        for _ in range(5):
            with pytest.raises(errors.TenantUnauthorized):
                await tenant.client.status(KEY)
            stood.add(tenant.client.vitals.health.still_at_s)
            tenant.clock.jump_to(tenant.clock.monotonic() + 60.0)
        assert len(stood) == 1


async def test_a_token_that_contains_the_client_id_stays_what_it_is() -> None:
    """Only refusals are cleaned of what was sent: a token is opaque, and may be made of anything."""
    async with scripted() as tenant:
        opaque = f"planted-client-id.{PLANTED_TOKEN}"
        tenant.token(payload={"access_token": opaque, "expires_in": 749})
        assert (await tenant.tokens.get()).text == opaque


async def test_a_job_is_observed_when_its_answer_comes_not_when_its_look_began() -> None:
    """A look can wait for minutes in a pause; what it brings is new all the same."""
    async with scripted() as tenant:
        tenant.token()
        await tenant.tokens.get()
        tenant.gate.throttled(["v1"], 600.0)
        tenant.get(STATUS_URL, payload=RUNNING)
        look = asyncio.create_task(tenant.client.status(KEY))
        await asyncio.sleep(0.01)
        tenant.clock.jump_to(tenant.clock.monotonic() + 600.0)
        assert (await look).observed_s == tenant.clock.wall()
