"""Builds and connects all parts of the exporter, and owns their lifetimes: read this first.

Job ids come from the configuration into the watchlist. A poller for each group of tenants that share a client id asks
the tenants what its schedule says is due, within the budget of that client id. What they answer goes into the ledger,
from there as an immutable view onto the board, and from the board onto the pages.
"""

import asyncio
import hashlib
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import structlog

from spexporter import __version__
from spexporter.board import LatestViews
from spexporter.clock import Clock
from spexporter.config.values import Config, Store, Tenant
from spexporter.domain.errors import StartError, StoreError
from spexporter.domain.job import Source, WatchedJob
from spexporter.domain.liveness import Liveness
from spexporter.domain.ports import Group, Ledger, StoreWatch, Terms
from spexporter.exposition.page import CollectorPage
from spexporter.ledger import sql
from spexporter.ledger.lease import SoleOwner
from spexporter.ledger.memory import MemoryLedger
from spexporter.poller import Care, Poller, TenantPolling
from spexporter.sailpoint.auth import Credential, TokenSource
from spexporter.sailpoint.client import TenantClient
from spexporter.sailpoint.endpoints import Endpoint
from spexporter.sailpoint.gate import Gate
from spexporter.sailpoint.resolver import DaemonResolver
from spexporter.sailpoint.transport import Route, Transport
from spexporter.sailpoint.vitals import Vitals
from spexporter.telemetry import GroupPulse, Telemetry
from spexporter.watch.configured import configured_jobs
from spexporter.watch.watchlist import Watchlist
from spexporter.web.metrics import MetricsPage
from spexporter.web.probes import Probes
from spexporter.web.server import Address, make_app, serving
from spexporter.web.status import StatusPage

log: structlog.stdlib.BoundLogger = structlog.get_logger()


async def run(
    config: Config, *, telemetry: Telemetry, clock: Clock, listen: Sequence[Address], stop: asyncio.Event
) -> None:
    """Poll all tenants of `config` and serve their metrics until `stop` is set.

    Raises:
        StartError: an address cannot be listened on, or the store cannot be opened.
    """
    async with (
        opened_ledger(config.store, clock, telemetry) as ledger,
        client_session() as http,
        exporting(config, ledger=ledger, http=http, telemetry=telemetry, clock=clock, listen=listen) as exporter,
    ):
        log.info("started", version=__version__, urls=exporter.urls, tenants=len(config.tenants))
        await stop.wait()
        log.info("stopping")


@asynccontextmanager
async def opened_ledger(store: Store, clock: Clock, watch: StoreWatch) -> AsyncIterator[Ledger]:
    """Open the ledger that the configuration names, for as long as the block lasts.

    Raises:
        StartError: it cannot be opened.
    """
    if store.path is None:
        yield MemoryLedger(store.remember_counted_s)
        return
    async with AsyncExitStack() as stack:
        opening = sql.opened(store.path, remember_s=store.remember_counted_s, clock=clock, watch=watch)
        try:
            ledger = await stack.enter_async_context(opening)
        except StoreError as error:
            raise _cannot_start(error) from error
        yield ledger


@asynccontextmanager
async def exporting(
    config: Config,
    *,
    ledger: Ledger,
    http: aiohttp.ClientSession,
    telemetry: Telemetry,
    clock: Clock,
    listen: Sequence[Address],
) -> AsyncIterator["Exporter"]:
    """Run an exporter for as long as the block lasts; it closes in reverse: polling first, then the server.

    Raises:
        StartError: an address cannot be listened on, or the ledger cannot be read.
    """
    async with AsyncExitStack() as stack:
        exporter = Exporter(config, ledger=ledger, http=http, telemetry=telemetry, clock=clock)
        try:
            await exporter.begin()
        except StoreError as error:
            raise _cannot_start(error) from error
        stack.push_async_callback(exporter.leave)
        exporter.urls = await stack.enter_async_context(serving(exporter.web, listen))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        polling = [
            tasks.create_task(poller.run(), name=f"poller {group}") for group, poller in exporter.pollers.items()
        ]
        try:
            yield exporter
        finally:
            for task in polling:
                task.cancel()


