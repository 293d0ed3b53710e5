"""`POST /-/reload`: read the configuration anew."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from spexporter.domain.errors import ConfigError, StoreError


class Reload:
    """Reloads with `reload`; None where `--web.enable-lifecycle` was not given."""

    def __init__(self, reload: Callable[[], Awaitable[object]] | None) -> None:
        self._reload = reload

    async def handle(self, _request: web.Request) -> web.Response:
        """200 reloaded; 500 with the reason, the old configuration goes on; 403 where it is not allowed."""
        if self._reload is None:
            return web.Response(status=403, text="Reloading over HTTP needs --web.enable-lifecycle.\n")
        try:
            await self._reload()
        except ConfigError as error:
            problems = "\n".join(str(problem) for problem in error.problems)
            return web.Response(status=500, text=f"Not reloaded, the old configuration goes on:\n{problems}\n")
        except StoreError as error:
            return web.Response(status=500, text=f"Not reloaded, the old configuration goes on: {error.message}\n")
        return web.Response(text="Reloaded.\n")
