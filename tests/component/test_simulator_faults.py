import asyncio
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from spexporter.clock import SystemClock
from spexporter.domain.values import replace
from spexporter.simulator import Fault, Simulator, hostile, serving
from tests.support.clock import START_WALL_S, FakeClock
from tests.support.scene import ACME, OBJECTS, RESULT, SANDBOX, STATUS, Scene, scene_of, until

ONLY_STATUS = frozenset({"import_status"})


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with scene_of() as made:
        yield made


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"status": 400}, "400.1.3 Illegal value"),
        ({"status": 401}, "JWT validation failed: JWT is expired"),
        ({"status": 403}, "403 Forbidden"),
        ({"status": 404}, "404 Not found"),
        ({"status": 429}, " Rate Limit Exceeded "),
        ({"status": 500}, "500.0 Internal Fault"),
        ({"status": 502}, "502.0 Bad Gateway"),
        ({"status": 503}, "503.0 Service Unavailable"),
        ({"status": 504}, "504.0 Gateway Timeout"),
        ({"status": 599}, "599.0 Unknown"),
    ],
    ids=lambda value: str(value.get("status")) if isinstance(value, dict) else "",
)
async def test_status_has_its_published_body(scene: Scene, how: dict[str, int], words: str) -> None:
    """Each status comes with JSON in the shape that is published for it, and is counted by its number."""
    scene.afflict("status", **how)
    got = await scene.ask()
    assert (got.status, got.headers["Content-Type"].split(";")[0]) == (how["status"], "application/json")
    assert words in got.json.values() or got.json["detailCode"] == words
    assert scene.served() == {ACME.name: {f"status_{how['status']}": 1}}
    assert (scene.told()["statuses_sent"], scene.told()["results_sent"]) == (0, 0)


async def test_gateway_answers_a_page(scene: Scene) -> None:
    """With `html` the body is that of a web server, not of the API."""
    scene.afflict("status", status=502, html=True)
    got = await scene.ask()
    assert (got.status, got.headers["Content-Type"].split(";")[0]) == (502, "text/html")
    assert b"<h1>502 Bad Gateway</h1>" in got.body
    assert scene.served() == {ACME.name: {"status_502_html": 1}}


async def test_redirect_says_where_to(scene: Scene) -> None:
    """A 302 has a Location, and a page for a body."""
    scene.afflict("status", status=302)
    got = await scene.ask()
    assert (got.status, got.headers["Location"][:8]) == (302, "https://")
    assert got.body.startswith(b"<html>")


async def test_refused_token_request_has_the_body_of_the_token_service(scene: Scene) -> None:
    """A planted 401 on the token endpoint speaks as that endpoint does."""
    scene.afflict("status", status=401, endpoints=frozenset({"token"}))
    got = await scene.sign_in()
    assert (got.status, got.json["error"]) == (401, "invalid_client")
    assert (await scene.ask()).status == 200


@pytest.mark.parametrize("value", ["7", "99999999999", "-5", "soon", None])
async def test_storm_of_429_has_the_retry_after_asked_for(scene: Scene, value: str | None) -> None:
    """Any text, or no such header."""
    scene.afflict("status", status=429, retry_after=value)
    assert (await scene.ask()).headers.get("Retry-After") == value


async def test_retry_after_can_be_a_date(scene: Scene) -> None:
    """It is so many seconds after what the tenant's clock says."""
    scene.afflict("status", status=429, retry_after="http-date", seconds=30)
    scene.afflict("clock_skew", seconds=600)
    got = await scene.ask()
    date, retry = (parsedate_to_datetime(got.headers[name]).timestamp() for name in ("Date", "Retry-After"))
    assert (date, retry) == (START_WALL_S + 600, START_WALL_S + 630)


