import asyncio
from collections.abc import AsyncIterator
from typing import Any, Unpack

import pytest
import yaml

from spexporter.domain.values import replace
from spexporter.simulator import (
    API_VERSIONS,
    HUB_KINDS,
    HUB_SCOPES,
    SP_CONFIG_SCOPES,
    HubJob,
    HubKind,
    HubOptions,
    TenantPlan,
    hostile,
)
from tests.support.clock import START_WALL_S
from tests.support.scene import ACME, SANDBOX, Scene, scene_of

LISTS = {"backup": "backups", "upload": "backups/uploads", "draft": "drafts", "deploy": "deploys"}
NAMES = [rest.rpartition("/")[2] for rest in LISTS.values()]
SCOPES = {
    "backup": "sp:config-backup",
    "upload": "sp:config-backup",
    "draft": "sp:config-draft",
    "deploy": "sp:config-deploy",
}


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with scene_of(requests=1000) as made:
        yield made


def path(kind: str, version: str = "v1") -> str:
    service = "configuration-hub/v1" if version == "v1" else f"{version}/configuration-hub"
    return f"{service}/{LISTS[kind]}"


def plant(scene: Scene, kind: HubKind, **options: Unpack[HubOptions]) -> HubJob:
    """Plant a job that is over at once and leaves out nothing."""
    at_once: HubOptions = {"duration_s": 0, "queue_s": 0, "absent": (), **options}
    return scene.simulator.start(ACME.name, kind, **at_once)


def plant_all(scene: Scene) -> dict[str, HubJob]:
    return {kind: plant(scene, kind, job_id=f"{kind}-1") for kind in HUB_KINDS}


def hub_truth(scene: Scene) -> Any:  # noqa: ANN401 - decoded JSON
    return scene.simulator.truth()["configuration_hub"]


async def entries(scene: Scene, kind: str) -> list[dict[str, Any]]:
    """Return the entries of a list, whichever shape it has."""
    body = (await scene.ask(path(kind))).json
    return list(body["items"] if isinstance(body, dict) else body)


@pytest.mark.parametrize("version", API_VERSIONS)
async def test_lists_are_there_in_all_versions_but_beta(scene: Scene, version: str) -> None:
    """Each has its own jobs and no others; the deploys are below `items`."""
    jobs = plant_all(scene)
    for kind, job in jobs.items():
        got = await scene.ask(path(kind, version))
        if version == "beta":
            assert (got.status, got.json["detailCode"]) == (404, "404 Not found")
        else:
            entry = job.entry_at(scene.clock.wall())
            assert (got.status, got.json) == (200, {"items": [entry]} if kind == "deploy" else [entry])


async def test_empty_lists_are_lists(scene: Scene) -> None:
    """A tenant without Configuration Hub jobs says so."""
    assert [(await scene.ask(path(kind))).json for kind in HUB_KINDS] == [[], [], [], {"items": []}]


async def test_list_tells_each_job_as_it_is_now(scene: Scene) -> None:
    """States follow from the time of the question, as those of SP-Config jobs do."""
    scene.simulator.start(ACME.name, "backup", job_id="b", queue_s=2, duration_s=10)
    scene.simulator.start(ACME.name, "backup", job_id="c", queue_s=1, duration_s=5, final_state="CANCELLED")
    seen = []
    for seconds in (0, 3, 3, 5):
        scene.wait(seconds)
        seen.append({entry["jobId"]: entry["status"] for entry in await entries(scene, "backup")})
    assert seen == [
        {"b": "NOT_STARTED", "c": "NOT_STARTED"},
        {"b": "IN_PROGRESS", "c": "IN_PROGRESS"},
        {"b": "IN_PROGRESS", "c": "CANCELLED"},
        {"b": "COMPLETE", "c": "CANCELLED"},
    ]


async def test_deploys_come_as_a_bare_array_too(scene: Scene) -> None:
    """As they were published at first; the other lists stay what they are."""
    plant_all(scene)
    wrapped = (await scene.ask(path("deploy"))).json
    scene.afflict("bare_deploys")
    assert (await scene.ask(path("deploy"))).json == wrapped["items"]
    await scene.ask(path("backup"))
    assert scene.served() == {ACME.name: {"bare_deploys": 1}}


