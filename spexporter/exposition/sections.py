"""A page while it is put together: sections of blocks in the order of the page, and what a limit by name leaves."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from spexporter.domain.family import Family
from spexporter.domain.tenanttime import Moment
from spexporter.exposition.blocks import DURATION, TenantBlocks
from spexporter.exposition.families import TENANT_FAMILIES
from spexporter.exposition.meterblocks import MeterBlocks
from spexporter.exposition.negotiate import Form
from spexporter.exposition.ownfamilies import METERED_FAMILIES
from spexporter.exposition.pack import Blocks
from spexporter.exposition.text import base_name, created_header, header

_HISTOGRAM = ("_bucket", "_count", "_sum")


class Section(NamedTuple):
    """One family: the lines that begin it, blocks that are kept, each with its own name, and lines that are `fresh`.

    Sections of one `key` have the same blocks on each page until something changes.
    """

    key: str
    family: Family
    header: bytes
    blocks: Blocks
    fresh: bytes = b""


def tenant_sections(tenants: Sequence[TenantBlocks], form: Form, now: Moment) -> Iterator[Section]:
    """Yield what `tenants` show, in the order of the table."""
    for family in TENANT_FAMILIES:
        name, top = family.name, header(family, form)
        if form is Form.OPENMETRICS and family.type != "gauge":
            both = [it.openmetrics if name in it.openmetrics else it.text for it in tenants]
            yield Section(f"{name} {form.name}", family, top, _blocks(tenants, both, name))
            continue
        growing = b"".join([it.durations(now) for it in tenants]) if name == DURATION else b""
        yield Section(name, family, top, _blocks(tenants, [it.text for it in tenants], name), growing)
        if created := _blocks(tenants, [it.created for it in tenants], name):
            yield Section(f"{name} created", family, created_header(family), created)


def meter_sections(meters: MeterBlocks, form: Form, tenant: str | None) -> Iterator[Section]:
    """Yield what our own meters show of all tenants, or of one, in the order of the table."""
    for family in METERED_FAMILIES:
        shown = meters.of(family, form, tenant)
        yield Section(f"{family.name} {form.name}", family, header(family, form), shown.blocks, shown.fresh)
        if shown.created:
            yield Section(f"{family.name} created", family, created_header(family), shown.created)


def _blocks(tenants: Sequence[TenantBlocks], maps: Iterable[Mapping[str, bytes]], name: str) -> Blocks:
    return [(it.view.tenant, block) for it, blocks in zip(tenants, maps, strict=True) if (block := blocks.get(name))]


def kept(section: Section, keep: frozenset[str]) -> Section | None:
    """Return what `keep` leaves of a section: families or samples of these names; None for nothing."""
    base = base_name(section.family)
    if base in keep:
        return section if section.blocks or section.fresh else None
    suffixes = _HISTOGRAM if section.family.type == "histogram" else ("",)
    names = keep & {f"{base}_created", *(section.family.name + suffix for suffix in suffixes)}
    starts = tuple(f"{name}{{".encode() for name in names)
    if not starts:
        return None
    blocks = [(name, some) for name, block in section.blocks if (some := _lines(block, starts))]
    fresh = _lines(section.fresh, starts)
    # What is kept of it is remembered by another name than the whole.
    key = f"{section.key} {sorted(names)}"
    return section._replace(key=key, blocks=blocks, fresh=fresh) if blocks or fresh else None


def _lines(block: bytes, starts: tuple[bytes, ...]) -> bytes:
    return b"".join([line + b"\n" for line in block.split(b"\n") if line.startswith(starts)])
