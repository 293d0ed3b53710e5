"""Any board there can be, synthetic: strategies for views of tenants, and for what may become of them."""

from collections.abc import Mapping
from random import Random

from hypothesis import strategies as st

from spexporter.domain import counting
from spexporter.domain.counting import Cell, Exemplar, SeriesKey
from spexporter.domain.durations import Usual
from spexporter.domain.hub import Drafts
from spexporter.domain.job import HubFacts, Job, JobKey, JobState, Observation, Operation, Source, WatchedJob
from spexporter.domain.meter import Meter
from spexporter.domain.result import ImportResult, Outcome, TypeCounts
from spexporter.domain.tenanttime import Moment, TenantTime
from spexporter.domain.values import replace
from spexporter.domain.view import TenantHealth, TenantState, TenantView

NOW = Moment(wall_s=1_795_000_000.0, monotonic_s=5_000.0)
TENANTS = ("acme", "globex.eu", "initech-1")
ids = st.text("0123456789abcdef-._", min_size=1, max_size=40)
# Whatever SailPoint or an operator may write; half a surrogate pair cannot be sent, and is replaced when it is read.
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=130)
times = st.floats(1e9, 2e9, allow_nan=False) | st.integers(10**9, 2 * 10**9).map(float)
known_times = st.none() | times
counts = st.integers(0, 10**6)
operations = st.sampled_from(Operation)
states = st.sampled_from(JobState)
results = st.builds(
    ImportResult,
    types=st.dictionaries(words.filter(bool), st.builds(TypeCounts, counts, counts, counts, counts), max_size=3),
    preview=st.booleans(),
)


@st.composite
def jobs(draw: st.DrawFn, tenant: str) -> Job:
    """Return any job, also one that no tenant would tell of."""
    key = JobKey(tenant, draw(operations), draw(ids))
    latest = draw(
        st.none()
        | st.builds(
            Observation,
            key=st.just(key),
            state=states,
            raw_state=st.sampled_from(("", "COMPLETE", "WHATEVER")),
            observed_s=times,
            created_s=known_times,
            modified_s=known_times,
            completed_s=known_times,
            expires_s=known_times,
            description=words,
        )
    )
    ended = latest is not None and latest.state.ended
    return Job(
        WatchedJob(
            key,
            draw(st.sampled_from(Source)),
            draw(words),
            draw(st.none() | st.floats(0.1, 1e6)),
            draw(st.none() | st.booleans()),
        ),
        latest=latest,
        missing_s=draw(known_times),
        left=draw(st.booleans()),
        ended_s=draw(known_times) if ended else None,
        end_seen_s=draw(times) if ended else None,
        outcome=draw(st.none() | st.sampled_from(Outcome)),
        result=draw(st.none() | results),
        hub=draw(st.none() | st.builds(HubFacts, synced=st.none() | st.booleans())),
    )


@st.composite
def cells(draw: st.DrawFn) -> Mapping[SeriesKey, Cell]:
    """Return counters as a ledger has them: all of an operation begin together, each with any value."""
    keys = [key for operation in draw(st.sets(operations)) for key in counting.operation_baseline(operation)]
    keys += [
        key for kind in draw(st.sets(words.filter(bool), max_size=3)) for key in counting.object_type_baseline(kind)
    ]
    rng = Random(draw(st.integers(0, 2**32)))  # noqa: S311 - so many that drawing each would take too long
    found, below = {}, 0.0
    for key in keys:
        first = key.name != _BUCKET or key.labels[1] == "1.0"
        below = 0.0 if first else below + rng.randrange(5)  # each bucket holds those before it
        value = below if key.name == _BUCKET else rng.choice((0.0, float(rng.randrange(10**6)), rng.random() * 1e9))
        found[key] = _cell(rng, value, exemplar=key.name in _EXEMPLARS)
        if key.name == _BUCKET:
            found[key] = replace(found[key], published=value)
    return found


