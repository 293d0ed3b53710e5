"""What happens to six synthetic tenants in half an hour: nearly everything that an operator can meet.

- acme-prod: all is well: imports, exports, previews, backups that cloud storage has, drafts, deploys
- acme-sandbox: jobs fail, are cancelled, stuck or not found, results have errors and warnings, one is lost
- globex-prod: a backup is late, a draft waits; the credential ends soon, and is refused from 20 min on
- globex-sandbox: another client takes nearly all of its rate limit from 5 to 15 min
- initech-prod: cannot be reached from 10 to 24 min, while an import runs
- initech-sandbox: lacks scopes, answers in odd ways, partly deprecated, and leaves the configuration at 28 min

The store holds garbage from 17 to 18 min; a configuration with a mistake is refused at 11 min, mended at 13; a file of
jobs is bad from 21 min on.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from spexporter.config import Config
from spexporter.domain.errors import ConfigError, Problem
from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.domain.values import replace
from spexporter.simulator import Fault, TenantPlan, default_plans, result_of
from spexporter.simulator.objects import IMPORTABLE
from tests.support.disks import overwritten
from tests.support.world import World

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0
WELL, TROUBLED, LATE, THROTTLED, AWAY, ODD = (
    "acme-prod",
    "acme-sandbox",
    "globex-prod",
    "globex-sandbox",
    "initech-prod",
    "initech-sandbox",
)
STUCK, FAILING, WITH_ERRORS = "synthetic-stuck", "synthetic-failing", "synthetic-with-errors"
FOREVER = math.inf
ODD_LEAVES_S = 28 * MINUTE_S

_FAULTS = {
    LATE: (Fault("revoked", after_s=20 * MINUTE_S),),
    THROTTLED: (Fault("rival", after_s=5 * MINUTE_S, until_s=15 * MINUTE_S, count=99),),
    AWAY: (Fault("hang_up", after_s=10 * MINUTE_S, until_s=24 * MINUTE_S),),
    ODD: (
        Fault("deprecated", share=0.5),
        Fault("unknown_state", endpoints=frozenset({"export_status"})),
        Fault("unknown_types"),
    ),
}
_SCOPES = {ODD: ("sp:config:read", "sp:config-backup:read")}
_CREDENTIAL_LASTS_S = {LATE: 5 * DAY_S, TROUBLED: 40 * DAY_S, THROTTLED: 200 * DAY_S}
_EXPECT = "backup: 24h, export: 7d, import: 2d"
_HUB_LATE = 26 * HOUR_S  # of a backup that is expected every day

_TENANT = """\
  - name: {plan.name}
    base_url: "{{url}}/{plan.name}"
    client_id: {plan.client_id}
    client_secret: {plan.client_secret}
    job_files: ["{folder}/{plan.name}-*.yaml"]
"""
_CONFIG = """\
defaults:
  allow_http: true
  discover: [backups, uploads, drafts, deploys]
  credential_expires: auto
  poll: {{fastest: 5s, slowest: 60s, probe: 2m}}
  expect: {{{expect}}}
