import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.domain.values import replace
from spexporter.simulator import ImportResult, SimulatedJob, TypeResult, default_plans, result_of
from spexporter.simulator.chance import chance
from spexporter.simulator.draw import draw_result
from spexporter.simulator.objects import OBJECT_TYPES, draw_objects
from spexporter.simulator.orders import Order, draw_order, make_job
from spexporter.simulator.stamps import stamp

CREATED_S = 1_800_000_000.25
PLAN = default_plans(1)[0]


def made(order: Order, seed: int = 1, speed: float = 1.0) -> SimulatedJob:
    return make_job(order, chance(seed), PLAN, created_s=CREATED_S, speed=speed)


@pytest.mark.parametrize(
    ("at_s", "text"),
    [
        (1_620_924_159.0, "2021-05-13T16:42:39Z"),
        (1_620_924_160.71, "2021-05-13T16:42:40.71Z"),
        (1_620_924_160.705, "2021-05-13T16:42:40.705Z"),
        (1_620_924_160.005, "2021-05-13T16:42:40.005Z"),
    ],
)
def test_stamps_drop_trailing_zeros(at_s: float, text: str) -> None:
    """Times have the digits of the published samples."""
    assert stamp(at_s) == text


def test_job_moves_through_its_states_as_time_passes() -> None:
    """The state follows from the time of the question alone, end moment included."""
    job = made(Order("import", queue_s=2, duration_s=10, final_state="COMPLETE"))
    states = [job.state_at(CREATED_S + after_s) for after_s in (0, 1.99, 2, 9.99, 10, 1e6)]
    assert states == ["NOT_STARTED", "NOT_STARTED", "IN_PROGRESS", "IN_PROGRESS", "COMPLETE", "COMPLETE"]


def test_status_leaves_out_what_is_not_there() -> None:
    """A running job has neither `completed` nor `message`; an ended import has both, `modified` a little later."""
    job = made(Order("import", job_id="17", queue_s=2, duration_s=10, final_state="COMPLETE"))
    assert job.status_at(CREATED_S + 5) == {
        "jobId": "17",
        "status": "IN_PROGRESS",
        "type": "IMPORT",
        "expiration": "2027-01-22T08:00:00Z",
        "created": "2027-01-15T08:00:00.25Z",
        "modified": "2027-01-15T08:00:02.25Z",
    }
    ended = job.status_at(CREATED_S + 10)
    assert (ended["status"], ended["completed"]) == ("COMPLETE", "2027-01-15T08:00:10.25Z")
    assert ended["message"] == "Download import results for details."
    assert ended["modified"] in {f"2027-01-15T08:00:10.25{last}Z" for last in (5, 6, 7)}


def test_accepted_job_has_not_started_and_expires_to_the_millisecond() -> None:
    """Only the answer to the start has a fraction in `expiration`; the export repeats its description."""
    job = made(Order("export", job_id="17", description="before the change", duration_s=10))
    assert job.accepted() == {
        "jobId": "17",
        "status": "NOT_STARTED",
        "type": "EXPORT",
        "description": "before the change",
        "expiration": "2027-01-22T08:00:00.25Z",
        "created": "2027-01-15T08:00:00.25Z",
        "modified": "2027-01-15T08:00:00.25Z",
    }


def test_failed_export_ends_without_completed() -> None:
    """Its end can only be read from `modified`, as in the one published sample."""
    status = made(Order("export", duration_s=10, final_state="FAILED", message="no such type")).status_at(
        CREATED_S + 10
    )
    assert "completed" not in status
    assert (status["modified"], status["message"]) == ("2027-01-15T08:00:10.25Z", "no such type")


@pytest.mark.parametrize(
    ("order", "state"),
    [
        pytest.param(Order("import", duration_s=math.inf), "IN_PROGRESS", id="stuck while running"),
        pytest.param(Order("import", queue_s=math.inf, duration_s=9), "NOT_STARTED", id="never begun"),
    ],
)
def test_stuck_job_never_ends(order: Order, state: str) -> None:
    """Infinity means never: no end, no final state, nothing to download."""
    job = made(order)
    assert (job.ended_s, job.final_state, job.state_at(CREATED_S + 1e9)) == (None, None, state)
    assert job.download_at(CREATED_S + 1e9) is None


@pytest.mark.parametrize(
    ("order", "words"),
    [
        pytest.param(Order("import", final_state="FAILED"), "Import halted because of errors", id="with a result"),
        pytest.param(Order("import", final_state="FAILED", has_result=False), "before its first", id="without one"),
        pytest.param(Order("import", final_state="FAILED", message="mine"), "mine", id="told"),
    ],
)
def test_failed_import_says_why(order: Order, words: str) -> None:
    """The message sends to the result only where there is one."""
    job = made(order)
    assert words in str(job.status_at(CREATED_S + 1e5)["message"])
    assert (job.download_at(CREATED_S + 1e5) is None) == (not order.has_result)


