"""What our own meters show of each tenant, as bytes that are kept while nothing has been counted."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from spexporter.domain.family import Family
from spexporter.domain.meter import Meter
from spexporter.exposition.negotiate import Form
from spexporter.exposition.samples import metered
from spexporter.exposition.text import base_name, labelled, number


class Shown(NamedTuple):
    """One family of all tenants: blocks that are kept, lines that are new on each page, and `_created` series."""

    blocks: Sequence[tuple[str, bytes]]
    fresh: bytes = b""
    created: Sequence[tuple[str, bytes]] = ()


class _Known(NamedTuple):
    meter: Meter
    changes: int
    block: bytes
    created: bytes


class MeterBlocks:
    """Renders meters by family. With `created`, OpenMetrics has `_created` series between the others."""

    def __init__(self, meters: Mapping[str, Meter], *, created: bool = False) -> None:
        self._meters = meters
        self._created = created
        self._known: dict[tuple[str, Form], dict[str, _Known]] = {}

    @property
    def series(self) -> int:
        """How many series there are, `_created` ones not included."""
        return sum([meter.series for meter in self._meters.values()])

    def of(self, family: Family, form: Form, only: str | None = None) -> Shown:
        """Return what all meters have of a family, or that of one tenant."""
        tenants = self._meters if only is None else [only] if only in self._meters else []
        if family.type == "gauge":
            lines = [line for tenant in tenants for line in _lines(family, tenant, self._meters[tenant])]
            return Shown((), "".join(lines).encode())
        before = self._known.get((family.name, form), {})
        known = {tenant: self._of(family, form, tenant, before.get(tenant)) for tenant in tenants}
        if only is None:
            self._known[family.name, form] = known
        blocks = [(tenant, it.block) for tenant, it in known.items() if it.block]
        return Shown(blocks, created=[(tenant, it.created) for tenant, it in known.items() if it.created])

    def _of(self, family: Family, form: Form, tenant: str, before: _Known | None) -> _Known:
        meter = self._meters[tenant]
        changes = meter.changes(family.name)
        if before is not None and before.meter is meter and before.changes == changes:
            return before
        lines = _lines(family, tenant, meter)
        began = _began(family, tenant, meter) if self._created else []
        if began and form is Form.OPENMETRICS:  # each series and its beginning stand together
            lines, began = [line for pair in zip(lines, began, strict=True) for line in pair], []
        return _Known(meter, changes, "".join(lines).encode(), "".join(began).encode())


def _lines(family: Family, tenant: str, meter: Meter) -> list[str]:
    return [
        f"{family.name}{{{labelled(zip(family.labels, (tenant, *labels), strict=True))}}} {number(value)}\n"
        for labels, value in metered(family, meter)
    ]


def _began(family: Family, tenant: str, meter: Meter) -> list[str]:
    name, began = f"{base_name(family)}_created", number(meter.began_s)
    return [
        f"{name}{{{labelled(zip(family.labels, (tenant, *labels), strict=True))}}} {began}\n"
        for labels, _ in metered(family, meter)
    ]
