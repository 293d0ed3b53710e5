import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import pytest

from spexporter.simulator import ALL_QUIRKS, QUIRKS, Fault, ImportResult, Message, TypeResult, result_of
from tests.support.clock import START_WALL_S
from tests.support.scene import ACME, COUNTS, OBJECTS, RESULT, STATUS, Got, Scene, scene_of

FAILED, RUNNING = "sp-config/v1/import/18", "sp-config/v1/export/19"
PREVIEW, KEYED, DASHED = (f"sp-config/v1/import/{end}" for end in ("20/download", "21/download", "a-b-22"))


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with scene_of(requests=1000) as made:
        start = made.simulator.start
        start(ACME.name, "import", job_id="18", duration_s=0.25, final_state="FAILED", has_result=False)
        start(ACME.name, "export", job_id="19", duration_s=1e6, name="mine")
        preview = result_of({"RULE": {"infos": 2}}, preview=True)
        start(ACME.name, "import", job_id="20", duration_s=0, result=preview, preview=True)
        keyed = ImportResult({"RULE": TypeResult(errors=(Message("lost", key="UNKNOWN_REFERENCE_RESOLVER"),))})
        start(ACME.name, "import", job_id="21", duration_s=0, result=keyed, backup=True)
        start(ACME.name, "import", job_id="a-b-22", duration_s=0, result=result_of({"TAG": {}}))
        made.wait(20)
        yield made


async def change(scene: Scene, kind: str, path: str) -> tuple[Any, Any]:
    """Return a body without and with a quirk; the quirk is counted."""
    plain = (await scene.ask(path)).json
    scene.afflict(kind)
    bent = (await scene.ask(path)).json
    assert scene.served() == {ACME.name: {kind: 1}}
    return plain, bent


async def test_absent_fields_become_null(scene: Scene) -> None:
    """In a status those that the samples of 2021 show, in a result the backup that was not made."""
    plain, bent = await change(scene, "nulls", RUNNING)
    assert bent == plain | {"description": None, "message": None, "completed": None}
    assert (await scene.ask(RESULT)).json["exportJobId"] is None


async def test_nulls_become_absent(scene: Scene) -> None:
    """In messages and object types."""
    _, bent = await change(scene, "absents", RESULT)
    assert {name for message in bent["results"]["SOURCE"]["errors"] for name in message} == {"text"}
    assert any("referenceExtractors" not in kind for kind in (await scene.ask(OBJECTS)).json)


async def test_expiration_is_absent(scene: Scene) -> None:
    """As in the answers that broke an official client in 2025."""
    plain, bent = await change(scene, "no_expiration", STATUS)
    del plain["expiration"]
    assert bent == plain


async def test_type_is_lower_case(scene: Scene) -> None:
    """`import` for `IMPORT`."""
    assert (await change(scene, "lower_type", STATUS))[1]["type"] == "import"


async def test_job_id_comes_in_another_form(scene: Scene) -> None:
    """Without dashes, or in upper case where it has none."""
    assert (await change(scene, "other_job_id", DASHED))[1]["jobId"] == "ab22"
    scene.simulator.start(ACME.name, "import", job_id="ab23", duration_s=0)
    assert (await scene.ask("sp-config/v1/import/ab23")).json["jobId"] == "AB23"


async def test_unfinished_job_is_in_an_unknown_state(scene: Scene) -> None:
    """The truth knows which word was sent; states that are final stay what they are."""
    _, bent = await change(scene, "unknown_state", RUNNING)
    assert bent["status"] in {"QUEUED", "PENDING_APPROVAL", "VALIDATING"}
    assert scene.told("19")["last_state_sent"] == bent["status"]
    assert (await scene.ask(STATUS)).json["status"] == "COMPLETE"


async def test_failed_job_has_no_completed(scene: Scene) -> None:
    """Its end is told by `modified`, to the millisecond."""
    plain, bent = await change(scene, "failed_without_completed", FAILED)
    assert "completed" not in bent
    assert bent["modified"] == plain["completed"] == "2027-01-15T08:00:00.25Z"
    assert (await scene.ask(STATUS)).json["completed"]


