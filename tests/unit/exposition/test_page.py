"""The page engine says exactly what the plain collector says, whatever happens before and between."""

import asyncio
import gzip
from collections.abc import Callable, Mapping, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from spexporter.domain.meter import Meter
from spexporter.domain.tenanttime import Moment
from spexporter.domain.values import replace
from spexporter.domain.view import TenantView
from spexporter.exposition.collector import CollectorPage
from spexporter.exposition.families import TENANT_FAMILIES
from spexporter.exposition.guard import Guard
from spexporter.exposition.negotiate import Form
from spexporter.exposition.ownfamilies import METERED_FAMILIES, OWN_FAMILIES
from spexporter.exposition.page import BlockPage, Wanted
from tests.support.boards import METERED_COUNTERS, METERED_GAUGES, NOW, TENANTS, changed, meters, views

NAMES = st.sampled_from(
    [family.name.removesuffix("_total") for family in (*TENANT_FAMILIES, *OWN_FAMILIES)]
    + [family.name for family in (*TENANT_FAMILIES, *OWN_FAMILIES)]
    + ["spconfig_job_run_seconds_count", "spconfig_job_run_seconds_bucket", "spconfig_import_errors_created"]
    + ["spexporter_planted_total", "spexporter_planted", "nothing_of_that_name"]
)
PARTS = {"spconfig_job_run_seconds_count", "spconfig_job_run_seconds_bucket"}  # no parser takes one without the other
WANTED = st.builds(
    Wanted,
    form=st.sampled_from(Form),
    gzip=st.booleans(),
    tenant=st.none(),
    keep=st.none() | st.frozensets(NAMES, min_size=1, max_size=4),
).filter(lambda wanted: wanted.form is Form.TEXT or not wanted.keep or not wanted.keep & PARTS)


WHOLE = Wanted()


class Ignored:
    """Satisfies `SeriesWatch` and remembers what it heard last."""

    def __init__(self) -> None:
        self.heard: tuple[int, int, int] = (0, 0, 0)

    def series(self, shown: int, limit: int, *, dropped: int) -> None:
        self.heard = shown, limit, dropped


def own_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("spexporter_planted", "Synthetic.", ["which"], registry=registry).labels("one").inc(7)
    return registry


def parsed(page: bytes, form: Form) -> Mapping[str, tuple[object, ...]]:
    """Return a page's families by name: type, help and samples, in no order."""
    families: Sequence[Metric] = list((parse_openmetrics if form is Form.OPENMETRICS else parse_text)(page.decode()))
    found = {
        family.name: (
            family.type,
            family.documentation,
            sorted(
                (it.name, sorted(it.labels.items()), repr(float(it.value)), repr(it.exemplar)) for it in family.samples
            ),
        )
        for family in families
    }
    assert len(found) == len(families)
    return found


def differences(page: bytes, expected: bytes, form: Form, *, whole: bool) -> Mapping[str, object]:
    """Return the families that differ, as they are and as they should be; empty ones matter only on whole pages."""
    one, other = ({name: it for name, it in parsed(text, form).items() if it[2] or whole} for text in (page, expected))
    return {name: (one.get(name), other.get(name)) for name in {*one, *other} if one.get(name) != other.get(name)}


class Bench:
    """An engine and the plain collector beside it, with the same metrics of our own."""

    def __init__(self, metered: Mapping[str, Meter], *, created: bool = False, limit: int = 10**6) -> None:
        self.own = own_registry()
        self.metered = metered
        self.created = created
        self.watch = Ignored()
        self.guard = Guard(limit)
        self.engine = self.fresh()
        self.plain = CollectorPage(self.own, metered, created=created)

    def fresh(self) -> BlockPage:
        return BlockPage(self.own, self.metered, guard=self.guard, watch=self.watch, created=self.created)

    def page(
        self, shown: Sequence[TenantView], now: Moment = NOW, wanted: Wanted = WHOLE, engine: BlockPage | None = None
    ) -> bytes:
        rendered = asyncio.run((engine or self.engine).render(lambda: shown, now, wanted))
        body = b"".join(rendered.parts)
        return gzip.decompress(body) if wanted.gzip else body

    def compare(self, shown: Sequence[TenantView], now: Moment, wanted: Wanted) -> None:
        page = self.page(shown, now, wanted)
        expected = self.plain.page(shown, wanted.form, now, wanted.keep)
        assert differences(page, expected, wanted.form, whole=wanted.keep is None) == {}
        if wanted.keep is None:
            assert page == self.page(shown, now, wanted, self.fresh())


