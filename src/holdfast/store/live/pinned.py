"""Reading files of this machine without costing anybody a lock.

On POSIX, closing any descriptor of a file drops every lock that this process holds on it, also those of a connection in
another thread (https://www.sqlite.org/howtocorrupt.html, 2.2). So a database that was once opened past SQLite stays open.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from holdfast.platform import BINARY, HAS_PREAD, NO_BLOCK, shared_range
from holdfast.store.backends.backend import CHUNK_BYTES

#: How every SQLite database begins (https://www.sqlite.org/fileformat.html, "Magic Header String").
MAGIC = b"SQLite format 3\0"
#: The bytes on which SQLite's readers hold their lock (https://www.sqlite.org/src/file/src/os.h, SHARED_FIRST, SHARED_SIZE).
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510

#: Open descriptors of databases, by device and inode.
_PINNED: dict[tuple[int, int], int] = {}
_PIN_LOCK = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child must not find it held by a thread that it does not have
    os.register_at_fork(before=_PIN_LOCK.acquire, after_in_parent=_PIN_LOCK.release, after_in_child=_PIN_LOCK.release)


def peek(path: Path, length: int) -> bytes:
    """The first bytes of a file; never costs a connection of this process its locks.

    Raises:
        OSError: it cannot be read.
    """
    if not HAS_PREAD:
        with open(path, "rb") as handle:
            return handle.read(length)
    with _PIN_LOCK:
        descriptor, ours = _open_pinned(path)
        try:
            return os.pread(descriptor, length, 0)
        finally:
            if not ours:
                os.close(descriptor)


def is_database(path: Path) -> bool:
    """True where the file begins like a SQLite database."""
    try:
        return peek(path, len(MAGIC)) == MAGIC
    except OSError:
        return False


def is_pinned(place: str) -> bool:
    """True where the file is a database that stays open here already. Opens nothing."""
    if not _PINNED:
        return False
    found = os.stat(place)
    return (found.st_dev, found.st_ino) in _PINNED


def begins_database(head: bytes) -> bool:
    """True where these are the first bytes of a SQLite database."""
    return head.startswith(MAGIC)


def pin(descriptor: int) -> None:
    """Keep a descriptor open that turned out to be of a database."""
    opened = os.fstat(descriptor)
    with _PIN_LOCK:
        if _PINNED.setdefault((opened.st_dev, opened.st_ino), descriptor) != descriptor:
            os.close(descriptor)


def hash_raw(path: Path) -> str:
    """BLAKE3 of a file as it lies there, without costing anybody a lock.

    Raises:
        OSError: it cannot be read.
    """
    hasher = blake3()
    _read(path, hasher.update)
    return hasher.hexdigest()


def copy_raw(path: Path, target: Path) -> None:
    """Copy a database as it lies there. Meanwhile SQLite's writers are kept from changing it, as by a reader of its own.

    Where locks belong to processes only (anywhere but on Linux) nothing keeps them: look before and after.

    Raises:
        BlockingIOError: one of them is changing it.
        OSError: it cannot be read, or the copy cannot be written.
    """
    with open(target, "wb") as copy:
        _read(path, copy.write, shared=True)


def _read(path: Path, take: Callable[[bytes], object], *, shared: bool = False) -> None:
    if not HAS_PREAD or not is_database(path):
        with open(path, "rb") as handle:
            while chunk := handle.read(CHUNK_BYTES):
                take(chunk)
        return
    with _PIN_LOCK:
        descriptor, _ = _open_pinned(path)
        with shared_range(descriptor, _SHARED_FIRST, _SHARED_SIZE) if shared else contextlib.nullcontext():
            position = 0
            while chunk := os.pread(descriptor, CHUNK_BYTES, position):
                take(chunk)
                position += len(chunk)


def _open_pinned(path: Path) -> tuple[int, bool]:
    """A descriptor, and whether it is pinned (a database) or for the caller to close (anything else)."""
    for key, descriptor in list(_PINNED.items()):
        if os.fstat(descriptor).st_nlink == 0:  # nobody can open it any more, so nobody's lock is lost
            os.close(_PINNED.pop(key))
    found = os.stat(path)
    key = (found.st_dev, found.st_ino)
    if key in _PINNED:
        return _PINNED[key], True
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    descriptor = os.open(path, os.O_RDONLY | NO_BLOCK | BINARY)
    opened = os.fstat(descriptor)
    if stat.S_ISREG(opened.st_mode) and os.pread(descriptor, len(MAGIC), 0) == MAGIC:
        if (opened.st_dev, opened.st_ino) in _PINNED:
            os.close(descriptor)
            return _PINNED[opened.st_dev, opened.st_ino], True
        _PINNED[opened.st_dev, opened.st_ino] = descriptor
        return descriptor, True
    return descriptor, False
