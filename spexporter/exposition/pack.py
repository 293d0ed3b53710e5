"""The page as gzip, of which only what has changed is compressed again.

Each run of blocks is deflated by itself, up to a full flush, so that fragments can be joined to one stream in any
order; the check sum of the whole is combined from those of its parts.

Source: RFC 1951, section 2.3; RFC 1952, section 2.2; zlib's manual, `deflate` with Z_FULL_FLUSH, and crc32_combine.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from isal import isal_zlib

from spexporter.clock import Pace

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no name, no time, unknown system
_LAST_BLOCK = b"\x03\x00"  # an empty one: the fragments have none that ends the stream
_LEVEL = 1  # isal's: the ratio of zlib's 6 at many times its speed
_SMALLEST_RUN, _LARGEST_RUN = 8 * 1024, 32 * 1024  # small blocks are compressed together: each run starts from nothing
_BYTES_PER_UNIT = 512  # what is deflated in a unit of `Pace`


Blocks = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class _Run:
    """Some blocks of one section that follow each other, compressed."""

    blocks: tuple[bytes, ...]
    packed: bytes
    crc: int
    size: int


class Packer:
    """Compresses sections of pages, each made of blocks, and remembers what came of each run of the same blocks."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[str, _Run]] = {}
        self._deflate = isal_zlib.compressobj(_LEVEL, wbits=-zlib.MAX_WBITS)

    async def pack(self, sections: Iterable[tuple[str, Blocks]], pace: Pace, *, small: bool = False) -> list[bytes]:
        """Return one gzip stream of `sections` in pieces: each has a name, and blocks that have names as well.

        What a section of that name had when it was last packed is used again where the very same blocks come; without
        a name nothing is remembered. A `small` page is compressed as one.
        """
        if small:
            sections = [("", [("", b"".join(block for _, blocks in sections for _, block in blocks))])]
        pieces, crc, size = [_HEADER], 0, 0
        for section, blocks in sections:
            before = self._runs.get(section, {})
            runs: dict[str, _Run] = {}
            for name, some in _runs(blocks, before):
                known = before.get(name)
                run = runs[name] = known if known and known.blocks == some else self._run(some)
                await pace.did(2 if run is known else 2 + run.size // _BYTES_PER_UNIT)
                pieces.append(run.packed)
                crc = isal_zlib.crc32_combine(crc, run.crc, run.size)
                size += run.size
            if section:
                self._runs[section] = runs
        return [*pieces, _LAST_BLOCK, struct.pack("<LL", crc, size & 0xFFFFFFFF)]

    def _run(self, blocks: tuple[bytes, ...]) -> _Run:
        text = b"".join(blocks)
        packed = self._deflate.compress(text) + self._deflate.flush(isal_zlib.Z_FULL_FLUSH)
        return _Run(blocks, packed, isal_zlib.crc32(text), len(text))


def _runs(blocks: Blocks, before: Mapping[str, _Run]) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Cut blocks into runs, each named after its first block: where they were cut before, unless runs got too small.

    So a block that comes, goes or grows changes no run but its own, as a rule.
    """
    first, size = "", 0
    some: list[bytes] = []
    for name, block in blocks:
        if size >= (_SMALLEST_RUN if name in before else _LARGEST_RUN):
            yield first, tuple(some)
            some, size = [], 0
        if not some:
            first = name
        some.append(block)
        size += len(block)
    if some:
        yield first, tuple(some)