def test_planted_result_has_exactly_the_numbers_asked_for() -> None:
    """Numbers go in, and the same numbers come out of the payload."""
    wanted = {"SOURCE": {"errors": 2, "objects": 1}, "RULE": {"warnings": 3, "infos": 1}, "TRANSFORM": {}}
    result = result_of(wanted)
    assert result.counts() == {
        name: {"errors": 0, "warnings": 0, "infos": 0, "objects": 0} | counts for name, counts in wanted.items()
    }
    body = made(Order("import", result=result, final_state="COMPLETE", backup=False)).download_at(CREATED_S + 1e5)
    assert body == result.payload(None)
    assert counted(body) == result.counts()


def test_preview_is_known_by_its_infos_alone() -> None:
    """Every info of a planted preview has the key IMPORT_PREVIEW; the status has no mark."""
    order = Order(
        "import", preview=True, result=result_of({"RULE": {"infos": 2}}, preview=True), final_state="COMPLETE"
    )
    assert [message.key for message in result_of({"RULE": {"infos": 2}}, preview=True).types["RULE"].infos] == [
        "IMPORT_PREVIEW",
        "IMPORT_PREVIEW",
    ]
    plain = replace(order, preview=False)
    assert made(order).status_at(CREATED_S + 1e5) == made(plain).status_at(CREATED_S + 1e5)


@given(seed=st.integers(), failed=st.booleans(), preview=st.booleans(), troubled=st.booleans())
def test_drawn_results_make_sense(seed: int, failed: bool, preview: bool, troubled: bool) -> None:  # noqa: FBT001
    """Errors exactly where something went wrong, objects only where something was imported, previews marked."""
    result = draw_result(chance(seed), (), failed=failed, preview=preview, troubled=troubled)
    errors = sum(counts["errors"] for counts in result.counts().values())
    assert (errors > 0) == (failed or troubled)
    for one in result.types.values():
        assert (len(one.objects) > 0) == (not failed and not preview)
        assert all((info.key == "IMPORT_PREVIEW") == preview for info in one.infos)
        assert one.infos or not preview


@given(seed=st.integers(), speed=st.sampled_from([0.5, 1.0, 20.0, 1000.0]))
def test_drawn_jobs_have_their_moments_in_order(seed: int, speed: float) -> None:
    """Created, started, ended; a backup runs inside its import."""
    job = made(draw_order(chance(seed, "order")), seed, speed)
    assert job.started_s is not None
    assert job.ended_s is not None
    assert job.created_s <= job.started_s <= job.ended_s
    if job.backup is not None:
        assert job.backup.started_s is not None
        assert job.backup.ended_s is not None
        assert job.started_s == job.backup.created_s <= job.backup.started_s <= job.backup.ended_s <= job.ended_s


def test_stuck_import_has_a_backup_that_ends() -> None:
    """The backup comes first, so it is there although its import never ends."""
    backup = made(Order("import", duration_s=math.inf, backup=True)).backup
    assert backup is not None
    assert backup.state_at(CREATED_S + 60) == "COMPLETE"


def test_export_holds_the_types_it_was_asked_for() -> None:
    """Each type named is in the artifact, and the artifact is there only once the job is complete."""
    job = made(Order("export", types=("RULE", "SOURCE"), duration_s=10, final_state="COMPLETE", description="d"))
    assert job.download_at(CREATED_S + 9) is None
    body = job.download_at(CREATED_S + 10)
    assert body is not None
    assert isinstance(body["objects"], list)
    assert {entry["self"]["type"] for entry in body["objects"]} == {"RULE", "SOURCE"}
    assert body["description"] == "d"
    assert body == job.download_at(CREATED_S + 11)
    without = made(Order("export", types=("RULE",), duration_s=10, final_state="COMPLETE")).download_at(CREATED_S + 10)
    assert without is not None
    assert "description" not in without


def test_types_of_which_there_is_one_are_drawn_once() -> None:
    """A tenant has a single public identities configuration, however many were asked for."""
    drawn = draw_objects(chance(1), "PUBLIC_IDENTITIES_CONFIG", 5)
    assert len(drawn) == 1
    assert OBJECT_TYPES["PUBLIC_IDENTITIES_CONFIG"].one_per_tenant


@pytest.mark.parametrize("wrong", [{"operation": "backup"}, {"operation": "import", "final_state": "DONE"}])
def test_impossible_orders_are_refused(wrong: dict[str, str]) -> None:
    """A word that the API does not have is a mistake of the test that plants it."""
    with pytest.raises(ValueError, match="must be"):
        Order(**wrong)  # type: ignore[arg-type]


def counted(body: Mapping[str, object]) -> dict[str, dict[str, int]]:
    results = body["results"]
    assert isinstance(results, dict)
    return {
        name: {
            kind: len(lists["importedObjects" if kind == "objects" else kind])
            for kind in ("errors", "warnings", "infos", "objects")
        }
        for name, lists in results.items()
    }


def test_counts_are_those_of_the_payload() -> None:
    """What the truth counts and what the payload lists is the same, for a drawn result too."""
    result = draw_result(chance(7), (), failed=False, preview=False, troubled=True)
    assert counted(result.payload("a-backup")) == result.counts()
    assert ImportResult({"RULE": TypeResult()}).counts() == {
        "RULE": {"errors": 0, "warnings": 0, "infos": 0, "objects": 0}
    }
