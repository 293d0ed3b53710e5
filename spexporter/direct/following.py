"""Following one job until it ends."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from spexporter.clock import Clock
from spexporter.config.values import Tenant
from spexporter.direct.looks import Sight, look, no_result
from spexporter.domain.errors import (
    AnswerTooLarge,
    TenantError,
    TenantForbidden,
    TenantMalformed,
    TenantNotFound,
    TenantRejected,
    TenantThrottled,
    TenantUnauthorized,
)
from spexporter.domain.job import Job, JobState, WatchedJob
from spexporter.domain.result import ImportReport
from spexporter.domain.schedule import Pace, next_look_s
from spexporter.domain.values import replace
from spexporter.sailpoint.client import TenantClient
from spexporter.sailpoint.endpoints import Endpoint

_NOT_FOUND_ANSWERS = 3  # a first 404 and two that confirm it: a gateway can have a bad moment
# A result that is not there, or cannot be read: it may come late, above all where there must be one.
_RESULT_TRIES, _RESULT_TRIES_AFTER_COMPLETE = 3, 6
_FIRST_TRIES = 3  # of a tenant that has not answered yet: more likely its address is wrong
# Asking again helps with none of these.
_FINAL = (TenantForbidden, TenantUnauthorized, TenantRejected, AnswerTooLarge)


@dataclass(frozen=True, slots=True)
class Followed:
    """How it ended: the last that is known of the job, what its result says, and whether time ran out before."""

    sight: Sight
    report: ImportReport | None = None
    timed_out: bool = False


class Follower:
    """Asks for one job at the tenant's own pace; `on_sight` hears what is known after each answer or failure."""

    def __init__(
        self, client: TenantClient, tenant: Tenant, watched: WatchedJob, clock: Clock, on_sight: Callable[[Sight], None]
    ) -> None:
        self._client = client
        self._pace: Pace = tenant.poll
        self._watched = watched
        self._clock = clock
        self._on_sight = on_sight
        self._sight = Sight(Job(watched))
        self._report: ImportReport | None = None

    async def follow(self, timeout_s: float) -> Followed:
        """Return once the job has ended and its result was read or given up, or after `timeout_s`."""
        timed_out = False
        try:
            async with asyncio.timeout(timeout_s):
                await self._follow_status()
                if self._sight.needs_result and self._sight.trouble is None:
                    await self._read_result()
        except TimeoutError:
            timed_out = True
        return Followed(self._sight, self._report, timed_out)

    async def _follow_status(self) -> None:
        missing = failures = 0
        answered = False
        while True:
            try:
                sight = await look(self._client, self._watched, self._clock)
            except TenantError as error:
                failures += 1
                self._see(replace(self._sight, trouble=error))
                if _is_final(error) or (not answered and failures >= _FIRST_TRIES and not _is_pause(error)):
                    return
                await self._pause(self._after_failures_s(failures))
                continue
            failures, answered = 0, True
            missing = missing + 1 if sight.job.state is JobState.NOT_FOUND else 0
            if missing and missing < _NOT_FOUND_ANSWERS:
                await self._pause(self._pace.fastest_s)
                continue
            self._see(sight)
            if sight.over:
                return
            await self._pause(next_look_s(self._pace, sight.elapsed_s))

    async def _read_result(self) -> None:
        complete = self._sight.job.state is JobState.COMPLETE
        tries = _RESULT_TRIES_AFTER_COMPLETE if complete else _RESULT_TRIES
        failures = 0
        while True:
            try:
                self._report = await self._client.report(self._watched.key)
            except TenantError as error:
                about_result = error.endpoint == Endpoint.IMPORT_RESULT
                failures += 1
                given_up = failures >= tries and isinstance(error, TenantNotFound | TenantMalformed)
                if _is_final(error) or (about_result and given_up):
                    self._see(replace(self._sight, trouble=error if complete or not no_result(error) else None))
                    return
                await self._pause(self._after_failures_s(failures))
            else:
                job = replace(self._sight.job, result=self._report.result)
                self._see(replace(self._sight, job=job, trouble=None))
                return

    def _after_failures_s(self, failures: int) -> float:
        return min(self._pace.slowest_s, self._pace.fastest_s * 2.0 ** min(failures - 1, 16))

    async def _pause(self, seconds: float) -> None:
        await self._clock.sleep_until(self._clock.monotonic() + seconds)

    def _see(self, sight: Sight) -> None:
        self._sight = sight
        self._on_sight(sight)


def _is_final(error: TenantError) -> bool:
    wrong_host = isinstance(error, TenantNotFound) and error.endpoint in {Endpoint.TOKEN, Endpoint.CONFIG_OBJECTS}
    return wrong_host or isinstance(error, _FINAL)


def _is_pause(error: TenantError) -> bool:
    return isinstance(error, TenantThrottled)