class Exporter:
    """All parts of a running exporter, connected."""

    def __init__(
        self, config: Config, *, ledger: Ledger, http: aiohttp.ClientSession, telemetry: Telemetry, clock: Clock
    ) -> None:
        self.urls: Sequence[str] = ()
        self.board = LatestViews(self._page_served)
        self._config = config
        self._telemetry = telemetry
        self._clock = clock
        self._watchlist = Watchlist()
        self._groups = {tenant.name: _group(tenant) for tenant in config.tenants}
        liveness = Liveness(self._groups, clock.monotonic())
        telemetry.show_heartbeat(lambda: clock.wall() - liveness.silence_s(clock.monotonic()))
        telemetry.config_loaded(config.digest, clock.wall())
        self._ledger = ledger
        self._gates: dict[Group, Gate] = {}
        self.pollers: Mapping[Group, Poller] = {
            group: self._poller(group, tenants, http, liveness) for group, tenants in _grouped(config.tenants).items()
        }
        page = CollectorPage(telemetry.registry, created=config.counters.created)
        self.web = make_app(
            MetricsPage(self.board, page, clock), Probes(liveness, clock), StatusPage(self.board, clock)
        )

    def _poller(
        self, group: Group, tenants: Sequence[Tenant], http: aiohttp.ClientSession, liveness: Liveness
    ) -> Poller:
        """Connect the tenants of one group: each has its own client and token, all share one gate."""
        gate = self._gates[group] = Gate(tenants[0].rate_limit, self._clock)
        lease = SoleOwner()
        polling = {
            tenant.name: TenantPolling(
                tenant.name,
                group,
                self._client(tenant, gate, http),
                Care(tenant.poll, tenant.max_staleness_s, self._config.counters.hold_s, tenant.expect),
                ledger=self._ledger,
                board=self.board,
                lease=lease,
                clock=self._clock,
                exchanges=self._telemetry,
            )
            for tenant in tenants
        }
        pulse = GroupPulse(group, self._telemetry, liveness, self._clock)
        return Poller(group, polling, lease=lease, clock=self._clock, pulse=pulse)

    def _client(self, tenant: Tenant, gate: Gate, http: aiohttp.ClientSession) -> TenantClient:
        clock, telemetry = self._clock, self._telemetry
        version = None if tenant.api_version == "auto" else tenant.api_version
        vitals = Vitals(tenant.base_url, version, clock)
        route = Route(tenant.timeout_s, tenant.proxy, _tls(tenant.ca_file))
        transport = Transport(tenant.name, http, route, gate=gate, vitals=vitals, exchanges=telemetry, clock=clock)
        tokens = TokenSource(Credential(tenant.token_url, tenant.client_id, tenant.secret.reveal), transport, clock)
        telemetry.begin_tenant(
            tenant.name,
            endpoints=Endpoint,
            used=lambda: gate.used(vitals.health.api_version),
            allowed=lambda: gate.allowed(vitals.health.api_version),
        )
        return TenantClient(
            tenant.base_url, version, tokens=tokens, transport=transport, limits=tenant.max_answer, clock=clock
        )

    async def begin(self) -> None:
        """Show what the ledger remembers and watch the configured jobs; no exchange is made yet."""
        for group, gate in self._gates.items():
            if stored := await self._ledger.open_window(group, self._clock.wall()):
                gate.restore(stored)
        states = await self._ledger.restore(map(_terms, self._config.tenants))
        for poller in self.pollers.values():
            await poller.restore(states)
        for tenant in self._config.tenants:
            self._watchlist.restore(tenant.name, [job.watched for job in states[tenant.name].jobs.values()])
            await self.watch(Source.CONFIG, tenant.name, configured_jobs(tenant))

    def _page_served(self) -> None:
        """Let the pollers see whether counters have shown their baseline now."""
        for poller in self.pollers.values():
            poller.wake()

    async def leave(self) -> None:
        """Leave the rate limit windows, and counters as the last page had them, for the next process."""
        for poller in self.pollers.values():
            await poller.leave()
        for group, gate in self._gates.items():
            await self._ledger.close_window(group, gate.export(), self._clock.wall())

    async def watch(self, source: Source, tenant: str, jobs: Iterable[WatchedJob]) -> None:
        """Make `jobs` all that `source` names for `tenant`."""
        delta = self._watchlist.replace(source, tenant, jobs)
        if delta.added or delta.removed:
            await self.pollers[self._groups[tenant]].watch(tenant, delta.added, delta.removed)


def _cannot_start(error: StoreError) -> StartError:
    return StartError(f"{error.message}; {error.cure}")


def _terms(tenant: Tenant) -> Terms:
    return Terms(tenant.name, tenant.former_names, tenant.retention_s, tenant.count_new_within_s)


def _group(tenant: Tenant) -> Group:
    return Group(hashlib.sha256(tenant.client_id.encode()).hexdigest()[:12])


def _grouped(tenants: Iterable[Tenant]) -> Mapping[Group, Sequence[Tenant]]:
    groups: defaultdict[Group, list[Tenant]] = defaultdict(list)
    for tenant in tenants:
        groups[_group(tenant)].append(tenant)
    return groups


def client_session(trace_configs: list[aiohttp.TraceConfig] | None = None) -> aiohttp.ClientSession:
    """Return the session for all exchanges with tenants; enter it, or close it when done."""
    session = aiohttp.ClientSession(
        # The pollers bound what is in flight; cookies would let one tenant's gateway follow another's requests.
        connector=aiohttp.TCPConnector(limit=0, resolver=DaemonResolver()),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"spexporter/{__version__}"},
        trace_configs=trace_configs,
    )
    # aiohttp would send a GET again by itself when the connection closes: outside the budget and our counters.
    session._retry_connection = False  # noqa: SLF001 (there is no public switch; test_troubles counts what arrives)
    return session


def _tls(ca_file: Path | None) -> ssl.SSLContext | None:
    """Return a context that trusts the system's authorities and those of `ca_file`."""
    if ca_file is None:
        return None
    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    return context
