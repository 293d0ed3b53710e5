"""The whole exporter against the simulator over real HTTP, with time that only tests move."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from spexporter.app import Exporter, Service, exporting, opened_ledger
from spexporter.config import Config, load
from spexporter.config.values import Counters, Store
from spexporter.config.webconfig import load_web_config
from spexporter.domain.errors import StoreError
from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.domain.ports import Change, Ledger
from spexporter.domain.values import replace
from spexporter.domain.view import TenantState
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.sailpoint.connections import client_session
from spexporter.simulator import Simulator, TenantPlan, serving
from spexporter.telemetry import Telemetry
from spexporter.web.listeners import Address, Place
from spexporter.web.webfile import WebFile
from tests.support.clock import FakeClock, HostClock, settle
from tests.support.secrets import leaks

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
Labels = frozenset[tuple[str, str]]


class CountedTelemetry(Telemetry):
    """Knows how many exchanges are in flight, so that time stands still while any is."""

    def __init__(self) -> None:
        super().__init__(OWN_FAMILIES)
        self.in_flight = 0

    def trace(self) -> aiohttp.TraceConfig:
        trace = aiohttp.TraceConfig()

        async def started(_session: object, _context: SimpleNamespace, _params: object) -> None:
            self.in_flight += 1

        trace.on_request_start.append(started)
        return trace

    def ended(self, tenant: str, endpoint: str, code: str, took_s: float, *, deprecated: bool) -> None:
        self.in_flight -= 1
        super().ended(tenant, endpoint, code, took_s, deprecated=deprecated)


@dataclass
class Scrape:
    """One page, parsed: samples by name, then by labels."""

    text: str
    families: list[Metric]
    samples: dict[str, dict[Labels, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for family in self.families:
            for sample in family.samples:
                self.samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value

    def value(self, name: str, **labels: str) -> float | None:
        """Return the only sample of `name` that has these labels, None when there is none."""
        found = self.all(name, **labels)
        assert len(found) <= 1, found
        return next(iter(found.values()), None)

    def all(self, name: str, **labels: str) -> dict[Labels, float]:
        wanted = frozenset(labels.items())
        return {found: value for found, value in self.samples.get(name, {}).items() if wanted <= found}

    def state(self, job_id: str) -> str | None:
        """Return the state that is 1 for a job; there must be exactly one."""
        ones = [dict(found)["state"] for found, value in self.all("spconfig_job_state", job_id=job_id).items() if value]
        assert len(ones) <= 1, ones
        return ones[0] if ones else None


async def scrape(url: str, headers: dict[str, str] | None = None) -> Scrape:
    """Get and parse a page of metrics, as text or as OpenMetrics by its Content-Type."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics", headers=headers) as response:
        assert response.status == 200, await response.text()
        text = await response.text()
        openmetrics = response.content_type == "application/openmetrics-text"
    return Scrape(text, list((parse_openmetrics if openmetrics else parse_text)(text)))


@dataclass
class World:
    """A running exporter, its simulated tenants, and the clock that moves both."""

    clock: FakeClock
    host: HostClock
    simulator: Simulator
    tenants_url: str
    exporter: Exporter
    telemetry: CountedTelemetry
    tenants_server: AsyncExitStack
    used: Config
    pages: list[str] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    ledger: Ledger | None = None

    @property
    def url(self) -> str:
        return self.exporter.urls[0]

    async def scrape(self, headers: dict[str, str] | None = None) -> Scrape:
        """Return the page after next: what is new shows its baseline in one page first."""
        await scrape(self.url, headers)
        await self.settle()
        return await self.scrape_once(headers)

    async def scrape_once(self, headers: dict[str, str] | None = None) -> Scrape:
        """Return the next page."""
        page = await scrape(self.url, headers)
        self.pages.append(page.text)
        return page

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as http, http.get(self.url + path) as response:
            self.pages.append(await response.text())
            return response.status, self.pages[-1]

    async def cut_off(self) -> None:
        """Close the tenants' server: connections are refused from now on."""
        await self.tenants_server.aclose()

    async def reconnect(self) -> None:
        """Open the tenants' server again where it was."""
        port = urlsplit(self.tenants_url).port or 0
        await self.tenants_server.enter_async_context(serving(self.simulator, port=port, ssl_context=self.tls))

    async def settle(self) -> None:
        """Let everything happen that needs no time: no exchange is in flight and every task waits for the clock."""
        while True:
            await settle()
            ours = getattr(self.ledger, "busy", False) or self.exporter.files.busy or self.exporter.web_file.busy
            if not self.telemetry.in_flight and not ours:
                return
            await asyncio.sleep(0.0002)  # an exchange is under way: let the sockets, or the disk, do their work

    @contextmanager
    def store_without_new_jobs(self) -> Iterator[None]:
        """Let the store be unable to tell, while the block lasts, whether new jobs were counted before."""
        assert self.ledger
        apply = self.ledger.apply

        async def fails(tenant: str, change: Change, *, fence: int) -> TenantState:
            if change.added:
                raise StoreError("the disk is full", cure="make room")
            return await apply(tenant, change, fence=fence)

        self.ledger.apply = fails  # type: ignore[method-assign]  # put back below
        try:
            yield
        finally:
            self.ledger.apply = apply  # type: ignore[method-assign]  # its own

    async def hand_over(self) -> None:
        """Tell the exporter of every job that exists now, as pipelines would."""
        for plan in self.simulator.plans:
            jobs = [
                WatchedJob(JobKey(plan.name, Operation(job.operation), job.id), name=job.name)
                for job in self.simulator.jobs(plan.name)
            ]
            await self.exporter.fleet.desk.watch(Source.CONFIG, plan.name, jobs)

    async def advance(self, by_s: float) -> None:
        """Move time on, from one sleeper to the next, and let each do its work."""
        end_s = self.clock.monotonic() + by_s
        await self.settle()
        while (wake_s := self.clock.next_wake()) is not None and wake_s <= end_s:
            self.clock.jump_to(wake_s)
            await self.settle()
        self.clock.jump_to(end_s)
        await self.settle()