async def test_300_old_failures_can_be_planted(scene: Scene) -> None:
    """They are in the list at once, and stay there."""
    for number in range(300):
        created_s = START_WALL_S - (number + 1) * 86_400
        scene.simulator.start(ACME.name, "backup", created_s=created_s, duration_s=5, final_state="FAILED")
    scene.wait(86_400 / 4)
    assert [entry["status"] for entry in await entries(scene, "backup")] == ["FAILED"] * 300


@pytest.mark.parametrize("kind", HUB_KINDS)
@pytest.mark.parametrize("right", ["read", "manage"])
async def test_each_list_needs_its_own_scope(kind: str, right: str) -> None:
    """One of two scopes opens it, those of SP-Config do not; the user need be no admin, but there must be one."""
    fits = f"{SCOPES[kind]}:{right}"
    plans = {
        "fitting": TenantPlan("fitting", "a", "simulated-a", scopes=(fits,), has_admin=False),
        "others": TenantPlan("others", "b", "simulated-b", scopes=(*SP_CONFIG_SCOPES, *set(HUB_SCOPES) - {fits})),
        "nobody": TenantPlan("nobody", "c", "simulated-c", scopes=(fits,), has_user=False),
        "all": TenantPlan("all", "d", "simulated-d", scopes=("sp:scopes:all",)),
    }
    if right == "manage":
        plans["others"] = replace(plans["others"], scopes=SP_CONFIG_SCOPES)
    async with scene_of(ACME, *plans.values()) as scene:
        got = {}
        for name, plan in plans.items():
            await scene.sign_in(plan)
            answer = await scene.ask(path(kind), plan)
            got[name] = answer.status
            assert answer.status == 200 or answer.json["detailCode"] == "403 Forbidden"
    if right == "read" and kind in {"backup", "upload"}:
        assert fits in HUB_SCOPES
    assert got == {"fitting": 200, "others": 403, "nobody": 403, "all": 200}


async def test_scope_of_one_list_is_lost_and_the_others_stay(scene: Scene) -> None:
    """403 for the drafts alone, and only as long as that lasts."""
    scene.afflict("lost_scope", scope="sp:config-draft:read", until_s=10)
    assert [(await scene.ask(path(kind))).status for kind in HUB_KINDS] == [200, 200, 403, 200]
    scene.wait(10)
    assert (await scene.ask(path("draft"))).status == 200


async def test_lists_count_in_the_rate_limit_and_in_the_record() -> None:
    """In the window of their version, together with SP-Config's requests, and by a name of their own."""
    async with scene_of(requests=5, count_tokens=False) as scene:
        statuses = [(await scene.ask(path(kind, "v2026"))).status for kind in (*HUB_KINDS, "backup", "backup")]
        assert statuses == [200] * 5 + [429]
        assert (await scene.ask("v2026/sp-config/config-objects")).status == 429
        assert (await scene.ask(path("backup"))).status == 200
        clients: Any = scene.simulator.truth()["clients"]
    asked = clients[ACME.client_id]["requests"]
    assert [one[1:] for one in asked[1:5]] == [["v2026", name, 200] for name in NAMES]
    assert clients[ACME.client_id]["busiest"] == {"v2026": 7, "v1": 1}


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("backup", 'status eq "FAILED"', ["b2"]),
        ("draft", 'approvalStatus eq "PENDING_APPROVAL"', ["d1"]),
        ("draft", 'status eq "FAILED"', []),
        ("deploy", 'status eq "FAILED"', ["e1"]),
    ],
)
async def test_lists_can_be_filtered_where_that_is_published(
    scene: Scene, kind: str, text: str, found: list[str]
) -> None:
    """By status, drafts by approval too; deploys know no filter and have all."""
    plant(scene, "backup", job_id="b1")
    plant(scene, "backup", job_id="b2", final_state="FAILED")
    plant(scene, "draft", job_id="d1", approval="PENDING_APPROVAL", pending_after_s=0)
    plant(scene, "deploy", job_id="e1")
    body = (await scene.ask(f"{path(kind)}?filters={text}")).json
    assert [entry["jobId"] for entry in (body["items"] if kind == "deploy" else body)] == found


