"""The page of metrics, as a plain collector: simple and right, and what the engine in `page` is held against."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest as generate_text
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from spexporter.domain.family import Family
from spexporter.domain.meter import Meter
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView
from spexporter.exposition.families import TENANT_FAMILIES, TenantFamily
from spexporter.exposition.negotiate import Form
from spexporter.exposition.ownfamilies import METERED_FAMILIES
from spexporter.exposition.samples import Row, metered
from spexporter.exposition.text import base_name


class CollectorPage:
    """Renders pages with prometheus-client; our own metrics come from `own` and, by tenant, `meters`.

    With `created`, the `_created` series tell when each counter began at 0, where that is known.
    """

    def __init__(self, own: CollectorRegistry, meters: Mapping[str, Meter], *, created: bool = False) -> None:
        self._own = own
        self._meters = meters
        self._created = created

    def page(self, views: Sequence[TenantView], form: Form, now: Moment, keep: frozenset[str] | None = None) -> bytes:
        """Return the whole page; `keep` limits it to families or samples so named."""
        metrics = [_metric(family, views, now) for family in TENANT_FAMILIES]
        metrics += [_metered(family, self._meters) for family in METERED_FAMILIES]
        metrics += self._own.collect()
        return page_of(metrics, form, keep, created=self._created)


def page_of(metrics: Iterable[Metric], form: Form, keep: frozenset[str] | None, *, created: bool) -> bytes:
    """Return a page of metrics by prometheus-client, `_created` series, which double counters, only if asked for."""
    if not created:
        metrics = [_without_created(metric) for metric in metrics]
    if keep is not None:
        metrics = [kept for metric in metrics if (kept := _only(metric, keep)).samples]
    generate = generate_openmetrics if form is Form.OPENMETRICS else generate_text
    return generate(_Fixed([*metrics]))


@dataclass(frozen=True, slots=True)
class _Fixed(Collector):
    """Hands metrics that exist already to prometheus-client's renderers."""

    metrics: Sequence[Metric]

    def collect(self) -> Iterator[Metric]:
        return iter(self.metrics)


def _metric(family: TenantFamily, views: Iterable[TenantView], now: Moment) -> Metric:
    base = base_name(family)
    metric = Metric(base, family.help, family.type)
    for view in filter(family.shown, views):
        for row in family.rows(view, now):
            labels = {"tenant": view.tenant, **dict(row.labels)}
            metric.add_sample(family.name + row.suffix, labels, row.value, exemplar=_exemplar(row))
            if row.created_s is not None:
                metric.add_sample(f"{base}_created", labels, row.created_s)
    return metric


def _metered(family: Family, meters: Mapping[str, Meter]) -> Metric:
    metric = Metric(base_name(family), family.help, family.type)
    for tenant, meter in meters.items():
        for labels, value in metered(family, meter):
            found = dict(zip(family.labels, (tenant, *labels), strict=True))
            metric.add_sample(family.name, found, value)
            if family.type == "counter":
                metric.add_sample(f"{base_name(family)}_created", found, meter.began_s)
    return metric


def _exemplar(row: Row) -> Exemplar | None:
    if row.exemplar is None:
        return None
    return Exemplar({"job_id": row.exemplar.job_id}, row.exemplar.value, row.exemplar.at_s)


def _without_created(metric: Metric) -> Metric:
    return _replaced(metric, [sample for sample in metric.samples if not sample.name.endswith("_created")])


def _only(metric: Metric, keep: frozenset[str]) -> Metric:
    if metric.name in keep:
        return metric
    return _replaced(metric, [sample for sample in metric.samples if sample.name in keep])


def _replaced(metric: Metric, samples: list) -> Metric:  # type: ignore[type-arg]  # prometheus-client's own type
    other = Metric(metric.name, metric.documentation, metric.type, metric.unit)
    other.samples = samples
    return other