def read_config(text: str) -> Config:
    """Load a configuration from its text."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "spexporter.yaml"
        path.write_text(text)
        return load(path, {})


def config_text(simulator: Simulator, tenants_url: str, *, extra: str = "", hub: bool = False) -> str:
    """Return the simulator's own configuration, with lines for `defaults` added."""
    text = simulator.config_yaml(tenants_url, named_jobs_alone=not hub)
    return text.replace("defaults:\n", f"defaults:\n{extra}\n", 1) if extra else text


@asynccontextmanager
async def world(
    plans: Iterable[TenantPlan] = (),
    *,
    again: World | None = None,
    plant: Iterable[dict[str, object]] = (),
    defaults: str = "",
    seed: int = 1,
    config: str | None = None,
    clock: FakeClock | None = None,
    tls: ssl.SSLContext | None = None,
    store: Path | None = None,
    hold_s: float = 0.0,
    lifecycle: bool = False,
    debug: bool = False,
    hub: bool = False,
    limits: str = "",
    telemetry: CountedTelemetry | None = None,
    web_config: Path | None = None,
    listen: Sequence[Place] = (Address("127.0.0.1", 0),),
    **simulator_options: object,
) -> AsyncIterator[World]:
    """Run simulator and exporter; `plant` are arguments of `Simulator.start` for jobs that exist from the beginning.

    `config` replaces the configuration that the simulator writes of itself; `{url}` in it is the simulator's root.
    The ledger is in memory, or in the file `store`; new counters show their baseline in one page, and for `hold_s`.
    `limits` is that section of the file. With `lifecycle` jobs can be handed in over HTTP; with `hub` Configuration Hub
    is watched, and so are the backups of imports.
    The exporter serves at each place of `listen`, as the file `web_config` says; with one, it reads files anew.
    With `tls` tenants are served over TLS; `ca_file`, one of its options, puts its authority into its configuration.
    `again` is a world that has ended: its tenants, their record and its time go on, `plans` are not looked at.
    """
    clock = again.clock if again else clock or FakeClock()
    host = again.host if again else HostClock(clock)
    port = urlsplit(again.tenants_url).port or 0 if again else 0
    new = Simulator(plans, clock=clock, seed=seed, **simulator_options)  # type: ignore[arg-type]
    simulator = again.simulator if again else new
    for job in plant:
        simulator.start(**job)  # type: ignore[call-overload]
    telemetry = telemetry or CountedTelemetry()
    async with AsyncExitStack() as tenants_server:
        tenants_url = await tenants_server.enter_async_context(serving(simulator, port=port, ssl_context=tls))
        text = (
            config.replace("{url}", tenants_url)
            if config
            else config_text(simulator, tenants_url, extra=defaults, hub=hub)
        )
        read = read_config(text + limits)
        used = replace(
            read, store=Store(store, read.store.remember_counted_s), counters=Counters(hold_s, read.counters.created)
        )
        web_file = WebFile(web_config, load_web_config(web_config), host) if web_config else None
        async with (
            opened_ledger(used.store, host, telemetry) as ledger,
            client_session(trace_configs=[telemetry.trace()]) as http,
            exporting(
                used,
                ledger=ledger,
                http=http,
                telemetry=telemetry,
                clock=host,
                service=Service(listen, web_file, lifecycle=lifecycle, debug=debug),
                read=(lambda _: used) if web_config else None,
            ) as exporter,
        ):
            running = World(
                *(clock, host, simulator, tenants_url, exporter, telemetry, tenants_server, used),
                tls=tls,
                ledger=ledger,
            )
            yield running
            for page in running.pages:
                assert not leaks(page, [plan.client_secret for plan in simulator.plans])
