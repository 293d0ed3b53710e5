"""One connection to the daemon's server, which takes no more of what is not HTTP."""

from aiohttp import web
from aiohttp.web_protocol import RequestHandler, _ErrInfo


class Connection(RequestHandler):
    """Reads nothing more once something came that is no request: it is answered, and the connection is closed.

    uvloop reads a connection many times in a row as long as there is something to read, and aiohttp would keep an error
    for each piece, with the piece: megabytes for whoever sends blanks behind a body.
    """

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol.data_received`."""
        super().data_received(data)
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            self._pause_transport_reading()


class Server(web.Server):
    """Makes such connections."""

    def __call__(self) -> RequestHandler:
        """Return what looks after a new connection."""
        return Connection(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application on such a server; aiohttp has no public way to say what a connection is."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = Server
        return server
