"""The lines of a tenant's counters and histograms, which are most of what it has beside its jobs.

`samples` says the same in the plain way; tests hold one against the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from spexporter.domain.counting import RUN_SECONDS, Cell, SeriesKey
from spexporter.exposition.families import TENANT_FAMILIES
from spexporter.exposition.text import exemplar_text, labelled, number

_KNOWN_SERIES = 65536  # of all tenants together: they have the same object types, as a rule

_BASES = {family.name: family.name for family in TENANT_FAMILIES if family.type == "counter"}
_BASES |= {f"{RUN_SECONDS}{suffix}": RUN_SECONDS for suffix in ("_bucket", "_sum")}
_LABELS = {family.name: family.labels[1:] for family in TENANT_FAMILIES}


@dataclass(slots=True)
class CellLines:
    """One family's lines of one tenant: as text, as OpenMetrics, and the `_created` series that text keeps apart."""

    text: list[str] = field(default_factory=list)
    openmetrics: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)


class _Place(NamedTuple):
    """Where a series stands: its family, its rank among the family's samples, and its labels after `tenant`."""

    family: str
    rank: tuple[str, float]
    labels: str


@lru_cache(_KNOWN_SERIES)
def _place(key: SeriesKey) -> _Place:
    family = _BASES[key.name]
    names = _LABELS[family]
    if family != RUN_SECONDS:
        return _Place(family, ("", 0.0), labelled(zip(names, key.labels, strict=True)))
    operation, *bound = key.labels
    # OpenMetrics wants the samples of one histogram together, its buckets by bound; the sum follows the last of them.
    rank = (operation, float(bound[0]) if bound else float("inf"))
    return _Place(family, rank, labelled(zip((*names, "le"), key.labels, strict=False)))


def cell_lines(tenant: str, totals: Mapping[SeriesKey, Cell], *, created: bool) -> dict[str, CellLines]:
    """Return the lines of all counters and histograms of one tenant, by family; `_created` series only if asked for."""
    found: dict[str, CellLines] = {}
    placed = [(_place(key), key, cell) for key, cell in totals.items() if key.name in _BASES]
    placed.sort(key=lambda it: (it[0].family, it[0].rank, it[1].name))
    for place, key, cell in placed:
        lines = found.setdefault(place.family, CellLines())
        labels = f'tenant="{tenant}",{place.labels}'
        _add(lines, key, cell, labels)
        last = key.name != f"{RUN_SECONDS}_bucket"
        if created and last and cell.created_s is not None:
            base = key.name.removesuffix("_total").removesuffix("_sum")
            lines.created.append(f"{base}_created{{{labels}}} {number(cell.created_s)}\n")
            lines.openmetrics.append(lines.created[-1])
    return found


def _add(lines: CellLines, key: SeriesKey, cell: Cell, labels: str) -> None:
    line = f"{key.name}{{{labels}}} {number(cell.published)}"
    example = exemplar_text(cell.exemplar) if cell.published == cell.due else ""
    lines.text.append(f"{line}\n")
    lines.openmetrics.append(f"{line}{example}\n")
    if key.name == f"{RUN_SECONDS}_bucket" and key.labels[1] == "+Inf":
        rest = labels[: labels.rindex(",")]
        count = f"{RUN_SECONDS}_count{{{rest}}} {number(cell.published)}\n"
        lines.text.append(count)
        lines.openmetrics.append(count)