tenants:
"""


@dataclass(frozen=True, slots=True)
class Act:
    """A job: `options` are those of `Simulator.start`; `at_s` counts from the start of the history.

    With a `name` its id is named to the exporter when it begins, as a pipeline does, and with it `max_age_s`.
    """

    tenant: str
    operation: str
    job_id: str
    at_s: float
    options: dict[str, Any]
    name: str = ""
    max_age_s: float | None = None


class Story:
    """All that happens; the same seed makes the same."""

    def __init__(self, seed: int) -> None:
        self.plans = tuple(_plan(plan) for plan in default_plans(6, seed))
        self._dice = Random(seed)  # noqa: S311 - no secret
        self.acts = sorted(self._acts(), key=lambda act: act.at_s)
        self._spoilt = ExitStack()
        self._turns = deque[tuple[float, Callable[[World, Path], Awaitable[None]]]](
            (
                (0.0, self._name_in_file),
                (11 * MINUTE_S, self._refuse),
                (13 * MINUTE_S, self._mend),
                (17 * MINUTE_S, self._spoil_store),
                (18 * MINUTE_S, self._mend_store),
                (21 * MINUTE_S, self._spoil_file),
                (ODD_LEAVES_S, self._let_odd_leave),
            )
        )

    def past(self, start_s: float) -> list[dict[str, object]]:
        """Return the arguments of `Simulator.start` for all jobs, those that will begin later, too."""
        return [
            {"tenant": act.tenant, "operation": act.operation, "job_id": act.job_id, "created_s": start_s + act.at_s}
            | act.options
            for act in self.acts
        ]

    def config(self, folder: Path) -> str:
        """Return the exporter's configuration; files of jobs are in `folder`."""
        tenants = "".join(_TENANT.format(plan=plan, folder=folder) for plan in self.plans)
        return _CONFIG.format(expect=_EXPECT) + tenants

    async def happen(self, running: World, folder: Path, age_s: float) -> None:
        """Let happen what is due `age_s` seconds after the start; call it again and again."""
        for plan in self.plans if age_s < ODD_LEAVES_S else self.plans[:-1]:
            jobs = [_watched(act) for act in self.acts if act.tenant == plan.name and act.name and act.at_s <= age_s]
            await running.exporter.fleet.desk.watch(Source.CONFIG, plan.name, jobs)
        while self._turns and self._turns[0][0] <= age_s:
            await self._turns.popleft()[1](running, folder)

    async def _name_in_file(self, _: World, folder: Path) -> None:
        names = "- {id: synthetic-promotion-1, operation: import}\n- {id: synthetic-nowhere, operation: export}\n"
        (folder / f"{WELL}-pipeline.yaml").write_text(names)

    async def _spoil_file(self, _: World, folder: Path) -> None:
        (folder / f"{WELL}-hotfix.yaml").write_text("- {id: [}\n")

    async def _refuse(self, running: World, _: Path) -> None:
        def read(_: Config) -> Config:
            raise ConfigError((Problem("spexporter.yaml", 3, "", "synthetic: a mistake in the configuration"),))

        with suppress(ConfigError):
            await running.exporter.files.reload(read)

    async def _mend(self, running: World, _: Path) -> None:
        await running.exporter.files.reload(lambda config: config)

    async def _spoil_store(self, _: World, folder: Path) -> None:
        self._spoilt.enter_context(overwritten(folder / "store.db"))

    async def _mend_store(self, _: World, __: Path) -> None:
        self._spoilt.close()

    async def _let_odd_leave(self, running: World, _: Path) -> None:
        await running.exporter.files.reload(
            lambda config: replace(config, tenants=tuple(it for it in config.tenants if it.name != ODD))
        )

    def _acts(self) -> Iterator[Act]:
        for plan in self.plans:
            yield from self._history_of(plan.name)
        for tenant, pause_s in ((WELL, 100.0), (TROUBLED, 150.0), (THROTTLED, 180.0), (AWAY, 240.0), (LATE, 300.0)):
            yield from self._everyday(tenant, pause_s)
        yield from _troubles()
        yield from _configuration_hub()

    def _history_of(self, tenant: str) -> Iterator[Act]:
        """Yield jobs that ended well long before: they teach how long such jobs take."""
        for number in range(4):
            for operation, median_s in (("export", 40.0), ("import", 70.0)):
                options = {"duration_s": self._takes_s(median_s), "result": self._result(errors=0)}
                at_s = -self._dice.uniform(3, 30) * HOUR_S
                job_id = f"synthetic-{tenant}-old-{operation}-{number}"
                yield Act(tenant, operation, job_id, at_s, _of(operation, options), name=f"nightly {operation}")

    def _everyday(self, tenant: str, pause_s: float) -> Iterator[Act]:
        """Yield exports and imports of all half hour, nearly all of which end well."""
        at_s, number = self._dice.uniform(10, pause_s), 0
        while at_s < 30 * MINUTE_S:
            number += 1
            operation = self._dice.choice(("export", "import", "import"))
            preview = operation == "import" and number % 5 == 0
            errors = self._dice.choice((0, 0, 0, 2)) if tenant == TROUBLED else 0
            options = {
                "duration_s": self._takes_s(45.0 if operation == "export" else 80.0),
                "result": self._result(errors=errors, preview=preview),
                "preview": preview,
            }
            name = self._dice.choice(("nightly promotion", "release to production", "hotfix transform"))
            if operation == "export":
                name = "release snapshot"
            yield Act(
                tenant,
                operation,
                f"synthetic-{tenant}-{operation}-{number}",
                at_s,
                _of(operation, options),
                name=f"{name} {number}",
                max_age_s=10 * MINUTE_S,
            )
            at_s += self._dice.expovariate(1 / pause_s)

    def _takes_s(self, median_s: float) -> float:
        return round(median_s * math.exp(self._dice.gauss(0, 0.5)), 3)

    def _result(self, *, errors: int, preview: bool = False) -> Any:  # noqa: ANN401 - the simulator's
        types = self._dice.sample(IMPORTABLE[:8], 3)
        counts = {
            kind: {
                "errors": errors * self._dice.randint(0, 3),
                "warnings": self._dice.choice((0, 0, 1, 4)),
                "infos": self._dice.randint(0, 5),
                "objects": self._dice.randint(1, 30),
            }
            for kind in types
        }
        return result_of(counts, preview=preview)


