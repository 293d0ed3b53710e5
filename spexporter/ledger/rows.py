"""Domain values to rows of the store, and back. A body is JSON, so that a later version can add to it."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from spexporter.domain.budget import BudgetState
from spexporter.domain.counting import Cell, Exemplar, SeriesKey
from spexporter.domain.job import Job, JobKey, Operation
from spexporter.ledger.book import Facts, Remembered

Row = dict[str, Any]
_labels = msgspec.json.Decoder(tuple[str, ...])
_exemplar = msgspec.json.Decoder(Exemplar)
_job = msgspec.json.Decoder(Job)
_facts = msgspec.json.Decoder(Facts)
_windows = msgspec.json.Decoder(dict[str, BudgetState])


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def job_row(key: JobKey, remembered: Remembered, now_s: float) -> Row:
    """Return the row of one job; a watched one is wanted now."""
    return {
        "tenant": key.tenant,
        "operation": key.operation.value,
        "job_id": key.job_id,
        "watched": remembered.watched,
        "wanted_s": now_s if remembered.watched else remembered.wanted_s,
        "leaves_s": remembered.leaves_s,
        "body": _json(remembered.job) if remembered.job else None,
    }


def read_jobs(rows: Iterable[Any]) -> dict[JobKey, Remembered]:
    """Return the jobs of rows of the table `jobs`."""
    found: dict[JobKey, Remembered] = {}
    for row in rows:
        key = JobKey(row.tenant, Operation(row.operation), row.job_id)
        job = _job.decode(row.body).under(key) if row.body else None
        found[key] = Remembered(job, row.watched, row.wanted_s)
    return found


def cell_row(tenant: str, key: SeriesKey, cell: Cell) -> Row:
    """Return the row of one counter."""
    return {
        "tenant": tenant,
        "name": key.name,
        "labels": _json(key.labels),
        "value": cell.value,
        "published": cell.published,
        "late": cell.late,
        "exemplar": _json(cell.exemplar) if cell.exemplar else None,
    }


def read_cells(rows: Iterable[Any]) -> dict[SeriesKey, Cell]:
    """Return the counters of rows of the table `counters`, by series."""
    return {SeriesKey(row.name, _labels.decode(row.labels)): _cell(row) for row in rows}


def _cell(row: Any) -> Cell:  # noqa: ANN401 - SQLAlchemy's row
    exemplar = _exemplar.decode(row.exemplar) if row.exemplar else None
    return Cell(row.value, row.published, row.late, exemplar)


def facts_row(tenant: str, facts: Facts, now_s: float) -> Row:
    """Return the row of one tenant."""
    return {"tenant": tenant, "seen_s": now_s, "facts": _json(facts)}


def read_facts(row: Any) -> Facts:  # noqa: ANN401 - SQLAlchemy's row
    """Return what a row of the table `tenants` says."""
    return _facts.decode(row.facts)


def write_windows(windows: Mapping[str, BudgetState]) -> str:
    """Return the text for `windows.state`."""
    return _json(windows)


def read_windows(text: str) -> Mapping[str, BudgetState]:
    """Return what `windows.state` says."""
    return _windows.decode(text)
