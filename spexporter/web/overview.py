"""What the first page says at a glance: whether all is well, and if not, what is wrong."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from spexporter.clock import Pace
from spexporter.domain.job import Job, JobState
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView
from spexporter.web.answers import TenantAnswer, rfc3339
from spexporter.web.joblist import needs_attention, newest_s
from spexporter.web.notices import Notices

TENANTS = 25
"""How many tenants the first page shows at once, those in trouble first."""
_PROBLEMS_NAMED = 10  # of each file: a large one can have thousands, which the log names
_NAMED = 5


@dataclass(frozen=True, slots=True)
class BadFileRow:
    """One bad file in words."""

    path: str
    fate: str
    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class ConfigRow:
    """The configuration in words; times are RFC 3339, `problems` are those of a reload that was refused."""

    in_use_since: str | None
    reloaded: str | None
    problems: Sequence[str]
    bad_files: Sequence[BadFileRow]

    @property
    def well(self) -> bool:
        """Whether nobody has anything to mend."""
        return not self.problems and not self.bad_files


@dataclass(frozen=True, slots=True)
class Attention:
    """How many jobs a person should look at, how many of these have failed, and which is the `newest` of them."""

    jobs: int = 0
    failed: int = 0
    newest: Job | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether all is well; jobs that need attention are a warning.

    The sentences, and what is said of jobs, only change when something has happened: they are read aloud.
    """

    level: Literal["well", "warned", "bad"]
    sentences: Sequence[str]
    attention: Attention


def config_row(notices: Notices) -> ConfigRow:
    """Say how the last reload ended, and which files are bad."""
    last = notices.reloaded
    return ConfigRow(
        in_use_since=rfc3339(notices.in_use_since_s),
        reloaded=rfc3339(last.at_s) if last else None,
        problems=_some(last.problems) if last else (),
        bad_files=[
            BadFileRow(
                path=str(file.path),
                fate="what it said before goes on" if file.kept else "nothing of it is in use",
                problems=_some([str(problem) for problem in file.problems]),
            )
            for file in notices.bad_files
        ],
    )


def in_trouble(tenant: TenantAnswer) -> bool:
    """Tell whether a tenant does not answer as it should."""
    return tenant.up is False or bool(tenant.troubles) or tenant.stale or tenant.breaker != "closed"


def by_need(tenants: Iterable[TenantAnswer]) -> list[TenantAnswer]:
    """Return the tenants with those in trouble first, each by name."""
    return sorted(tenants, key=lambda tenant: (not in_trouble(tenant), tenant.tenant))


def states(tenants: Iterable[TenantAnswer]) -> Counter[str]:
    """Return how many jobs are in each state."""
    found: Counter[str] = Counter()
    for tenant in tenants:
        for counted in tenant.jobs.values():
            found.update(counted)
    return found


async def attention(views: Iterable[TenantView], now: Moment) -> Attention:
    """Find the jobs that a person should look at. Others run meanwhile: there may be many."""
    pace, jobs, failed = Pace(), 0, 0
    newest: Job | None = None
    for view in views:
        for job in view.state.jobs.values():
            await pace.did(1)
            if job.left or not needs_attention(job, view, now):
                continue
            jobs += 1
            failed += job.state is JobState.FAILED
            if newest is None or newest_s(job) > newest_s(newest):
                newest = job
    return Attention(jobs, failed, newest)


def verdict(
    tenants: Sequence[TenantAnswer], config: ConfigRow, attention: Attention, elsewhere: Mapping[str, str]
) -> Verdict:
    """Say whether all is well, and what is wrong; `elsewhere` are the other tenants, with who watches each."""
    troubled = [tenant.tenant for tenant in tenants if in_trouble(tenant)]
    alone = [tenant for tenant, watcher in sorted(elsewhere.items()) if not watcher]
    every = len(tenants) + len(elsewhere)
    wrong = [f"{_named(troubled, len(tenants))} in trouble."] if troubled else []
    if alone:
        wrong.append(f"{_named(alone, every)} watched by nobody: is the database away?")
    if not config.well:
        wrong.append("Files of the configuration are bad, or its last reload was refused.")
    level: Literal["well", "warned", "bad"] = "bad" if wrong else "warned" if attention.jobs else "well"
    return Verdict(level, wrong or [_answering(tenants, level == "well", len(elsewhere))], attention)


def _answering(tenants: Sequence[TenantAnswer], well: bool, elsewhere: int) -> str:  # noqa: FBT001 (two words of one sentence)
    if not tenants and elsewhere:
        return f"This replica watches no tenant; others watch {elsewhere}."
    if not tenants:
        return "No tenants are configured."
    if untried := sum(tenant.up is None for tenant in tenants):
        return f"Of {len(tenants)} tenants {untried} were not asked yet."
    return "All is well: every tenant answers." if well else "Every tenant answers."


def _named(troubled: Sequence[str], of: int) -> str:
    more = len(troubled) - _NAMED
    names = ", ".join(troubled[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{len(troubled)} of {of} tenants ({names}) {'is' if len(troubled) == 1 else 'are'}"


def _some(problems: Sequence[str]) -> Sequence[str]:
    more = len(problems) - _PROBLEMS_NAMED
    return [*problems[:_PROBLEMS_NAMED], *([f"and {more} more, which the log names"] if more > 0 else [])]