def _troubles() -> Iterator[Act]:
    """Yield what goes wrong with SP-Config's jobs."""
    failed = {"duration_s": 95.0, "final_state": "FAILED"}
    yield Act(TROUBLED, "export", FAILING, 200.0, _of("export", failed), name="audit copy")
    yield Act(TROUBLED, "import", "synthetic-halted", 500.0, failed | _IMPORT, name="rule update")
    cancelled = {"duration_s": 60.0, "final_state": "CANCELLED"}
    yield Act(TROUBLED, "import", "synthetic-cancelled", 700.0, cancelled | _IMPORT, name="source onboarding")
    stuck = {"duration_s": FOREVER, "queue_s": 5.0}
    yield Act(TROUBLED, "import", STUCK, 120.0, stuck, name="workflow rollout", max_age_s=5 * MINUTE_S)
    yield Act(AWAY, "import", "synthetic-while-away", 400.0, stuck, name="release 42", max_age_s=20 * MINUTE_S)
    queued = {"duration_s": FOREVER, "queue_s": FOREVER}
    yield Act(LATE, "export", "synthetic-queued", 900.0, queued, name="quarter end")
    wrong = {
        "SOURCE": {"errors": 7, "warnings": 3, "infos": 2, "objects": 12},
        "TRANSFORM": {"errors": 2, "warnings": 9, "infos": 4, "objects": 31},
        "RULE": {"errors": 0, "warnings": 5, "infos": 1, "objects": 8},
        "WORKFLOW": {"errors": 1, "warnings": 0, "infos": 6, "objects": 4},
        "ROLE": {"errors": 0, "warnings": 0, "infos": 3, "objects": 22},
    }
    with_errors = {"duration_s": 250.0, "queue_s": 20.0, "result": result_of(wrong)}
    yield Act(TROUBLED, "import", WITH_ERRORS, 600.0, with_errors, name="release to production", max_age_s=600.0)
    lost = {"duration_s": 20.0, "has_result": False}
    yield Act(TROUBLED, "import", "synthetic-lost", 400.0, lost, name="hotfix transform")
    yield Act(ODD, "export", "synthetic-odd", 60.0, {"duration_s": FOREVER, "queue_s": 1.0}, name="in odd words")
    yield Act(ODD, "import", "synthetic-forbidden", 60.0, {"duration_s": 100.0}, name="not to be seen")
    once = {"duration_s": 120.0, "queue_s": 5.0, "result": result_of({"RULE": {"objects": 3}})}
    yield Act(WELL, "import", "synthetic-promotion-1", 30.0, once)


