"""The page of metrics, of which each scrape renders only what has changed since the last one.

What a tenant shows of a family is one block of bytes, kept as long as it stays the same, and so is what gzip makes of
it. A page is a list of references to blocks: it costs no copy, and nothing that happens while it is being sent can
change it. Durations of running jobs and gauges of our own are the only lines of tenants that each scrape makes anew.
`collector` makes the same page in the plain way.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from prometheus_client import CollectorRegistry

from spexporter.clock import Pace
from spexporter.domain.meter import Meter
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView
from spexporter.exposition.blocks import TenantBlocks, render
from spexporter.exposition.collector import page_of
from spexporter.exposition.guard import Guard
from spexporter.exposition.meterblocks import MeterBlocks
from spexporter.exposition.negotiate import Form
from spexporter.exposition.pack import Blocks, Packer
from spexporter.exposition.sections import Section, kept, meter_sections, tenant_sections
from spexporter.exposition.text import END

_SMALL_PAGE = 1024 * 1024  # its families have too little each to be compressed alone, and all of it takes a ms


class Wanted(NamedTuple):
    """How a page is asked for; `keep` limits it to families or samples so named.

    That of one `tenant` has what belongs to it and nothing else.
    """

    form: Form = Form.TEXT
    gzip: bool = False
    keep: frozenset[str] | None = None
    tenant: str | None = None


class Rendered(NamedTuple):
    """A page in pieces, to be sent in order, and the views that it shows."""

    parts: Sequence[bytes]
    views: Sequence[TenantView]


class SeriesWatch(Protocol):
    """Hears how many series pages have."""

    def series(self, shown: int, limit: int, *, dropped: int) -> None:
        """Take note of one page's series about tenants, and how many it left out that the one before had."""
        ...


class Page(Protocol):
    """Renders views as one page of metrics."""

    async def render(self, take: Callable[[], Sequence[TenantView]], now: Moment, wanted: Wanted) -> Rendered:
        """Return the page of what `take` returns, which is called when no other page takes its views."""
        ...


class BlockPage:
    """Satisfies `Page`; our own metrics come from `own` and, by tenant, `meters`.

    `guard` bounds how many series about tenants a page has, and `watch` hears of it. With `created`, the `_created`
    series, which count no series of their own, tell when each counter began at 0, where that is known.
    """

    def __init__(
        self,
        own: CollectorRegistry,
        meters: Mapping[str, Meter],
        *,
        guard: Guard,
        watch: SeriesWatch,
        created: bool = False,
    ) -> None:
        self._own = own
        self._guard = guard
        self._watch = watch
        self._meters = MeterBlocks(meters, created=created)
        self._created = created
        self._tenants: dict[str, TenantBlocks] = {}
        self._rendering = asyncio.Lock()
        self._packer = Packer()

    async def render(self, take: Callable[[], Sequence[TenantView]], now: Moment, wanted: Wanted) -> Rendered:
        """See `Page.render`.

        One page after another: an older one must not undo what a newer one has rendered, and many at once, each with
        its turn, would make everybody else wait for as many turns.
        """
        async with self._rendering:
            return await self._render(take(), now, wanted, Pace())

    async def _render(self, views: Sequence[TenantView], now: Moment, wanted: Wanted, pace: Pace) -> Rendered:
        if wanted.tenant is None:
            tenants = await self._within_limit(views, now, pace)
        else:
            tenants = await self._fresh(map(self._guard.limited, views), now, pace)
        sections = self._sections(tenants, now, wanted)
        rest = END if wanted.form is Form.OPENMETRICS else b""
        if wanted.tenant is None:
            rest = page_of(self._own.collect(), wanted.form, wanted.keep, created=self._created)
        if not wanted.gzip:
            return Rendered([*await _plain(sections, pace), rest], views)
        named = _named(sections, rest, wanted.form)
        if wanted.tenant is not None:  # what is remembered is that of whole pages
            named = (("", blocks) for _, blocks in named)
        small = sum([blocks.size_bytes for blocks in tenants]) <= _SMALL_PAGE
        return Rendered(await self._packer.pack(named, pace, small=small), views)

    async def _within_limit(self, views: Sequence[TenantView], now: Moment, pace: Pace) -> Sequence[TenantBlocks]:
        shown = [*map(self._guard.limited, views)]
        tenants = await self._fresh(shown, now, pace)
        dropped = await self._guard.adapt(shown, self._series(tenants), pace)
        if dropped is not None:
            tenants = await self._fresh(map(self._guard.limited, views), now, pace)
        self._tenants = {blocks.view.tenant: blocks for blocks in tenants}
        self._watch.series(self._series(tenants), self._guard.limit, dropped=max(0, dropped or 0))
        return tenants

    async def _fresh(self, views: Iterable[TenantView], now: Moment, pace: Pace) -> Sequence[TenantBlocks]:
        tenants = []
        for view in views:
            await pace.did(2)
            blocks = await render(view, now, self._tenants.get(view.tenant), pace, created=self._created)
            self._tenants[view.tenant] = blocks
            tenants.append(blocks)
        return tenants

    def _series(self, tenants: Iterable[TenantBlocks]) -> int:
        return sum([blocks.series for blocks in tenants]) + self._meters.series

    def _sections(self, tenants: Sequence[TenantBlocks], now: Moment, wanted: Wanted) -> Iterator[Section]:
        meters = meter_sections(self._meters, wanted.form, wanted.tenant)
        for sections in (tenant_sections(tenants, wanted.form, now), meters):
            for section in sections:
                if wanted.keep is None:
                    yield section
                elif some := kept(section, wanted.keep):
                    yield some


async def _plain(sections: Iterator[Section], pace: Pace) -> list[bytes]:
    parts = []
    for section in sections:
        parts += [section.header, *(block for _, block in section.blocks), section.fresh]
        await pace.did(len(section.blocks))
    return parts


def _named(sections: Iterator[Section], own: bytes, form: Form) -> Iterator[tuple[str, Blocks]]:
    """Yield the page's blocks by the names under which what is made of them is remembered; no name for what is new."""
    for section in sections:
        yield f"{section.key} header {form.name}", [("", section.header)]
        yield section.key, section.blocks
        if section.fresh:
            yield "", [("", section.fresh)]
    yield "", [("", own)]
