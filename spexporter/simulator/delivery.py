"""How an answer gets onto the wire, or does not."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from spexporter.clock import Clock
from spexporter.simulator.bodies import ENDLESS_BODY, ENDLESS_CHUNK
from spexporter.simulator.faults import CUT, ENDLESS, HANG, HANG_UP, TRICKLE, Fault

COMPRESSED_FROM = 128 * 1024
"""Bytes of an answer from which on it is compressed for a client that accepts it, as gateways do with long ones."""


@dataclass(frozen=True, slots=True)
class Letter:
    """An answer as it is to be written; an empty Date in `headers` means that there is none."""

    status: int
    body: bytes
    content_type: str
    headers: Mapping[str, str]

    def response(self) -> web.Response:
        """Return the answer that is written at once."""
        return web.Response(
            status=self.status,
            body=self.body,
            content_type=self.content_type,
            headers={**self.headers},
            zlib_executor_size=COMPRESSED_FROM,
        )

    def stream(self) -> web.StreamResponse:
        """Return the answer whose body is written by and by."""
        response = web.StreamResponse(status=self.status, headers={**self.headers})
        response.content_type = self.content_type
        return response


class Delivery:
    """Writes answers, well or badly.

    A connection that is held open (latency, hang, trickle, endless) lasts until its client hangs up or the server
    closes; both cancel the handler, which ends the waiting: the server must run with `handler_cancellation`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: set[asyncio.Transport] = set()

    async def release(self, _: web.Application) -> None:
        """Cut off whoever is held, so that the server can close at once."""
        for transport in tuple(self._held):
            transport.abort()

    async def linger(self, request: web.Request, until_s: float) -> None:
        """Let the client wait until `until_s`, monotonic seconds.

        Raises:
            ConnectionError: the client is gone.
        """
        with self._holding(request):
            await self._clock.sleep_until(until_s)

    async def send(self, request: web.Request, letter: Letter) -> web.StreamResponse:
        """Write an answer whole.

        Raises:
            ConnectionError: nobody was there to get it.
        """
        response = letter.response()
        if len(letter.body) >= COMPRESSED_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
            response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        await response.write_eof()
        return response

    async def send_badly(self, request: web.Request, letter: Letter, fault: Fault) -> web.StreamResponse:
        """Write an answer as one of the faults in `DELIVERIES` has it; of these `trickle` alone writes all of it.

        Raises:
            ConnectionError: the connection was closed, by us or by the client.
        """
        response = letter.stream()
        with self._holding(request) as transport:
            if fault.kind == HANG:
                await asyncio.get_running_loop().create_future()
            if fault.kind in {CUT, TRICKLE}:
                response.content_length = len(letter.body)
            if fault.kind == ENDLESS:
                response.enable_chunked_encoding()
            if fault.kind != HANG_UP:
                await response.prepare(request)
            if fault.kind == CUT:
                await response.write(letter.body[: len(letter.body) // 2])
            elif fault.kind == ENDLESS:
                await self._write_for_ever(response)
            elif fault.kind == TRICKLE:
                await self._write_bytewise(response, letter.body, fault.seconds)
                return response
            transport.close()
        raise ConnectionResetError(fault.kind)

    async def _write_for_ever(self, response: web.StreamResponse) -> None:
        await response.write(ENDLESS_BODY)
        while True:
            await response.write(ENDLESS_CHUNK)

    async def _write_bytewise(self, response: web.StreamResponse, body: bytes, every_s: float) -> None:
        due_s = self._clock.monotonic()
        for place in range(len(body)):
            due_s += every_s
            await self._clock.sleep_until(due_s)
            await response.write(body[place : place + 1])
        await response.write_eof()

    @contextmanager
    def _holding(self, request: web.Request) -> Iterator[asyncio.Transport]:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        self._held.add(transport)
        try:
            yield transport
        finally:
            self._held.discard(transport)
