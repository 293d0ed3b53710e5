"""One line of each metric family, from a page that the program itself renders of a made-up tenant."""

import asyncio
import platform
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.parser import text_string_to_metric_families

from spexporter.domain.family import Family
from spexporter.domain.hub import Drafts, ListedJob, Listing
from spexporter.domain.job import HubFacts, JobKey, JobState, Observation, Operation, Source, WatchedJob
from spexporter.domain.ports import Change, Counted, Terms
from spexporter.domain.result import ImportResult, Outcome, TypeCounts
from spexporter.domain.tenanttime import Moment, TenantTime
from spexporter.domain.view import TenantHealth, TenantState, TenantView
from spexporter.exposition.guard import Guard
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.exposition.page import BlockPage, Wanted
from spexporter.ledger.memory import MemoryLedger
from spexporter.sailpoint.endpoints import Endpoint
from spexporter.telemetry import Telemetry

TENANT = "acme-prod"
NOW = Moment(wall_s=1_800_000_000.0, monotonic_s=0.0)
OFFSET_S = 0.5
_PYTHON = "3.13.5"
_RESULT = ImportResult({"SOURCE": TypeCounts(errors=2, warnings=1, objects=5)})


def example_lines(families: Iterable[Family]) -> Mapping[str, str]:
    """Return one line of the page for each family, by name: its first sample that is not 0, if there is one.

    Raises:
        LookupError: the page has no sample of a family.
    """
    lines = [line for line in _page().splitlines() if not line.startswith("#")]
    found = {}
    for family in families:
        of_family = list(_lines_of(family, lines))
        if not of_family:
            raise LookupError(f"the example page shows nothing of {family.name}")
        telling = next((line for line in of_family if _value(line)), of_family[0])
        # The page must not depend on the Python that writes it.
        found[family.name] = telling.replace(f'"{platform.python_version()}"', f'"{_PYTHON}"')
    return found


def _page() -> str:
    telemetry, views = _telemetry(), [_view()]
    page = BlockPage(telemetry.registry, telemetry.meters, guard=Guard(limit=250_000), watch=telemetry)
    rendered = asyncio.run(page.render(lambda: views, NOW, Wanted()))
    return b"".join(rendered.parts).decode()


def _lines_of(family: Family, lines: Iterable[str]) -> Iterator[str]:
    name = f"{family.name}_bucket" if family.type == "histogram" else family.name
    return (line for line in lines if line.startswith((f"{name}{{", f"{name} ")))


def _value(line: str) -> float:
    (metric,) = text_string_to_metric_families(f"{line}\n")
    return metric.samples[0].value


def _view() -> TenantView:
    health = TenantHealth(
        f"https://{TENANT}.api.identitynow.com",
        api_version="v2025",
        up=True,
        last_answer_s=NOW.wall_s - 3,
        last_answer_monotonic_s=NOW.monotonic_s - 3,
        throttled_until_s=NOW.wall_s - 86_400,
        token_expires_s=NOW.wall_s + 600,
        time=TenantTime.around(NOW.wall_s + OFFSET_S - NOW.monotonic_s),
        clock_offset_s=OFFSET_S,
        access={Endpoint.IMPORT_STATUS: True},
    )
    return TenantView(
        TENANT,
        1,
        asyncio.run(_state()),
        health,
        expect={Operation.BACKUP: 86_400.0},
        credential_expires_s=NOW.wall_s + 30 * 86_400,
    )


async def _state() -> TenantState:
    """Let a ledger see one import that runs, three that have ended, a backup, and a draft that waits."""
    running = JobKey(TENANT, Operation.IMPORT, "ef38f94347e94562b5bb8424a56397d8")
    ended = [JobKey(TENANT, Operation.IMPORT, f"3469b87d-48ca-439a-868f-2160001da8c{number}") for number in range(3)]
    ledger = MemoryLedger(remember_s=NOW.wall_s)
    await ledger.restore([Terms(TENANT)])
    promotion = WatchedJob(running, name="nightly promotion", max_age_s=1800.0)
    seen = Change(
        added=(promotion, *(WatchedJob(key, source=Source.API) for key in ended)),
        operations=frozenset({Operation.IMPORT}),
        object_types=frozenset(_RESULT.types),
        observations=(
            Observation(running, JobState.IN_PROGRESS, "IN_PROGRESS", NOW.wall_s - 3, **_times(started_ago_s=95.0)),
            *(_complete(key, 3600.0 * (number + 1)) for number, key in enumerate(ended)),
        ),
        results=tuple(Counted(key, Outcome.COUNTED, _RESULT) for key in ended),
        at_s=NOW.wall_s,
    )
    await ledger.apply(TENANT, seen, fence=0)
    for listing in (_backups(), _drafts()):
        listed = tuple(WatchedJob(job.observation.key, Source.DISCOVERY, job.name) for job in listing.jobs)
        state = await ledger.apply(TENANT, Change(added=listed, listing=listing, at_s=NOW.wall_s), fence=0)
    return await ledger.publish(TENANT, {key: cell.due for key, cell in state.totals.items()}, fence=0)


def _times(*, started_ago_s: float) -> Mapping[str, float]:
    started_s = NOW.wall_s - started_ago_s
    return {"created_s": started_s, "modified_s": started_s + 60, "expires_s": started_s + 30 * 86_400}


def _complete(key: JobKey, started_ago_s: float) -> Observation:
    times = _times(started_ago_s=started_ago_s)
    return Observation(key, JobState.COMPLETE, "COMPLETE", NOW.wall_s, completed_s=times["created_s"] + 60, **times)


def _backups() -> Listing:
    key = JobKey(TENANT, Operation.BACKUP, "8f6d1d5c-2f5e-4e1c-9d1c-0a4b3c2d1e0f")
    entry = ListedJob(_complete(key, 7200.0), name="nightly", facts=HubFacts(object_count=1250, synced=True))
    return Listing(Operation.BACKUP, (entry,))


def _drafts() -> Listing:
    return Listing(Operation.DRAFT, drafts=Drafts(pending=1, oldest_pending_s=NOW.wall_s - 7200))


def _telemetry() -> Telemetry:
    """Let telemetry hear of one thing of each kind."""
    telemetry = Telemetry(OWN_FAMILIES, revision="9a7fc05")
    telemetry.begin_tenant(TENANT, [Endpoint.IMPORT_STATUS], used=lambda: 12, allowed=lambda: 80, at_s=NOW.wall_s)
    telemetry.ended(TENANT, Endpoint.IMPORT_STATUS, "200", 0.08, deprecated=True)
    telemetry.failed(TENANT, "throttled")
    telemetry.waited(TENANT, 1.25)
    telemetry.unknown("status")
    telemetry.started(0.02)
    telemetry.config_loaded(digest=187_649_984_473_770, at_s=NOW.wall_s - 3600)
    telemetry.show_heartbeat(lambda: NOW.wall_s)
    telemetry.watched_files(files=4, bad=1)
    telemetry.store_failed("write")
    telemetry.count_log_line(None, "", {"level": "warning"})
    return telemetry
