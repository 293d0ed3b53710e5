"""Ground truth: what was really asked and sent, and when."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spexporter.simulator.calls import API_VERSIONS, TOKEN
from spexporter.simulator.hub import is_of_other_tenant
from spexporter.simulator.hub_jobs import SYNCED, Backup, Draft, HubJob
from spexporter.simulator.hub_quirks import entries
from spexporter.simulator.jobs import IMPORT, SimulatedJob
from spexporter.simulator.limiter import most_in_any_window
from spexporter.simulator.stamps import stamp


@dataclass(slots=True)
class Exchange:
    """One request: when it was received (monotonic seconds), and the status that was sent, None until it was."""

    received_s: float
    version: str
    endpoint: str
    status: int | None = None


@dataclass(slots=True)
class Sent:
    """What was sent about one job; a result counts once its last byte was written, `withheld` where it was not."""

    statuses: int = 0
    last_state: str | None = None
    results: int = 0
    withheld: int = 0


@dataclass(slots=True)
class Record:
    """Everything that was asked and sent so far, by client id and by job."""

    exchanges: dict[str, list[Exchange]] = field(default_factory=lambda: defaultdict(list))
    sent: dict[tuple[str, str, str], Sent] = field(default_factory=lambda: defaultdict(Sent))

    def received(self, client_id: str, exchange: Exchange) -> None:
        """Note a request."""
        self.exchanges[client_id].append(exchange)

    def status_sent(self, job: SimulatedJob, state: str) -> None:
        """Note that a status answer was written."""
        sent = self.sent[job.tenant, job.operation, job.id]
        sent.statuses += 1
        sent.last_state = state

    def list_sent(self, tenant: str, kind: str, body: Any) -> None:  # noqa: ANN401 - decoded JSON
        """Note that a list was written, with every entry that it had."""
        for entry in entries(body):
            sent = self.sent[tenant, kind, str(entry.get("jobId"))]
            sent.statuses += 1
            sent.last_state = entry.get("status")

    def result_sent(self, job: SimulatedJob) -> None:
        """Note that a whole result was written."""
        self.sent[job.tenant, job.operation, job.id].results += 1

    def result_withheld(self, job: SimulatedJob) -> None:
        """Note that a result was there and was said not to be."""
        self.sent[job.tenant, job.operation, job.id].withheld += 1

    def withheld(self, job: SimulatedJob) -> int:
        """Return how often a result was there and was said not to be."""
        return self.sent[job.tenant, job.operation, job.id].withheld

    def busiest(self, per_s: float, *, count_tokens: bool) -> dict[str, dict[str, int]]:
        """Return, by client id and version, the most requests received in any window of `per_s` seconds.

        Refused requests are among them; token requests are in each version's window if `count_tokens`.
        """
        return {
            client_id: {
                version: most_in_any_window(times_s, per_s)
                for version in API_VERSIONS
                if (times_s := self.times_s(client_id, version, count_tokens=count_tokens))
            }
            for client_id in tuple(self.exchanges)
        }

    def times_s(self, client_id: str, version: str, *, count_tokens: bool) -> list[float]:
        """Return when requests of a client to a version were received (monotonic seconds), ascending; see `busiest`."""
        counted = {version, TOKEN} if count_tokens else {version}
        return [exchange.received_s for exchange in self.exchanges.get(client_id, ()) if exchange.version in counted]

    def describe(self, job: SimulatedJob, now_s: float) -> dict[str, object]:
        """Return the truth about one job as JSON values; numbers of the result are None when it has none."""
        sent = self.sent.get((job.tenant, job.operation, job.id), Sent())
        ended = job.ended_s is not None and now_s >= job.ended_s
        return {
            "tenant": job.tenant,
            "operation": job.operation,
            "id": job.id,
            "name": job.name,
            "preview": job.preview,
            "state": job.state_at(now_s),
            "final_state": job.final_state,
            "created_s": job.created_s,
            "created": stamp(job.created_s),
            "ended_s": job.ended_s if ended else None,
            "completed": job.completed if ended else None,
            "modified": job.modified_at(now_s),
            "counts": job.result.counts() if job.result else None,
            "export_job_id": job.backup.id if job.backup else None,
            "statuses_sent": sent.statuses,
            "last_state_sent": sent.last_state,
            "results_sent": sent.results,
        }

    def describe_hub_job(self, job: HubJob, now_s: float, *, is_listed: bool) -> dict[str, object]:
        """Return the truth about one job of Configuration Hub as JSON values.

        `ended_s` is its true end, whatever the API tells; None is what there is not, or what is not told.
        """
        sent = self.sent.get((job.tenant, job.kind, job.id), Sent())
        about, sync = job.about, job.sync_at(now_s)
        return {
            "tenant": job.tenant,
            "kind": job.kind,
            "id": job.id,
            "name": job.name,
            "state": job.state_at(now_s),
            "final_state": job.final_state,
            "created_s": job.created_s,
            "ended_s": job.ended_s if job.ended_at(now_s) else None,
            "tells_end": job.sends_completed and not {"completed"} & (job.absent | job.null),
            "object_count": job.count_at(now_s),
            "synced": None if sync is None else sync == SYNCED,
            "backup_type": about.backup_type if isinstance(about, Backup) else None,
            "partial": isinstance(about, Backup) and about.partial,
            "of_other_tenant": is_of_other_tenant(job),
            "approval": about.approval_at(now_s) if isinstance(about, Draft) else None,
            "listed": is_listed,
            "times_sent": sent.statuses,
            "last_state_sent": sent.last_state,
        }

    def totals(self, jobs: Iterable[SimulatedJob], now_s: float) -> dict[str, object]:
        """Add up the import results by tenant and object type, previews left out.

        `downloaded` has the imports whose result was sent at least once (a second time adds nothing), `ended` all that
        have ended with a result.
        """
        ended = [
            job
            for job in jobs
            if job.operation == IMPORT and not job.preview and job.ended_s is not None and now_s >= job.ended_s
        ]
        downloaded = [job for job in ended if self.sent.get((job.tenant, job.operation, job.id), Sent()).results]
        return {"downloaded": _add_up(downloaded), "ended": _add_up(ended)}


def _add_up(jobs: Iterable[SimulatedJob]) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
    totals: dict[str, dict[str, Counter[str]]] = {}
    for job in jobs:
        for name, counts in (job.result.counts() if job.result else {}).items():
            total = totals.setdefault(job.tenant, {}).setdefault(name, Counter())
            for kind, count in counts.items():
                total[kind] += count
    return totals
