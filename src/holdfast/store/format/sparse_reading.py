"""What is taken for the tar of a sparse file: it may be anything, and is read once, as it comes.

A reader refuses whatever `sparse.archive` would not write itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from blake3 import blake3

from holdfast.errors import Corrupt, CutOff
from holdfast.store.format.holes import BLOCK, CHUNK, MAX_REGIONS, MIN_GAP, Region
from holdfast.store.format.keys import printable
from holdfast.store.format.sparse import END, TAR_BLOCK, headers, stored_length

_MAX_DIGITS = 16  # of 2^53, the largest size in a manifest
_MAX_PAX = 2048  # names have at most 255 bytes, the rest has about 150
_PAX = re.compile(
    rb"22 GNU\.sparse\.major=1\n22 GNU\.sparse\.minor=0\n[0-9]+ GNU\.sparse\.name=(?P<name>[^/\0]{1,255})\n"
    rb"[0-9]+ GNU\.sparse\.realsize=(?P<size>[0-9]{1,16})\n[0-9]+ mtime=(?P<sign>-?)(?P<seconds>[0-9]{1,20})\.(?P<rest>[0-9]{9})\n",
    re.DOTALL,
)


def unpack(chunks: Iterable[bytes], target: BinaryIO, size: int) -> str:
    """Write the file that a tar of ours holds, holes as holes. The tar is untrusted and read once, as it comes.

    What is refused may have been refused only after a part was written. Name, mode and time of the member are read over, and no
    digest of ours covers them: a caller who wants to know that the tar is what was sent hashes the chunks, all of which are
    taken unless this raises.

    Args:
        chunks: The tar, in chunks of any length.
        target: An empty file, open for writing. Nothing is written beyond `size`.
        size: Length of the file in bytes.

    Returns:
        BLAKE3 of the stored data, in hex, for the caller to compare.

    Raises:
        CutOff: the tar ends early.
        Corrupt: it is not, byte for byte, what `archive` would give for a file of this size.
        OSError: `target` cannot be written, and whatever `chunks` raises.
    """
    hasher = blake3()
    for offset, data in _content(chunks, size, hasher):
        target.seek(offset)
        target.write(data)
    target.truncate(size)
    return hasher.hexdigest()


def check(chunks: Iterable[bytes], size: int) -> str:
    """As `unpack`, and writes nothing."""
    hasher = blake3()
    for _ in _content(chunks, size, hasher):
        pass
    return hasher.hexdigest()


def _content(chunks: Iterable[bytes], size: int, stored: blake3) -> Iterator[tuple[int, bytes]]:
    """The data of the file as offset and bytes, in order. `stored` is given the stored data."""
    stream = _Stream(chunks)
    head = stream.exactly(TAR_BLOCK)
    pax_length = _octal(head[124:136])
    if pax_length is None or pax_length > _MAX_PAX:
        raise _wrong("it does not begin with a pax header")
    head += stream.exactly(pax_length + -pax_length % TAR_BLOCK)
    said = _PAX.fullmatch(head, TAR_BLOCK, TAR_BLOCK + pax_length)
    member = stream.exactly(TAR_BLOCK)
    mode = _octal(member[100:108])
    if said is None or mode is None:
        raise _wrong("its first member is no sparse file")
    if int(said["size"]) != size:
        raise _wrong(f"it holds a file of {int(said['size'])} bytes, and {size} are expected")
    regions = _regions(stream, size, stored)
    length = stored_length(size, regions)
    mtime_ns = int(said["seconds"] + said["rest"]) * (-1 if said["sign"] else 1)
    if head + member != _head_or_nothing(said["name"], mode, mtime_ns, size, length):
        raise _wrong("its headers are not those of the file that its map describes")
    for region in regions:
        offset = region.offset
        for piece in stream.pieces(region.length):
            stored.update(piece)
            yield offset, piece
            offset += len(piece)
    if any(stream.exactly(-length % TAR_BLOCK + END)):
        raise _wrong("its end is not zeros")
    if stream.some(1):
        raise _wrong("something follows its end")


def _regions(stream: _Stream, size: int, stored: blake3) -> list[Region]:
    """Read the map. Every line is checked as it comes, so that no more is held than regions that can be."""
    numbers = _Numbers(stream, stored)
    count = numbers.next()
    if not 1 <= count <= MAX_REGIONS + 1:
        raise _wrong(f"its map promises {count} regions")
    regions: list[Region] = []
    end = 0
    for left in range(count - 1, -1, -1):
        region = Region(numbers.next(), numbers.next())
        if region == (size, 0) and not left and (end < size or not size):
            break
        if region.length == 0 or region.end > size or region.offset < (end + MIN_GAP if regions else 0):
            raise _wrong(f"its map has a region at {region.offset} of {region.length} bytes, which cannot be there")
        if region.offset % BLOCK or (region.length % BLOCK and region.end != size):
            raise _wrong(f"its map has a region at {region.offset} of {region.length} bytes, which is not made of blocks")
        regions.append(region)
        end = region.end
    else:
        if end != size or len(regions) > MAX_REGIONS:
            raise _wrong("its map has no last region at the end of the file")
    numbers.finish()
    return regions


class _Numbers:
    """The lines of a map."""

    def __init__(self, stream: _Stream, stored: blake3) -> None:
        self._stream = stream
        self._stored = stored
        self._rest = b""

    def next(self) -> int:
        """The number in the next line, which stands as we write it."""
        while (end := self._rest.find(b"\n")) < 0:
            if len(self._rest) > _MAX_DIGITS:
                raise _wrong("its map has a line that is no number")
            block = self._stream.exactly(TAR_BLOCK)
            self._stored.update(block)
            self._rest += block
        line, self._rest = self._rest[:end], self._rest[end + 1 :]
        if not line.isdigit() or len(line) > _MAX_DIGITS or (line[0] == ord("0") and len(line) > 1):
            raise _wrong(f"its map has the line {printable(repr(line[:40]))}")
        return int(line)

    def finish(self) -> None:
        """Nothing but zeros fills the last block."""
        if any(self._rest):
            raise _wrong("its map is longer than it says")


class _Stream:
    """Chunks of any length as a stream that knows where it ends."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = b""
        self._at = 0
        self._before = 0  # bytes in the chunks before this one

    def some(self, most: int) -> bytes:
        """At least one byte and at most so many; none at the end."""
        while self._at == len(self._chunk):
            following = next(self._chunks, None)
            if following is None:
                return b""
            self._before += len(self._chunk)
            self._chunk, self._at = following, 0
        part = self._chunk[self._at : self._at + most]
        self._at += len(part)
        return part

    def pieces(self, length: int) -> Iterator[bytes]:
        """So many bytes, in pieces of at most a chunk. Raises CutOff where there are fewer."""
        while length:
            piece = self.some(min(length, CHUNK))
            if not piece:
                raise CutOff(f"the tar of a sparse file is cut off after {self._before + self._at} bytes")
            length -= len(piece)
            yield piece

    def exactly(self, length: int) -> bytes:
        """So many bytes at once, for short parts only."""
        return b"".join(self.pieces(length))


def _octal(field: bytes) -> int | None:
    """The number in a field of a header as we write it, or None."""
    return int(field[:-1], 8) if re.fullmatch(rb"[0-7]+\0", field) else None


def _head_or_nothing(name: bytes, mode: int, mtime_ns: int, size: int, length: int) -> bytes:
    """As `headers`, and empty where the name can be no file's."""
    try:
        return headers(name.decode(), mode, mtime_ns, size, length)
    except ValueError:  # not UTF-8, or a UsageError
        return b""


def _wrong(why: str) -> Corrupt:
    return Corrupt(f"not the tar of a sparse file as Holdfast writes it: {why}")
