"""From what is said about a job of Configuration Hub to the job with its whole future: what is left open is drawn."""

import math
import random
from dataclasses import dataclass
from typing import TypedDict, TypeVar

from spexporter.simulator.chance import dashed_id
from spexporter.simulator.hub_jobs import (
    APPROVALS,
    APPROVED,
    AUTOMATED,
    AUTOMATED_DRAFT,
    BACKUP,
    BACKUP_TYPES,
    DEFAULT,
    DENIED,
    DEPLOY,
    DRAFT,
    HUB_KINDS,
    MANUAL,
    NOT_SYNCED,
    PENDING,
    SYNC_FAILED,
    SYNC_STATES,
    SYNCED,
    UPLOAD,
    UPLOADED,
    Approval,
    Backup,
    Deploy,
    Draft,
    HubJob,
    HubKind,
)
from spexporter.simulator.jobs import COMPLETE, FAILED, FINAL_STATES
from spexporter.simulator.objects import EXPORTABLE
from spexporter.simulator.plan import TenantPlan
from spexporter.simulator.stamps import to_ms

T = TypeVar("T")

SPREAD = 0.6
"""Sigma of the log-normal durations, as of SP-Config's jobs."""
UPLOAD_MEDIAN_S, DRAFT_MEDIAN_S = 2.0, 14.0
"""The published examples took 0.3 s and 14 s; backups and deploys take as long as exports and imports do."""
MONTHS_S = (30 * 86_400.0, 300 * 86_400.0)
"""How long after its end something may still change about a job: one published deploy did after ten months."""

BACKED_UP = tuple(name for name in EXPORTABLE if name != "CONNECTOR_RULE")
"""The 24 types that a backup can be told to include."""
OTHER_TENANT = "connected-sandbox"
NAMES = {
    BACKUP: ("Weekly backup", "Before the release", "Quarter end", "Copy for the audit"),
    UPLOAD: ("from-sandbox.json", "vendor-template.json", "last-year.json"),
    DRAFT: ("Release 42", "Restore workflows", "Promote transforms", "Onboard payroll"),
}
REQUESTERS = ("Ada Byron", "Grace Murray", "Alan Mathison")
MESSAGES = {
    (
        BACKUP,
        FAILED,
    ): "com.sailpoint.sp.config.exception.BackupFailedException: Simulated: the backup was not finished.",
    (UPLOAD, FAILED): "com.sailpoint.sp.config.exception.IncorrectBackupUploadFormatException: "
    "Uploaded backup file could not be parsed to correct format.",
    (DRAFT, COMPLETE): "Draft creation message",
    (DRAFT, FAILED): "java.lang.IllegalStateException: Simulated: the draft could not be made.",
    (DEPLOY, COMPLETE): "Deploy outcome message",
    (DEPLOY, FAILED): "Deploy halted because of errors.",
}


class HubOptions(TypedDict, total=False):
    """What can be said about a job of Configuration Hub; None, or nothing, leaves a thing to chance.

    `duration_s` and `queue_s` run from `created_s`, `kept_s` too: after it the job is in no list any more (never).
    `hydrated_after_s`, `settled_after_s`, `pending_after_s`, `decided_after_s` and `touched_after_s` run from the end,
    all exact whatever the speed; infinity means never. `final_state`: COMPLETE. `absent` and `null` are fields that are
    left out or null; None leaves out nothing but, in every second draft, `modified`.

    Of backups and uploads: `of_tenant`, whose configuration it is (this tenant's); `backup_type`; `include_types`,
    which make it `partial`; `object_count`. Of drafts: where they come from, and `approval`, which is reached by way of
    PENDING_APPROVAL. Of deploys: the draft. `sync` is how the cloud storage of a backup or a deploy ends up; until
    then, and for what does not become COMPLETE, it is NOT_SYNCED.
    """

    name: str | None
    job_id: str | None
    created_s: float | None
    queue_s: float | None
    duration_s: float | None
    kept_s: float | None
    final_state: str | None
    message: str | None
    sends_completed: bool | None
    absent: tuple[str, ...] | None
    null: tuple[str, ...] | None
    touched_after_s: tuple[float, ...] | None
    of_tenant: str | None
    backup_type: str | None
    partial: bool | None
    include_types: tuple[str, ...] | None
    object_count: int | None
    hydrated_after_s: float | None
    sync: str | None
    settled_after_s: float | None
    source_backup_id: str | None
    source_backup_name: str | None
    approval: str | None
    pending_after_s: float | None
    decided_after_s: float | None
    draft_id: str | None
    draft_name: str | None