def _configuration_hub() -> Iterator[Act]:
    """Yield Configuration Hub's jobs."""
    number = 0

    def act(tenant: str, operation: str, at_s: float, **options: Any) -> Act:  # noqa: ANN401 (handed on)
        nonlocal number
        number += 1
        usual = {"duration_s": 30.0, "queue_s": 1.0, "absent": ()}
        return Act(tenant, operation, f"synthetic-{operation}-{number}", at_s, usual | options)

    good = {"sync": "SYNCED", "settled_after_s": 60.0, "backup_type": "AUTOMATED", "partial": False}
    for tenant, age_s in ((WELL, 3 * HOUR_S), (TROUBLED, 9 * HOUR_S), (LATE, _HUB_LATE), (AWAY, 17 * HOUR_S)):
        yield act(tenant, "backup", -age_s - DAY_S, **good, object_count=640)
        yield act(tenant, "backup", -age_s, **good, object_count=655)
    for at_s in (-120 * HOUR_S, -96 * HOUR_S, -72 * HOUR_S):
        yield act(WELL, "backup", at_s, **good, object_count=600)
    yield act(WELL, "backup", 5 * MINUTE_S, **{**good, "duration_s": 90.0}, object_count=661)
    yield act(LATE, "backup", -2 * HOUR_S, partial=True, include_types=("SOURCE",), object_count=12)
    yield act(LATE, "backup", -30 * MINUTE_S, final_state="FAILED", sync="NOT_SYNCED")
    yield act(LATE, "backup", 8 * MINUTE_S, final_state="FAILED", sync="NOT_SYNCED")
    yield act(AWAY, "backup", -HOUR_S, sync="SYNC_FAILED", settled_after_s=60.0, partial=True, object_count=4)
    yield act(WELL, "upload", -5 * HOUR_S, object_count=80)
    yield act(WELL, "upload", 7 * MINUTE_S, final_state="FAILED")
    yield act(LATE, "draft", -3 * DAY_S, approval="PENDING_APPROVAL", pending_after_s=10.0)
    yield act(WELL, "draft", 2 * MINUTE_S, approval="APPROVED", pending_after_s=5.0, decided_after_s=400.0)
    yield act(WELL, "draft", 12 * MINUTE_S, approval="PENDING_APPROVAL", pending_after_s=5.0)
    yield act(WELL, "deploy", 10 * MINUTE_S, sync="SYNCED", settled_after_s=30.0, duration_s=140.0)
    yield act(TROUBLED, "deploy", 15 * MINUTE_S, final_state="FAILED", sync="NOT_SYNCED")


_IMPORT = {"result": result_of({"SOURCE": {"errors": 3, "warnings": 1}, "RULE": {"errors": 1}})}


def _of(operation: str, options: dict[str, Any]) -> dict[str, Any]:
    """Leave out what an export cannot have."""
    drop = {"result", "preview"} if operation == "export" else set()
    usual: dict[str, Any] = {"queue_s": 4.0}
    return usual | {name: value for name, value in options.items() if name not in drop}


def _plan(plan: TenantPlan) -> TenantPlan:
    """Return a tenant with no life but that of the story."""
    return replace(
        plan,
        jobs_at_start=0,
        starts_per_minute=0.0,
        hub_jobs_at_start=0,
        hub_starts_per_minute=0.0,
        faults=_FAULTS.get(plan.name, ()),
        scopes=_SCOPES.get(plan.name, plan.scopes),
        credential_lasts_s=_CREDENTIAL_LASTS_S.get(plan.name),
        token_lifetime_s=720,  # so that it is renewed in the half hour
    )


def _watched(act: Act) -> WatchedJob:
    key = JobKey(act.tenant, Operation(act.operation), act.job_id)
    return WatchedJob(key, name=act.name, max_age_s=act.max_age_s)
