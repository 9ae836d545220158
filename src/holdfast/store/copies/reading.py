"""Reading copies that wait, in whatever process: one may be a hard link, whose original a library has open here.

The files of outputs themselves are opened where a `Reader` runs what opens them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from holdfast.platform import BINARY
from holdfast.store.backends.backend import CHUNK_BYTES
from holdfast.store.local.disk import lstat_or_none

#: Descriptors of hard links whose original somebody opened for writing meanwhile. That may be a library in this process, and
#: closing one would drop its locks, so they stay open for as long as it may be so.
_left_open: list[int] = []


@contextlib.contextmanager
def open_copy(path: Path) -> Iterator[int]:
    """A copy, opened for reading, and closed where that costs nobody a lock."""
    descriptor = os.open(path, os.O_RDONLY | BINARY)
    try:
        yield descriptor
    finally:
        found = os.fstat(descriptor)
        now = lstat_or_none(path)
        if found.st_nlink > 0 and (now is None or now.st_ino != found.st_ino):
            _left_open.append(descriptor)
        else:
            os.close(descriptor)
        for left in [d for d in _left_open if os.fstat(d).st_nlink == 0]:
            _left_open.remove(left)
            os.close(left)


def hash_copy(path: Path) -> str:
    """BLAKE3 of a copy, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    hasher = blake3()
    with open_copy(path) as descriptor:
        while chunk := os.read(descriptor, CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()