@pytest.mark.parametrize("text", ['name eq "x"', 'status ne "FAILED"', "status", 'approvalStatus eq "DENIED"'])
async def test_other_filters_are_refused(scene: Scene, text: str) -> None:
    """400 with the published body."""
    got = await scene.ask(f"{path('backup')}?filters={text}")
    assert (got.status, got.json["detailCode"]) == (400, "400.1.3 Illegal value")


@pytest.mark.parametrize(
    ("kind", "begins"),
    [
        ("html", b"<!doctype html>"),
        ("truncated", b'[{"jobId"'),
        ("bad_utf8", b'[{"\xff\xfe'),
        ("deep", b'{"a":{"a":'),
        ("empty", b""),
        ("list", b"[17, null]"),
        ("null", b"null"),
    ],
)
async def test_spoilt_list_counts_for_nothing(scene: Scene, kind: str, begins: bytes) -> None:
    """200 and rubbish: the truth knows that nothing was told about the job."""
    plant(scene, "backup", job_id="b")
    scene.afflict(kind, endpoints=frozenset({"backups"}))
    got = await scene.ask(path("backup"))
    assert got.status == 200
    assert got.body.startswith(begins)
    assert (await scene.ask(path("draft"))).json == []
    assert hub_truth(scene)["jobs"][0]["times_sent"] == 0
    scene.simulator.heal(ACME.name)
    assert len(await entries(scene, "backup")) == 1
    assert (hub_truth(scene)["jobs"][0]["times_sent"], hub_truth(scene)["jobs"][0]["last_state_sent"]) == (
        1,
        "COMPLETE",
    )


async def test_empty_list_can_be_spoilt_too(scene: Scene) -> None:
    """Even where there is no text in it, its bytes are no UTF-8."""
    scene.afflict("bad_utf8")
    with pytest.raises(UnicodeDecodeError):
        (await scene.ask(path("backup"))).body.decode()


@pytest.mark.parametrize("status", [403, 429, 500, 503])
async def test_one_list_can_be_refused_alone(scene: Scene, status: int) -> None:
    """The others answer as ever."""
    scene.afflict("status", status=status, endpoints=frozenset({"drafts"}))
    assert [(await scene.ask(path(kind))).status for kind in HUB_KINDS] == [200, 200, status, 200]


async def test_list_can_hang(scene: Scene) -> None:
    """Until its client gives up."""
    scene.afflict("hang", endpoints=frozenset({"deploys"}))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await scene.ask(path("deploy"))


def test_hostile_world_spoils_the_lists_too() -> None:
    """Each of them, with bodies, statuses and deliveries."""
    for endpoint in (*NAMES, "personal_access_tokens"):
        kinds = {fault.kind for fault in hostile(0.1, slow=True) if fault.concerns(endpoint)}
        assert kinds >= {"hang", "cut", "html", "null", "status", "token_dies"}


async def test_clock_that_is_ahead_shows_in_every_stamp_of_a_list(scene: Scene) -> None:
    """Those of comments too; what another fault bends is left as it is where the clock is right."""
    job = plant(scene, "draft", approval="PENDING_APPROVAL", pending_after_s=1)
    scene.wait(2)
    plain = job.entry_at(scene.clock.wall())
    scene.afflict("deprecated")
    assert await entries(scene, "draft") == [plain]
    scene.afflict("clock_skew", seconds=600)
    (ahead,) = await entries(scene, "draft")
    assert (ahead["created"], ahead["completed"]) == ("2027-01-15T08:10:00Z", "2027-01-15T08:10:00Z")
    assert ahead["approvalComment"][0]["timestamp"].startswith("2027-01-15T08:10:01")


async def test_short_retention_empties_the_lists(scene: Scene) -> None:
    """So many seconds after its creation a job is in no list any more."""
    plant(scene, "upload")
    scene.afflict("short_retention", seconds=60)
    scene.wait(59)
    assert len(await entries(scene, "upload")) == 1
    scene.wait(1)
    assert await entries(scene, "upload") == []


