"""Following one job through a running exporter until it ends."""

import asyncio
from collections.abc import Callable

from spexporter.clock import Clock
from spexporter.direct.following import Followed
from spexporter.direct.looks import Sight, Trouble
from spexporter.domain.job import Job, JobState, WatchedJob
from spexporter.domain.values import replace
from spexporter.remote.exporter import NotExporter, Refused, RunningExporter, Unavailable, describe

_PAUSE_S = 1.0  # it answers from memory
_NOT_FOUND = 404


class RemoteFollower:
    """Asks the exporter again and again; `on_sight` hears what is known after each answer or failure."""

    def __init__(
        self, exporter: RunningExporter, watched: WatchedJob, clock: Clock, on_sight: Callable[[Sight], None]
    ) -> None:
        self._exporter = exporter
        self._watched = watched
        self._clock = clock
        self._on_sight = on_sight
        self._sight = Sight(Job(watched))

    async def follow(self, timeout_s: float) -> Followed:
        """Return once the job has ended and its result was read or given up, or after `timeout_s`.

        An exporter that does not answer is waited for: it may be starting anew. One that refuses is not.
        """
        timed_out = False
        try:
            async with asyncio.timeout(timeout_s):
                await self._follow()
        except TimeoutError:
            timed_out = True
        return Followed(self._sight, timed_out=timed_out)

    async def _follow(self) -> None:
        answered = False
        while True:
            try:
                sight = await self._exporter.job(self._watched)
            except Unavailable as error:
                self._cannot_ask(error, "unreachable")
            except Refused as error:
                # Whatever stands in front of an exporter may say anything while that is away.
                if not (answered and isinstance(error, NotExporter)):
                    self._refused(error)
                    return
                self._cannot_ask(error, "unreachable")
            else:
                answered = True
                self._see(sight)
                if sight.job.settled or sight.job.state is JobState.NOT_FOUND:
                    return
            await self._clock.sleep_until(self._clock.monotonic() + _PAUSE_S)

    def _refused(self, error: Refused) -> None:
        unknown = error.status == _NOT_FOUND and not isinstance(error, NotExporter)
        track = f"spexporter track --url {self._exporter.url} {describe(self._watched.key)}"
        self._cannot_ask(
            error, "refused", f"where tenant and id are right, hand the job over first: {track}" if unknown else ""
        )

    def _cannot_ask(self, error: Exception, reason: str, cure: str = "") -> None:
        cure = cure or ("asking again" if reason == "unreachable" else "ask whoever runs the exporter")
        self._see(replace(self._sight, trouble=Trouble("exporter", reason, str(error), cure)))

    def _see(self, sight: Sight) -> None:
        self._sight = sight
        self._on_sight(sight)
