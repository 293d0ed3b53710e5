"""Everything that pages show of one tenant, as bytes: one block for each family, kept while nothing in it changes."""

import operator
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from spexporter.clock import Pace
from spexporter.domain.job import JobKey, seconds_between
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView
from spexporter.exposition.cells import cell_lines
from spexporter.exposition.families import TENANT_FAMILIES, TenantFamily
from spexporter.exposition.joblines import (
    JOB_FAMILIES,
    JobFamily,
    Labels,
    Running,
    Values,
    charted,
    labels_of,
    running,
)
from spexporter.exposition.text import labelled, number

DURATION = "spconfig_job_duration_seconds"
_JOBS_AT_ONCE = 1000  # before others may run

# A tenant's families by what they show: single jobs, counters, its health, its jobs by state, and the rest.
_COUNTED = [family.name for family in TENANT_FAMILIES if family.type != "gauge"]
_PLAIN = [family for family in TENANT_FAMILIES if family.type == "gauge" and family.name not in JOB_FAMILIES]
_BY_STATE = [family for family in _PLAIN if family.name == "spconfig_jobs"]
_HEALTH = [family for family in _PLAIN if family.name.startswith("spconfig_tenant_")]
_REST = [family for family in _PLAIN if family not in _BY_STATE and family not in _HEALTH]

Blocks = Mapping[str, bytes]


class ShownJobs(NamedTuple):
    """The jobs that have series of their own: their labels, and the values of each family; and those that run."""

    keys: Sequence[JobKey]
    labels: Labels
    values: Mapping[str, Values]
    running: Sequence[Running]


_NO_JOBS = ShownJobs((), (), {}, ())


@dataclass(frozen=True, slots=True)
class TenantBlocks:
    """One tenant's blocks by family, all of one `view`; what is empty is absent.

    `openmetrics` are those that differ from `text`, and `created` the `_created` series that text keeps apart.
    `jobs` are what the blocks of single jobs were made of, and `lines` is how many each block has; `series` and
    `size_bytes` are all of them, `_created` ones not included.
    """

    view: TenantView
    stale: bool
    text: Blocks
    openmetrics: Blocks
    created: Blocks
    jobs: ShownJobs
    lines: Mapping[str, int]
    series: int
    size_bytes: int

    def durations(self, now: Moment) -> bytes:
        """Return the lines that change by themselves: how long unfinished jobs have run by now."""
        if not self.jobs.running:
            return b""
        now_s = self.view.health.tenant_now_s(now)
        lines = [
            f"{DURATION}{{{labels}}} {number(seconds_between(began_s, now_s))}\n"
            for labels, began_s in self.jobs.running
        ]
        return "".join(lines).encode()


async def render(
    view: TenantView, now: Moment, before: TenantBlocks | None, pace: Pace, *, created: bool
) -> TenantBlocks:
    """Return the blocks of `view`; those of `before` that would be the same are taken over as they are."""
    stale = view.stale(now)
    if before is not None and before.view is view and before.stale == stale:
        return before
    rendering = _Rendering(view, now, before, pace)
    jobs = await rendering.jobs(stale=stale)
    await rendering.counters(created=created)
    await rendering.rest(stale=stale)
    return TenantBlocks(
        view=view,
        stale=stale,
        text=rendering.text,
        openmetrics=rendering.openmetrics,
        created=rendering.created,
        jobs=jobs,
        lines=rendering.lines,
        series=sum(rendering.lines.values()) + len(jobs.running),
        size_bytes=sum(map(len, rendering.text.values())),
    )