async def test_jobs_start_by_themselves() -> None:
    """A tenant that lives gets jobs in all of its lists, and keeps no more than it may."""
    plan = replace(ACME, starts_per_minute=4.0, hub_limits=True)
    async with scene_of(plan) as scene:
        scene.wait(6 * 3600)
        found = {kind: await entries(scene, kind) for kind in HUB_KINDS}
        jobs = hub_truth(scene)["jobs"]
    assert 200 <= len(jobs) <= 520
    assert {kind: bool(those) for kind, those in found.items()} == dict.fromkeys(HUB_KINDS, True)
    assert len(found["upload"]) <= 10
    assert {job["kind"] for job in jobs if not job["listed"]} >= {"backup", "upload"}


async def test_truth_has_a_section_of_its_own(scene: Scene) -> None:
    """True ends, counts, storage, approval and what is pending; the jobs of SP-Config stay among themselves."""
    scene.simulator.start(
        ACME.name,
        "backup",
        job_id="b",
        name="mine",
        duration_s=10,
        final_state="FAILED",
        of_tenant="other",
        include_types=("ROLE",),
        backup_type="MANUAL",
        sync="NOT_SYNCED",
    )
    plant(scene, "draft", job_id="d", name="draft", approval="PENDING_APPROVAL", pending_after_s=5)
    await entries(scene, "backup")
    before = hub_truth(scene)
    assert (before["jobs"][0]["ended_s"], before["pending_drafts"]) == (None, [])
    scene.wait(10)
    after = hub_truth(scene)
    assert after["jobs"][0] == {
        "tenant": ACME.name,
        "kind": "backup",
        "id": "b",
        "name": "mine",
        "state": "FAILED",
        "final_state": "FAILED",
        "created_s": START_WALL_S,
        "ended_s": START_WALL_S + 10,
        "tells_end": False,
        "object_count": 0,
        "synced": False,
        "backup_type": "MANUAL",
        "partial": True,
        "of_other_tenant": True,
        "approval": None,
        "listed": True,
        "times_sent": 1,
        "last_state_sent": "NOT_STARTED",
    }
    assert after["jobs"][1]["approval"] == "PENDING_APPROVAL"
    assert (after["jobs"][1]["synced"], after["jobs"][1]["object_count"]) == (None, None)
    assert after["pending_drafts"] == [
        {
            "tenant": ACME.name,
            "id": "d",
            "name": "draft",
            "created_s": START_WALL_S,
            "pending_since_s": START_WALL_S + 5,
        }
    ]
    truth: Any = scene.simulator.truth()
    assert [job["id"] for job in truth["jobs"]] == ["17"]
    config = yaml.safe_load(scene.simulator.config_yaml("http://localhost:1"))
    assert [job["id"] for job in config["tenants"][0]["jobs"]] == ["17"]
    assert [job.id for job in scene.simulator.hub_jobs(ACME.name)] == ["b", "d"]


async def test_synced_backup_is_true_only_once_it_is(scene: Scene) -> None:
    """False until the storage has it, and where that failed."""
    plant(scene, "backup", job_id="b", sync="SYNCED", settled_after_s=60, object_count=7)
    plant(scene, "deploy", job_id="e", sync="SYNC_FAILED", settled_after_s=60)
    plant(scene, "upload", job_id="u")

    def synced() -> dict[str, bool | None]:
        return {job["id"]: job["synced"] for job in hub_truth(scene)["jobs"]}

    assert synced() == {"b": False, "e": False, "u": None}
    scene.wait(60)
    assert synced() == {"b": True, "e": False, "u": None}
    assert hub_truth(scene)["jobs"][0]["object_count"] == 7


def test_unknown_option_is_refused() -> None:
    """Of either sort of job: a typing error must not plant something else."""

    async def plant(operation: str, **options: Any) -> None:  # noqa: ANN401 - handed on
        async with scene_of() as scene:
            scene.simulator.start(ACME.name, operation, **options)

    for operation in ("backup", "import"):
        with pytest.raises(TypeError, match="colour"):
            asyncio.run(plant(operation, colour="red"))