@pytest.mark.parametrize(
    ("kind", "begins"),
    [
        ("html", b"<!doctype html>"),
        ("garbage", b"\x00"),
        ("truncated", b'{"results": '),
        ("bad_utf8", b'{"\xff\xfe'),
        ("deep", b'{"a":{"a":{"a":'),
        ("empty", b""),
        ("list", b"[17, null]"),
        ("string", b'"Simulated'),
        ("null", b"null"),
    ],
)
async def test_spoilt_body_has_a_good_status_and_counts_for_nothing(scene: Scene, kind: str, begins: bytes) -> None:
    """200 and rubbish: the truth has no download; after the fault it has one."""
    scene.afflict(kind)
    got = await scene.ask(RESULT)
    assert got.status == 200
    assert got.body.startswith(begins)
    with pytest.raises((ValueError, RecursionError, AssertionError)):
        assert isinstance(got.json, dict)
    assert scene.told()["results_sent"] == 0
    scene.simulator.heal(ACME.name)
    assert (await scene.ask(RESULT)).json["results"]
    assert scene.told()["results_sent"] == 1
    assert scene.served() == {ACME.name: {kind: 1}}


@pytest.mark.parametrize(
    ("kind", "error"), [("hang_up", aiohttp.ServerDisconnectedError), ("cut", aiohttp.ClientPayloadError)]
)
async def test_connection_ends_too_early(scene: Scene, kind: str, error: type[Exception]) -> None:
    """Without a byte, or in the middle of the body: neither is a status sent nor a download counted."""
    scene.afflict(kind)
    with pytest.raises(error):
        await scene.ask(RESULT)
    assert scene.told()["results_sent"] == 0
    clients: Any = scene.simulator.truth()["clients"]
    assert clients[ACME.client_id]["requests"][-1][3] is None
    # Where no byte of an answer came, aiohttp asks once more by itself.
    assert scene.served() == {ACME.name: {kind: 2 if kind == "hang_up" else 1}}


