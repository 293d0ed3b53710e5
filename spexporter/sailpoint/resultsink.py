"""Where the body of an import's result goes while it arrives."""

from collections.abc import Mapping

from spexporter.clock import Pace
from spexporter.domain.result import ImportResult, Texts
from spexporter.sailpoint.resultstream import ResultStream
from spexporter.sailpoint.texts import first_texts
from spexporter.sailpoint.wire import decode_result

WHOLE = 256 * 1024
"""Bytes up to which a result is decoded as a whole, in less than a millisecond."""
_TURN, _BYTES_PER_UNIT = 64 * 1024, 256  # a turn takes 0.05 ms in most results, about 1 ms in the oddest


class ResultSink:
    """Counts an import's result: a short one as a whole, a long one while it comes; its beginning alone is held."""

    def __init__(self, whole: int = WHOLE) -> None:
        self._longest_whole = whole
        self._whole = self._head = b""
        self._stream: ResultStream | None = None
        self._pace = Pace()

    async def take(self, piece: bytes) -> None:
        """Take the next piece of the body, and let others run meanwhile where it is a long one."""
        if self._stream is None:
            piece = self._whole = self._whole + piece
            if len(piece) <= self._longest_whole:
                return
            self._stream, self._whole, self._head = ResultStream(), b"", piece[: self._longest_whole]
        for start in range(0, len(piece), _TURN):
            turn = piece[start : start + _TURN]
            self._stream.feed(turn)
            await self._pace.did(len(turn) // _BYTES_PER_UNIT)

    def result(self) -> ImportResult:
        """Return what was counted, once the body is whole.

        Raises:
            Unreadable: as `wire.decode_result` does.
        """
        return decode_result(self._whole) if self._stream is None else self._stream.result()

    async def texts(self) -> Mapping[str, Texts]:
        """Return the first texts of errors and warnings by object type, of a long result those of its beginning."""
        return await first_texts(self._whole or self._head)
