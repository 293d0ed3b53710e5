"""What changes in files while the exporter runs: the configuration, files of tenants, and files of jobs."""

import asyncio
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import structlog

from spexporter.clock import Clock
from spexporter.config import parse_jobs
from spexporter.config.patterns import find_all
from spexporter.config.values import BadFile, Config
from spexporter.domain.errors import ConfigError, Problem, StoreError
from spexporter.domain.job import Source
from spexporter.domain.ports import Group
from spexporter.fleet import Difference, Fleet
from spexporter.supervisor import Supervisor
from spexporter.telemetry import Telemetry
from spexporter.watch.files import JobFiles, listed_jobs
from spexporter.web.notices import Notices

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LOOK_EVERY_S = 1.0
Read = Callable[[Config], Config]


class Files:
    """Keeps the fleet as the files say, in the configuration in use and beside it."""

    def __init__(
        self, fleet: Fleet, telemetry: Telemetry, notices: Notices, clock: Clock, supervisor: Supervisor | None = None
    ) -> None:
        self._fleet = fleet
        self._telemetry = telemetry
        self._notices = notices
        self._clock = clock
        self._supervisor = supervisor or Supervisor(clock)
        self._job_files = JobFiles({}, partial(parse_jobs, environ=os.environ))
        self._config: Config | None = None
        self._bad: Mapping[Path, BadFile] = {}
        self._wrong: Sequence[Problem] = ()
        self._turn = asyncio.Lock()
        self._wanted = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether files are being read, or what they say is being taken over."""
        return self._turn.locked()

    async def take_over(self, config: Config) -> Difference:
        """Run `config` from now on, and the jobs that its files name: whole, or not at all.

        Raises:
            StoreError: what is known of a new tenant cannot be read.
        """
        async with self._turn:
            return await self._take_over(config)

    async def _take_over(self, config: Config) -> Difference:
        difference = await self._fleet.take_over(config)
        self._config = config
        self._job_files.replace({tenant.name: tenant.job_files for tenant in config.tenants})
        (self._wanted.set if any(tenant.job_files for tenant in config.tenants) else self._wanted.clear)()
        self._telemetry.config_loaded(config.digest, self._clock.wall())
        self._notices.config_loaded(self._clock.wall())
        await self._look(begun=(*difference.added, *difference.changed))
        return difference

    async def regroup(self, leaving: Collection[Group] = ()) -> Difference:
        """Run the tenants that are ours now, but for those of groups that are `leaving`, and what files say of them.

        Raises:
            StoreError: what is known of a tenant that has become ours cannot be read.
        """
        async with self._turn:
            difference = await self._fleet.regroup(leaving)
            if difference.added:
                await self._look(begun=difference.added)
        return difference

    async def reload(self, read: Read) -> Difference:
        """Read the configuration anew with `read`, which gets the present one, and run it.

        Of several at once each reads when the one before has ended: what was read last is what runs.

        Raises:
            ConfigError: it cannot be used; the present one goes on.
            StoreError: what is known of a new tenant cannot be read; the present one goes on.
        """
        async with self._turn:
            with self._supervisor.reloading():
                config, difference = await self._read_and_taken_over(read)
            self._wrong = ()
        self._notices.config_reloaded(self._clock.wall())
        log.info(
            "config_reloaded",
            tenants=len(config.tenants),
            added=list(difference.added),
            removed=list(difference.removed),
            changed=list(difference.changed),
        )
        return difference

    async def _read_and_taken_over(self, read: Read) -> tuple[Config, Difference]:
        try:
            config = await asyncio.to_thread(read, self.config)
            return config, await self._take_over(config)
        except ConfigError as error:
            self._wrong = error.problems
            self._refused([str(problem) for problem in error.problems])
            raise
        except StoreError as error:
            self._refused([error.message])
            raise

    def _refused(self, problems: Sequence[str]) -> None:
        self._telemetry.config_refused()
        self._notices.config_refused(self._clock.wall(), problems)
        log.error("config_refused", problems=problems)

    async def watch_job_files(self) -> None:
        """Look at the files of jobs every second until cancelled, where there may be any."""
        while True:
            await self._wanted.wait()
            await self._clock.sleep_until(self._clock.monotonic() + _LOOK_EVERY_S)
            async with self._turn:
                await self._look()

    async def watch_configuration(self, read: Read, asked: asyncio.Event) -> None:
        """Reload when a file of the configuration changes, and when `asked` is set, until cancelled.

        At the start and after each change it is read once more: what was written before the first look, or twice within
        one tick of the clock by which a file system dates its files, looks as if nothing had happened.
        """
        seen, doubt = _signatures(self.config), True
        while True:
            await self._clock.wait(asked, self._clock.monotonic() + _LOOK_EVERY_S)
            async with self._turn:
                now = await asyncio.to_thread(_signatures, self.config)
            if now == seen and not asked.is_set() and not (doubt and await self._differs(read)):
                doubt = False
                continue
            asked.clear()
            try:
                await self.reload(read)
                doubt = True
            except ConfigError:  # it was logged, and is tried again when a file changes
                doubt = True
            except StoreError:  # the same
                doubt = False
            # Which files there are may be another question now; one that has changed meanwhile is a change.
            seen = {path: now.get(path, signature) for path, signature in _signatures(self.config).items()}

    async def _differs(self, read: Read) -> bool:
        """Tell whether the files say something else than what is in use, or than what was refused at last."""
        async with self._turn:
            try:
                return await asyncio.to_thread(read, self.config) != self.config
            except ConfigError as error:
                return error.problems != self._wrong

    async def _look(self, begun: Collection[str] = ()) -> None:
        """Take over what files of jobs say, for tenants that have just `begun` also where nothing has changed.

        What the ledger knows of those was perhaps named by a file that went while nobody looked.
        """
        looked = await asyncio.to_thread(self._job_files.look)
        for tenant in {**dict.fromkeys(looked.changed_tenants), **dict.fromkeys(begun)}:
            if tenant in self._fleet.tenants:
                await self._fleet.desk.watch(Source.FILE, tenant, listed_jobs(tenant, looked.jobs[tenant]))
        for tenant in looked.changed_tenants:
            log.info("job_files_changed", tenant=tenant, jobs=len(looked.jobs[tenant]))
        tenant_files = [file.path for file in self.config.tenant_files]
        self._tell([*self.config.bad_files, *looked.bad_files])
        self._telemetry.watched_files(len({*looked.files, *tenant_files}), len(self._bad))

    def _tell(self, bad_files: Iterable[BadFile]) -> None:
        """Log each file that has become bad, or good or gone again."""
        bad = {file.path: file for file in bad_files}
        for path, file in bad.items():
            if self._bad.get(path) != file:
                problems = [str(problem) for problem in file.problems]
                log.error("file_refused", path=str(path), problems=problems, kept=file.kept)
        for path in self._bad:
            if path not in bad:
                log.info("file_cured", path=str(path))
        self._bad = bad
        self._notices.watched_files([bad[path] for path in sorted(bad)])

    @property
    def config(self) -> Config:
        """The configuration in use."""
        if self._config is None:
            raise RuntimeError("no configuration was taken over yet")
        return self._config


def _signatures(config: Config) -> Mapping[str, tuple[int, ...] | None]:
    """Return what differs when a file of the configuration does, or a folder will not say what it holds, by path."""
    found = find_all(config.patterns)
    paths = dict.fromkeys([*config.files, *found.paths])
    return {str(path): _signature(path) for path in paths} | {f"{folder}/": None for folder in found.unreadable}


def _signature(path: Path) -> tuple[int, ...] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
