"""Small files travel together, in plain uncompressed tars that any tool opens."""

from __future__ import annotations

import errno
import tarfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO

from blake3 import blake3

from holdfast.errors import Corrupt
from holdfast.store.format.keys import printable
from holdfast.store.format.manifest import MAX_TAR_MEMBER

#: Where the fields of a header lie (POSIX.1-2017, pax, "ustar Interchange Format"), and how that of a plain file looks behind its
#: numbers: it is no link, and has no owner, no device and no longer name.
_NAME, _NUMBERS, _SUM = 100, 148, 156
_NUMBERED = b"%07o\x000000000\x000000000\x00%011o\x00%011o\x00"
_PLAIN = b"0" + bytes(100) + b"ustar\x0000" + bytes(247)
_SUM_OF_PLAIN = sum(_PLAIN) + 8 * 0x20
#: The largest number that eleven octal digits hold.
_MOST_OCTAL = 8**11 - 1
_BUFFER_BYTES = 1 << 20
_RECORD_BYTES = 10240


class TarWriter:
    """Writes members one after the other. The file is complete after `close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open(path, "wb", buffering=_BUFFER_BYTES)  # noqa: SIM115 - closed by `close`
        self.names: set[str] = set()

    def add(self, name: str, data: bytes, mode: int, mtime_ns: int) -> None:
        """Append one member. `mtime_ns` in Unix nanoseconds."""
        size = len(data)
        self._file.write(_header(name, size, mode, mtime_ns // 1_000_000_000) + data + bytes(-size % tarfile.BLOCKSIZE))
        self.names.add(name)

    def __enter__(self) -> TarWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> Path:
        """Finish the file, and give its path."""
        if not self._file.closed:
            with self._file as file:
                file.write(bytes(2 * tarfile.BLOCKSIZE))
                file.write(bytes(-file.tell() % _RECORD_BYTES))
        return self._path


def _header(name: str, size: int, mode: int, mtime: int) -> bytes:
    """The header of a plain file, byte for byte as `tarfile` writes it, which takes ten times as long."""
    if not name.isascii() or len(name) > _NAME or not 0 <= mtime <= _MOST_OCTAL:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = size, mode, mtime
        return member.tobuf(tarfile.PAX_FORMAT)
    head = name.encode().ljust(_NAME, b"\0") + _NUMBERED % (mode & 0o7777, size, mtime)
    return b"%b%06o\0 %b" % (head, sum(head) + _SUM_OF_PLAIN, _PLAIN)


def read_members(path: Path, wanted: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """The content of the wanted members, in the order of the tar.

    A member's own name is only ever compared, never used as a path; its size must be the expected one, so that a tar
    made to burst cannot.

    Args:
        path: A local tar.
        wanted: Member name to its length in bytes.

    Raises:
        Corrupt: the tar cannot be read, or a wanted member is missing or has another length or type.
    """
    found = set()
    with open(path, "rb", buffering=_BUFFER_BYTES) as handle:
        for name, data in _plain_members(handle, wanted):
            found.add(name)
            yield name, data
    if missing := wanted.keys() - found:
        raise Corrupt(f"{path.name}: the member {printable(min(missing))} is missing or is not the file that was packed")


def hash_members(handle: IO[bytes]) -> dict[str, tuple[int, str]]:
    """Every plain member of a tar with its length and BLAKE3. Raises Corrupt where the tar cannot be read."""
    handle.seek(0)
    return {name: (len(data), blake3(data).hexdigest()) for name, data in _plain_members(handle, None)}


def _plain_members(handle: IO[bytes], wanted: Mapping[str, int] | None) -> Iterator[tuple[str, bytes]]:
    """Plain members that are small enough and, if `wanted` is given, have the wanted name and length, the first of each name."""
    seen = set()
    try:
        for name, size, is_plain, read in _members(handle):
            expected = size if wanted is None else (wanted.get(name, -1) if name not in seen else -1)
            if name in seen or not is_plain or not size == expected <= MAX_TAR_MEMBER:
                continue
            seen.add(name)
            data = read()
            if len(data) != size:
                raise Corrupt(f"the member {printable(name)} is cut off")
            yield name, data
            if wanted is not None and len(seen) == len(wanted):
                return
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, MemoryError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a seek to where a header lies is EINVAL
            raise
        raise Corrupt(f"not a readable tar ({error})") from error


def _members(handle: IO[bytes]) -> Iterator[tuple[str, int, bool, Callable[[], bytes]]]:
    """Of every member name, size, whether it is a plain file, and what reads it before the next one is asked for.

    Headers as `TarWriter` makes them are read here, ten times as quickly. From the first other one on `tarfile` reads the rest.
    """
    at = handle.tell()
    while (header := _read_header(handle.read(tarfile.BLOCKSIZE))) is not None:
        name, size = header
        yield name, size, True, partial(handle.read, size)
        at += tarfile.BLOCKSIZE + size + -size % tarfile.BLOCKSIZE
        handle.seek(at)
    handle.seek(at)
    with tarfile.open(fileobj=handle, mode="r:") as tar:
        for member in tar:
            yield member.name, member.size, member.isreg() and not member.issparse(), partial(_content, tar, member)


def _read_header(header: bytes) -> tuple[str, int] | None:
    """Name and size from a header that says no more than that and mode and time; None for any other."""
    if header[_SUM:] != _PLAIN:
        return None
    head = header[:_NUMBERS]
    name, _, rest = head[:_NAME].partition(b"\0")
    numbers = (head[124:135], header[_NUMBERS : _SUM - 2])
    if rest.strip(b"\0") or not name or not name.isascii() or not all(number.isdigit() for number in numbers):
        return None
    size, total = (int(number, 8) for number in numbers)
    if head[135] or header[_SUM - 2 : _SUM] != b"\0 " or total != sum(head) + _SUM_OF_PLAIN:
        return None
    return name.decode(), size


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    return b"" if stream is None else stream.read(member.size)


def plan_merge(sizes: Mapping[str, int], new: int, most: int) -> list[str]:
    """Which tars to merge into the new one so that at most `most` remain. Pure.

    The smallest are merged, and as many as it takes for the result to be no larger than the next one, so that every
    byte is rewritten seldom: the sizes stay spread out, as in a log-structured merge tree.

    Args:
        sizes: Live bytes of each tar that the base refers to.
        new: Bytes of the new tar.
        most: The limit, the new tar included.
    """
    if len(sizes) + 1 <= most:
        return []
    ascending = sorted(sizes, key=lambda p: (sizes[p], p))
    total = new
    for count, payload in enumerate(ascending, start=1):
        total += sizes[payload]
        following = ascending[count] if count < len(ascending) else None
        if len(ascending) - count + 1 <= most and (following is None or total <= sizes[following]):
            return ascending[:count]
    return ascending