async def test_modified_goes_on_moving(scene: Scene) -> None:
    """It is the present moment, unless it alone tells the end."""
    assert (await change(scene, "moving_modified", STATUS))[1]["modified"] == "2027-01-15T08:00:20Z"
    scene.afflict("failed_without_completed")
    assert (await scene.ask(FAILED)).json["modified"] == "2027-01-15T08:00:00.25Z"


@pytest.mark.parametrize("kind", ["fraction_digits", "offsets"])
async def test_times_are_written_otherwise(scene: Scene, kind: str) -> None:
    """Up to 9 digits of a second, or an offset: the moments stay the same."""
    plain = (await scene.ask(FAILED)).json
    scene.afflict(kind)
    texts = set()
    for _ in range(40):
        bent = (await scene.ask(FAILED)).json
        for name in ("created", "modified", "completed", "expiration"):
            assert datetime.fromisoformat(bent[name]) == datetime.fromisoformat(plain[name])
        texts.add(bent["created"])
    assert (
        texts
        == {
            "fraction_digits": {f"2027-01-15T08:00:00{'.' * bool(digits)}{'0' * digits}Z" for digits in range(10)},
            "offsets": {
                "2027-01-15T08:00:00+00:00",
                "2027-01-15T03:00:00-05:00",
                "2027-01-15T13:30:00+05:30",
                "2027-01-15T10:00:00+02:00",
            },
        }[kind]
    )


async def test_details_instead_of_detail(scene: Scene) -> None:
    """Null as before, or filled with what SailPoint's own editor expects."""
    _, bent = await change(scene, "details", RESULT)
    assert [message["details"] for message in bent["results"]["SOURCE"]["errors"]] == [None, None]
    scene.afflict("filled_detail")
    message = (await scene.ask(RESULT)).json["results"]["SOURCE"]["errors"][0]
    assert message["details"]["exceptionMessage"].startswith("Simulated: ")
    assert "detail" not in message
    scene.afflict("absents")
    scene.simulator.heal(ACME.name)
    scene.afflict("absents")
    scene.afflict("details")
    assert "details" not in (await scene.ask(RESULT)).json["results"]["SOURCE"]["errors"][0]


async def test_keys_are_null_but_that_of_a_preview(scene: Scene) -> None:
    """The only mark of a preview stays."""
    assert (await change(scene, "null_keys", KEYED))[1]["results"]["RULE"]["errors"][0]["key"] is None
    assert (await scene.ask(PREVIEW)).json["results"]["RULE"]["infos"][0]["key"] == "IMPORT_PREVIEW"


async def test_empty_lists_are_missing_or_null(scene: Scene) -> None:
    """Both together: null."""
    _, bent = await change(scene, "missing_lists", RESULT)
    assert set(bent["results"]["SOURCE"]) == {"warnings", "errors", "importedObjects"}
    scene.afflict("null_lists")
    assert (await scene.ask(RESULT)).json["results"]["SOURCE"]["infos"] is None


async def test_type_without_anything_is_null(scene: Scene) -> None:
    """Where nothing happened the whole entry is null, and other quirks leave it so."""
    assert (await change(scene, "null_entries", f"{DASHED}/download"))[1]["results"] == {"TAG": None}
    scene.afflict("extra_fields")
    assert (await scene.ask(f"{DASHED}/download")).json["results"] == {"TAG": None}
    assert (await scene.ask(RESULT)).json["results"]["SOURCE"]["errors"]


async def test_results_are_nested(scene: Scene) -> None:
    """As in rendered API pages; extra fields still find their places."""
    plain, bent = await change(scene, "nested_results", RESULT)
    assert bent["results"] == {"results": plain["results"]}
    scene.afflict("extra_fields")
    got = (await scene.ask(RESULT)).json
    assert set(got) == {"results", "links", "requester"}
    assert "statistics" in got["results"]["results"]["SOURCE"]


