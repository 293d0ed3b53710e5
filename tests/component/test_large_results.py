"""Results of imports that are so long that they are counted while they arrive."""

import json
from functools import partial

import pytest

from spexporter.domain.errors import (
    AnswerTooLarge,
    TenantError,
    TenantMalformed,
    TenantNotFound,
    TenantRejected,
    TenantServerError,
)
from spexporter.domain.result import ImportResult, TypeCounts
from spexporter.domain.values import replace
from spexporter.sailpoint import client
from spexporter.sailpoint.resultsink import WHOLE, ResultSink
from spexporter.simulator import Fault, default_plans, result_of
from spexporter.simulator.delivery import COMPRESSED_FROM
from tests.support.clients import KEY, PLANTED_TOKEN, RESULT_URL, scripted
from tests.support.secrets import leaks
from tests.support.world import World, world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
COUNTS = {
    "SOURCE": {"errors": 3001, "warnings": 2002, "infos": 503, "objects": 2504},
    "RULE": {"errors": 0, "warnings": 1, "infos": 0, "objects": 1},
}
LARGE = {"tenant": "acme", "operation": "import", "job_id": "i", "duration_s": 10.0, "result": result_of(COUNTS)}
ONLY_RESULTS = frozenset({"import_result"})


async def counted(running: World) -> dict[str, dict[str, float | None]]:
    """Return what the counters of the page say by object type."""
    page = await running.scrape()
    return {
        name: {
            "errors": page.value("spconfig_import_errors_total", object_type=name),
            "warnings": page.value("spconfig_import_warnings_total", object_type=name),
            "objects": page.value("spconfig_imported_objects_total", object_type=name),
        }
        for name in COUNTS
    }


def shown(counts: dict[str, dict[str, int]]) -> dict[str, dict[str, float]]:
    return {name: {kind: float(of[kind]) for kind in ("errors", "warnings", "objects")} for name, of in counts.items()}


@pytest.mark.parametrize("quirks", [(), ("filled_detail", "extra_fields"), ("nested_results", "absents", "nulls")])
async def test_a_long_result_is_counted_as_what_it_is(quirks: tuple[str, ...]) -> None:
    """It comes compressed, over real HTTP, in whichever pieces the network makes of it."""
    plan = replace(PLAN, faults=tuple(Fault(kind, endpoints=ONLY_RESULTS) for kind in quirks))
    async with world([plan], plant=[LARGE]) as running:
        await running.advance(120)
        await running.scrape()
        await running.advance(600)
        assert await counted(running) == shown(COUNTS)
        assert (await running.scrape()).value("spconfig_import_results_total", outcome="counted") == 1


async def test_a_preview_is_known_by_one_mark_in_a_long_result() -> None:
    """It counts nothing."""
    preview = {**LARGE, "result": result_of({"SOURCE": {"infos": 4000, "objects": 4000}}, preview=True)}
    async with world([PLAN], plant=[preview]) as running:
        await running.advance(600)
        page = await running.scrape()
        assert page.value("spconfig_import_results_total", outcome="preview") == 1
        assert page.value("spconfig_imported_objects_total", object_type="SOURCE") in {None, 0}


@pytest.mark.parametrize("kind", ["cut", "hang_up", "truncated"])
async def test_a_long_result_that_breaks_off_counts_nothing_until_it_came_whole(kind: str) -> None:
    """Half of it had been read: all of that is forgotten, and the next try counts once."""
    plan = replace(PLAN, faults=(Fault(kind, endpoints=ONLY_RESULTS, until_s=15.0),))
    async with world([plan], plant=[LARGE]) as running:
        await running.advance(14)
        assert str(running.simulator.truth()["faults"]).startswith(f"{{'acme': {{'{kind}':")
        assert (await running.scrape()).value("spconfig_import_results_total", outcome="counted") == 0
        assert set((await counted(running))["SOURCE"].values()) <= {None, 0}
        await running.advance(900)
        await running.scrape()
        await running.advance(900)
        assert await counted(running) == shown(COUNTS)
        assert (await running.scrape()).value("spconfig_import_results_total", outcome="counted") == 1


async def test_a_long_result_has_the_limit_that_the_operator_gave_it() -> None:
    """What counts is its length as JSON, however well it was compressed."""
    async with world([PLAN], plant=[LARGE], defaults="  max_answer: {results: 512KiB}") as running:
        await running.advance(120)
        page = await running.scrape()
        assert page.value("spconfig_import_results_total", outcome="too_large") == 1
        assert page.value("spconfig_tenant_up", tenant="acme") == 1


def test_what_is_planted_is_long_enough() -> None:
    """Else these tests would be about short results, or about what is not compressed."""
    assert len(json.dumps(result_of(COUNTS).payload(None))) > 2 * max(WHOLE, COMPRESSED_FROM)


@pytest.fixture
def _all_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let results be counted while they arrive that aioresponses can script: it takes no long ones."""
    monkeypatch.setattr(client, "ResultSink", partial(ResultSink, whole=8))


@pytest.mark.usefixtures("_all_are_long")
async def test_a_token_that_comes_back_in_a_long_result_is_hidden() -> None:
    """A gateway may repeat it anywhere, also where we take names from."""
    token = PLANTED_TOKEN.encode()
    body = b'{"results": {"%b": {"errors": [{}, "%b"]}}, "exportJobId": "%b"}' % (token, token, token)
    async with scripted() as tenant:
        tenant.token()
        tenant.get(RESULT_URL, body=body)
        result = await tenant.client.result(KEY)
        assert result == ImportResult({"(hidden)": TypeCounts(errors=2)}, backup_id="(hidden)")
        tenant.get(RESULT_URL, body=body.replace(b"[", b"7, ["))
        with pytest.raises(TenantMalformed) as raised:
            await tenant.client.result(KEY)
        assert not leaks(str(raised.value), [PLANTED_TOKEN])


@pytest.mark.usefixtures("_all_are_long")
async def test_a_401_before_a_long_result_counts_nothing_of_its_own_body() -> None:
    """The body of the refused answer is no result, even where it looks like one."""
    body = b'{"results": {"SOURCE": {"errors": [{}, {}]}}}'
    async with scripted() as tenant:
        tenant.token(repeat=True)
        tenant.get(RESULT_URL, status=401, body=body)
        tenant.get(RESULT_URL, body=body)
        assert await tenant.client.result(KEY) == ImportResult({"SOURCE": TypeCounts(errors=2)})


@pytest.mark.usefixtures("_all_are_long")
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"body": b'{"results": {}}' + b" " * 1000}, AnswerTooLarge),
        ({"body": b'{"results": {"SOURCE": {"errors": [{}, {}'}, TenantMalformed),
        ({"body": b'{"results": {}}', "status": 500}, TenantServerError),
        ({"body": b'{"results": {}}', "status": 302}, TenantRejected),
        ({"body": b"x" * 2000, "status": 404}, TenantNotFound),
    ],
    ids=["too long", "cut", "error", "redirect", "long error"],
)
async def test_nothing_comes_out_of_an_answer_that_is_not_good_and_whole(
    answer: dict[str, object], kind: type[TenantError]
) -> None:
    """Whatever had been counted of it by then."""
    async with scripted(max_bytes=500) as tenant:
        tenant.token()
        tenant.get(RESULT_URL, **answer)
        with pytest.raises(kind):
            await tenant.client.result(KEY)
