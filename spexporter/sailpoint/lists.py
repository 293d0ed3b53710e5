"""Lists to domain values: Configuration Hub's backups, uploads, drafts and deploys, and personal access tokens.

An entry that cannot be read is reported and left out; it spoils no other. `Unreadable` is the only error.

Source: SailPoint API specification, configuration-hub and personal-access-tokens; public issues for what the service
really sends.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from spexporter.config.convert import IDENTIFIER_PATTERN
from spexporter.domain.hub import ListedJob
from spexporter.domain.job import HubFacts, JobKey, Observation, Operation, shared
from spexporter.sailpoint.fields import (
    Items,
    Object,
    Unknown,
    Unreadable,
    decode,
    ignore,
    is_null,
    read_count,
    read_flag,
    read_items,
    read_object,
    read_text,
    read_time,
)
from spexporter.sailpoint.wire import state_of

_SYNCED = {"SYNCED": True, "NOT_SYNCED": False, "SYNC_FAILED": False}
# The second word is in a published example; what is decided has the third or, in a comment, the fourth.
_PENDING = {"PENDING_APPROVAL", "PENDING_FOR_APPROVAL"}
_DECIDED = {"DEFAULT", "APPROVED", "DENIED", "REJECTED"}


@dataclass(frozen=True, slots=True)
class Reading:
    """Whose list is read, and when.

    `tenant` is our name for the tenant, `own_names` are those that it may have for itself, in small letters, none where
    we know none. `observed_s` is Unix seconds by our clock.
    """

    tenant: str
    own_names: frozenset[str]
    observed_s: float
    unknown: Unknown


def decode_list(body: bytes, operation: Operation, reading: Reading) -> tuple[ListedJob, ...]:
    """Decode the list of the backups, uploads, drafts or deploys, in its own order.

    Entries without an id that a job can have are left out, those without a status tell no state; of two with one id the
    first counts that tells one.

    Raises:
        Unreadable: neither a JSON list nor an object with a list in `items`, or one with entries and no object among
            them: taken for an empty list it would say that all jobs are gone.
    """
    jobs: dict[str, ListedJob] = {}
    for fields in _entries(body, reading.unknown):
        if seen := _observation(fields, operation, reading):
            other = jobs.get(seen.key.job_id)
            if other is None or (seen.raw_state and not other.tells_state):
                jobs[seen.key.job_id] = _DETAILS[operation](seen, fields, reading)
    return tuple(jobs.values())


def decode_credential_end(body: bytes, client_id: str, unknown: Unknown) -> float | None:
    """Decode a user's personal access tokens: when that of `client_id` ends, Unix seconds.

    None where it never ends, and where it is not among them.

    Raises:
        Unreadable: as `decode_list`.
    """
    for fields in _entries(body, unknown):
        if read_text(fields, "id", ignore) == client_id:
            return read_time(fields, "expirationDate", unknown)
    return None


def _entries(body: bytes, unknown: Unknown) -> list[Object]:
    """Return the objects of a list, bare or in `items`: the deploys have come in both shapes."""
    raws, entries = _items(body), []
    for raw in raws:
        try:
            entries.append(read_object(raw, "an entry"))
        except Unreadable:
            unknown("items")
    if raws and not entries:
        raise Unreadable("a list without any object")
    return entries


def _items(body: bytes) -> Items:
    try:
        body.decode()  # what is skipped over is not looked at
    except UnicodeDecodeError as error:
        raise Unreadable(f"not a list: {error.reason}") from error
    try:
        return decode(body, Items, "a list")
    except Unreadable:
        raw = _wrapped(body)
        if raw is None or is_null(raw):
            raise
        return decode(raw, Items, "a list in `items`")


def _wrapped(body: bytes) -> msgspec.Raw | None:
    try:
        return read_object(body, "an object").get("items")
    except Unreadable:
        return None


def _observation(fields: Object, operation: Operation, reading: Reading) -> Observation | None:
    unknown = reading.unknown
    job_id, raw_state = read_text(fields, "jobId", ignore), read_text(fields, "status", ignore) or ""
    if job_id is None or not re.fullmatch(IDENTIFIER_PATTERN, job_id):
        unknown("jobId")
        return None
    state = state_of(raw_state, unknown)
    return Observation(
        key=JobKey(reading.tenant, operation, job_id),
        state=state,
        raw_state=shared(raw_state, state.value),
        observed_s=reading.observed_s,
        created_s=read_time(fields, "created", unknown),
        modified_s=read_time(fields, "modified", unknown),
        completed_s=read_time(fields, "completed", unknown),
        message=read_text(fields, "message", unknown) or "",
        reported_id=job_id,
    )


def _backup(seen: Observation, fields: Object, reading: Reading) -> ListedJob:
    unknown = reading.unknown
    partial = read_flag(fields, "isPartial", unknown)
    facts = HubFacts(
        object_count=read_count(fields, "totalObjectCount", unknown),
        synced=_synced(fields, unknown),
        partial=_names_types(fields, unknown) if partial is None else partial,
        of_other_tenant=_of_other_tenant(fields, reading),
    )
    return ListedJob(seen, read_text(fields, "name", unknown) or "", facts)


def _draft(seen: Observation, fields: Object, reading: Reading) -> ListedJob:
    """Read a draft: its `sourceTenant` may be another one, the draft itself is this tenant's."""
    unknown = reading.unknown
    pending = _waiting(fields, "approvalStatus", unknown) or False
    return ListedJob(
        seen,
        name=read_text(fields, "name", unknown) or "",
        pending_approval=pending,
        pending_since_s=_pending_since_s(fields, unknown) if pending else None,
    )


