import base64
import json
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from spexporter.simulator import result_of
from tests.support.clock import START_WALL_S
from tests.support.scene import ACME, COUNTS, OBJECTS, RESULT, SANDBOX, STATUS, Scene, scene_of

EXPORT = "sp-config/v1/export/18"


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with scene_of() as made:
        yield made


async def test_revoked_credential_is_refused_everywhere(scene: Scene) -> None:
    """From that moment on its tokens are as good as expired, and it gets no new one."""
    scene.afflict("revoked", after_s=10)
    assert (await scene.ask()).status == 200
    scene.wait(10)
    asked, signed_in = await scene.ask(), await scene.sign_in()
    assert (asked.status, asked.json) == (401, {"error": "JWT validation failed: JWT is expired"})
    assert (signed_in.status, signed_in.json["error"]) == (401, "invalid_client")
    assert scene.served() == {ACME.name: {"revoked": 2}}
    scene.simulator.heal(ACME.name)
    assert (await scene.ask()).status == 200


async def test_token_that_dies_is_replaced_by_a_new_one(scene: Scene) -> None:
    """A 401 in mid-life: that token is dead for good, the next one works."""
    scene.afflict("token_dies", until_s=1)
    assert [(await scene.ask()).status, (await scene.ask("oauth/info")).status] == [401, 200]
    scene.wait(1)
    assert (await scene.ask()).status == 401
    await scene.sign_in()
    assert (await scene.ask()).status == 200


async def test_made_up_token_cannot_die(scene: Scene) -> None:
    """What is no token is refused as ever, and nothing is counted."""
    scene.afflict("token_dies")
    scene.tokens[ACME.name] = "made.up.token"
    assert (await scene.ask()).status == 401
    assert scene.served() == {ACME.name: {}}


async def test_rotated_secret_is_the_only_good_one(scene: Scene) -> None:
    """The old one is refused, the new one gets tokens, and those already issued stay good."""
    scene.simulator.rotate_secret(ACME.name, "simulated-secret-of-next-year")
    assert (await scene.sign_in()).status == 401
    assert (await scene.ask()).status == 200
    assert (await scene.sign_in(secret="simulated-secret-of-next-year")).status == 200
    assert "simulated-secret-of-next-year" in scene.simulator.config_yaml("http://localhost:1")
    assert scene.simulator.plans[0].client_secret == "simulated-secret-of-next-year"


@pytest.mark.parametrize(
    ("kind", "how", "statuses"),
    [
        ("lost_scope", {"scope": "sp:config:manage"}, (403, 200)),
        ("lost_scope", {}, (403, 403)),
        ("lost_admin", {}, (403, 403)),
        ("lost_user", {}, (403, 403)),
    ],
    ids=["manage", "all scopes", "admin", "user"],
)
async def test_access_is_lost_and_comes_back(
    scene: Scene, kind: str, how: dict[str, Any], statuses: tuple[int, int]
) -> None:
    """While it is lost imports, exports or both are refused with 403."""
    scene.afflict(kind, after_s=5, until_s=10, **how)
    seen = []
    for _ in range(3):
        seen.append(((await scene.ask()).status, (await scene.ask(OBJECTS)).status))
        scene.wait(5)
    assert seen == [(200, 200), statuses, (200, 200)]


async def test_tokens_of_a_short_life_show_it(scene: Scene) -> None:
    """The answer tells the life, and the token ends with it."""
    scene.afflict("short_tokens", seconds=60)
    assert (await scene.sign_in()).json["expires_in"] == 60
    scene.wait(59)
    assert (await scene.ask()).status == 200
    scene.wait(1)
    assert (await scene.ask()).status == 401


async def test_skewed_clock_shifts_every_stamp_alike(scene: Scene) -> None:
    """Date, the job's times, the export's timestamp and the token's end are all so many seconds ahead."""
    scene.simulator.start(ACME.name, "export", job_id="18", duration_s=30)
    scene.wait(30)
    before = [(await scene.ask(path)).json for path in (STATUS, EXPORT, f"{EXPORT}/download")]
    exp = claims(scene)["exp"]
    scene.afflict("clock_skew", seconds=-600)
    got = await scene.ask(STATUS)
    after = [got.json, (await scene.ask(EXPORT)).json, (await scene.ask(f"{EXPORT}/download")).json]
    assert parsedate_to_datetime(got.headers["Date"]).timestamp() == START_WALL_S + 30 - 600
    assert [shifted(one) for one in after] == before
    await scene.sign_in()
    assert claims(scene)["exp"] == exp + 30 - 600
    assert scene.told("18")["ended_s"] == START_WALL_S + 30


