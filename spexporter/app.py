"""Builds and connects all parts of the exporter, and owns their lifetimes: read this first.

Job ids come from the configuration into the watchlist. A poller for each group of tenants that share a client id asks
the tenants what its schedule says is due, within the budget of that client id. What they answer goes into the ledger,
from there as an immutable view onto the board, and from the board onto the pages.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
import structlog

from spexporter import __version__
from spexporter.board import LatestViews
from spexporter.clock import Clock
from spexporter.config.values import Config, Store
from spexporter.config.webconfig import WebConfig
from spexporter.domain.chronicle import Chronicle
from spexporter.domain.errors import StartError, StoreError
from spexporter.domain.liveness import Liveness
from spexporter.domain.ports import Ledger, StoreWatch
from spexporter.exposition.guard import Guard
from spexporter.exposition.page import BlockPage
from spexporter.files import Files, Read
from spexporter.fleet import Fleet, Shared
from spexporter.ledger import sql
from spexporter.ledger.memory import MemoryLedger
from spexporter.orders import SharedDesk
from spexporter.sailpoint import connections
from spexporter.share import Share
from spexporter.supervisor import Supervisor
from spexporter.telemetry import Telemetry
from spexporter.web.api import Api
from spexporter.web.door import Door
from spexporter.web.inside import Inside
from spexporter.web.known import Known
from spexporter.web.listeners import Place
from spexporter.web.metrics import MetricsPage
from spexporter.web.notices import Notices
from spexporter.web.pages import Pages
from spexporter.web.probes import Probes
from spexporter.web.reload import Reload
from spexporter.web.server import make_app, serving
from spexporter.web.webfile import WebFile

if TYPE_CHECKING:
    from spexporter.ledger.replica import Replica

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Service:
    """Where pages are served, how, as `web_file` says, and what they allow.

    With `lifecycle`, reloads can be asked for and jobs handed in over HTTP; with `debug`, tasks can be seen.
    """

    places: Sequence[Place]
    web_file: WebFile | None = None
    lifecycle: bool = False
    debug: bool = False


@dataclass(frozen=True, slots=True)
class Signals:
    """What is asked of a running exporter from outside: to end, and to read its configuration anew."""

    stop: asyncio.Event
    reload: asyncio.Event


async def run(
    config: Config,
    read: Read,
    *,
    telemetry: Telemetry,
    clock: Clock,
    service: Service,
    signals: Signals,
    supervisor: Supervisor,
) -> None:
    """Poll all tenants of `config` and serve their metrics until it is asked to stop.

    `read` reads the configuration anew. `supervisor` hears how we do.

    Raises:
        StartError: an address cannot be listened on, or the store cannot be opened.
    """
    async with (
        opened_store(config.store, clock, telemetry) as (ledger, replica),
        connections.client_session() as http,
        exporting(
            config,
            ledger=ledger,
            replica=replica,
            http=http,
            telemetry=telemetry,
            clock=clock,
            service=service,
            read=read,
            supervisor=supervisor,
        ) as exporter,
        asyncio.TaskGroup() as tasks,
    ):
        watching = tasks.create_task(exporter.files.watch_configuration(read, signals.reload), name="configuration")
        alive = tasks.create_task(supervisor.watch(exporter.liveness.silence_s), name="watchdog")
        spare_collections()
        supervisor.up(f"serving {', '.join(exporter.urls)}")
        log.info(
            "started", version=__version__, urls=exporter.urls, tenants=len(config.tenants), event_loop=_loop_name()
        )
        await signals.stop.wait()
        log.info("stopping")
        supervisor.stopping()
        for task in (watching, alive):
            task.cancel()


def _loop_name() -> str:
    """Return whose event loop this is: `uvloop` or `asyncio`."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def spare_collections() -> None:
    """Let garbage collections of everything, which make everybody wait, be rare: what is there now mostly stays.

    Views of jobs are freed without them; cycles are few and young.
    """
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], 1_000)


@asynccontextmanager
async def opened_store(store: Store, clock: Clock, watch: StoreWatch) -> AsyncIterator[tuple[Ledger, "Replica | None"]]:
    """Open the store that the configuration names, for as long as the block lasts.

    A server is not asked for anything yet: it may be away, and a replica joins when it is there.

    Raises:
        StartError: it cannot be opened.
    """
    if store.server is None:
        async with opened_ledger(store, clock, watch) as ledger:
            yield ledger, None
        return
    try:
        from spexporter.ledger import shared  # noqa: PLC0415 - its driver is an extra
    except ModuleNotFoundError as error:
        wrong = "store.url names a PostgreSQL database; install its driver, as with pip install '.[postgres]'"
        raise StartError(wrong) from error
    url, remember_s = store.server.get_secret_value(), store.remember_counted_s
    async with shared.opened(url, remember_s=remember_s, lease_s=store.lease_s, clock=clock, watch=watch) as opened:
        yield opened


