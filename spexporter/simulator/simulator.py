"""The simulator as others use it: over HTTP, and from Python."""

import functools
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from ssl import SSLContext
from typing import Any, TypedDict, Unpack, cast, overload

from aiohttp import web

from spexporter.clock import Clock
from spexporter.simulator.calls import API_VERSIONS
from spexporter.simulator.faults import Fault
from spexporter.simulator.hub_jobs import HUB_KINDS, PENDING, Draft, HubJob, HubKind
from spexporter.simulator.hub_orders import HubOptions
from spexporter.simulator.jobs import COMPLETE, SimulatedJob
from spexporter.simulator.limiter import RateLimiter
from spexporter.simulator.orders import Order
from spexporter.simulator.pages import add_pages, config_lines
from spexporter.simulator.pipeline import Pipeline
from spexporter.simulator.plan import TenantPlan
from spexporter.simulator.record import Record
from spexporter.simulator.results import ImportResult
from spexporter.simulator.rival import busiest_together
from spexporter.simulator.tenant import Tenant
from spexporter.simulator.troubles import Troubles

MAX_UPLOAD_BYTES = 64 * 1024 * 1024


class JobOptions(TypedDict, total=False):
    """What can be said about an export or import that is planted; see `Order`."""

    preview: bool
    name: str | None
    job_id: str | None
    created_s: float | None
    queue_s: float | None
    duration_s: float | None
    final_state: str | None
    result: ImportResult | None
    has_result: bool
    message: str | None
    backup: bool


