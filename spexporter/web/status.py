"""`GET /`: what an operator sees first."""

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import jinja2
from aiohttp import web

from spexporter import __version__
from spexporter.clock import Clock
from spexporter.domain.breaker import BreakerState
from spexporter.domain.ports import Board
from spexporter.domain.tenanttime import Moment
from spexporter.domain.view import TenantView, Trouble
from spexporter.web.notices import Notices

_JOBS_NAMED = 3
_PROBLEMS_NAMED = 10  # of each file: a large one can have thousands, which the log names
_YEAR_9999_S = 253_370_764_800


@dataclass(frozen=True, slots=True)
class _TroubleRow:
    """One trouble in words."""

    endpoint: str
    reason: str
    message: str
    cure: str
    tracking_id: str
    since: str
    concerns: str


@dataclass(frozen=True, slots=True)
class _TenantRow:
    """One tenant in words."""

    name: str
    verdict: str  # up, down or not known yet
    base_url: str
    api_version: str
    last_answer: str
    paused: str
    waits: str
    token_expires: str
    credential_ends: str
    drafts: int
    jobs: Mapping[str, int]
    troubles: tuple[_TroubleRow, ...]


@dataclass(frozen=True, slots=True)
class _BadFileRow:
    """One bad file in words."""

    path: str
    fate: str
    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class _ConfigRow:
    """The configuration in words; `problems` are those of a reload that was refused."""

    in_use_since: str
    last_reload: str
    problems: Sequence[str]
    bad_files: Sequence[_BadFileRow]

    @property
    def well(self) -> bool:
        return not self.problems and not self.bad_files


class StatusPage:
    """Renders what is wrong with files, and all tenants with their last errors and the cures; it reloads itself."""

    def __init__(self, board: Board, notices: Notices, clock: Clock) -> None:
        self._board = board
        self._notices = notices
        self._clock = clock
        templates = jinja2.Environment(
            loader=jinja2.PackageLoader("spexporter.web"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._template = templates.get_template("status.html")

    async def handle(self, _request: web.Request) -> web.Response:
        """Render the page as of now."""
        now = Moment(self._clock.wall(), self._clock.monotonic())
        nonce = secrets.token_urlsafe(16)
        tenants = [_tenant_row(view, now) for view in self._board.snapshot()]
        config = _config_row(self._notices, now)
        facts = {"version": __version__, "now": _stamp(now.wall_s), "nonce": nonce}
        text = self._template.render(config=config, tenants=tenants, **facts)
        policy = f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
        return web.Response(text=text, content_type="text/html", headers=headers)


def _config_row(notices: Notices, now: Moment) -> _ConfigRow:
    last, since_s = notices.reloaded, notices.in_use_since_s
    if last is None:
        outcome = "none since the start"
    elif last.problems:
        outcome = f"refused {ago(now.wall_s - last.at_s)}; the configuration before goes on"
    else:
        outcome = f"taken over {ago(now.wall_s - last.at_s)}"
    return _ConfigRow(
        in_use_since="not yet" if since_s is None else _stamp(since_s),
        last_reload=outcome,
        problems=_some(last.problems) if last else (),
        bad_files=[
            _BadFileRow(
                path=str(file.path),
                fate="what it said before goes on" if file.kept else "nothing of it is in use",
                problems=_some([str(problem) for problem in file.problems]),
            )
            for file in notices.bad_files
        ],
    )


def _some(problems: Sequence[str]) -> Sequence[str]:
    more = len(problems) - _PROBLEMS_NAMED
    return [*problems[:_PROBLEMS_NAMED], *([f"and {more} more, which the log names"] if more > 0 else [])]


def _tenant_row(view: TenantView, now: Moment) -> _TenantRow:
    health = view.health
    paused_s = (health.throttled_until_s or 0.0) - now.wall_s
    return _TenantRow(
        name=view.tenant,
        verdict={True: "up", False: "down", None: "not known yet"}[health.up],
        base_url=health.base_url,
        api_version=health.api_version or "being found out",
        last_answer="none yet" if health.last_answer_s is None else ago(now.wall_s - health.last_answer_s),
        paused=f"paused for {paused_s:.0f} s" if paused_s > 0 else "",
        waits=_waits(view, now),
        token_expires=_token(health.token_expires_s, now),
        credential_ends="" if view.credential_expires_s is None else _stamp(view.credential_expires_s),
        drafts=view.state.drafts.pending if view.state.drafts and not view.stale(now) else 0,
        jobs=_jobs_by_state(view, now),
        troubles=tuple(_trouble_rows(health.troubles, now)),
    )


def _jobs_by_state(view: TenantView, now: Moment) -> Mapping[str, int]:
    shown = list(view.shown_jobs(now))
    found = Counter(str(job.state or "not seen yet") for job in shown)
    found["not known any more"] = len(view.state.jobs) - len(shown)
    return {state: count for state, count in sorted(found.items()) if count}


def _token(expires_s: float | None, now: Moment) -> str:
    if expires_s is None:
        return "no token yet"
    return _stamp(expires_s) if expires_s > now.wall_s else f"expired {ago(now.wall_s - expires_s)}"


def _waits(view: TenantView, now: Moment) -> str:
    """Say that a tenant in trouble is left alone, and until when."""
    if view.breaker is BreakerState.CLOSED and view.next_try_monotonic_s is None:
        return ""
    left_s = max(0.0, (view.next_try_monotonic_s or now.monotonic_s) - now.monotonic_s)
    # While the breaker is closed only a credential that is refused stops everything.
    why = "credential refused" if view.breaker is BreakerState.CLOSED else f"circuit breaker {view.breaker}"
    return f"{why}, next try {f'in {left_s:.0f} s' if left_s else 'now'}"


def _trouble_rows(troubles: Mapping[str, Trouble], now: Moment) -> Iterator[_TroubleRow]:
    """Yield one row for troubles that read alike, with some of the jobs that they concern."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for subject, trouble in troubles.items():
        alike.setdefault((trouble.endpoint, trouble.reason, trouble.message), []).append(subject)
    for (endpoint, reason, message), subjects in alike.items():
        oldest = min((troubles[subject] for subject in subjects), key=lambda trouble: trouble.since_s)
        named = [subject for subject in subjects if subject != endpoint]
        more = len(named) - _JOBS_NAMED
        yield _TroubleRow(
            endpoint=endpoint,
            reason=reason,
            message=message,
            cure=oldest.cure,
            tracking_id=oldest.tracking_id,
            since=ago(now.wall_s - oldest.since_s),
            concerns=", ".join(named[:_JOBS_NAMED]) + (f" and {more} more" if more > 0 else ""),
        )


def ago(seconds: float) -> str:
    """Return an age as people say it, in its largest whole unit."""
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds // unit_s:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"


def _stamp(unix_s: float) -> str:
    if not 0 <= unix_s < _YEAR_9999_S:
        return "at an impossible time"
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
