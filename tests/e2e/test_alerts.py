"""From what happens in a tenant to who is told, with all that is real: shipped rules and routing, sixty times faster.

A second here is a minute of the rules. Nothing else is changed: the exporter is the program as users run it, Prometheus
and Alertmanager are Debian's.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from spexporter.simulator import Fault, TenantPlan, result_of
from spexporter.simulator.faults import HANG_UP
from tests.support.alarms import EVERY_S, Site, site
from tests.support.alerting import FIRING, RESOLVED

ACME, GLOBEX = "acme-prod", "globex"  # the first has an on-call of its own in the example
PLANS = [
    TenantPlan(ACME, "id-of-acme", "secret-of-acme", 0, 0.0, hub_old_failures=20),
    TenantPlan(GLOBEX, "id-of-globex", "secret-of-globex", 0, 0.0),
]
LASTS_S = 2.0
# When acme's old failures began, in seconds before now: from an hour and a half of the rules to two true days.
OLD_S = (90.0, 150.0, 210.0, 300.0, *(7200.0 * number for number in range(1, 25)))
FAILED: Mapping[str, Any] = {"final_state": "FAILED", "has_result": False}
SEEN_WITHIN_S = 15.0
QUIET_S = 6.0  # longer than Alertmanager keeps back what is new in a group
TOLD_WITHIN_S = 100.0  # an ended job is told of for 75 minutes
DOWN_FOR_S = 2.5


class Alarm(NamedTuple):
    """What an alert is about."""

    name: str
    tenant: str = ""
    operation: str = ""
    job_id: str = ""

    @property
    def labels(self) -> Mapping[str, str]:
        return {name: value for name, value in self._asdict().items() if value and name != "name"}


IMPORT_FAILED = Alarm("SPConfigJobFailed", ACME, "import", "import-fails")
EXPORT_FAILED = Alarm("SPConfigJobFailed", ACME, "export", "export-fails")
CANCELLED = Alarm("SPConfigJobCancelled", ACME, "export", "export-cancelled")
ERRORS = Alarm("SPConfigImportErrors", ACME, "import", "import-with-errors")
AWAY = Alarm("SPConfigTenantUnreachable", GLOBEX)
STALE = Alarm("SPConfigDataStale", GLOBEX)
DOWN = Alarm("SPExporterDown")
# Who is told of what in one message, as docs/operations.md says: one for each tenant and alert, by severity and tenant.
GROUPS = {
    ("acme-on-call", ACME, IMPORT_FAILED.name): {IMPORT_FAILED, EXPORT_FAILED},
    ("acme-on-call", ACME, ERRORS.name): {ERRORS},
    ("operations", ACME, CANCELLED.name): {CANCELLED},
    ("on-call", GLOBEX, AWAY.name): {AWAY},
}
EXPECTED = set[Alarm]().union(*GROUPS.values())
INHIBITED = {STALE}


async def test_who_must_know_is_told_and_of_nothing_else(tmp_path: Path) -> None:
    """Jobs that fail or are cancelled, errors of a COMPLETE import and a tenant gone are told, then that it is over.

    Neither a first start on many old failures, nor dry runs, nor a restart say anything, and what only follows from
    something else that was told is kept back.
    """
    async with site(tmp_path, PLANS) as here:
        fail_long_ago(here)
        async with here.exporter():
            failed = f'count(spconfig_job_state{{state="FAILED"}} == 1) >= {len(OLD_S)}'
            await here.seen.eventually(failed, within_s=SEEN_WITHIN_S)
            await asyncio.sleep(QUIET_S)
            assert await fired(here) == set()
            began_s = time.monotonic()
            await happen(here)
            for alarm in sorted(EXPECTED):
                await hears(here, alarm, FIRING, since_s=began_s + LASTS_S * (alarm is not AWAY))
        async with here.exporter():
            await here.seen.eventually(
                f'ALERTS{{alertname="{STALE.name}", alertstate="firing"}}', within_s=TOLD_WITHIN_S
            )
            await asyncio.sleep(QUIET_S)
            assert await told(here, FIRING) == EXPECTED
            assert await told(here, RESOLVED) == set()
            healed_s = time.monotonic()
            here.simulator.heal(GLOBEX)
            for alarm in sorted(EXPECTED):
                await hears(here, alarm, RESOLVED, since_s=healed_s if alarm is AWAY else began_s + LASTS_S)
            await asyncio.sleep(QUIET_S)
            assert await fired(here) == EXPECTED | INHIBITED
            assert await told_together(here, FIRING) == await told_together(here, RESOLVED) == GROUPS
            both = [each for each in here.heard.notifications if len(each.alerts) > 1]
            assert {IMPORT_FAILED, EXPORT_FAILED} in [set(alarms(it.labels for it in each.alerts)) for each in both]
            assert [text for text in texts(here) if "<" in text or "{{" in text] == []


def fail_long_ago(here: Site) -> None:
    """Let acme have many jobs that failed before anybody watched them, and that the exporter is now told of."""
    for number, ago_s in enumerate(OLD_S):
        operation, job_id = ("import", "export")[number % 2], f"old-{number}"
        begun_s = here.simulator.now_s() - ago_s
        here.simulator.start(ACME, operation, job_id=job_id, created_s=begun_s, duration_s=LASTS_S, **FAILED)
        here.jobs.setdefault(ACME, []).append({"id": job_id, "operation": operation})


async def happen(here: Site) -> None:
    """Let everything happen at once: what somebody must know, and what nobody needs to know."""
    await run(here, "import", IMPORT_FAILED.job_id, **FAILED)
    await run(here, "export", EXPORT_FAILED.job_id, **FAILED)
    await run(here, "export", CANCELLED.job_id, final_state="CANCELLED")
    await run(here, "import", ERRORS.job_id, result=result_of({"SOURCE": {"errors": 2, "objects": 1}}))
    await run(here, "import", "all-well", result=result_of({"SOURCE": {"warnings": 3, "objects": 4}}))
    await run(here, "import", "dry-run", result=result_of({"SOURCE": {"errors": 7}}, preview=True), preview=True)
    await run(here, "import", "dry-run-fails", preview=True, **FAILED)
    here.simulator.afflict(GLOBEX, Fault(HANG_UP))


async def run(here: Site, operation: str, job_id: str, *, preview: bool = False, **how: Any) -> None:  # noqa: ANN401 - handed on
    """Start a job of acme, and tell the exporter of it as a pipeline does."""
    how |= {"preview": preview, "queue_s": 0.0, "duration_s": LASTS_S}
    here.simulator.start(ACME, operation, job_id=job_id, **how)
    await here.hand_in(ACME, operation, job_id, **({"preview": True} if preview else {}))


async def hears(here: Site, alarm: Alarm, status: str, *, since_s: float) -> None:
    """Wait until the webhook has heard of it, and print how long that took."""
    heard = await here.heard.hears(alarm.name, status, within_s=TOLD_WITHIN_S, **alarm.labels)
    words = " ".join(filter(None, (*alarm, status)))
    print(f"{words} after {heard.at_s - since_s:.1f} s")  # noqa: T201 - seen with -s


async def told(here: Site, status: str) -> set[Alarm]:
    """Return what the webhook was told of."""
    return set(alarms(each.labels for each in here.heard.told(status))) - await excused(here)


async def told_together(here: Site, status: str) -> dict[tuple[str, str, str], set[Alarm]]:
    """Return what was told in the messages of each group, by who got them and what the group has in common."""
    excuses, found = await excused(here), defaultdict[tuple[str, str, str], set[Alarm]](set)
    for each in here.heard.notifications:
        group = each.receiver, each.group.get("tenant", ""), each.group["alertname"]
        alerts = set(alarms(alert.labels for alert in each.alerts if alert.status == status)) - excuses
        assert {(alert.tenant, alert.name) for alert in alerts} <= {group[1:]}, each
        if alerts:
            found[group] |= alerts
    return found


def texts(here: Site) -> Iterator[str]:
    """Yield every text and address that was sent; what a template could not fill in shows as <…> or {{…}}."""
    for each in here.heard.notifications:
        for alert in each.alerts:
            yield from alert.annotations.values()


async def fired(here: Site) -> set[Alarm]:
    """Return what has ever fired in Prometheus, whoever was told."""
    series = await here.seen.raw('ALERTS{alertstate="firing"}[10m]')
    return set(alarms(each.labels for each in series)) - await excused(here)


async def excused(here: Site) -> set[Alarm]:
    """Return `DOWN` where a slow machine took minutes of the rules to start the exporter."""
    (up,) = await here.seen.raw("up[10m]")
    down_s = max((len(list(same)) * EVERY_S for value, same in groupby(up.values) if not value), default=0.0)
    return {DOWN} if down_s >= DOWN_FOR_S else set()


def alarms(found: Iterable[Mapping[str, str]]) -> Iterator[Alarm]:
    for labels in found:
        yield Alarm(labels["alertname"], *(labels.get(name, "") for name in Alarm._fields[1:]))
