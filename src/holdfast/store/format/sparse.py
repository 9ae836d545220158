"""A sparse file travels as a tar of one member in GNU's sparse form, pax 1.0, which GNU tar, bsdtar and Python's tarfile unpack.

A tar of ours is, in this order: a pax header (`GNU.sparse.major`, `minor`, `name`, `realsize`, `mtime`), the header of the
member, the **stored data**, zeros up to 512 bytes, and two blocks of zeros. The stored data is the map and the regions. The map is
lines of decimal numbers, how many regions there are and then offset and length of each, filled with zeros up to 512 bytes.

The regions depend on the content alone, never on how a file system lays out holes: blocks of 4 KiB that hold nothing but zeros
are holes, and a hole between data that is shorter than 64 KiB is stored as zeros. So the digest of the stored data stands for the
content, and a reader refuses whatever it would not write itself.

Two rules of the form are unwritten, and GNU tar breaks a file without a word where they are not kept (measured with 1.34):

- A file that ends in a hole needs a last region of no bytes at its end, or GNU tar unpacks it short.
- Each region but the last must be a multiple of 512 bytes long, or GNU tar unpacks other bytes.

A time before 1970 with a fraction is unpacked by bsdtar up to two seconds late (3.6.2 adds the fraction instead of taking it off).
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

from blake3 import blake3

from holdfast.errors import Corrupt, CutOff, Refused, UsageError
from holdfast.platform import HAS_PREAD
from holdfast.store.format.keys import check_component, printable

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
_TAR_BLOCK = 512
_END = 2 * _TAR_BLOCK
_REGIONS_AT_ONCE = 4096  # of the map, in one piece
#: The largest number that eleven octal digits hold. Larger sizes stand in base 256, which all three tools read; tarfile loses its
#: place in a sparse member whose size stands in the pax header.
_MAX_OCTAL = 8**11 - 1
_MAX_DIGITS = 16  # of 2^53, the largest size in a manifest
_MAX_PAX = 2048  # names have at most 255 bytes, the rest has about 150
_PAX = re.compile(
    rb"22 GNU\.sparse\.major=1\n22 GNU\.sparse\.minor=0\n[0-9]+ GNU\.sparse\.name=(?P<name>[^/\0]{1,255})\n"
    rb"[0-9]+ GNU\.sparse\.realsize=(?P<size>[0-9]{1,16})\n[0-9]+ mtime=(?P<sign>-?)(?P<seconds>[0-9]{1,20})\.(?P<rest>[0-9]{9})\n",
    re.DOTALL,
)


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


def digest(descriptor: int, size: int, regions: Sequence[Region]) -> str:
    """BLAKE3 of the stored data, in hex: the same for the same content, however a file system lays out its holes.

    Args:
        descriptor: The file, open for reading.
        size: Its length in bytes.
        regions: As `survey` gave them.

    Raises:
        Shrunk: the file became shorter meanwhile.
    """
    hasher = blake3()
    for piece in _stored(descriptor, size, regions):
        hasher.update(piece)
    return hasher.hexdigest()


def archive(
    descriptor: int,
    size: int,
    regions: Sequence[Region],
    *,
    name: str,
    mode: int,
    mtime_ns: int,
    stored: blake3 | None = None,
) -> Iterator[bytes]:
    """The tar of a sparse file, in chunks of at most 1 MiB. The same content, name, mode and time give the same bytes.

    Args:
        descriptor: The file, open for reading.
        size: Its length in bytes.
        regions: As `survey` gave them.
        name: The file's own name, which tools unpack it under. One component.
        mode: Permission bits.
        mtime_ns: Unix nanoseconds, negative before 1970.
        stored: Given the stored data as it is read: its digest is that of what was sent, also where the file changes meanwhile.

    Raises:
        UsageError: the name is none that a file can have.
        Shrunk: the file became shorter meanwhile.
    """
    length = _stored_length(size, regions)
    head = _head(name, mode, mtime_ns, size, length)

    def pieces() -> Iterator[bytes]:
        yield head
        for piece in _stored(descriptor, size, regions):
            if stored is not None:
                stored.update(piece)
            yield piece
        yield bytes(-length % _TAR_BLOCK + _END)

    return _gathered(pieces())


def archive_length(size: int, regions: Sequence[Region], *, name: str, mtime_ns: int) -> int:
    """Length in bytes of what `archive` gives for the same arguments. Reads nothing."""
    length = _stored_length(size, regions)
    return len(_head(name, 0, mtime_ns, size, length)) + length + -length % _TAR_BLOCK + _END


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


# Reading a file


def _data(descriptor: int, size: int) -> Iterator[tuple[int, bytes]]:
    """What may be other than zero, as offset and bytes: whole blocks from one block's beginning, at most a chunk at once."""
    at = 0
    while at < size:
        start, end = _extent(descriptor, at, size)
        at = max(at, start // BLOCK * BLOCK)
        until = min(size, -(-end // BLOCK) * BLOCK)
        for piece in _read(descriptor, at, until):
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


def _read(descriptor: int, at: int, end: int) -> Iterator[bytes]:
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


# Writing a tar


def _stored(descriptor: int, size: int, regions: Sequence[Region]) -> Iterator[bytes]:
    yield from _map(size, regions)
    for region in regions:
        yield from _read(descriptor, region.offset, region.end)


def _stored_length(size: int, regions: Sequence[Region]) -> int:
    return sum(map(len, _map(size, regions))) + sum(region.length for region in regions)


def _map(size: int, regions: Sequence[Region]) -> Iterator[bytes]:
    """The map with its padding, in pieces, since a million regions have some 20 MB of it."""
    last = [] if regions and regions[-1].end == size else [Region(size, 0)]
    length = 0
    head = f"{len(regions) + len(last)}\n"
    for first in range(0, len(regions) + 1, _REGIONS_AT_ONCE):
        some = [*regions[first : first + _REGIONS_AT_ONCE]]
        if first + _REGIONS_AT_ONCE > len(regions):
            some += last
        piece = (head + "".join(f"{offset}\n{extent}\n" for offset, extent in some)).encode()
        head = ""
        length += len(piece)
        yield piece
    yield bytes(-length % _TAR_BLOCK)


def _head(name: str, mode: int, mtime_ns: int, size: int, length: int) -> bytes:
    """All of the tar that stands before the stored data, which is `length` bytes long."""
    problem = check_component(name)
    if problem is not None:
        raise UsageError(f"a file in a tar {problem}")
    seconds, rest = divmod(abs(mtime_ns), 1_000_000_000)
    said = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": name,
        "GNU.sparse.realsize": str(size),
        "mtime": f"{'-' if mtime_ns < 0 else ''}{seconds}.{rest:09d}",
    }
    pax = b"".join(_record(key, value) for key, value in said.items())
    plain = "".join(c if c.isascii() and c.isprintable() else "_" for c in name)[:80]
    return (
        _header(f"PaxHeaders/{plain}", b"x", 0o644, len(pax), 0)
        + pax
        + bytes(-len(pax) % _TAR_BLOCK)
        + _header(f"GNUSparseFile.0/{plain}", b"0", mode, length, mtime_ns // 1_000_000_000)
    )


def _record(key: str, value: str) -> bytes:
    """`LENGTH KEY=VALUE` and a line feed, where the length counts its own digits (POSIX, pax)."""
    body = f" {key}={value}\n".encode()
    length = len(body)
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return str(length).encode() + body


def _header(name: str, kind: bytes, mode: int, length: int, seconds: int) -> bytes:
    """A ustar header. A time that it cannot hold stands in the pax header, as every time does."""
    size = b"%011o\0" % length if length <= _MAX_OCTAL else b"\x80" + length.to_bytes(11, "big")
    time = b"%011o\0" % min(max(seconds, 0), _MAX_OCTAL)
    fields = name.encode().ljust(100, b"\0") + b"%07o\0" % mode + b"0000000\0" * 2 + size + time
    ending = (kind.ljust(101, b"\0") + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2).ljust(_TAR_BLOCK - 156, b"\0")
    return fields + b"%06o\0 " % (sum(fields) + sum(ending) + 8 * ord(" ")) + ending


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, small pieces joined. No piece is longer than a chunk, and no chunk is."""
    gathered: list[bytes] = []
    length = 0
    for piece in pieces:
        if length + len(piece) > CHUNK:
            yield b"".join(gathered)
            gathered, length = [], 0
        gathered.append(piece)
        length += len(piece)
    yield b"".join(gathered)


# Reading a tar that may be anything


def _content(chunks: Iterable[bytes], size: int, stored: blake3) -> Iterator[tuple[int, bytes]]:
    """The data of the file as offset and bytes, in order. `stored` is given the stored data."""
    stream = _Stream(chunks)
    head = stream.exactly(_TAR_BLOCK)
    pax_length = _octal(head[124:136])
    if pax_length is None or pax_length > _MAX_PAX:
        raise _wrong("it does not begin with a pax header")
    head += stream.exactly(pax_length + -pax_length % _TAR_BLOCK)
    said = _PAX.fullmatch(head, _TAR_BLOCK, _TAR_BLOCK + pax_length)
    member = stream.exactly(_TAR_BLOCK)
    mode = _octal(member[100:108])
    if said is None or mode is None:
        raise _wrong("its first member is no sparse file")
    if int(said["size"]) != size:
        raise _wrong(f"it holds a file of {int(said['size'])} bytes, and {size} are expected")
    regions = _regions(stream, size, stored)
    length = _stored_length(size, regions)
    mtime_ns = int(said["seconds"] + said["rest"]) * (-1 if said["sign"] else 1)
    if head + member != _head_or_nothing(said["name"], mode, mtime_ns, size, length):
        raise _wrong("its headers are not those of the file that its map describes")
    for region in regions:
        offset = region.offset
        for piece in stream.pieces(region.length):
            stored.update(piece)
            yield offset, piece
            offset += len(piece)
    if any(stream.exactly(-length % _TAR_BLOCK + _END)):
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
            block = self._stream.exactly(_TAR_BLOCK)
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
    """As `_head`, and empty where the name can be no file's."""
    try:
        return _head(name.decode(), mode, mtime_ns, size, length)
    except ValueError:  # not UTF-8, or a UsageError
        return b""


def _wrong(why: str) -> Corrupt:
    return Corrupt(f"not the tar of a sparse file as Holdfast writes it: {why}")
