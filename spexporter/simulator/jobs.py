"""One SP-Config job: its moments are known when it is made, its state follows from the time of the question."""

import math
from dataclasses import dataclass

from spexporter.simulator.chance import chance
from spexporter.simulator.objects import draw_objects
from spexporter.simulator.results import ImportResult
from spexporter.simulator.stamps import RETENTION_S, stamp

EXPORT, IMPORT = "export", "import"
NOT_STARTED, IN_PROGRESS = "NOT_STARTED", "IN_PROGRESS"
COMPLETE, FAILED, CANCELLED = "COMPLETE", "FAILED", "CANCELLED"
FINAL_STATES = (COMPLETE, FAILED, CANCELLED)


@dataclass(frozen=True, slots=True)
class SimulatedJob:
    """An export or import with its whole future; times are Unix seconds, cut to milliseconds.

    `ended_s` is what an observer can learn: `completed`, or `modified` where the job ends without it. A job with
    `started_s` or `ended_s` None never starts or ends. `result` is None for exports and for imports that end without
    one; `backup` is the export that an import makes first, `export_types` what an export holds.
    """

    tenant: str
    operation: str
    id: str
    name: str
    created_s: float
    started_s: float | None
    ended_s: float | None
    final_state: str | None
    preview: bool = False
    result: ImportResult | None = None
    message: str | None = None
    description: str | None = None
    backup: "SimulatedJob | None" = None
    export_types: tuple[str, ...] = ()
    sends_completed: bool = True
    retention_s: float = RETENTION_S

    @property
    def expires_s(self) -> float:
        """From when on the job is not found any more."""
        return self.created_s + self.retention_s

    def state_at(self, now_s: float) -> str:
        """Return the state that a question at `now_s` is told."""
        if self.ended_s is not None and self.final_state is not None and now_s >= self.ended_s:
            return self.final_state
        return IN_PROGRESS if self.started_s is not None and now_s >= self.started_s else NOT_STARTED

    def exists_at(self, now_s: float) -> bool:
        """Tell whether the tenant knows the job at `now_s`."""
        # `created_s` was rounded to whole milliseconds, perhaps up: a job just started must not be missing.
        return self.created_s <= now_s + 0.001 and now_s < self.expires_s

    @property
    def completed(self) -> str | None:
        """The text of `completed` once the job has ended; None where the API leaves it out."""
        return stamp(self.ended_s) if self.ended_s is not None and self.sends_completed else None

    def modified_at(self, now_s: float) -> str:
        """Return the text of `modified`: the last change of state, 5 to 7 ms after `completed` where that is sent."""
        if self.ended_s is not None and now_s >= self.ended_s:
            return stamp(self.ended_s + (chance(self.id).randint(5, 7) / 1000 if self.sends_completed else 0))
        started = self.started_s is not None and now_s >= self.started_s
        return stamp(self.started_s if started and self.started_s is not None else self.created_s)

    def accepted(self) -> dict[str, object]:
        """Write the 202 of the call that started the job; only here has `expiration` milliseconds."""
        return self._facts(NOT_STARTED) | {
            "expiration": stamp(self.expires_s),
            "created": stamp(self.created_s),
            "modified": stamp(self.created_s),
        }

    def status_at(self, now_s: float) -> dict[str, object]:
        """Write the status; `message`, `description` and `completed` are left out rather than null."""
        state = self.state_at(now_s)
        body = self._facts(state)
        if state in FINAL_STATES and self.message is not None:
            body["message"] = self.message
        body["expiration"] = stamp(math.floor(self.expires_s))
        body["created"] = stamp(self.created_s)
        body["modified"] = self.modified_at(now_s)
        if state in FINAL_STATES and self.completed is not None:
            body["completed"] = self.completed
        return body

    def download_at(self, now_s: float) -> dict[str, object] | None:
        """Write the downloadable artifact, None when there is none (yet)."""
        if self.operation == IMPORT:
            if self.result is None or self.state_at(now_s) not in FINAL_STATES:
                return None
            return self.result.payload(self.backup.id if self.backup else None)
        return self._export() if self.state_at(now_s) == COMPLETE else None

    def _facts(self, state: str) -> dict[str, object]:
        facts: dict[str, object] = {"jobId": self.id, "status": state, "type": self.operation.upper()}
        return facts if self.description is None else facts | {"description": self.description}

    def _export(self) -> dict[str, object]:
        rng = chance(self.id, "objects")
        refs = [ref for name in self.export_types for ref in draw_objects(rng, name, rng.randint(1, 6))]
        body: dict[str, object] = {"version": 1, "timestamp": self.completed, "tenant": self.tenant}
        if self.description is not None:
            body["description"] = self.description
        return body | {
            "options": {"excludeTypes": [], "includeTypes": list(self.export_types), "objectOptions": {}},
            "objects": [
                {"version": 1, "self": ref.payload(), "object": {"id": ref.id, "name": ref.name}} for ref in refs
            ],
        }
