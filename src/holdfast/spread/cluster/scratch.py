"""Folders for temporary files, each of one process, and gone with it: what a killed one left, the next one removes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def scratch(above: Path, prefix: str, name: str) -> Iterator[Path]:
    """A folder for this process. Those that killed ones left beside it go.

    Args:
        above: In which it is made.
        prefix: What the names of all such folders begin with.
        name: What follows; no two have the same.
    """
    for left in above.glob(f"{prefix}*"):
        with contextlib.suppress(OSError), open(left / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
    place = above / f"{prefix}{name}"
    with _locked(place):
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _locked(place: Path) -> IO[bytes]:
    """Make a folder, and lock it. Until it is locked another process takes it for one that was left, and may remove it."""
    while True:
        place.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            lock = open(place / "lock", "wb")  # noqa: SIM115 - it is given back open
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                if os.path.samestat(os.fstat(lock.fileno()), os.stat(place / "lock")):
                    return lock
            except FileNotFoundError:
                pass
            lock.close()
