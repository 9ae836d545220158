"""Where the data of a file lie between its holes, told by its content alone.

Blocks of 4 KiB that hold nothing but zeros are holes, however a file system lays them out, and a hole between data that is shorter
than 64 KiB counts as data: what is stored of a file has to be the same for the same content.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from holdfast.errors import Refused
from holdfast.platform import HAS_PREAD

#: Files with no more bytes of holes than this are sent as they are.
MIN_HOLES = 1 << 20
#: The unit of holes: what the common file systems allocate.
BLOCK = 4096
#: A hole between data that is shorter than this is stored as zeros: it would cost more in seeks and lines than it saves.
MIN_GAP = 1 << 16
#: At most this many regions. All three tools were seen to unpack as many.
MAX_REGIONS = 1_000_000
#: No chunk is longer than this.
CHUNK = 1 << 20

_BLOCK_OF_ZEROS = bytes(BLOCK)


class TooManyRegions(Refused):
    """The file has more regions of data than a map may hold: send it whole."""


class Shrunk(Refused):
    """The file became shorter while it was read, so it changed since it was looked at."""


class Region(NamedTuple):
    """Data between holes. `offset` is a multiple of 4 KiB, and so is `length` unless the region ends where the file does."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The offset of the first byte behind it."""
        return self.offset + self.length


def is_sparse(found: os.stat_result) -> bool:
    """True where the file system says that more than 1 MiB of the file are holes. False where it does not tell.

    It may be wrong (compression, bytes that are not written out yet): `has_holes` decides, once the file was surveyed.
    """
    blocks = getattr(found, "st_blocks", None)
    return blocks is not None and found.st_size - blocks * 512 > MIN_HOLES


def has_holes(size: int, regions: Iterable[Region]) -> bool:
    """True where more than 1 MiB of the content are holes, wherever the file lies. `size` in bytes."""
    return size - sum(region.length for region in regions) > MIN_HOLES


def survey(descriptor: int, size: int, *, most: int = MAX_REGIONS) -> tuple[Region, ...]:
    """Where the content of an open file is not zero. Reads only what the file system calls data, in chunks of 1 MiB.

    Args:
        descriptor: A regular file, open for reading. Its position moves.
        size: Its length in bytes.
        most: How many regions there may be, at most 1,000,000.

    Returns:
        The regions in order, the same for the same content. Holes are all that lies between, before and behind them.

    Raises:
        TooManyRegions: there are more than `most`.
        Shrunk: data is gone, because the file became shorter meanwhile. Whether it is still as it was is for the caller to see.
        OSError: it cannot be read.
    """
    found: list[Region] = []
    begin = end = 0  # of the region that is being gathered, none where `end` is 0
    for offset, data in _data(descriptor, size):
        whole = data if len(data) % BLOCK == 0 else data + bytes(-len(data) % BLOCK)
        for at in range(0, len(whole), BLOCK):
            if whole.startswith(_BLOCK_OF_ZEROS, at):
                continue
            block = offset + at
            if not end or block - end >= MIN_GAP:
                if end:
                    found.append(Region(begin, end - begin))
                begin = block
                if len(found) == most:
                    raise TooManyRegions(errno.EFBIG, f"it has more than {most} pieces of data between holes")
            end = block + BLOCK
    if end:
        found.append(Region(begin, min(end, size) - begin))
    return tuple(found)


def _data(descriptor: int, size: int) -> Iterator[tuple[int, bytes]]:
    """What may be other than zero, as offset and bytes: whole blocks from one block's beginning, at most a chunk at once."""
    at = 0
    while at < size:
        start, end = _extent(descriptor, at, size)
        at = max(at, start // BLOCK * BLOCK)
        until = min(size, -(-end // BLOCK) * BLOCK)
        for piece in read_data(descriptor, at, until):
            yield at, piece
            at += len(piece)


def _extent(descriptor: int, at: int, size: int) -> tuple[int, int]:
    """The first extent of data that ends behind `at`. At the end and empty where there is none, everything where nothing tells."""
    if not hasattr(os, "SEEK_DATA"):
        return at, size
    try:
        start = os.lseek(descriptor, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size, size
        if error.errno in (errno.EINVAL, errno.ENOTSUP):
            return at, size
        raise
    if start >= size:
        return size, size
    try:
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
    except OSError as error:
        if error.errno != errno.ENXIO:  # it ended before `start` meanwhile; reading it will tell
            raise
        end = size
    return start, max(end, start + 1)  # a hole that was punched right now must not hold us here


def read_data(descriptor: int, at: int, end: int) -> Iterator[bytes]:
    """The bytes from `at` to `end`, in pieces of a chunk, the last one shorter."""
    while at < end:
        parts = []
        missing = min(CHUNK, end - at)
        while missing:
            part = _read_at(descriptor, missing, at)
            if not part:
                raise Shrunk(0, "it became shorter while it was read; back it up again when nothing writes to it")
            parts.append(part)
            at += len(part)
            missing -= len(part)
        yield parts[0] if len(parts) == 1 else b"".join(parts)


def _read_at(descriptor: int, length: int, at: int) -> bytes:
    if HAS_PREAD:
        return os.pread(descriptor, length, at)
    os.lseek(descriptor, at, os.SEEK_SET)
    return os.read(descriptor, length)
