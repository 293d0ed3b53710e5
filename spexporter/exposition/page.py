"""The page of metrics, as a plain collector: simple and right, and the yardstick for any faster engine."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest as generate_text
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView
from spexporter.exposition.families import TENANT_FAMILIES, TenantFamily
from spexporter.exposition.negotiate import Form


class Page(Protocol):
    """Renders views as one page of metrics."""

    def parts(
        self, views: Sequence[TenantView], form: Form, now: Moment, keep: frozenset[str] | None = None
    ) -> Sequence[bytes]:
        """Return the page in pieces, to be sent in order; `keep` limits it to families or samples so named."""
        ...


class CollectorPage:
    """Satisfies `Page` with prometheus-client; our own metrics come from `own`."""

    def __init__(self, own: CollectorRegistry) -> None:
        self._own = own

    def parts(
        self, views: Sequence[TenantView], form: Form, now: Moment, keep: frozenset[str] | None = None
    ) -> Sequence[bytes]:
        """See `Page.parts`: one piece."""
        metrics = [
            *(_metric(family, views, now) for family in TENANT_FAMILIES),
            *map(_without_created, self._own.collect()),
        ]
        if keep is not None:
            metrics = [kept for metric in metrics if (kept := _only(metric, keep)).samples]
        generate = generate_openmetrics if form is Form.OPENMETRICS else generate_text
        return [generate(_Fixed(metrics))]


@dataclass(frozen=True, slots=True)
class _Fixed(Collector):
    """Hands metrics that exist already to prometheus-client's renderers."""

    metrics: Sequence[Metric]

    def collect(self) -> Iterator[Metric]:
        return iter(self.metrics)


def _metric(family: TenantFamily, views: Iterable[TenantView], now: Moment) -> Metric:
    metric = Metric(
        family.name.removesuffix("_total") if family.type == "counter" else family.name, family.help, family.type
    )
    name = family.name
    for view in views:
        for labels, value, suffix in family.rows(view, now):
            metric.add_sample(name + suffix, {"tenant": view.tenant, **dict(labels)}, value)
    return metric


def _without_created(metric: Metric) -> Metric:
    """Leave out `_created` series: they double the counters and are of no use to Prometheus 2."""
    return _replaced(metric, [sample for sample in metric.samples if not sample.name.endswith("_created")])


def _only(metric: Metric, keep: frozenset[str]) -> Metric:
    if metric.name in keep:
        return metric
    return _replaced(metric, [sample for sample in metric.samples if sample.name in keep])


def _replaced(metric: Metric, samples: list) -> Metric:  # type: ignore[type-arg]  # prometheus-client's own type
    other = Metric(metric.name, metric.documentation, metric.type, metric.unit)
    other.samples = samples
    return other
