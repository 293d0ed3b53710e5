"""What gzip makes of a page in pieces is one stream that anybody can read, and only what has changed is made again."""

import asyncio
import gzip
import random
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st

from spexporter.clock import Pace
from spexporter.exposition.pack import Blocks, Packer

blocks = st.lists(
    st.tuples(st.text(min_size=1, max_size=3), st.binary(max_size=50)), max_size=8, unique_by=lambda it: it[0]
)
sections = st.lists(st.tuples(st.sampled_from(("", "one", "two", "three")), blocks), max_size=4)


def packed(packer: Packer, page: list[tuple[str, Blocks]], *, small: bool = False) -> list[bytes]:
    return asyncio.run(packer.pack(page, Pace(), small=small))


def plain(page: list[tuple[str, Blocks]]) -> bytes:
    return b"".join(block for _, some in page for _, block in some)


@settings(deadline=None)
@given(pages=st.lists(st.tuples(sections, st.booleans()), min_size=1, max_size=4))
def test_a_stream_is_read_back_whatever_was_packed_before(pages: list[tuple[list[tuple[str, Blocks]], bool]]) -> None:
    """One member, with the right check sum and length, to the last byte."""
    packer = Packer()
    for page, small in pages:
        stream = b"".join(packed(packer, page, small=small))
        assert gzip.decompress(stream) == plain(page)
        reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
        reader.decompress(stream)
        assert reader.eof
        assert not reader.unused_data


def lines(number: int, count: int) -> bytes:
    """Return synthetic lines as pages have them, with ids that repeat nowhere."""
    rng = random.Random(number)  # noqa: S311 (repeatable, not a secret)
    ids = [rng.randbytes(16).hex() for _ in range(count)]
    return "".join(f'spconfig_job_end_seen{{tenant="t{number}",job_id="{it}"}} 1795386722.961\n' for it in ids).encode()


def test_only_what_has_changed_is_compressed_again() -> None:
    """Of a thousand small blocks that share runs, too; those that come, go or grow touch their own run only."""
    packer = Packer()
    page = {f"{number:04}": lines(number, 20) for number in range(1000)}
    first = packed(packer, [("one", list(page.items()))])
    page["0150"] = lines(999, 20)
    del page["0250"]
    page["0501a"] = lines(1000, 3)
    second = packed(packer, [("one", list(page.items()))])
    assert gzip.decompress(b"".join(second)) == b"".join(page.values())
    fresh = [piece for piece in second if not any(piece is other for other in first)]
    assert 3 <= len(fresh) <= 3 + 3  # header, end and check sum are not of any run
    assert sum(map(len, fresh)) < sum(map(len, second)) / 10


def test_it_compresses_as_well_as_zlib() -> None:
    """Within five per cent of level 6, for blocks of a hundred jobs and for those of one, many and few."""
    for count, size in ((20, 100), (2000, 1), (5000, 3), (40, 1)):
        page: list[tuple[str, Blocks]] = [("one", [(str(number), lines(number, size)) for number in range(count)])]
        assert len(b"".join(packed(Packer(), page, small=count < 100))) < 1.05 * len(zlib.compress(plain(page), 6))
