"""Small files out of a tar: each is written once, and has its mode and its time before it is closed."""

from __future__ import annotations

import os
import stat
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from holdfast.platform import BINARY, NO_FOLLOW, sync_all
from holdfast.store.format.entries import FileRecord

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW | BINARY
_BY_DESCRIPTOR = os.utime in os.supports_fd and hasattr(os, "fchmod")


#: So many files are written by the disk while more are made.
_EARLY = 10_000


class Unpacking:
    """Makes files, and the folders above them as they come. `close` waits for what the disk does meanwhile.

    Args:
        folder: Where the files are made.
        lasting: Each is synced. Otherwise whoever asked for them has all of them synced at once.
        early: After so many files the disk begins to write.
    """

    def __init__(self, folder: Path, *, lasting: bool, early: int = _EARLY) -> None:
        self._folder = folder
        self._lasting = lasting
        self._early = early
        self._made: set[str] = set()
        self._files = 0
        self._syncing: Future[None] | None = None

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
        self._files += 1
        if self._files % self._early == 0 and not self._lasting:
            self._begin_to_sync()

    def close(self) -> None:
        """All files are made.

        Raises:
            OSError: the disk failed.
        """
        if self._syncing is not None:
            self._syncing.result()

    def _begin_to_sync(self) -> None:
        """Have the disk write what there is, unless it still does. An error that it tells of then, it tells nobody again."""
        if self._syncing is not None and not self._syncing.done():
            return
        self.close()
        thread = ThreadPoolExecutor(1, "holdfast: writing back")
        self._syncing = thread.submit(sync_all, self._folder)
        thread.shutdown(wait=False)
