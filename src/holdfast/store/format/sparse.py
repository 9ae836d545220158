"""A sparse file travels as a tar of one member in GNU's sparse form, pax 1.0, which GNU tar, bsdtar and Python's tarfile unpack.

A tar of ours is, in this order: a pax header (`GNU.sparse.major`, `minor`, `name`, `realsize`, `mtime`), the header of the
member, the **stored data**, zeros up to 512 bytes, and two blocks of zeros. The stored data is the map and the regions. The map is
lines of decimal numbers, how many regions there are and then offset and length of each, filled with zeros up to 512 bytes.

The regions (`holes`) depend on the content alone, never on how a file system lays out holes: blocks of 4 KiB that hold nothing
but zeros are holes, and a hole between data that is shorter than 64 KiB is stored as zeros. So the digest of the stored data
stands for the content, and a reader (`sparse_reading`) refuses whatever it would not write itself.

Two rules of the form are unwritten, and GNU tar breaks a file without a word where they are not kept (measured with 1.34):

- A file that ends in a hole needs a last region of no bytes at its end, or GNU tar unpacks it short.
- Each region but the last must be a multiple of 512 bytes long, or GNU tar unpacks other bytes.

A time before 1970 with a fraction is unpacked by bsdtar up to two seconds late (3.6.2 adds the fraction instead of taking it off).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from blake3 import blake3

from holdfast.errors import UsageError
from holdfast.store.format.holes import CHUNK, Region, read_data
from holdfast.store.format.keys import check_component

TAR_BLOCK = 512
#: Bytes of zeros that end a tar.
END = 2 * TAR_BLOCK
_REGIONS_AT_ONCE = 4096  # of the map, in one piece
#: The largest number that eleven octal digits hold. Larger sizes stand in base 256, which all three tools read; tarfile loses its
#: place in a sparse member whose size stands in the pax header.
_MAX_OCTAL = 8**11 - 1


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
    length = stored_length(size, regions)
    head = headers(name, mode, mtime_ns, size, length)

    def pieces() -> Iterator[bytes]:
        yield head
        for piece in _stored(descriptor, size, regions):
            if stored is not None:
                stored.update(piece)
            yield piece
        yield bytes(-length % TAR_BLOCK + END)

    return _gathered(pieces())


def archive_length(size: int, regions: Sequence[Region], *, name: str, mtime_ns: int) -> int:
    """Length in bytes of what `archive` gives for the same arguments. Reads nothing."""
    length = stored_length(size, regions)
    return len(headers(name, 0, mtime_ns, size, length)) + length + -length % TAR_BLOCK + END


def _stored(descriptor: int, size: int, regions: Sequence[Region]) -> Iterator[bytes]:
    yield from _map(size, regions)
    for region in regions:
        yield from read_data(descriptor, region.offset, region.end)


def stored_length(size: int, regions: Sequence[Region]) -> int:
    """Length in bytes of map and regions."""
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
    yield bytes(-length % TAR_BLOCK)


def headers(name: str, mode: int, mtime_ns: int, size: int, length: int) -> bytes:
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
        + bytes(-len(pax) % TAR_BLOCK)
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
    ending = (kind.ljust(101, b"\0") + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2).ljust(TAR_BLOCK - 156, b"\0")
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
