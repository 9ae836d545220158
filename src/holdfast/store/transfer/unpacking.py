"""Small files out of a tar: each is written once, and has its mode and its time before it is closed."""

from __future__ import annotations

import os
import stat

from holdfast.platform import BINARY, NO_FOLLOW
from holdfast.store.format.entries import FileRecord

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW | BINARY
_BY_DESCRIPTOR = os.utime in os.supports_fd and hasattr(os, "fchmod")


class Unpacking:
    """Makes files, and the folders above them as they come.

    Args:
        lasting: Each is synced. Otherwise whoever asked for them has all of them synced at once.
    """

    def __init__(self, *, lasting: bool) -> None:
        self._lasting = lasting
        self._made: set[str] = set()

    def put(self, place: str, data: bytes, record: FileRecord) -> None:
        """Make one file with the mode and the time of its record.

        Raises:
            FileExistsError: something is there.
            OSError: the disk refuses.
        """
        above = os.path.dirname(place)
        if above not in self._made:
            os.makedirs(above, exist_ok=True)
            self._made.add(above)
        descriptor = os.open(place, _NEW, record.mode)  # open already, so it can be written to whatever its mode is
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            target = descriptor if _BY_DESCRIPTOR else place
            if record.mtime_ns is not None:
                os.utime(target, ns=(record.mtime_ns, record.mtime_ns))
            if stat.S_IMODE(os.fstat(descriptor).st_mode) != record.mode:  # the process's own mask took something away
                os.chmod(target, record.mode)
            if self._lasting:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
