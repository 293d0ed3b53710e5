"""One job of Configuration Hub: its moments are known when it is made, its entry follows from the time of the question.

Source of the fields: the schemas and examples of `GET /configuration-hub/{backups,backups/uploads,drafts,deploys}`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from spexporter.simulator.calls import BACKUPS, DEPLOYS, DRAFTS, UPLOADS
from spexporter.simulator.chance import chance, hex_id
from spexporter.simulator.jobs import COMPLETE, FAILED, FINAL_STATES, IN_PROGRESS, NOT_STARTED
from spexporter.simulator.stamps import stamp

BACKUP: Final = "backup"
UPLOAD: Final = "upload"
DRAFT: Final = "draft"
DEPLOY: Final = "deploy"
HubKind = Literal["backup", "upload", "draft", "deploy"]
HUB_KINDS: tuple[HubKind, ...] = (BACKUP, UPLOAD, DRAFT, DEPLOY)
LIST_OF = {BACKUP: BACKUPS, UPLOAD: UPLOADS, DRAFT: DRAFTS, DEPLOY: DEPLOYS}
"""The list in which a kind is found."""
TYPE_OF = {BACKUP: "BACKUP", UPLOAD: "BACKUP", DRAFT: "CREATE_DRAFT", DEPLOY: "CONFIG_DEPLOY_DRAFT"}

MANUAL, AUTOMATED, UPLOADED, AUTOMATED_DRAFT = "MANUAL", "AUTOMATED", "UPLOADED", "AUTOMATED_DRAFT"
BACKUP_TYPES = (MANUAL, AUTOMATED, UPLOADED, AUTOMATED_DRAFT)
"""The last one is in the published text, and missing from the published enum."""
SYNCED, NOT_SYNCED, SYNC_FAILED = "SYNCED", "NOT_SYNCED", "SYNC_FAILED"
SYNC_STATES = (SYNCED, NOT_SYNCED, SYNC_FAILED)
DEFAULT, PENDING, APPROVED, DENIED = "DEFAULT", "PENDING_APPROVAL", "APPROVED", "DENIED"
APPROVALS = (DEFAULT, PENDING, APPROVED, DENIED)
COMMENT_WORDS = {PENDING: (PENDING, "PENDING_FOR_APPROVAL"), APPROVED: (APPROVED,), DENIED: ("REJECTED",)}
"""What `changedToStatus` calls a status: the enum has the first, the published example the second."""


@dataclass(frozen=True, slots=True)
class Approval:
    """One step of a draft's approval: to which status, when (Unix seconds), by whom, in which words."""

    status: str
    at_s: float
    user: str
    comment: str

    def payload(self) -> dict[str, object]:
        """Write it as `approvalComment` holds it; its times have six digits."""
        seconds, thousandths = divmod(round(self.at_s * 1000), 1000)
        rng = chance("approval", self.user, self.at_s)
        return {
            "comment": self.comment,
            "timestamp": f"{stamp(seconds)[:-1]}.{thousandths:03d}{rng.randrange(1000):03d}Z",
            "user": self.user,
            "id": hex_id(chance(self.user)),
            "changedToStatus": rng.choice(COMMENT_WORDS[self.status]),
        }


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup or an upload has beside its moments.

    `tenant` is whose configuration it holds. `include_types` are those of a partial backup. `hydrated_s` is when its
    objects can be looked at, None for never; `object_count` is told once it is complete.
    """

    tenant: str
    backup_type: str
    partial: bool = False
    include_types: tuple[str, ...] = ()
    object_count: int = 0
    hydrated_s: float | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What a draft has beside its moments: where it comes from, and the steps of its approval, oldest first."""

    source_tenant: str
    source_backup_id: str
    source_backup_name: str
    mode: str
    approvals: tuple[Approval, ...] = ()

    def approval_at(self, now_s: float) -> str:
        """Return `approvalStatus` as it is at `now_s`."""
        return next((step.status for step in reversed(self.approvals) if step.at_s <= now_s), DEFAULT)


@dataclass(frozen=True, slots=True)
class Deploy:
    """What a deploy has beside its moments: the draft that it deploys."""

    draft_id: str
    draft_name: str


