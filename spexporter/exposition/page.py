"""The page of metrics, as a plain collector: simple and right, and the yardstick for any faster engine."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest as generate_text
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView
from spexporter.exposition.families import TENANT_FAMILIES, TenantFamily
from spexporter.exposition.negotiate import Form
from spexporter.exposition.samples import Row


class Page(Protocol):
    """Renders views as one page of metrics."""

    def parts(
        self, views: Sequence[TenantView], form: Form, now: Moment, keep: frozenset[str] | None = None
    ) -> Sequence[bytes]:
        """Return the page in pieces, to be sent in order; `keep` limits it to families or samples so named."""
        ...


class CollectorPage:
    """Satisfies `Page` with prometheus-client; our own metrics come from `own`.

    With `created`, the `_created` series tell when each counter began at 0, where that is known.
    """

    def __init__(self, own: CollectorRegistry, *, created: bool = False) -> None:
        self._own = own
        self._created = created

    def parts(
        self, views: Sequence[TenantView], form: Form, now: Moment, keep: frozenset[str] | None = None
    ) -> Sequence[bytes]:
        """See `Page.parts`: one piece."""
        families = (
            TENANT_FAMILIES if keep is None else [family for family in TENANT_FAMILIES if _may_keep(family, keep)]
        )
        metrics = [*(_metric(family, views, now) for family in families), *self._own.collect()]
        if not self._created:
            metrics = [_without_created(metric) for metric in metrics]
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
    base = family.name.removesuffix("_total") if family.type == "counter" else family.name
    metric = Metric(base, family.help, family.type)
    for view in filter(family.shown, views):
        for row in family.rows(view, now):
            labels = {"tenant": view.tenant, **dict(row.labels)}
            metric.add_sample(family.name + row.suffix, labels, row.value, exemplar=_exemplar(row))
            if row.created_s is not None:
                metric.add_sample(f"{base}_created", labels, row.created_s)
    return metric


def _exemplar(row: Row) -> Exemplar | None:
    if row.exemplar is None:
        return None
    return Exemplar({"job_id": row.exemplar.job_id}, row.exemplar.value, row.exemplar.at_s)


def _without_created(metric: Metric) -> Metric:
    """Leave out `_created` series, which double the counters."""
    return _replaced(metric, [sample for sample in metric.samples if not sample.name.endswith("_created")])


def _may_keep(family: TenantFamily, keep: frozenset[str]) -> bool:
    """Tell whether any name of `keep` can be one of the family's: each begins as that of the family does."""
    return any(name.startswith(family.name.removesuffix("_total")) for name in keep)


def _only(metric: Metric, keep: frozenset[str]) -> Metric:
    if metric.name in keep:
        return metric
    return _replaced(metric, [sample for sample in metric.samples if sample.name in keep])


def _replaced(metric: Metric, samples: list) -> Metric:  # type: ignore[type-arg]  # prometheus-client's own type
    other = Metric(metric.name, metric.documentation, metric.type, metric.unit)
    other.samples = samples
    return other