def _cell(rng: Random, value: float, *, exemplar: bool) -> Cell:
    return Cell(
        value=value,
        published=rng.choice((value, value, 0.0)),
        exemplar=Exemplar("3469b87d", rng.random(), 1.7e9 + rng.random()) if exemplar and rng.random() < 0.5 else None,
        created_s=rng.choice((None, 1.7e9 + rng.random())),
    )


_BUCKET = f"{counting.RUN_SECONDS}_bucket"
_EXEMPLARS = {*counting.TYPE_COUNTERS, _BUCKET}
healths = st.builds(
    TenantHealth,
    base_url=st.just("https://acme.api.identitynow.com"),
    api_version=st.none() | st.sampled_from(("v1", "beta")),
    up=st.none() | st.booleans(),
    last_answer_s=known_times,
    last_answer_monotonic_s=st.none() | st.floats(0, 5_000),
    throttled_until_s=known_times,
    token_expires_s=known_times,
    time=st.none() | st.builds(TenantTime.around, times),
    clock_offset_s=st.none() | st.floats(-1e4, 1e4),
    still_at_s=known_times,
    access=st.dictionaries(st.sampled_from(("token", "import-status", "backups")), st.booleans()),
)


@st.composite
def tenant_states(draw: st.DrawFn, tenant: str) -> TenantState:
    """Return what a ledger may know of a tenant."""
    found = draw(st.lists(jobs(tenant), max_size=4, unique_by=lambda job: job.key))
    return TenantState(
        jobs={job.key: job for job in found},
        totals=draw(cells()),
        successes=draw(st.dictionaries(operations, times, max_size=2)),
        success_objects=draw(st.dictionaries(operations, counts, max_size=2)),
        drafts=draw(st.none() | st.builds(Drafts, pending=counts, oldest_pending_s=known_times)),
        usual=draw(st.dictionaries(operations, st.builds(Usual, times, times), max_size=2)),
    )


@st.composite
def views(draw: st.DrawFn, tenant: str, version: int = 1) -> TenantView:
    """Return any view of a tenant."""
    state = draw(tenant_states(tenant))
    return TenantView(
        tenant,
        version,
        state,
        draw(healths),
        max_staleness_s=draw(st.sampled_from((float("inf"), 60.0))),
        expect=draw(st.dictionaries(operations, st.floats(1, 1e6), max_size=2)),
        credential_expires_s=draw(known_times),
        per_job=draw(st.booleans()),
    )


@st.composite
def changed(draw: st.DrawFn, view: TenantView) -> TenantView:
    """Return what may become of a view: usually most of it stays as it is, by identity, too."""
    state = view.state
    match draw(st.sampled_from(("nothing", "jobs", "totals", "health", "per_job", "all"))):
        case "jobs":
            others = {job.key: job for job in draw(st.lists(jobs(view.tenant), max_size=2))}
            kept = {key: job for key, job in state.jobs.items() if draw(st.booleans())}
            state = replace(state, jobs=kept | others)
        case "totals":
            state = replace(state, totals={**state.totals, **draw(cells())})
        case "health":
            view = replace(view, health=draw(healths))
        case "per_job":
            view = replace(view, per_job=not view.per_job)
        case "all":
            return draw(views(view.tenant, view.version + 1))
        case _:
            return view
    return replace(view, state=state, version=view.version + 1)


@st.composite
def meters(draw: st.DrawFn) -> Meter:
    """Return what one tenant's exchanges may have counted."""
    meter = Meter(METERED_COUNTERS, draw(times))
    meter.gauges = {name: lambda: 3 for name in METERED_GAUGES}
    for name, labels in METERED_COUNTERS.items():
        for values in draw(st.sets(st.tuples(*[words] * labels), max_size=2)):
            meter.add(name, values, draw(counts))
    return meter


METERED_COUNTERS = {
    "spexporter_api_requests_total": 2,
    "spexporter_api_errors_total": 1,
    "spexporter_api_deprecated_responses_total": 1,
    "spexporter_rate_limit_wait_seconds_total": 0,
}
METERED_GAUGES = ("spexporter_rate_limit_requests", "spexporter_rate_limit_allowed_requests")