def shifted(body: dict[str, Any]) -> dict[str, Any]:
    """Undo ten minutes; the planted jobs start on a full hour."""
    text = json.dumps(body).replace("T07:50:", "T08:00:")
    return dict(json.loads(text))


def claims(scene: Scene) -> dict[str, Any]:
    part = scene.tokens[ACME.name].split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


async def test_step_of_the_clock_shifts_what_comes_after(scene: Scene) -> None:
    """A job that began before it and ended after it seems to have taken so much longer."""
    scene.simulator.start(ACME.name, "export", job_id="18", duration_s=30)
    scene.afflict("clock_step", seconds=600, after_s=20)
    scene.wait(19)
    assert (await scene.ask(EXPORT)).json["created"] == "2027-01-15T08:00:00Z"
    scene.wait(11)
    got = (await scene.ask(EXPORT)).json
    assert (got["created"], got["completed"]) == ("2027-01-15T08:00:00Z", "2027-01-15T08:10:30Z")
    assert got["expiration"] == "2027-01-22T08:00:00Z"


async def test_result_comes_late(scene: Scene) -> None:
    """The first downloads after the end find nothing, those before the end do not count, then it is there."""
    scene.simulator.start(ACME.name, "import", job_id="18", duration_s=30, result=result_of(COUNTS))
    scene.afflict("result_late", count=2)
    late = "sp-config/v1/import/18/download"
    assert [(await scene.ask(late)).status for _ in range(2)] == [404, 404]
    scene.wait(30)
    assert [(await scene.ask(late)).status for _ in range(4)] == [404, 404, 200, 200]
    assert (await scene.ask(RESULT)).status == 404
    assert scene.told("18")["results_sent"] == 2
    assert scene.served() == {ACME.name: {"result_late": 3}}


async def test_result_expires_before_its_job(scene: Scene) -> None:
    """So many seconds after the end there is nothing to download, while the status is still told."""
    scene.afflict("result_expired", seconds=60)
    assert (await scene.ask(RESULT)).status == 200
    scene.wait(60)
    assert [(await scene.ask(path)).status for path in (RESULT, STATUS)] == [404, 200]
    assert scene.served() == {ACME.name: {"result_expired": 1}}


async def test_job_is_not_found_after_a_short_retention(scene: Scene) -> None:
    """`expiration` says when, and from then on status and result are 404."""
    scene.afflict("short_retention", seconds=60)
    assert (await scene.ask()).json["expiration"] == "2027-01-15T08:01:00Z"
    scene.wait(60)
    assert [(await scene.ask(path)).status for path in (STATUS, RESULT)] == [404, 404]


async def test_rival_takes_its_part_of_the_window_without_a_request() -> None:
    """What it leaves is all that we get; the truth counts ours alone, and both together."""
    async with scene_of(requests=10, count_tokens=False) as scene:
        scene.afflict("rival", count=6, after_s=10, until_s=1000)
        assert [(await scene.ask()).status for _ in range(11)] == [200] * 10 + [429]
        scene.wait(50)
        got = [await scene.ask() for _ in range(6)]
        assert [one.status for one in got] == [200] * 4 + [429] * 2
        assert got[-1].headers["Retry-After"] == "10"
        truth: Any = scene.simulator.truth()
    assert truth["clients"][ACME.client_id]["busiest"] == {"v1": 11}
    assert truth["rivals"][ACME.client_id]["requests"] == 25
    assert truth["rivals"][ACME.client_id]["busiest"] == {"v1": 12, "v2026": 6, "v2025": 6, "v2024": 6, "beta": 6}


async def test_rival_that_takes_all_leaves_nothing() -> None:
    """Not even the first request gets through, a token neither, until it is gone; what it took stays in the truth."""
    async with scene_of(requests=10) as scene:
        scene.wait(20)
        scene.afflict("rival", count=10)
        got = await scene.ask()
        assert (got.status, got.headers["Retry-After"], (await scene.sign_in()).status) == (429, "10", 429)
        scene.wait(5)
        scene.simulator.heal(ACME.name)
        scene.wait(15)
        assert (await scene.ask()).status == 200
        assert (await scene.sign_in(SANDBOX)).status == 200
        truth: Any = scene.simulator.truth()
    assert truth["rivals"][ACME.client_id]["requests"] == 25


async def test_rival_that_never_came_is_forgotten(scene: Scene) -> None:
    """Healing before its time leaves no trace."""
    scene.afflict("rival", after_s=10)
    scene.simulator.heal(ACME.name)
    assert scene.simulator.truth()["rivals"] == {}