class Simulator:
    """A fake SailPoint Identity Security Cloud with the tenants of `plans`, each below `/<name>`.

    Jobs live by `clock.wall()`, tokens and the rate limit by `clock.monotonic()`. The same plans, seed and times give
    the same bytes. `speed` divides the durations of jobs and the pauses between their starts. `requests` per `per_s`
    seconds is the rate limit of each client id and API version; token requests count in all of them unless
    `count_tokens` is off. `ca_file` is named in the configuration it writes.

    Raises:
        ValueError: two plans have one name.
    """

    def __init__(
        self,
        plans: Iterable[TenantPlan],
        *,
        clock: Clock,
        seed: int = 1,
        speed: float = 1.0,
        requests: int = 100,
        per_s: float = 10.0,
        count_tokens: bool = True,
        ca_file: str | None = None,
    ) -> None:
        self.record = Record()
        self._clock = clock
        self._seed = seed
        self._troubles = Troubles(plans := tuple(plans), clock=clock, seed=seed, per_s=per_s)
        self._limiter = RateLimiter(requests, per_s, count_tokens=count_tokens)
        self._per_s = per_s
        self._count_tokens = count_tokens
        self.ca_file = ca_file
        start_s = clock.wall()
        self._tenants = {plan.name: Tenant(plan, seed=seed, speed=speed, start_s=start_s) for plan in plans}
        if len(self._tenants) < len(plans):
            raise ValueError("two tenants have the same name")

    def app(self) -> web.Application:
        """Make the web application; make a new one for each server."""
        pipeline = Pipeline(
            self._tenants,
            clock=self._clock,
            limiter=self._limiter,
            record=self.record,
            troubles=self._troubles,
            seed=self._seed,
        )
        app = web.Application(client_max_size=MAX_UPLOAD_BYTES)
        add_pages(app, self)
        pipeline.add_to(app)
        return app

    @property
    def plans(self) -> Sequence[TenantPlan]:
        """The tenants as they are now, with their present secrets."""
        return tuple(tenant.plan for tenant in self._tenants.values())

    def now_s(self) -> float:
        """Return the tenants' time, Unix seconds."""
        return self._clock.wall()

    def age_s(self) -> float:
        """Return the seconds since the simulator's start, by which faults begin and end."""
        return self._troubles.age_s()

    def afflict(self, tenant: str, *faults: Fault) -> None:
        """Let a tenant have `faults` beside those it has; they concern requests received from now on.

        Raises:
            KeyError: there is no such tenant.
        """
        self._troubles.afflict(tenant, faults)

    def heal(self, tenant: str) -> None:
        """Take all faults from a tenant, those of its plan too; answers that are held up stay held up.

        Raises:
            KeyError: there is no such tenant.
        """
        self._troubles.heal(tenant)

    def rotate_secret(self, tenant: str, secret: str) -> None:
        """Let a tenant's credential have another secret from now on; tokens that were issued stay good.

        Raises:
            KeyError: there is no such tenant.
        """
        self._tenants[tenant].plan = replace(self._tenants[tenant].plan, client_secret=secret)

    def jobs(self, tenant: str) -> Sequence[SimulatedJob]:
        """Return the tenant's jobs that exist now, oldest first; the backups that imports make hang on their import.

        Raises:
            KeyError: there is no such tenant.
        """
        return self._tenants[tenant].started(self.now_s())

    def hub_jobs(self, tenant: str) -> Sequence[HubJob]:
        """Return what the lists of the tenant's Configuration Hub have now, oldest first.

        Raises:
            KeyError: there is no such tenant.
        """
        return self._tenants[tenant].hub.listed(self.now_s())

    @overload
    def start(self, tenant: str, operation: HubKind, **options: Unpack[HubOptions]) -> HubJob: ...  # type: ignore[overload-overlap]  # whoever plants a job writes its kind out

    @overload
    def start(self, tenant: str, operation: str, **options: Unpack[JobOptions]) -> SimulatedJob: ...

    def start(self, tenant: str, operation: str, **options: Any) -> SimulatedJob | HubJob:
        """Plant one job; what is None is drawn.

        `duration_s` runs from `created_s` (default: now) to the end, `queue_s` to the start; both are exact, whatever
        the speed, and `math.inf` means never. It becomes COMPLETE where no `final_state` is given. An import without
        `has_result` ends with nothing to download. What else can be said of a backup, upload, draft or deploy of
        Configuration Hub is in `HubOptions`.

        Raises:
            KeyError: there is no such tenant.
            TypeError: there is no such option.
            ValueError: no such operation or final state, or the tenant has a job of that id already.
        """
        options = {"final_state": COMPLETE, **options}
        if operation in HUB_KINDS:
            return self._tenants[tenant].hub.start(operation, cast("HubOptions", options), self.now_s())
        created_s = options.pop("created_s", None)
        order = Order(operation, **{"backup": False, **options})
        return self._tenants[tenant].start(order, self.now_s() if created_s is None else created_s)

    def truth(self) -> dict[str, object]:
        """Return, as JSON values, what was really asked and sent.

        `jobs`: one entry per job and backup, see `Record.describe`. `totals`: see `Record.totals`. `clients`: by client
        id its `requests` as `[received, monotonic seconds; API version or "token"; endpoint; status or null]` and the
        `busiest` window by version, refused requests among them. `faults`: by tenant and name, how many answers a fault
        has spoilt or bent (of `CONDITIONS`: how many were asked for meanwhile). `rivals`: by client id the `requests`
        of rivals to each version, and the `busiest` windows of theirs and ours together. All times are the simulator's,
        also where a tenant's clock is ahead.

        `configuration_hub`: its `jobs`, see `Record.describe_hub_job`, and its `pending_drafts`, which wait for
        approval now, each with `tenant`, `id`, `name`, `created_s` and since when it is pending, `pending_since_s`.
        """
        busiest = self.busiest_windows()
        return {
            **self.truth_of_jobs(),
            "clients": {
                client_id: {
                    "requests": [
                        [exchange.received_s, exchange.version, exchange.endpoint, exchange.status]
                        for exchange in exchanges
                    ],
                    "busiest": busiest[client_id],
                }
                for client_id, exchanges in self.record.exchanges.items()
            },
            "faults": {tenant: dict(served) for tenant, served in self._troubles.served.items()},
            "rivals": self._rivals(),
        }

    def truth_of_jobs(self) -> dict[str, object]:
        """Return that part of `truth` that tells of jobs: it does not grow with the requests."""
        now_s = self.now_s()
        jobs = [job for tenant in self._tenants.values() for job in tenant.all_jobs(now_s)]
        return {
            "now_s": now_s,
            "jobs": [self.record.describe(job, now_s) for job in jobs],
            "configuration_hub": self._hubs(now_s),
            "totals": self.record.totals(jobs, now_s),
        }

    def _hubs(self, now_s: float) -> dict[str, object]:
        hubs = [tenant.hub for tenant in self._tenants.values()]
        listed = {(job.tenant, job.kind, job.id): job for hub in hubs for job in hub.listed(now_s)}
        return {
            "jobs": [
                self.record.describe_hub_job(job, now_s, is_listed=(job.tenant, job.kind, job.id) in listed)
                for hub in hubs
                for job in hub.all_jobs(now_s)
            ],
            "pending_drafts": [
                {"tenant": job.tenant, "id": job.id, "name": job.name}
                | {"created_s": job.created_s, "pending_since_s": job.about.approvals[0].at_s}
                for job in listed.values()
                if isinstance(job.about, Draft) and job.about.approval_at(now_s) == PENDING
            ],
        }

    def _rivals(self) -> dict[str, object]:
        now_s = self._clock.monotonic()
        times_s = functools.partial(self.record.times_s, count_tokens=self._count_tokens)
        return {
            client_id: {
                "requests": sum(rival.made_until(now_s) for rival in rivals),
                "busiest": {
                    version: busiest_together(times_s(client_id, version), rivals, self._per_s, now_s)
                    for version in API_VERSIONS
                },
            }
            for client_id, rivals in self._troubles.rivals.items()
        }

    def busiest_windows(self) -> dict[str, dict[str, int]]:
        """Return, by client id and API version, the most requests received in any window of the rate limit."""
        return self.record.busiest(self._per_s, count_tokens=self._count_tokens)

    def config_yaml(self, root_url: str, *, named_jobs_alone: bool = False) -> str:
        """Write a spexporter configuration with these tenants and their present jobs.

        With `named_jobs_alone` nothing else is to be watched: no Configuration Hub, no backups made before imports.
        """
        lines = ["# Written by `spexporter simulate`: tenants, jobs and secrets are made up.", "defaults:"]
        if root_url.startswith("http:"):
            lines += ["  allow_http: true"]
        if named_jobs_alone:
            lines += ["  follow_backups: false"]
        else:
            lines += ["  discover: [backups, uploads, drafts, deploys]", "  credential_expires: auto"]
        # A tenant that nobody needs to remember leaves no file where somebody tries the exporter.
        lines += ["store:", '  url: "sqlite://"  # memory alone: simulated tenants need no other']
        lines += ["counters:", "  hold: 0s  # who tries it does not want to wait", "tenants:"]
        for plan in self.plans:
            lines.extend(config_lines(plan, self.jobs(plan.name), root_url, self.ca_file))
        return "\n".join(lines) + "\n"


@asynccontextmanager
async def serving(
    simulator: Simulator, host: str = "127.0.0.1", port: int = 0, ssl_context: SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve `simulator` and yield its root URL, such as `http://127.0.0.1:43210`; port 0 takes a free one.

    Raises:
        OSError: the address cannot be listened on.
    """
    runner = web.AppRunner(
        simulator.app(), access_log=None, handle_signals=False, shutdown_timeout=1.0, handler_cancellation=True
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=ssl_context)
        await site.start()
        shown_host = f"[{host}]" if ":" in host else host
        yield f"{'https' if ssl_context else 'http'}://{shown_host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