async def test_hanging_tenant_lets_its_client_wait_and_no_server(scene: Scene) -> None:
    """There is no answer until the client gives up; others are answered meanwhile."""
    await scene.sign_in(SANDBOX)
    scene.afflict("hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await scene.ask()
    assert (await scene.ask(OBJECTS, SANDBOX)).status == 200
    assert scene.served() == {ACME.name: {"hang": 1}}


@pytest.mark.parametrize("kind", ["hang", "latency", "trickle", "endless"])
async def test_server_closes_although_it_holds_a_connection(kind: str) -> None:
    """Whoever is held is cut off at once; under a fake clock nothing else would ever end it."""
    clock = FakeClock()
    simulator = Simulator([ACME], clock=clock)
    simulator.afflict(ACME.name, Fault(kind, seconds=60))
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession() as http:
        async with serving(simulator) as url, asyncio.timeout(5):
            asking = loop.create_task(read_whole(http, f"{url}/{ACME.name}/oauth/info"))
            await until(lambda: bool(simulator.truth()["faults"]))
            await asyncio.sleep(0.05)
            closing_s = loop.time()
        assert loop.time() - closing_s < 0.8
        with pytest.raises(aiohttp.ClientError):
            await asking
    assert clock.next_wake() is None


async def read_whole(http: aiohttp.ClientSession, url: str) -> bytes:
    async with http.get(url) as response:
        return await response.read()


async def test_latency_holds_an_answer_back(scene: Scene) -> None:
    """The answer comes when the clock has moved on, and tells of that moment."""
    scene.afflict("latency", seconds=5)
    asking = asyncio.get_running_loop().create_task(scene.ask())
    await until(lambda: scene.clock.next_wake() is not None)
    assert not asking.done()
    scene.wait(5)
    got = await asking
    assert (got.status, parsedate_to_datetime(got.headers["Date"]).timestamp()) == (200, START_WALL_S + 5)
    assert scene.told()["statuses_sent"] == 1


async def test_trickle_is_slow_but_whole() -> None:
    """Byte by byte in real time; what arrives is right and counts."""
    async with scene_of(clock=SystemClock()) as scene:
        whole = await scene.ask(RESULT)
        scene.afflict("trickle", seconds=0.0001)
        slow = await scene.ask(RESULT)
        assert (slow.status, slow.body) == (200, whole.body)
        assert slow.headers["Content-Length"] == str(len(whole.body))
        assert scene.told()["results_sent"] == 2


async def test_endless_body_never_ends(scene: Scene) -> None:
    """It is longer than whatever the client wants to read."""
    scene.afflict("endless")
    headers = {"Authorization": f"Bearer {scene.tokens[ACME.name]}"}
    async with scene.http.get(f"/{ACME.name}/{STATUS}", headers=headers) as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert len(await response.content.readexactly(3_000_000)) == 3_000_000
        response.close()
    assert scene.told()["statuses_sent"] == 0
    assert (await scene.sign_in(SANDBOX)).status == 200


async def test_faults_begin_and_end_by_the_clock(scene: Scene) -> None:
    """From `after_s`, that moment included, to `until_s`, that moment not included, of the simulator's life."""
    scene.wait(3)
    assert scene.simulator.age_s() == 3
    scene.afflict("status", status=503, after_s=5, until_s=8)
    seen = []
    for _ in range(8):
        seen.append((await scene.ask()).status)
        scene.wait(1)
    assert seen == [200, 200, 503, 503, 503, 200, 200, 200]


async def test_faults_concern_one_tenant_and_the_endpoints_named(scene: Scene) -> None:
    """The neighbour and the other endpoints answer as ever."""
    await scene.sign_in(SANDBOX)
    scene.afflict("status", endpoints=ONLY_STATUS)
    assert (await scene.ask()).status == 500
    assert (await scene.ask(RESULT)).status == 200
    assert (await scene.ask(OBJECTS, SANDBOX)).status == 200


async def test_plan_can_have_faults_from_the_beginning() -> None:
    """Those of the plan and those added later stand together, and healing takes all."""
    plan = replace(ACME, faults=(Fault("status", endpoints=ONLY_STATUS),))
    async with scene_of(plan) as scene:
        scene.afflict("empty")
        assert ((await scene.ask()).status, (await scene.ask(RESULT)).body) == (500, b"")
        scene.simulator.heal(ACME.name)
        assert ((await scene.ask()).status, (await scene.ask(RESULT)).status) == (200, 200)
        with pytest.raises(KeyError):
            scene.simulator.afflict("nobody", Fault("hang"))


async def test_real_rate_limit_goes_before_planted_refusals() -> None:
    """Who is over the limit gets the true 429, with seconds to wait."""
    async with scene_of(requests=2) as scene:
        scene.afflict("status", status=502, html=True)
        assert [(await scene.ask()).status for _ in range(3)] == [502, 429, 429]
        assert (await scene.ask()).headers["Retry-After"] == "10"


async def test_idle_faults_change_no_byte() -> None:
    """A tenant whose faults are over, not yet begun, or elsewhere answers as one that never had any."""

    async def answers(*, idle: bool) -> list[tuple[int, bytes, list[tuple[str, str]]]]:
        async with scene_of(replace(ACME, jobs_at_start=9), SANDBOX, seed=5) as scene:
            if idle:
                later = [replace(fault, after_s=1e6) for fault in hostile(1.0, slow=True)]
                scene.simulator.afflict(ACME.name, *later, Fault("empty", until_s=0), Fault("nulls", 0.0))
                scene.simulator.afflict(SANDBOX.name, *hostile(1.0))
            paths = [f"sp-config/v1/{job.operation}/{job.id}" for job in scene.simulator.jobs(ACME.name)]
            got = [await scene.sign_in()]
            got += [await scene.ask(path + end) for path in [*paths, "none"] for end in ("", "/download")]
            return [(one.status, one.body, sorted(one.headers.items())) for one in got]

    assert await answers(idle=True) == await answers(idle=False)


async def test_same_seed_gives_the_same_faults_whoever_else_asks() -> None:
    """What an answer meets follows from the seed, the endpoint, the job and how often that was asked."""

    async def answers(seed: int, *, between: bool = False) -> list[tuple[int, bytes]]:
        async with scene_of(seed=seed) as scene:
            scene.simulator.afflict(ACME.name, *(fault for fault in hostile(0.8) if fault.endpoints == ONLY_STATUS))
            got = []
            for _ in range(20):
                if between:
                    assert (await scene.ask(OBJECTS)).status == 200
                    scene.simulator.start(ACME.name, "import", duration_s=0)
                got.append(await answer_or_none(scene))
            return got

    once = await answers(5)
    assert await answers(5) == once
    assert await answers(5, between=True) == once
    assert await answers(6) != once


async def answer_or_none(scene: Scene) -> tuple[int, bytes]:
    """Ask for the status of 17 with a good token; nothing where the connection ends too early."""
    try:
        got = await scene.ask()
    except aiohttp.ClientError:
        return 0, b""
    if got.status == 401:
        await scene.sign_in()
    return got.status, got.body