async def test_types_are_unknown(scene: Scene) -> None:
    """Those of imported objects, and some in the list of all types; the types of a result stay."""
    _, bent = await change(scene, "unknown_types", RESULT)
    assert [ref["type"] for ref in bent["results"]["SOURCE"]["importedObjects"]] == ["SOURCE_V2"] * 3
    assert {"AI_AGENT", "SOURCE"} < {kind["objectType"] for kind in (await scene.ask(OBJECTS)).json}


async def test_errors_take_other_shapes(scene: Scene) -> None:
    """Each of the shapes that a known client looks for, with the same text."""
    shapes = set()
    scene.afflict("other_error_shape")
    for _ in range(60):
        got = await scene.ask("sp-config/v1/import/none")
        assert (got.status, "current representation" in got.body.decode()) == (404, True)
        shapes.add(tuple(sorted(got.json)))
    assert len(shapes) == 7
    scene.wait(50_000)
    assert "JWT is expired" in (await scene.ask()).body.decode()


async def test_numbers_are_huge(scene: Scene) -> None:
    """In fields that nobody knows."""
    plain, bent = await change(scene, "huge_numbers", STATUS)
    assert bent["sizeBytes"] == 10**400
    assert {name: bent[name] for name in plain} == plain


async def test_keys_are_duplicate(scene: Scene) -> None:
    """Twice in the text, in a field that nobody knows; lists have no keys."""
    plain, bent = await change(scene, "duplicate_keys", STATUS)
    assert bent == {"traceId": None, **plain}
    assert (await scene.ask(STATUS)).body.count(b"traceId") == 2
    assert b"traceId" not in (await scene.ask(OBJECTS)).body


async def test_headers_have_quirks_too(scene: Scene) -> None:
    """A mark of deprecation, and no Date."""
    plain = await scene.ask()
    scene.afflict("deprecated")
    scene.afflict("no_date")
    got = await scene.ask()
    assert (plain.headers.get("X-Deprecated"), got.headers.get("X-Deprecated")) == (None, "true")
    assert ("Date" in plain.headers, "Date" in got.headers) == (True, False)
    assert got.body == plain.body


async def test_every_quirk_can_show_itself_and_nothing_becomes_untrue(scene: Scene) -> None:
    """With all of them at chance each is served, and states, ends and counts can still be read."""
    scene.simulator.afflict(ACME.name, *ALL_QUIRKS)
    for _ in range(40):
        result, preview, nothing = [await scene.ask(path) for path in (RESULT, PREVIEW, f"{DASHED}/download")]
        assert (counted(result), counted(nothing)) == (COUNTS, {"TAG": dict.fromkeys(COUNTS["SOURCE"], 0)})
        assert b'"IMPORT_PREVIEW"' in preview.body
        for path, state, after_s in ((STATUS, "COMPLETE", 0), (FAILED, "FAILED", 0.25), (RUNNING, None, None)):
            body = (await scene.ask(path)).json
            assert (body["status"] == state) == (state is not None)
            if after_s is not None:
                ended = body.get("completed") or body["modified"]
                assert datetime.fromisoformat(ended).timestamp() == START_WALL_S + after_s
        for path in (KEYED, OBJECTS, "sp-config/v1/import/none", "oauth/info", "configuration-hub/v1/deploys"):
            await scene.ask(path)
        await scene.ask(DASHED)
    assert set(scene.served()[ACME.name]) == set(QUIRKS)
    assert scene.told()["results_sent"] == 40


def counted(got: Got) -> Mapping[str, Mapping[str, int]]:
    results = json.loads(got.body)["results"]
    results = results.get("results", results)
    return {
        name: {
            kind: len((entry or {}).get("importedObjects" if kind == "objects" else kind) or ())
            for kind in ("errors", "warnings", "infos", "objects")
        }
        for name, entry in results.items()
    }


async def test_exports_and_tokens_can_have_extra_fields(scene: Scene) -> None:
    """Whatever is an object can."""
    scene.simulator.afflict(ACME.name, Fault("extra_fields"))
    assert "links" in (await scene.sign_in()).json
