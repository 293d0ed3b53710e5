"""Everything that pages show of one tenant, as bytes: one block for each family, kept while nothing in it changes."""

import operator
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from spexporter.clock import Pace
from spexporter.domain.job import seconds_between
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView
from spexporter.exposition import joblines
from spexporter.exposition.cells import cell_lines
from spexporter.exposition.families import TENANT_FAMILIES, TenantFamily
from spexporter.exposition.joblines import LINES, Lines, Running, ShownJob
from spexporter.exposition.text import labelled, number

DURATION = "spconfig_job_duration_seconds"
_JOBS_AT_ONCE = 1000  # before others may run

# A tenant's families by what they show: single jobs, counters, and all the rest, which is little.
_COUNTED = [family.name for family in TENANT_FAMILIES if family.type != "gauge"]
_PLAIN = [family for family in TENANT_FAMILIES if family.type == "gauge" and family.name not in LINES]

Blocks = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class TenantBlocks:
    """One tenant's blocks by family, all of one `view`; what is empty is absent.

    `openmetrics` are those that differ from `text`, and `created` the `_created` series that text keeps apart.
    `running` are the jobs whose durations grow. `series` is how many there are in all, `_created` not included.
    """

    view: TenantView
    stale: bool
    text: Blocks
    openmetrics: Blocks
    created: Blocks
    running: tuple[Running, ...]
    series: int

    def durations(self, now: Moment) -> bytes:
        """Return the lines that change by themselves: how long unfinished jobs have run by now."""
        if not self.running:
            return b""
        now_s = self.view.health.tenant_now_s(now)
        lines = [
            f"{DURATION}{{{labels}}} {number(seconds_between(began_s, now_s))}\n" for labels, began_s in self.running
        ]
        return "".join(lines).encode()


async def render(
    view: TenantView, now: Moment, before: TenantBlocks | None, pace: Pace, *, created: bool
) -> TenantBlocks:
    """Return the blocks of `view`; those of `before` that would be the same are taken over as they are."""
    stale = view.stale(now)
    if before is not None and before.view is view and before.stale == stale:
        return before
    rendering = _Rendering(before, pace)
    if before is not None and before.stale == stale and _same_jobs(before.view, view):
        rendering.take_over(LINES)
        running = before.running
    else:
        jobs = joblines.shown(view, stale=stale)
        running = joblines.running(jobs)
        await rendering.jobs(jobs)
    if before is not None and before.view.state.totals == view.state.totals:
        rendering.take_over(_COUNTED)
    else:
        await rendering.counters(view, created=created)
    await rendering.rest(view, now)
    series = sum(block.count(b"\n") for block in rendering.text.values()) + len(running)
    return TenantBlocks(view, stale, rendering.text, rendering.openmetrics, rendering.created, running, series)


def _same_jobs(one: TenantView, other: TenantView) -> bool:
    """Whether two views show the same of single jobs; a job that has changed is another object."""
    if one.per_job is not other.per_job or one.left_out != other.left_out:
        return False
    ours, theirs = one.state.jobs, other.state.jobs
    return ours is theirs or (len(ours) == len(theirs) and all(map(operator.is_, ours.values(), theirs.values())))


class _Rendering:
    """The blocks of one view while they are being made."""

    def __init__(self, before: TenantBlocks | None, pace: Pace) -> None:
        self.text: dict[str, bytes] = {}
        self.openmetrics: dict[str, bytes] = {}
        self.created: dict[str, bytes] = {}
        self._before = before
        self._pace = pace

    def take_over(self, names: Iterable[str]) -> None:
        """Keep the blocks of these families."""
        if self._before is None:
            return
        mine = self.text, self.openmetrics, self.created
        theirs = self._before.text, self._before.openmetrics, self._before.created
        for kept, blocks in zip(mine, theirs, strict=True):
            kept |= {name: blocks[name] for name in names if name in blocks}

    async def jobs(self, jobs: Sequence[ShownJob]) -> None:
        """Render the families of single jobs, but for durations that grow."""
        for name, lines in LINES.items():
            self._put(name, b"".join([part async for part in self._parts(lines, jobs)]))

    async def _parts(self, lines: Lines, jobs: Sequence[ShownJob]) -> AsyncIterator[bytes]:
        for start in range(0, len(jobs), _JOBS_AT_ONCE):
            some = jobs[start : start + _JOBS_AT_ONCE]
            yield lines(some).encode()
            await self._pace.did(len(some) // 2)

    async def counters(self, view: TenantView, *, created: bool) -> None:
        """Render counters and histograms."""
        for name, lines in cell_lines(view.tenant, view.state.totals, created=created).items():
            text, openmetrics = "".join(lines.text), "".join(lines.openmetrics)
            self._put(name, text.encode())
            if openmetrics != text:
                self.openmetrics[name] = openmetrics.encode()
            if lines.created:
                self.created[name] = "".join(lines.created).encode()
        await self._pace.did(len(view.state.totals))

    async def rest(self, view: TenantView, now: Moment) -> None:
        """Render all other families."""
        for family in _PLAIN:
            if family.shown(view):
                self._put(family.name, plain_lines(family, view, now).encode())
        await self._pace.did(len(_PLAIN))

    def _put(self, name: str, block: bytes) -> None:
        if not block:
            return
        known = self._before.text.get(name) if self._before else None
        # The same bytes are the same object, so that what was compressed of them can be used again.
        self.text[name] = known if known == block else block


def plain_lines(family: TenantFamily, view: TenantView, now: Moment) -> str:
    """Return a family's lines of one tenant as its function in `samples` tells them."""
    head = f'{family.name}{{tenant="{view.tenant}"'
    lines = []
    for row in family.rows(view, now):
        more = f",{labelled(row.labels)}" if row.labels else ""
        lines.append(f"{head}{more}}} {number(row.value)}\n")
    return "".join(lines)