def check(kind: str, options: HubOptions) -> None:
    """Refuse what cannot be.

    Raises:
        TypeError: no such option.
        ValueError: no such kind, final state, backup type, state of the cloud storage or approval.
    """
    if unknown := options.keys() - HubOptions.__annotations__:
        raise TypeError(f"no such option: {', '.join(sorted(unknown))}")
    known = (
        ("kind", kind, HUB_KINDS),
        ("final_state", options.get("final_state"), FINAL_STATES),
        ("backup_type", options.get("backup_type"), BACKUP_TYPES),
        ("sync", options.get("sync"), SYNC_STATES),
        ("approval", options.get("approval"), APPROVALS),
    )
    for name, value, words in known:
        if value is not None and value not in words:
            raise ValueError(f"{name} must be one of {', '.join(words)}, got {value!r}")


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes jobs of one kind: the same dice make the same job.

    `backup` and `draft` are the newest ones of the tenant, which drafts and deploys are made from where nothing else
    is said.
    """

    plan: TenantPlan
    speed: float
    backup: HubJob | None = None
    draft: HubJob | None = None

    def make(self, kind: HubKind, options: HubOptions, rng: random.Random, *, created_s: float) -> HubJob:
        """Make the job that `options` ask for."""
        created_s = to_ms(created_s)
        job_id = options.get("job_id") or dashed_id(rng)
        final_state = options.get("final_state") or rng.choices(FINAL_STATES, (88, 9, 3))[0]
        queue_s, duration_s = self._pace(kind, options, rng)
        ended_s = _moment(created_s, duration_s)
        end_s = math.inf if ended_s is None else ended_s
        about = self._about(kind, options, rng, end_s if final_state == COMPLETE else math.inf)
        sync, settled_s = self._sync(kind, options, rng, end_s if final_state == COMPLETE else math.inf)
        completed = final_state == COMPLETE or (kind, final_state) == (DEPLOY, FAILED)
        return HubJob(
            tenant=self.plan.name,
            kind=kind,
            id=job_id,
            name=_name(about, kind, options, rng),
            created_s=created_s,
            started_s=_moment(created_s, queue_s),
            ended_s=ended_s,
            final_state=None if ended_s is None else final_state,
            about=about,
            message=options.get("message") or MESSAGES.get((kind, final_state)),
            requester=rng.choice(REQUESTERS),
            # Failed jobs have no `completed` in what users report, but for the deploys of the published example.
            sends_completed=_given(options.get("sends_completed"), completed),
            sync=sync,
            settled_s=settled_s,
            touched_s=_touched(options, rng, end_s),
            gone_s=created_s + _given(options.get("kept_s"), math.inf),
            absent=frozenset(_given(options.get("absent"), _drawn_absent(kind, rng))),
            null=frozenset(options.get("null") or ()),
        )

    def _pace(self, kind: HubKind, options: HubOptions, rng: random.Random) -> tuple[float, float]:
        medians_s = {
            BACKUP: self.plan.export_median_s,
            UPLOAD: UPLOAD_MEDIAN_S,
            DRAFT: DRAFT_MEDIAN_S,
            DEPLOY: self.plan.import_median_s,
        }
        drawn_s = medians_s[kind] * math.exp(rng.gauss(0, SPREAD)) / self.speed
        duration_s = _given(options.get("duration_s"), drawn_s)
        queue_s = options.get("queue_s")
        if queue_s is not None:
            return queue_s, max(queue_s, duration_s)
        return min(rng.uniform(0.2, 2) / self.speed, duration_s / 10), duration_s

    def _about(self, kind: HubKind, options: HubOptions, rng: random.Random, end_s: float) -> Backup | Draft | Deploy:
        if kind in (BACKUP, UPLOAD):
            return self._backup(kind, options, rng, end_s)
        return self._draft(options, rng, end_s) if kind == DRAFT else self._deploy(options, rng)

    def _backup(self, kind: str, options: HubOptions, rng: random.Random, end_s: float) -> Backup:
        types = options.get("include_types") or ()
        partial = _given(options.get("partial"), bool(types))
        if partial and not types:
            types = tuple(sorted(rng.sample(BACKED_UP, rng.randint(1, 3))))
        drawn_type = UPLOADED if kind == UPLOAD else rng.choices((AUTOMATED, MANUAL, AUTOMATED_DRAFT), (9, 9, 2))[0]
        drawn_count = rng.randint(2, 40) * len(types) if partial else rng.randint(300, 900)
        return Backup(
            tenant=options.get("of_tenant") or self.plan.name,
            backup_type=options.get("backup_type") or drawn_type,
            partial=partial,
            include_types=types,
            object_count=_given(options.get("object_count"), drawn_count),
            hydrated_s=_after(end_s, options.get("hydrated_after_s"), rng.uniform(5, 2700) / self.speed),
        )

    def _sync(
        self, kind: HubKind, options: HubOptions, rng: random.Random, end_s: float
    ) -> tuple[str | None, float | None]:
        drawn = rng.choices(SYNC_STATES, (80, 10, 10))[0] if kind in (BACKUP, DEPLOY) else None
        drawn_s = 10 ** rng.uniform(1.3, 3.5) / self.speed
        sync = options.get("sync") or drawn
        if sync in (None, NOT_SYNCED):
            return sync, None
        return sync, _after(end_s, options.get("settled_after_s"), drawn_s)

    def _draft(self, options: HubOptions, rng: random.Random, end_s: float) -> Draft:
        source = self.backup
        about = source.about if source else None
        drawn = source.id if source else dashed_id(rng)
        drawn_name = source.name if source else rng.choice(NAMES[BACKUP])
        tenant = about.tenant if isinstance(about, Backup) else self.plan.name
        source_tenant = options.get("of_tenant") or tenant
        mode = "RESTORE" if source_tenant == self.plan.name else "PROMOTE"
        return Draft(
            source_tenant=source_tenant,
            source_backup_id=options.get("source_backup_id") or drawn,
            source_backup_name=options.get("source_backup_name") or drawn_name,
            mode="UPLOAD" if isinstance(about, Backup) and about.backup_type == UPLOADED else mode,
            approvals=tuple(self._approvals(options, rng, end_s)),
        )

    def _approvals(self, options: HubOptions, rng: random.Random, end_s: float) -> list[Approval]:
        goal = options.get("approval") or rng.choices(APPROVALS, (30, 20, 40, 10))[0]
        pending_s = _after(end_s, options.get("pending_after_s"), rng.uniform(5, 60) / self.speed)
        decided_s = _after(end_s, options.get("decided_after_s"), rng.uniform(90, 900) / self.speed)
        asker, judge = rng.sample(REQUESTERS, 2)
        if goal == DEFAULT or pending_s is None:
            return []
        steps = [Approval(PENDING, pending_s, asker, "Simulated: please have a look.")]
        if goal != PENDING and decided_s is not None:
            comment = "Simulated: fine." if goal == APPROVED else "Simulated: not like this."
            steps.append(Approval(goal, max(pending_s, decided_s), judge, comment))
        return steps

    def _deploy(self, options: HubOptions, rng: random.Random) -> Deploy:
        drawn, drawn_name = dashed_id(rng), rng.choice(NAMES[DRAFT])
        return Deploy(
            draft_id=options.get("draft_id") or (self.draft.id if self.draft else drawn),
            draft_name=options.get("draft_name") or (self.draft.name if self.draft else drawn_name),
        )


def draw_options(rng: random.Random) -> tuple[HubKind, HubOptions]:
    """Draw a job as somebody or some timetable would start it."""
    kind = rng.choices(HUB_KINDS, (4, 1, 2, 3))[0]
    options: HubOptions = {"partial": kind == BACKUP and rng.random() < PARTIAL_SHARE}
    if kind == BACKUP and rng.random() < OTHERS_SHARE:
        options["of_tenant"] = OTHER_TENANT
    return kind, options


PARTIAL_SHARE, OTHERS_SHARE = 0.2, 0.1
"""How many backups are partial, and how many are another tenant's."""

