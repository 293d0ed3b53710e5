"""The web configuration file while the exporter runs: read anew when it, or a file that it names, has changed."""

import asyncio
from contextlib import suppress
from pathlib import Path

import structlog

from spexporter.clock import Clock
from spexporter.config.webconfig import WebConfig, fingerprint, load_web_config
from spexporter.domain.errors import ConfigError, Problem

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LOOK_EVERY_S = 1.0


class WebFile:
    """Holds what the file says, or what it said when it was good; without a `path`, that everybody is served."""

    def __init__(self, path: Path | None, present: WebConfig, clock: Clock) -> None:
        self.present = present
        self._path = path
        self._clock = clock
        self._wrong: tuple[Problem, ...] = ()
        self._turn = asyncio.Lock()
        if path:
            self._tell()

    @property
    def busy(self) -> bool:
        """Whether it is being looked at."""
        return self._turn.locked()

    async def reload(self) -> None:
        """Read it anew.

        Raises:
            ConfigError: It cannot be used; what it said before goes on.
        """
        async with self._turn:
            await self._read()

    async def watch(self) -> None:
        """Look every second whether anything has changed, until cancelled; what is bad is tried again each time."""
        while self._path:
            await self._clock.sleep_until(self._clock.monotonic() + _LOOK_EVERY_S)
            async with self._turn:
                if self._wrong or await asyncio.to_thread(fingerprint, self.present.files) != self.present.digest:
                    with suppress(ConfigError):  # it was logged
                        await self._read()

    async def _read(self) -> None:
        if self._path is None:
            return
        try:
            self.present = await asyncio.to_thread(load_web_config, self._path)
        except ConfigError as error:
            if error.problems != self._wrong:
                log.error("web_config_kept", problems=[str(problem) for problem in error.problems])  # noqa: TRY400
            self._wrong = error.problems
            raise
        self._wrong = ()
        self._tell()

    def _tell(self) -> None:
        web = self.present
        log.info("web_config_loaded", tls=web.tls is not None, users=len(web.users))
        if web.remarks:
            log.warning("web_config_remarked", remarks=[str(remark) for remark in web.remarks])
