"""`/-/healthy` and `/-/ready`, for whatever looks after the process."""

from aiohttp import web

from spexporter.clock import Clock
from spexporter.domain.liveness import Liveness


class Probes:
    """Answers in one line of text, 200 or 503."""

    def __init__(self, liveness: Liveness, clock: Clock) -> None:
        self._liveness = liveness
        self._clock = clock

    async def healthy(self, _request: web.Request) -> web.Response:
        """200 while every scheduler's heart beats."""
        now_s = self._clock.monotonic()
        if self._liveness.healthy(now_s):
            return web.Response(text="spexporter is healthy.\n")
        silence_s = self._liveness.silence_s(now_s)
        return web.Response(status=503, text=f"A scheduler has not shown a sign of life for {silence_s:.0f} s.\n")

    async def ready(self, _request: web.Request) -> web.Response:
        """200 once every tenant was tried; later trouble never takes it back."""
        if self._liveness.ready(self._clock.monotonic()):
            return web.Response(text="spexporter is ready.\n")
        return web.Response(status=503, text="Not every tenant was tried yet.\n")