def _deploy(seen: Observation, fields: Object, reading: Reading) -> ListedJob:
    """Read a deploy: it bears the name of the draft that it deploys."""
    unknown = reading.unknown
    facts = HubFacts(synced=_synced(fields, unknown))
    return ListedJob(seen, read_text(fields, "draftName", unknown) or "", facts)


_DETAILS: Mapping[Operation, Callable[[Observation, Object, Reading], ListedJob]] = {
    Operation.BACKUP: _backup,
    Operation.UPLOAD: _backup,
    Operation.DRAFT: _draft,
    Operation.DEPLOY: _deploy,
}


def _synced(fields: Object, unknown: Unknown) -> bool | None:
    word = read_text(fields, "cloudStorageStatus", unknown)
    if word is not None and word not in _SYNCED:
        unknown("cloudStorageStatus")
    return None if word is None else _SYNCED.get(word)


def _names_types(fields: Object, unknown: Unknown) -> bool:
    """Tell whether a backup that does not say so itself holds named object types alone."""
    raw = fields.get("options")
    if raw is None or is_null(raw):
        return False
    try:
        return bool(read_items(read_object(raw, "options"), "includeTypes", unknown))
    except Unreadable:
        unknown("options")
        return False


def _of_other_tenant(fields: Object, reading: Reading) -> bool | None:
    """Tell whose configuration a backup holds: the list has those of connected tenants, too."""
    name = read_text(fields, "tenant", reading.unknown) or read_text(fields, "sourceTenant", reading.unknown)
    if not name:
        return False
    return name.lower() not in reading.own_names if reading.own_names else None


def _waiting(fields: Object, name: str, unknown: Unknown) -> bool | None:
    """Return whether an approval waits for somebody; None where that is not told, or (reported) in an unknown word."""
    word = read_text(fields, name, unknown)
    if word is not None and word not in _PENDING | _DECIDED:
        unknown(name)
        return None
    return None if word is None else word in _PENDING


def _pending_since_s(fields: Object, unknown: Unknown) -> float | None:
    """Return when the present wait began: the first comment on it since the last decision; their order is not said."""
    since_s = None
    for at_s, waiting in sorted(_steps(fields, unknown)):
        if not waiting:
            since_s = None
        elif since_s is None:
            since_s = at_s
    return since_s


def _steps(fields: Object, unknown: Unknown) -> Iterator[tuple[float, bool]]:
    for raw in read_items(fields, "approvalComment", unknown):
        try:
            comment = read_object(raw, "a comment")
        except Unreadable:
            unknown("approvalComment")
            continue
        at_s, waiting = read_time(comment, "timestamp", unknown), _waiting(comment, "changedToStatus", unknown)
        if at_s is not None and waiting is not None:
            yield at_s, waiting