class _Rendering:
    """The blocks of one view while they are being made."""

    def __init__(self, view: TenantView, now: Moment, before: TenantBlocks | None, pace: Pace) -> None:
        self.text: dict[str, bytes] = {}
        self.openmetrics: dict[str, bytes] = {}
        self.created: dict[str, bytes] = {}
        self.lines: dict[str, int] = {}
        self._view = view
        self._now = now
        self._before = before
        self._pace = pace

    async def jobs(self, *, stale: bool) -> ShownJobs:
        """Render the families of single jobs, but for durations that grow."""
        before = self._before.jobs if self._before else _NO_JOBS
        jobs = charted(self._view, stale=stale)
        same = len(jobs) == len(before.keys) and all(map(operator.is_, [job.key for job in jobs], before.keys))
        labels = before.labels if same else labels_of(self._view.tenant, jobs)
        pairs = [(job, job.latest) for job in jobs]
        values: dict[str, Values] = {}
        for name, family in JOB_FAMILIES.items():
            values[name] = family.values(pairs)
            if same and values[name] == before.values.get(name):
                self._take_over([name])
            else:
                parts = [part async for part in self._lines(family, labels, values[name])]
                self._put(name, b"".join(parts))
            await self._pace.did(len(jobs) // 10)
        keys = before.keys if same else [job.key for job in jobs]
        return ShownJobs(keys, labels, values, running(labels, jobs))

    async def _lines(self, family: JobFamily, labels: Labels, values: Values) -> AsyncIterator[bytes]:
        for start in range(0, len(labels), _JOBS_AT_ONCE):
            some = slice(start, start + _JOBS_AT_ONCE)
            yield family.lines(labels[some], values[some]).encode()
            await self._pace.did(len(labels[some]) // 2)

    def _take_over(self, names: Iterable[str]) -> None:
        """Keep the blocks of these families."""
        if self._before is None:
            return
        before = self._before
        for name in names:
            if name in before.text:
                self.text[name] = before.text[name]
                self.lines[name] = before.lines[name]
            if name in before.openmetrics:
                self.openmetrics[name] = before.openmetrics[name]
            if name in before.created:
                self.created[name] = before.created[name]

    async def counters(self, *, created: bool) -> None:
        """Render counters and histograms."""
        view = self._view
        if self._before and self._before.view.state.totals == view.state.totals:
            self._take_over(_COUNTED)
            return
        for name, lines in cell_lines(view.tenant, view.state.totals, created=created).items():
            text, openmetrics = "".join(lines.text), "".join(lines.openmetrics)
            self._put(name, text.encode())
            if openmetrics != text:
                self.openmetrics[name] = openmetrics.encode()
            if lines.created:
                self.created[name] = "".join(lines.created).encode()
        await self._pace.did(len(view.state.totals))

    async def rest(self, *, stale: bool) -> None:
        """Render all other families, as far as what they show may have changed."""
        old = self._before.view if self._before else None
        same = old is not None and self._before is not None and self._before.stale == stale
        self._plain(_HEALTH, same=old is not None and _health(old) == _health(self._view))
        self._plain(_BY_STATE, same=same and old is not None and _by_state(old) == _by_state(self._view))
        self._plain(_REST, same=same and old is not None and _rest(old) == _rest(self._view))
        await self._pace.did(len(_PLAIN))

    def _plain(self, families: Sequence[TenantFamily], *, same: bool) -> None:
        if same:
            self._take_over([family.name for family in families])
            return
        for family in families:
            if family.shown(self._view):
                self._put(family.name, plain_lines(family, self._view, self._now).encode())

    def _put(self, name: str, block: bytes) -> None:
        if not block:
            return
        known = self._before.text.get(name) if self._before else None
        # The same bytes are the same object, so that what was compressed of them can be used again.
        self.text[name] = known if known == block else block
        self.lines[name] = block.count(b"\n")


# What the families of `_HEALTH`, `_BY_STATE` and `_REST` are made of.
def _health(view: TenantView) -> tuple[object, ...]:
    return view.health, view.credential_expires_s


def _by_state(view: TenantView) -> tuple[object, ...]:
    jobs = view.state.jobs.values()
    states = [None if job.latest is None else job.latest.state for job in jobs]
    ended = [job.end_seen_s is None for job in jobs]
    return states, ended, [job.left for job in jobs], [job.key.operation for job in jobs]


def _rest(view: TenantView) -> tuple[object, ...]:
    state = view.state
    return state.successes, state.success_objects, state.usual, state.drafts, view.expect


def plain_lines(family: TenantFamily, view: TenantView, now: Moment) -> str:
    """Return a family's lines of one tenant as its function in `samples` tells them."""
    head = f'{family.name}{{tenant="{view.tenant}"'
    lines = []
    for row in family.rows(view, now):
        more = f",{labelled(row.labels)}" if row.labels else ""
        lines.append(f"{head}{more}}} {number(row.value)}\n")
    return "".join(lines)
