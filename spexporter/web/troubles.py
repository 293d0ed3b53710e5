"""What does not work with a tenant, for people: troubles that read alike are one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spexporter.web.answers import TroubleAnswer

_JOBS_NAMED = 3


@dataclass(frozen=True, slots=True)
class TroubleRow:
    """One trouble, and some of the jobs that it `concerns`, in words; `since` is RFC 3339 as in the answer."""

    oldest: TroubleAnswer
    concerns: str


def trouble_rows(troubles: Sequence[TroubleAnswer]) -> Iterator[TroubleRow]:
    """Yield one row for troubles that read alike, each with some of the jobs that they concern."""
    alike: dict[tuple[str, str, str], list[TroubleAnswer]] = {}
    for trouble in troubles:
        alike.setdefault((trouble.endpoint, trouble.reason, trouble.message), []).append(trouble)
    for same in alike.values():
        named = [trouble.subject for trouble in same if trouble.subject != trouble.endpoint]
        more = len(named) - _JOBS_NAMED
        yield TroubleRow(
            oldest=min(same, key=lambda trouble: trouble.since or ""),
            concerns=", ".join(named[:_JOBS_NAMED]) + (f" and {more} more" if more > 0 else ""),
        )
