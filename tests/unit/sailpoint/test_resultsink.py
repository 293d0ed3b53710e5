import asyncio
import json

import pytest

from spexporter.domain.result import ImportResult, TypeCounts
from spexporter.sailpoint.fields import Unreadable
from spexporter.sailpoint.resultsink import WHOLE, ResultSink

BODY = json.dumps({"results": {"SOURCE": {"errors": [{"text": "x" * 100}] * 30_000}}}).encode()


@pytest.mark.parametrize("piece_bytes", [1000, 65_536, len(BODY)])
async def test_a_long_result_is_counted_in_any_pieces(piece_bytes: int) -> None:
    """The beginning is held until the result shows that it is long."""
    assert len(BODY) > WHOLE
    sink = ResultSink()
    for start in range(0, len(BODY), piece_bytes):
        await sink.take(BODY[start : start + piece_bytes])
    assert sink.result() == ImportResult({"SOURCE": TypeCounts(errors=30_000)})


async def test_a_short_result_is_decoded_as_a_whole() -> None:
    """It is tolerated what always was: text that is not UTF-8 where nothing is read of it."""
    sink = ResultSink()
    for piece in (b'{"results": {"ROLE": {"errors": ["', b"\xff", b'"]}}}', b""):
        await sink.take(piece)
    assert sink.result() == ImportResult({"ROLE": TypeCounts(errors=1)})


async def test_others_run_while_a_long_piece_is_counted() -> None:
    """However much comes at once, nobody waits for all of it."""
    taking = asyncio.ensure_future(ResultSink().take(BODY))
    turns = 0
    while not taking.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > len(BODY) // (512 * 1024)


@pytest.mark.parametrize("size", [len(BODY) // 2, 1000])
async def test_half_a_result_is_unreadable(size: int) -> None:
    """A long one as well as a short one."""
    sink = ResultSink()
    await sink.take(BODY[:size])
    with pytest.raises(Unreadable):
        sink.result()