HUB_OPENINGS: tuple[tuple[HubKind, HubOptions, float], ...] = (
    (BACKUP, {"final_state": COMPLETE, "backup_type": AUTOMATED, "sync": SYNCED}, 26.0),
    (DRAFT, {"final_state": COMPLETE, "approval": PENDING}, 20.0),
    (DEPLOY, {"final_state": COMPLETE, "sync": SYNCED}, 19.0),
    (UPLOAD, {"final_state": FAILED}, 18.0),
    (BACKUP, {"final_state": COMPLETE, "backup_type": MANUAL, "partial": True}, 12.0),
    (BACKUP, {"final_state": COMPLETE, "of_tenant": OTHER_TENANT}, 11.0),
    (DRAFT, {"final_state": COMPLETE, "approval": APPROVED}, 10.0),
    (DEPLOY, {"final_state": FAILED, "sync": NOT_SYNCED}, 9.0),
    (UPLOAD, {"final_state": COMPLETE}, 8.0),
    (BACKUP, {"final_state": FAILED, "backup_type": AUTOMATED}, 7.0),
    (DRAFT, {"final_state": COMPLETE, "approval": DENIED}, 6.0),
    (BACKUP, {"final_state": COMPLETE, "sync": SYNC_FAILED}, 5.0),
)
"""How a tenant's lists begin: kind, options and age in hours, before chance takes over."""


def _name(about: Backup | Draft | Deploy, kind: HubKind, options: HubOptions, rng: random.Random) -> str:
    drawn = rng.choice(NAMES.get(kind, ("",)))
    return about.draft_name if isinstance(about, Deploy) else options.get("name") or drawn


def _drawn_absent(kind: HubKind, rng: random.Random) -> tuple[str, ...]:
    return ("modified",) if kind == DRAFT and rng.random() < 1 / 2 else ()


def _touched(options: HubOptions, rng: random.Random, end_s: float) -> tuple[float, ...]:
    drawn = (rng.uniform(*MONTHS_S),)
    moments = (_after(end_s, after_s, 0.0) for after_s in _given(options.get("touched_after_s"), drawn))
    return tuple(moment for moment in moments if moment is not None)


def _moment(created_s: float, after_s: float) -> float | None:
    return None if math.isinf(after_s) else to_ms(created_s + after_s)


def _after(end_s: float, told_s: float | None, drawn_s: float) -> float | None:
    """Return the moment so long after the end; None where the job never ends, or that never comes."""
    return _moment(end_s, _given(told_s, drawn_s)) if math.isfinite(end_s) else None


def _given(told: T | None, drawn: T) -> T:
    return drawn if told is None else told
