"""The jobs that a page for people shows: chosen, sorted and paged as its address says, so that it can be shared."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple
from urllib.parse import urlencode

from multidict import MultiMapping

from spexporter.clock import Pace
from spexporter.domain.job import ENDED_STATES, Job, JobState, Operation
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView
from spexporter.web.answers import UNOBSERVED, state_of

ROWS = 100
"""How many jobs one page has."""
URGENT_FIRST = "urgent"
_LONGEST_TEXT, _MOST_VALUES = 200, 100
_UNITS_PER_JOB = 4
_BAD_STATES = (JobState.FAILED, JobState.NOT_FOUND, JobState.UNKNOWN)


class Row(NamedTuple):
    """A job and the tenant's view that it is in."""

    job: Job
    view: TenantView


@dataclass(frozen=True, slots=True)
class Query:
    """What the address of a page asks for; an empty filter lets everything pass. Pages count from 1."""

    tenant: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    operation: tuple[str, ...] = ()
    text: str = ""
    sort: str = URGENT_FIRST
    page: int = 1

    @classmethod
    def read(cls, given: MultiMapping[str]) -> "Query":
        """Read the query of an address; what cannot be read is passed over, so that any old link shows something."""
        sort, page = given.get("sort", ""), given.get("page", "")
        return cls(
            tenant=_values(given, "tenant"),
            state=_values(given, "state"),
            operation=_values(given, "operation"),
            text=given.get("text", "").strip()[:_LONGEST_TEXT],
            sort=sort if sort in SORTS else URGENT_FIRST,
            page=max(1, int(page)) if page.isascii() and page.isdigit() and len(page) < _LONGEST_NUMBER else 1,
        )

    def link(self, **changes: object) -> str:
        """Return the query of an address that asks for the same but for `changes`; the first page, unless they say."""
        changed = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]  # templates name fields alone
        differs = {it.name: getattr(changed, it.name) for it in fields(self) if getattr(changed, it.name) != it.default}
        return f"?{urlencode(differs, doseq=True)}"

    def sorted_by(self, column: str) -> str:
        """Return the sort to link to from the head of a column: the largest first, then the smallest."""
        return column if self.sort == f"-{column}" else f"-{column}"

    def aria_sort(self, column: str) -> str:
        """Return how a column is sorted, in the words of ARIA."""
        return {column: "ascending", f"-{column}": "descending"}.get(self.sort, "none")

    def fits(self, job: Job, state: str) -> bool:
        """Tell whether a job passes all filters but that of tenants; each word must be somewhere in its texts."""
        key = job.key
        if (self.state and state not in self.state) or (self.operation and key.operation not in self.operation):
            return False
        if not self.text:
            return True
        latest = job.latest
        texts = (key.job_id, job.watched.name, *((latest.description, latest.message) if latest else ()))
        said = "\n".join(texts).casefold()
        return all(word in said for word in self.text.casefold().split())


@dataclass(frozen=True, slots=True)
class Selection:
    """One page of the jobs that fit, and how many fit in all; `page` of `pages`, from 1."""

    rows: Sequence[Row]
    total: int
    page: int
    pages: int

    @property
    def first(self) -> int:
        """The number of the first row, from 1."""
        return (self.page - 1) * ROWS + 1

    @property
    def last(self) -> int:
        """The number of the last row."""
        return self.first + len(self.rows) - 1


async def select(
    views: Iterable[TenantView], query: Query, now: Moment, next_look_s: Callable[[Job], float | None]
) -> Selection:
    """Choose one page of jobs; a page beyond the last one is the last one. Others run meanwhile: there may be many."""
    pace, column = Pace(), query.sort.removeprefix("-")
    known: list[tuple[float | str, Row]] = []
    unknown: list[Row] = []
    for view in views:
        if query.tenant and view.tenant not in query.tenant:
            continue
        for job in view.state.jobs.values():
            await pace.did(_UNITS_PER_JOB)
            if job.left or not query.fits(job, state_of(job, view, now)):
                continue
            row = Row(job, view)
            value = next_look_s(job) if column == "next" else _VALUES[column](row, now)
            if value is None:
                unknown.append(row)
            else:
                known.append((value, row))
    known.sort(key=_first, reverse=query.sort.startswith("-"))
    rows = [*(row for _, row in known), *unknown]
    pages = max(1, math.ceil(len(rows) / ROWS))
    page = min(query.page, pages)
    return Selection(rows[(page - 1) * ROWS : page * ROWS], len(rows), page, pages)


def needs_attention(job: Job, view: TenantView, now: Moment) -> bool:
    """Tell whether a person should look at a job: it failed, had errors, is stuck, is gone, or cannot be read."""
    if job.state in _BAD_STATES or (job.result and job.result.errors):
        return True
    if view.health.troubles and f"{job.key.operation} {job.key.job_id}" in view.health.troubles:
        return True
    limit_s = job.watched.max_age_s
    return job.running and limit_s is not None and (view.elapsed_s(job, now) or 0.0) > limit_s


def newest_s(job: Job) -> float:
    """Return when a job ended, by its tenant's clock, or else began (Unix seconds): lists show the newest first."""
    return job.ended_s or (job.latest.created_s if job.latest else None) or job.given_s or 0.0


def _urgency(row: Row, now: Moment) -> float:
    """What needs attention comes first, then what has not ended, then the rest; each with the newest first."""
    job, view = row
    rank = 0 if needs_attention(job, view, now) else 1 if job.state not in ENDED_STATES else 2
    return rank * _AGES_S - newest_s(job)


def _values(given: MultiMapping[str], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, given.getall(name, []))))[:_MOST_VALUES]


def _first(pair: tuple[float | str, Row]) -> float | str:
    return pair[0]


def _duration(row: Row, now: Moment) -> float | None:
    is_known = state_of(row.job, row.view, now) != UNOBSERVED
    return row.view.elapsed_s(row.job, now) if is_known else None


_AGES_S = 1e12  # longer than any time
_LONGEST_NUMBER = 7
_VALUES: Mapping[str, Callable[[Row, Moment], float | str | None]] = {
    URGENT_FIRST: _urgency,
    "state": lambda row, now: state_of(row.job, row.view, now),
    "name": lambda row, _: (row.job.watched.name or row.job.key.job_id).casefold(),
    "tenant": lambda row, _: row.view.tenant,
    "operation": lambda row, _: row.job.key.operation.value,
    "created": lambda row, _: row.job.latest.created_s if row.job.latest else None,
    "duration": _duration,
    "seen": lambda row, _: row.job.latest.observed_s if row.job.latest else None,
    "errors": lambda row, _: row.job.result.errors if row.job.result else None,
    "warnings": lambda row, _: row.job.result.warnings if row.job.result else None,
}
_ORDERS = (
    ("state", "state, A to Z", "state, Z to A"),
    ("name", "name, A to Z", "name, Z to A"),
    ("tenant", "tenant, A to Z", "tenant, Z to A"),
    ("operation", "operation, A to Z", "operation, Z to A"),
    ("created", "oldest", "newest"),
    ("duration", "shortest", "longest"),
    ("seen", "seen longest ago", "seen last"),
    ("next", "next look soonest", "next look latest"),
    ("errors", "fewest errors", "most errors"),
    ("warnings", "fewest warnings", "most warnings"),
)
SORTS: Mapping[str, str] = {URGENT_FIRST: "what needs attention"} | {
    name: words for column, up, down in _ORDERS for name, words in ((column, up), (f"-{column}", down))
}
"""How jobs can be sorted, in words; a minus before a column turns the order around."""
OPERATIONS: Sequence[str] = tuple(Operation)
