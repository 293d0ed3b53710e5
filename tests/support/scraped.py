"""What a real Prometheus has seen of daemons that share tenants: which counters rose, where, and which alerts fired."""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from tests.support.prometheus import Prometheus
from tests.support.truth import TOTALS

COUNTERS = (*TOTALS.values(), "spconfig_jobs_finished_total", "spconfig_import_results_total")
LABELS = ("tenant", "object_type", "operation", "state", "outcome")


class Alert(NamedTuple):
    """An alert, and the tenant that it is about; empty where it is about the exporter."""

    name: str
    tenant: str


class Sample(NamedTuple):
    """A value of a counter on one page; `at_s` is in Unix seconds."""

    at_s: float
    instance: str
    value: float


@dataclass
class Scraped:
    """What was seen of all counters, whichever instance showed them; they rise by whole numbers.

    `rises` is by series without instance, between the first sample of it and the newest. `steps` are between two
    samples in a row of one instance, `moves` between two of different ones: the one before has ended and was not
    scraped again. `twice` is what each instance's own samples rise by beyond that: it had the tenant before.
    """

    rises: dict[str, float]
    first: dict[str, Sample]
    steps: float
    moves: float
    twice: float
    falls: list[str]
    alerts: list[Alert]  # which have fired, about which tenants
    scrapes: int
    failed: int

    def __str__(self) -> str:
        return (
            f"Prometheus: {self.scrapes} scrapes and {self.failed} that failed; counters rose by"
            f" {sum(self.rises.values()):g}, {self.steps:g} of it while one instance showed them and {self.moves:g}"
            f" from one to the next, and by {self.twice:g} more where an instance got back what another one had"
            f" counted; {len(self.falls)} falls; tenants for which alerts have fired:"
            f" {dict(Counter(alert.name for alert in self.alerts))}"
        )

    def differences(self, true: Mapping[str, float]) -> list[str]:
        """Return each series that has not risen by what is true, and the first sample of it."""
        return [f"{line}; first {self.first.get(line.partition('}')[0] + '}')}" for line in differing(true, self.rises)]


def differing(true: Mapping[str, float], shown: Mapping[str, float]) -> Iterator[str]:
    """Yield a line for each series that does not show what is true."""
    for series in sorted({*true, *(series for series, value in shown.items() if value)}):
        if true.get(series, 0.0) != shown.get(series, 0.0):
            yield f"{series}: {shown.get(series, 0.0):g} instead of {true.get(series, 0.0):g}"


async def has_seen(seen: Prometheus, true: Mapping[str, float]) -> bool:
    """Tell whether all that is true adds up to what a Prometheus has seen lately, by the most that any instance shows.

    It adds up itself: who carries what daemons say to their database has no time for tens of thousands of samples.
    """
    for name in COUNTERS:
        of_name = sum(value for series, value in true.items() if series.startswith(f"{name}{{"))
        latest = f"sum(max by ({','.join(LABELS)}) (last_over_time({name}[1m])))"
        if await seen.values(latest) != [of_name]:
            return False
    return True


async def scraped(seen: Prometheus, since_s: float) -> Scraped:
    """Ask a Prometheus what it has seen since `since_s` (Unix seconds)."""
    at_s = time.time()  # of all queries: they take so long that each would else begin later than the one before
    span = f"[{math.ceil(at_s - since_s)}s]"
    every: defaultdict[str, list[Sample]] = defaultdict(list)
    by_instance = 0.0
    for name in COUNTERS:
        for each in (await seen.get("query", query=name + span, time=str(at_s)))["result"]:
            values = [float(value) for _, value in each["values"]]
            by_instance += sum(max(0.0, after - before) for before, after in pairwise(values))
            every[_series(name, each["metric"])] += [
                Sample(float(at_s), each["metric"]["instance"], float(value)) for at_s, value in each["values"]
            ]
    rises, first, falls = {}, {}, []
    steps: Counter[bool] = Counter()
    for series, samples in every.items():
        samples.sort()
        first[series] = samples[0]
        rises[series] = max(sample.value for sample in samples) - samples[0].value
        for before, after in pairwise(samples):
            steps[before.instance == after.instance] += max(0, round(after.value - before.value))
            if after.value < before.value:
                falls.append(f"{series}: {after} after {before}")
    ups = [sample for of in await seen.raw(f"up{span}") for sample in of.values]
    fired = await seen.vector(f'count by (alertname, tenant) (max_over_time(ALERTS{{alertstate="firing"}}{span}))')
    return Scraped(
        rises=rises,
        first=first,
        steps=steps[True],
        moves=steps[False],
        twice=by_instance - steps[True],
        falls=falls,
        alerts=[Alert(labels["alertname"], labels.get("tenant", "")) for labels, _ in fired],
        scrapes=int(sum(ups)),
        failed=len(ups) - int(sum(ups)),
    )


def _series(name: str, labels: Mapping[str, str]) -> str:
    of = ",".join(f'{key}="{labels[key]}"' for key in LABELS if labels.get(key))
    return f"{name}{{{of}}}"
