"""What Configuration Hub's lists tell."""

from dataclasses import dataclass, field

from spexporter.domain.job import HubFacts, Observation, Operation


@dataclass(frozen=True, slots=True)
class ListedJob:
    """One entry of a list: a backup, an upload, a draft or a deploy, as the tenant tells it now.

    `pending_since_s` is since when a draft with `pending_approval` waits, Unix seconds by the tenant's clock, None
    where no comment tells it.

    Source: SailPoint API specification, Configuration Hub: schemas of backups, drafts and deploys.
    """

    observation: Observation
    name: str = ""
    facts: HubFacts = field(default_factory=HubFacts)
    pending_approval: bool = False
    pending_since_s: float | None = None

    @property
    def tells_state(self) -> bool:
        """Whether its state could be read; else all that is known is that the job is on the list."""
        return bool(self.observation.raw_state)


@dataclass(frozen=True, slots=True)
class Drafts:
    """How many drafts wait for approval, and since when the first of them (Unix seconds by the tenant's clock).

    The time is None where none waits, or no comment tells it.
    """

    pending: int
    oldest_pending_s: float | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """One reading of the list of `operation`: the `jobs` of which it says something new.

    `drafts` is None for all lists but that of the drafts, and where nothing is known of these any more. One that is not
    `whole` leaves new jobs for the next reading, so that it is not the first one either.
    """

    operation: Operation
    jobs: tuple[ListedJob, ...] = ()
    drafts: Drafts | None = None
    whole: bool = True


def pending_drafts(entries: tuple[ListedJob, ...]) -> Drafts:
    """Return what the list of the drafts says about those that wait for approval."""
    waiting = [entry for entry in entries if entry.pending_approval]
    since_s = [entry.pending_since_s for entry in waiting if entry.pending_since_s is not None]
    return Drafts(len(waiting), min(since_s, default=None))
