"""A copy of a file that is open already: its path is never followed again, and its holes stay holes."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from holdfast.platform import BINARY, CANNOT_CLONE, WRITE_BYTES, clone_into

#: What is in memory at one time, bytes.
PIECE_BYTES = 1 << 20
#: What the kernel is asked to copy at one time: little enough to look at the clock in between.
_KERNEL_BYTES = 16 << 20
_ZEROS = memoryview(bytes(PIECE_BYTES))
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY

Update = Callable[[memoryview], object]
Tick = Callable[[int], None]


@dataclass(frozen=True)
class Copied:
    """What a copy came to.

    Args:
        size: Bytes, holes included. Fewer than were asked for where the file was shorter.
        blake3: Hash of them in hexadecimal, or None where it was not asked for.
    """

    size: int
    blake3: str | None


def _nothing(at: int) -> None:
    pass


def clone(source: int, target: Path) -> bool:
    """Make a new file that shares the blocks of another (btrfs, xfs): its content at one instant, mapped writes included.

    Args:
        source: Descriptor of the original, opened for reading.
        target: The new file, which only its owner may read. It must not exist.

    Returns:
        False where the file system cannot; nothing is left behind then.

    Raises:
        OSError: the target exists, the disk is full, or failed.
    """
    with _new(target) as descriptor:
        if clone_into(source, descriptor):
            return True
        os.unlink(target)
    return False


def copy(source: int, target: Path, length: int | None, *, hashing: bool, tick: Tick = _nothing) -> Copied:
    """Copy a file, or its first part, into a new one, with 1 MiB of memory.

    What is a hole in the original is one in the copy, and counts as zeros in the hash. Of a file that is written to meanwhile the
    copy may be a mixture: compare signatures before and after.

    Args:
        source: Descriptor of the original, opened for reading. Its offset is moved.
        target: The new file, which only its owner may read. It must not exist, and is removed where the copy fails.
        length: Copy no more than so many bytes; None: as many as there are now.
        hashing: Return the hash.
        tick: Called after each piece of at most 16 MiB with what has been copied, in bytes; what it raises ends the copy.

    Raises:
        OSError: the target exists, the disk is full, or failed.
    """
    size = os.fstat(source).st_size
    end = size if length is None else min(length, size)
    hasher = blake3() if hashing else None
    update = None if hasher is None else hasher.update
    with _new(target) as descriptor:
        at = 0
        while at < end:
            data, hole = next_data(source, at, end)
            if update is not None:
                _update_zeros(update, at, data, tick)
            at = _copy_data(source, descriptor, data, hole, update, tick)
            if at < hole:  # the file has become shorter
                end = at
        os.ftruncate(descriptor, end)
    return Copied(end, None if hasher is None else hasher.hexdigest())


def next_data(descriptor: int, at: int, end: int) -> tuple[int, int]:
    """Where the next stretch of data begins and ends: from `at`, up to `end`; both are `end` where only a hole is left.

    Where holes are not told, all is data. The offset of the descriptor is moved.
    """
    if not hasattr(os, "SEEK_DATA"):
        return at, end
    try:
        data = min(os.lseek(descriptor, at, os.SEEK_DATA), end)
        hole = end if data == end else min(os.lseek(descriptor, data, os.SEEK_HOLE), end)
    except OSError as error:
        return (end, end) if error.errno == errno.ENXIO else (at, end)
    return data, hole


def _copy_data(source: int, target: int, begin: int, end: int, update: Update | None, tick: Tick) -> int:
    """Copy a stretch of data; where it came to."""
    at = _copy_in_kernel(source, target, begin, end, tick) if update is None else begin
    piece = memoryview(bytearray(min(PIECE_BYTES, end - at)))
    while at < end:
        got = os.preadv(source, [piece[: end - at]], at)
        if not got:
            break
        if update is not None:
            update(piece[:got])
        written = 0
        while written < got:
            written += os.pwrite(target, piece[written : min(written + WRITE_BYTES, got)], at + written)
        at += got
        tick(at)
    return at


def _copy_in_kernel(source: int, target: int, begin: int, end: int, tick: Tick) -> int:
    """Have the kernel copy what it can of a stretch; where it came to. On btrfs and xfs the blocks are shared."""
    at = begin
    while at < end and hasattr(os, "copy_file_range"):
        try:
            got = os.copy_file_range(source, target, min(_KERNEL_BYTES, end - at), at, at)
        except OSError as error:
            if error.errno not in CANNOT_CLONE:
                raise
            break
        if not got:  # the end, or a file system that says so
            break
        at += got
        tick(at)
    return at


def _update_zeros(update: Update, begin: int, end: int, tick: Tick) -> None:
    for at in range(begin, end, PIECE_BYTES):
        update(_ZEROS[: end - at])
        tick(at)


@contextlib.contextmanager
def _new(target: Path) -> Iterator[int]:
    """A new file, gone again where its making fails."""
    descriptor = os.open(target, _NEW, 0o600)
    try:
        yield descriptor
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target)
        raise
    finally:
        os.close(descriptor)
