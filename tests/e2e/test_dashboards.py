"""Everything that the dashboards ask, asked of a real Prometheus that has half an hour of an exporter's life."""

import math
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.dashboards import Asked, Json, asked, choices, committed
from tests.support.history import LOOKBACK, SCRAPED_EVERY_S, TARGET, History, lived
from tests.support.prometheus import Prometheus, looking_back
from tests.support.promql import FAMILIES, filled, selectors
from tests.support.story import LATE, STUCK, TROUBLED, WELL, WITH_ERRORS, Story

pytestmark = pytest.mark.asyncio(loop_scope="module")
RATE_INTERVAL = "60s"  # as Grafana has it: four scrapes
BEFORE_S = 60.0  # the time shown begins a little earlier than the history
OTHER = {"job": "spexporter", "instance": "spexporter-1:9977"}

# What single dashboards are looked at for; a query must have a result for one of these, and no error for any.
EACH_TENANT = ("acme-prod", "acme-sandbox", "globex-prod", "globex-sandbox", "initech-prod", "initech-sandbox")
EACH_JOB = (
    (TROUBLED, "import", WITH_ERRORS),
    (TROUBLED, "import", STUCK),
    (LATE, "export", "synthetic-queued"),
    (WELL, "backup", "synthetic-backup-12"),
)
# Queries that have no result in the history, by dashboard and place, each with its reason.
EMPTY: Mapping[tuple[str, str], str] = {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def history() -> History:
    """The half hour."""
    return await lived()


@asynccontextmanager
async def holding(history: History, folder: Path, *targets: Mapping[str, str]) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that has the history, scraped from `targets`."""
    (folder / "tsdb").mkdir()
    await history.write_blocks(folder / "tsdb", *targets)
    async with looking_back(folder, lookback=LOOKBACK) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(history: History, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    """A Prometheus that has scraped one replica."""
    async with holding(history, tmp_path_factory.mktemp("one"), TARGET) as running:
        yield running


def chosen(dashboard: Json) -> Iterator[dict[str, str]]:
    """Yield what the variables of a dashboard are set to, one after the other."""
    match [variable["name"] for variable in dashboard["templating"]["list"]]:
        case ["datasource", "tenant"] if dashboard["uid"] == "spexporter-overview":
            yield {"tenant": ".+"}
        case ["datasource", "tenant"]:
            yield from ({"tenant": name} for name in EACH_TENANT)
        case ["datasource", "tenant", "operation", "job_id"]:
            yield from ({"tenant": name, "operation": it, "job_id": job_id} for name, it, job_id in EACH_JOB)
        case ["datasource", "job", "instance"]:
            yield {"job": ".+", "instance": ".+"}
        case other:
            pytest.fail(f"nobody has said what to choose for {other}")


def shown(values: Mapping[str, str], begin_s: float, end_s: float) -> dict[str, str]:
    """Return what Grafana puts in place of variables while it shows this time."""
    times = {"__rate_interval": RATE_INTERVAL, "__range": f"{end_s - begin_s:.0f}s", "__from": f"{1000 * begin_s:.0f}"}
    return times | dict(values)


async def answers(server: Prometheus, query: Asked, values: Mapping[str, str], begin_s: float, end_s: float) -> Any:  # noqa: ANN401 - Prometheus's
    """Ask as Grafana does, and return the series that have a number."""
    expr = filled(query.expr, values)
    if query.kind == "instant":
        found = (await server.get("query", query=expr, time=f"{end_s}"))["result"]
        return [series for series in found if series["value"][1] != "NaN"]
    step = f"{SCRAPED_EVERY_S if query.kind == 'range' else 30.0}"
    data = await server.get("query_range", query=expr, start=f"{begin_s}", end=f"{end_s}", step=step)
    return [series for series in data["result"] if any(value != "NaN" for _, value in series["values"])]


async def test_every_query_of_a_panel_or_annotation_has_a_result(server: Prometheus, history: History) -> None:
    """No error for any choice, and no empty result for all choices but where that is listed with a reason."""
    empty, queries = set(), 0
    begin_s = history.start_s - BEFORE_S
    for dashboard in committed().values():
        options = [shown(values, begin_s, history.end_s) for values in chosen(dashboard)]
        for query in asked(dashboard):
            found = [await answers(server, query, values, begin_s, history.end_s) for values in options]
            queries += len(found)
            if not any(found):
                empty.add((query.dashboard, query.place))
    print(f"{queries} queries")  # noqa: T201 - shown with -s
    assert empty == EMPTY.keys()


async def test_every_variable_has_values(server: Prometheus, history: History) -> None:
    """Each query of a variable names at least one value, and those of tenants all that were there in the time shown."""
    for dashboard in committed().values():
        for values in chosen(dashboard):
            for choice in choices(dashboard):
                query = {"match[]": filled(choice.selector, values)} if choice.selector else {}
                times = {"start": f"{history.start_s}", "end": f"{history.end_s}"}
                found = await server.get(f"label/{choice.label}/values", **query, **times)
                assert found, choice
                if choice.variable == "tenant":
                    assert set(found) == set(EACH_TENANT), choice


async def test_numbers_stay_right_while_tenants_move_to_another_replica(
    server: Prometheus, history: History, tmp_path: Path
) -> None:
    """Where two replicas show the same tenants for a moment, no query about tenants fails or counts anything twice."""
    moved_s = history.pages[len(history.pages) // 2 - 1][0]
    compared = 0
    async with holding(history, tmp_path, TARGET, OTHER) as moving:
        assert len(await moving.get("query", query="up", time=f"{moved_s}")) == 2
        for uid, dashboard in committed().items():
            for values in chosen(dashboard):
                whole = shown(values, history.start_s, moved_s)
                for query in asked(dashboard):
                    found = await _sorted(moving, filled(query.expr, whole), moved_s)
                    looks_back = any(it.window_s for it in selectors(filled(query.expr, whole)))
                    if uid != "spexporter-exporter" and not looks_back:
                        assert found == await _sorted(server, filled(query.expr, whole), moved_s), query
                        compared += 1
    assert compared > 200


async def _sorted(server: Prometheus, expr: str, at_s: float) -> list[tuple[list[tuple[str, str]], float | str]]:
    """Return the result of an instant query, with NaN as a word, so that results can be compared."""
    found = (await server.get("query", query=expr, time=f"{at_s}"))["result"]
    samples = ((sorted(it["metric"].items()), float(it["value"][1])) for it in found)
    return sorted((labels, "NaN" if math.isnan(value) else value) for labels, value in samples)


async def test_history_has_every_family(history: History) -> None:
    """Nothing that a page can show is missing from the half hour, so that no query is empty for want of data."""
    shown = {line.partition("{")[0].partition(" ")[0] for _, page in history.pages for line in page.splitlines()}
    assert {name for name in FAMILIES if not shown & {name, f"{name}_bucket"}} == set()


# What the figures of the overview must say at the end of the story, and why.
FIGURES = {
    "Tenants down": 1,  # globex-prod: its credential is refused
    "Jobs stuck": 2,  # of acme-sandbox, and of initech-prod, which has run on while that was away
    "Jobs failed": 6,  # an export, a halted and a cancelled import, a backup, an upload and a deploy
    "Import errors": 22,  # 10, 4 and 4 of those that are planted, 4 of an everyday one
    "Overdue": 2,  # backups: an old one of globex-prod, none ever of globex-sandbox
    "Access refused": 0,  # initech-sandbox has left the configuration
    "Jobs unfinished": 6,
    "Not counted": 1,  # the lost result
    "Not in cloud": 1,  # a backup of initech-prod
    "Drafts waiting": 2,  # of acme-prod and globex-prod
    "Ending soon": 1,  # the credential of globex-prod
    "Throttled": 1,  # globex-sandbox
    "Tenants": 5,
}


async def test_figures_of_the_overview_tell_what_has_happened(server: Prometheus, history: History) -> None:
    """Each counts what the story says, and nothing else."""
    values = shown({"tenant": ".+"}, history.start_s - BEFORE_S, history.end_s)
    found = {}
    for query in asked(committed()["spexporter-overview"]):
        if (title := query.place.removesuffix(" A")) in FIGURES and query.kind == "instant":
            ((_, value),) = (it["value"] for it in await answers(server, query, values, history.start_s, history.end_s))
            found[title] = round(float(value))
    assert found == FIGURES


async def test_nothing_is_said_to_be_0_where_nothing_is_known(server: Prometheus, history: History) -> None:
    """Before the first scrape no query of any dashboard has a result, as after the end of an exporter."""
    begin_s, end_s = history.start_s - 4200.0, history.start_s - 3600.0
    for dashboard in committed().values():
        for values in chosen(dashboard):
            for query in asked(dashboard):
                assert await answers(server, query, shown(values, begin_s, end_s), begin_s, end_s) == [], query


async def test_query_without_a_result_would_be_found(server: Prometheus, history: History) -> None:
    """Neither an empty result nor NaN alone passes for an answer, in whatever way the query is asked."""
    for expr in ('spconfig_tenant_up{tenant="nobody"}', "NaN * spconfig_tenant_up"):
        for kind in ("instant", "range", "annotation"):
            query = Asked("synthetic", "synthetic", expr, kind)
            assert await answers(server, query, {}, history.start_s, history.end_s) == []


async def test_same_seed_makes_the_same_history() -> None:
    """But for what the process measures of itself, and where it happens to listen."""
    own = ("process_", "python_", "spexporter_config_hash", "#")
    first, again = [
        sorted(line for _, page in made.pages for line in page.splitlines() if not line.startswith(own))
        for made in [await lived(lasts_s=90.0) for _ in range(2)]
    ]
    assert first == again
    assert Story(1).acts != Story(2).acts