@settings(deadline=None)
@given(data=st.data(), created=st.booleans())
def test_the_page_is_the_collectors_after_any_changes(data: st.DataObject, created: bool) -> None:  # noqa: FBT001
    """In both forms, compressed or not, limited by name or whole; and as if it were rendered from nothing."""
    metered: dict[str, Meter] = {name: data.draw(meters()) for name in TENANTS[:2]}
    board = {name: data.draw(views(name)) for name in TENANTS[:2]}
    bench, now = Bench(metered, created=created), NOW
    for _ in range(data.draw(st.integers(1, 4))):
        bench.compare(sorted(board.values(), key=lambda view: view.tenant), now, data.draw(WANTED))
        name = data.draw(st.sampled_from(TENANTS))
        if name not in board:
            board[name] = data.draw(views(name))
        elif data.draw(st.booleans()):
            board[name] = data.draw(changed(board[name]))
        else:
            del board[name]
        if name in metered:
            metered[name].add("spexporter_api_errors_total", ("timeout",))
        passed_s = data.draw(st.sampled_from((0.0, 1.5, 3600.0)))
        now = Moment(now.wall_s + passed_s, now.monotonic_s + passed_s)
    bench.compare(sorted(board.values(), key=lambda view: view.tenant), now, data.draw(WANTED))


def test_strategies_know_all_meters() -> None:
    """What tests count for tenants is what the table says."""
    counters = {family.name: len(family.labels) - 1 for family in METERED_FAMILIES if family.type == "counter"}
    assert counters == METERED_COUNTERS
    assert {family.name for family in METERED_FAMILIES if family.type == "gauge"} == set(METERED_GAUGES)


@settings(max_examples=30, deadline=None)
@given(view=views("acme"), form=st.sampled_from(Form))
def test_what_has_not_changed_is_not_made_again(view: TenantView, form: Form) -> None:
    """A second page has the very blocks of the first, but for what changes by itself and what is our own."""
    bench = Bench({})
    first, second = (asyncio.run(bench.engine.render(lambda: [view], NOW, Wanted(form))).parts for _ in range(2))
    fresh = [part for part in first if part and not any(part is other for other in second)]
    assert all(b"# TYPE" in part or part.startswith(b"spconfig_job_duration_seconds{") for part in fresh)


@settings(max_examples=50, deadline=None)
@given(view=views("acme"))
def test_a_page_is_not_changed_by_what_happens_while_it_is_sent(view: TenantView) -> None:
    """Its pieces are those of the moment at which it was asked for."""
    bench = Bench({})
    rendered = asyncio.run(bench.engine.render(lambda: [view], NOW, Wanted()))
    before = b"".join(rendered.parts)
    bench.page([replace(view, version=view.version + 1, per_job=not view.per_job)])
    assert b"".join(rendered.parts) == before


Render = Callable[[], Sequence[TenantView]]


@settings(max_examples=20, deadline=None)
@given(one=views("acme"), other=views("acme", version=2), forms=st.tuples(WANTED, WANTED))
def test_pages_at_once_are_each_right(one: TenantView, other: TenantView, forms: tuple[Wanted, Wanted]) -> None:
    """Two scrapers between whom a tenant changes: each gets the page of its own moment."""
    bench = Bench({})
    boards = iter(([one], [other]))
    shown: list[Sequence[TenantView]] = []

    def take() -> Sequence[TenantView]:
        shown.append(next(boards))
        return shown[-1]

    async def both() -> list[bytes]:
        pages = await asyncio.gather(*(bench.engine.render(take, NOW, wanted) for wanted in forms))
        return [b"".join(page.parts) for page in pages]

    for page, views_shown, wanted in zip(asyncio.run(both()), shown, forms, strict=True):
        text = gzip.decompress(page) if wanted.gzip else page
        expected = bench.plain.page(views_shown, wanted.form, NOW, wanted.keep)
        assert differences(text, expected, wanted.form, whole=wanted.keep is None) == {}
