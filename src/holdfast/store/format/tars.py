"""Small files travel together, in plain uncompressed tars that any tool opens."""

from __future__ import annotations

import errno
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from blake3 import blake3

from holdfast.errors import Corrupt
from holdfast.store.format.keys import printable
from holdfast.store.format.manifest import MAX_TAR_MEMBER


class TarWriter:
    """Writes members one after the other. The file is complete after `close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `close`
        self.names: set[str] = set()

    def add(self, name: str, data: bytes, mode: int, mtime_ns: int) -> None:
        """Append one member. `mtime_ns` in Unix nanoseconds."""
        member = tarfile.TarInfo(name)
        member.size = len(data)
        member.mode = mode
        member.mtime = mtime_ns // 1_000_000_000
        self._tar.addfile(member, io.BytesIO(data))
        self.names.add(name)

    def __enter__(self) -> TarWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> Path:
        """Finish the file, and give its path."""
        self._tar.close()
        return self._path


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
    rest = dict(wanted)
    with open(path, "rb") as handle:
        for name, data in _plain_members(handle, rest):
            del rest[name]
            yield name, data
    if rest:
        raise Corrupt(f"{path.name}: the member {printable(min(rest))} is missing or is not the file that was packed")


def hash_members(handle: IO[bytes]) -> dict[str, tuple[int, str]]:
    """Every plain member of a tar with its length and BLAKE3. Raises Corrupt where the tar cannot be read."""
    handle.seek(0)
    return {name: (len(data), blake3(data).hexdigest()) for name, data in _plain_members(handle, None)}


def _plain_members(handle: IO[bytes], wanted: Mapping[str, int] | None) -> Iterator[tuple[str, bytes]]:
    """Plain members that are small enough and, if `wanted` is given, have the wanted name and length, the first of each name."""
    seen = set()
    try:
        with tarfile.open(fileobj=handle, mode="r:") as tar:
            for member in tar:
                expected = member.size if wanted is None else (wanted.get(member.name, -1) if member.name not in seen else -1)
                if member.name in seen or not member.isreg() or member.issparse() or not member.size == expected <= MAX_TAR_MEMBER:
                    continue
                seen.add(member.name)
                stream = tar.extractfile(member)
                data = b"" if stream is None else stream.read(member.size)
                if len(data) != member.size:
                    raise Corrupt(f"the member {printable(member.name)} is cut off")
                yield member.name, data
                if wanted is not None and not wanted.keys() - seen:
                    return
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, MemoryError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a seek to where a header lies is EINVAL
            raise
        raise Corrupt(f"not a readable tar ({error})") from error


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