TOKENS = "personal-access-tokens/v1?owner-id=me"


@pytest.mark.parametrize("version", API_VERSIONS)
async def test_personal_access_tokens_tell_when_the_credential_ends(version: str) -> None:
    """Its id is the client id; the user has others, which end at other times or never."""
    plan = replace(ACME, credential_lasts_s=20 * 86_400)
    where = "personal-access-tokens/v1" if version == "v1" else f"{version}/personal-access-tokens"
    async with scene_of(plan) as scene:
        scene.wait(3600)
        tokens = (await scene.ask(f"{where}?owner-id=me", plan)).json
    (mine,) = [token for token in tokens if token["id"] == plan.client_id]
    assert {name: mine[name] for name in ("name", "scope", "created", "lastUsed", "managed")} == {
        "name": "spexporter",
        "scope": list(plan.scopes),
        "created": "2026-10-07T08:00:00Z",
        "lastUsed": "2027-01-15T00:00:00Z",
        "managed": False,
    }
    assert (mine["expirationDate"], mine["userAwareTokenNeverExpires"]) == ("2027-02-04T08:00:00Z", False)
    assert mine["owner"]["type"] == "IDENTITY"
    assert {token["expirationDate"] for token in tokens} == {None, mine["expirationDate"], "2027-01-20T08:00:00Z"}
    assert len({token["id"] for token in tokens}) == len(tokens) == 3


async def test_credential_that_never_ends_has_a_null_date(scene: Scene) -> None:
    """And says that somebody wanted it so."""
    tokens = (await scene.ask(TOKENS)).json
    (mine,) = [token for token in tokens if token["id"] == ACME.client_id]
    assert (mine["expirationDate"], mine["userAwareTokenNeverExpires"]) == (None, True)


@pytest.mark.parametrize(
    ("scopes", "own", "everybodys"),
    [
        (("sp:my-personal-access-tokens:read",), 200, 403),
        (("sp:my-personal-access-tokens:manage",), 200, 403),
        (("sp:all-personal-access-tokens:read",), 200, 200),
        (("sp:scopes:all",), 200, 200),
        (SP_CONFIG_SCOPES, 403, 403),
    ],
    ids=["read", "manage", "all", "all scopes", "none"],
)
async def test_scope_for_own_tokens_is_good_for_own_tokens(scopes: tuple[str, ...], own: int, everybodys: int) -> None:
    """Who does not say `owner-id=me` asks for everybody's, as published; no admin is needed, but a user is."""
    plan = replace(ACME, scopes=scopes, has_admin=False)
    async with scene_of(plan, replace(SANDBOX, scopes=scopes, has_user=False)) as scene:
        await scene.sign_in(SANDBOX)
        assert (await scene.ask(TOKENS, plan)).status == own
        assert (await scene.ask("personal-access-tokens/v1", plan)).status == everybodys
        assert (await scene.ask(TOKENS, SANDBOX)).status == 403


async def test_credential_that_has_ended_gets_no_token() -> None:
    """From that moment on it is as wrong as any other."""
    plan = replace(ACME, credential_lasts_s=60)
    async with scene_of(plan) as scene:
        scene.wait(59)
        assert (await scene.sign_in(plan)).status == 200
        scene.wait(1)
        got = await scene.sign_in(plan)
        assert (got.status, got.json["error"]) == (401, "invalid_client")


async def test_entries_of_tokens_can_be_odd_and_stay_true(scene: Scene) -> None:
    """With what is null left out, other digits and offsets; without an expirationDate the token never ends."""
    for kind in ("absents", "offsets", "fraction_digits", "extra_fields", "huge_numbers"):
        scene.afflict(kind)
    for token in (await scene.ask(TOKENS)).json:
        assert None not in token.values()
        assert token["links"]
        assert ("expirationDate" in token) != (token.get("userAwareTokenNeverExpires") is True)
    assert scene.served()[ACME.name]["absents"] == 1
