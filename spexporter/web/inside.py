"""What the exporter tells of its own inside: the configuration in use, and what its tasks are doing."""

import asyncio
import traceback
from collections.abc import Callable

from aiohttp import web

from spexporter.config.shown import show
from spexporter.config.values import Config

_HEADERS = {"Cache-Control": "no-store"}


class Inside:
    """Shows what `config` returns, and, where that is switched on, all tasks."""

    def __init__(self, config: Callable[[], Config], *, debug: bool) -> None:
        self._config = config
        self._debug = debug

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get("/config", self._show_config)
        router.add_get("/debug/tasks", self._show_tasks)

    async def _show_config(self, _request: web.Request) -> web.Response:
        return web.Response(text=show(self._config()), headers=_HEADERS)

    async def _show_tasks(self, _request: web.Request) -> web.Response:
        """One line for each task: its name, and where it waits."""
        if not self._debug:
            return web.Response(status=403, text="To see tasks, start the exporter with --web.enable-debug.\n")
        lines = sorted(f"{task.get_name()}: {_place(task)}\n" for task in asyncio.all_tasks())
        return web.Response(text="".join(lines), headers=_HEADERS)


def _place(task: asyncio.Task[object]) -> str:
    """Return the innermost frame that `asyncio` knows of a task; values are not shown, they may be secret."""
    frames = task.get_stack(limit=1)
    if not frames:
        return "done"
    (frame,) = traceback.extract_stack(frames[0], limit=1)
    return f"{frame.name} ({frame.filename.rpartition('site-packages/')[2]}:{frame.lineno})"