@asynccontextmanager
async def opened_ledger(store: Store, clock: Clock, watch: StoreWatch) -> AsyncIterator[Ledger]:
    """Open a ledger in a file or in memory, for as long as the block lasts.

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
    service: Service,
    replica: "Replica | None" = None,
    read: Read | None = None,
    supervisor: Supervisor | None = None,
) -> AsyncIterator["Exporter"]:
    """Run an exporter for as long as the block lasts; it closes in reverse: polling first, then the server.

    With `read`, which reads the configuration anew, that can be asked for over HTTP.

    Raises:
        StartError: an address cannot be listened on, or the ledger cannot be read.
    """
    async with AsyncExitStack() as stack:
        exporter = Exporter(
            config,
            ledger=ledger,
            replica=replica,
            http=http,
            telemetry=telemetry,
            clock=clock,
            service=service,
            read=read,
            supervisor=supervisor,
        )
        try:
            await exporter.files.take_over(config)
        except StoreError as error:
            raise _cannot_start(error) from error
        stack.push_async_callback(exporter.fleet.leave)
        exporter.urls = await stack.enter_async_context(serving(exporter.web, service.places, exporter.web_file))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        exporter.fleet.run(tasks)
        beside = [
            tasks.create_task(exporter.files.watch_job_files(), name="job files"),
            tasks.create_task(exporter.web_file.watch(), name="web configuration"),
        ]
        if exporter.share:
            beside.append(tasks.create_task(exporter.share.run(), name="share"))
        try:
            yield exporter
        finally:
            for task in beside:
                task.cancel()
            exporter.fleet.stop()


class Exporter:
    """All parts of a running exporter, connected."""

    def __init__(
        self,
        config: Config,
        *,
        ledger: Ledger,
        http: aiohttp.ClientSession,
        telemetry: Telemetry,
        clock: Clock,
        service: Service,
        replica: "Replica | None" = None,
        read: Read | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        self.urls: Sequence[str] = ()
        self.board = LatestViews(self._page_served, replica.alive if replica else lambda: True)
        began_s = None if replica else clock.monotonic()
        self.liveness = liveness = Liveness([tenant.name for tenant in config.tenants], began_s)
        telemetry.show_heartbeat(lambda: clock.wall() - liveness.silence_s(clock.monotonic()))
        guard = Guard(config.limits.max_series)
        chronicle = Chronicle()
        self.fleet = Fleet(Shared(ledger, self.board, http, telemetry, liveness, guard, clock, chronicle), replica)
        notices = Notices()
        self.files = Files(self.fleet, telemetry, notices, clock, supervisor)
        self.share = (
            Share(replica, self.fleet, self.files, telemetry=telemetry, liveness=liveness, clock=clock)
            if replica
            else None
        )
        orders = replica.orders if replica else None
        desk = SharedDesk(self.fleet.desk, orders, clock) if orders else self.fleet.desk
        others = self.share.others if self.share else dict[str, str]
        known = Known(self.board, self.fleet, chronicle, clock, others)
        telemetry.show_unwatched(lambda: sum(not watcher for watcher in known.elsewhere().values()))
        self.web_file = service.web_file or WebFile(None, WebConfig(), clock)
        reload = Reload(partial(self._reload, read) if read and service.lifecycle else None)
        page = BlockPage(
            telemetry.registry, telemetry.meters, guard=guard, watch=telemetry, created=config.counters.created
        )
        parts = (
            Pages(known, notices),
            Inside(lambda: self.files.config, debug=service.debug),
            Api(known, desk, lifecycle=service.lifecycle),
        )
        metrics = MetricsPage(self.board, page, clock, known.view)
        self.web = make_app(metrics, Probes(liveness, clock), reload, parts, door=Door(self.web_file))

    async def _reload(self, read: Read) -> None:
        """Read the configuration and the web configuration anew; a mistake in one leaves the other be.

        Raises:
            ConfigError: one of them cannot be used; what it said before goes on.
            StoreError: as `Files.reload` has it.
        """
        try:
            await self.web_file.reload()
        finally:
            await self.files.reload(read)

    def _page_served(self) -> None:
        """Let the pollers see whether counters have shown their baseline now."""
        self.fleet.wake()


def _cannot_start(error: StoreError) -> StartError:
    return StartError(f"{error.message}; {error.cure}")