@dataclass(frozen=True, slots=True)
class HubJob:
    """A backup, upload, draft or deploy with its whole future; times are Unix seconds, cut to milliseconds.

    A job with `started_s` or `ended_s` None never starts or ends; whether `completed` is told says `sends_completed`.
    From `settled_s` on its cloud storage is in the state `sync`, None for a job that says nothing of that; `touched_s`
    are other moments after its end at which `modified` moves. It is in its list until `gone_s`. `absent` and `null`
    name the fields that its entry leaves out or has as null, whatever they should be.
    """

    tenant: str
    kind: HubKind
    id: str
    name: str
    created_s: float
    started_s: float | None
    ended_s: float | None
    final_state: str | None
    about: Backup | Draft | Deploy
    message: str | None = None
    requester: str = "Simulated Requester"
    sends_completed: bool = True
    sync: str | None = None
    settled_s: float | None = None
    touched_s: tuple[float, ...] = ()
    gone_s: float = math.inf
    absent: frozenset[str] = field(default_factory=frozenset)
    null: frozenset[str] = field(default_factory=frozenset)

    def state_at(self, now_s: float) -> str:
        """Return the state that a question at `now_s` is told."""
        if self.final_state is not None and self.ended_at(now_s):
            return self.final_state
        return IN_PROGRESS if self.started_s is not None and now_s >= self.started_s else NOT_STARTED

    def ended_at(self, now_s: float) -> bool:
        """Tell whether the job has ended by `now_s`."""
        return self.ended_s is not None and now_s >= self.ended_s

    def exists_at(self, now_s: float) -> bool:
        """Tell whether the job is in its list at `now_s`."""
        # `created_s` was rounded to whole milliseconds, perhaps up: a job just started must not be missing.
        return self.created_s <= now_s + 0.001 and now_s < self.gone_s

    def modified_s(self, now_s: float) -> float:
        """Return the last moment until `now_s` at which something about the job changed."""
        return max((moment for moment in self._moments() if moment <= now_s), default=self.created_s)

    def sync_at(self, now_s: float) -> str | None:
        """Return `cloudStorageStatus` as it is at `now_s`, None where nothing is said of it."""
        settled = self.sync is not None and self.settled_s is not None and now_s >= self.settled_s
        return self.sync if settled or self.sync is None else NOT_SYNCED

    def count_at(self, now_s: float) -> int | None:
        """Return `totalObjectCount` as it is at `now_s`, None for a job that has none; 0 until it is complete."""
        if not isinstance(self.about, Backup):
            return None
        return self.about.object_count if self.state_at(now_s) == COMPLETE else 0

    def entry_at(self, now_s: float) -> dict[str, object]:
        """Write the job as its list has it."""
        body = self._facts(now_s) | self._details(now_s)
        if (sync := self.sync_at(now_s)) is not None:
            body["cloudStorageStatus"] = sync
        kept = {name: value for name, value in body.items() if name not in self.absent}
        return kept | dict.fromkeys(self.null)

    def _moments(self) -> Iterator[float]:
        about = self.about
        hydrated_s = about.hydrated_s if isinstance(about, Backup) else None
        for moment in (self.started_s, self.ended_s, hydrated_s, self.settled_s):
            if moment is not None:
                yield moment
        yield from self.touched_s
        if isinstance(about, Draft):
            yield from (step.at_s for step in about.approvals)

    def _facts(self, now_s: float) -> dict[str, object]:
        state = self.state_at(now_s)
        body: dict[str, object] = {"jobId": self.id, "status": state, "type": TYPE_OF[self.kind]}
        if state in FINAL_STATES and self.message is not None:
            body["message"] = self.message
        # Of a deploy it is the file of its results, which one that failed has too.
        has_file = state == COMPLETE or (state, self.kind) == (FAILED, DEPLOY)
        body |= {"requesterName": self.requester, "fileExists": has_file}
        body |= {"created": stamp(self.created_s), "modified": stamp(self.modified_s(now_s))}
        if self.ended_s is not None and state in FINAL_STATES and self.sends_completed:
            body["completed"] = stamp(self.ended_s)
        return body

    def _details(self, now_s: float) -> dict[str, object]:
        match self.about:
            case Backup() as backup:
                return self._of_backup(backup, now_s)
            case Draft() as draft:
                return {
                    "name": self.name,
                    "sourceTenant": draft.source_tenant,
                    "sourceBackupId": draft.source_backup_id,
                    "sourceBackupName": draft.source_backup_name,
                    "mode": draft.mode,
                    "approvalStatus": draft.approval_at(now_s),
                    "approvalComment": [step.payload() for step in draft.approvals if step.at_s <= now_s],
                }
            case Deploy() as deploy:
                return {"draftId": deploy.draft_id, "draftName": deploy.draft_name}

    def _of_backup(self, backup: Backup, now_s: float) -> dict[str, object]:
        hydrated = backup.hydrated_s is not None and now_s >= backup.hydrated_s
        options = {"includeTypes": list(backup.include_types), "objectOptions": {}} if backup.partial else None
        return {
            "tenant": backup.tenant,
            "name": self.name,
            "userCanDelete": False,
            "isPartial": backup.partial,
            "backupType": backup.backup_type,
            **({} if self.kind == UPLOAD else {"options": options}),
            "hydrationStatus": "HYDRATED" if hydrated else "NOT_HYDRATED",
            "totalObjectCount": self.count_at(now_s),
        }
