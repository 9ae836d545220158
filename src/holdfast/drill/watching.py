"""Looks again and again at what a run writes to outputs, from outside, by the times of files."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from holdfast.drill.written import Write, Written

_PAUSE_SECONDS = 0.02
#: Looking takes no more than this share of the time.
_SHARE = 0.1
#: Side files of databases: what is written to the log is written to the database; the others come and go.
_LOG, _OTHERS = "-wal", ("-journal", "-shm")


class Watch:
    """Sees what is written below outputs, through links too. A file that is brought back has its earlier time, and is not written.

    Args:
        root: The project folder.
        outputs: Path of the outputs folder below it.
        counts: Which paths from the project folder count.
    """

    def __init__(self, root: Path, outputs: str, counts: Callable[[str], bool]) -> None:
        self._root, self._outputs, self._counts = str(root), outputs, counts
        self._begun = time.time_ns()
        self._seen: dict[tuple[int, int, int], Write] = {}

    def look(self) -> float:
        """Look once. Gives how many seconds to wait until the next look."""
        begun, now = time.monotonic(), dict[tuple[int, int, int], Write]()
        top = f"{self._root}/{self._outputs}"
        for path, found in _files(top, self._outputs, os.path.realpath(top), frozenset()):
            if found.st_mtime_ns >= self._begun and not path.endswith(_OTHERS) and self._counts(path):
                write = Write((found.st_mtime_ns - self._begun) / 1e9, path.removesuffix(_LOG))
                known = now.setdefault((found.st_dev, found.st_ino, found.st_mtime_ns), write)
                if write.path < known.path:  # of hard links one name counts, the same in every run
                    now[found.st_dev, found.st_ino, found.st_mtime_ns] = write
        self._seen |= now
        return max(_PAUSE_SECONDS, (time.monotonic() - begun) / _SHARE)

    @property
    def count(self) -> int:
        """How many writes were seen."""
        return len(self._seen)

    @property
    def written(self) -> Written:
        """What was seen to be written, in order. What was moved counts once, under its last name."""
        return tuple(sorted(self._seen.values(), key=lambda write: (write.at, write.path)))


def _files(place: str, path: str, top: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, os.stat_result]]:
    """Every regular file, as a program that follows links sees it; what lies below the top only under its own name."""
    try:
        state = os.stat(place)
        with os.scandir(place) as found:
            entries = list(found)
    except OSError:  # gone since
        return
    here = (state.st_dev, state.st_ino)
    if here in above:  # a link to where it lies
        return
    for entry in entries:
        try:
            if entry.is_symlink() and f"{os.path.realpath(entry.path)}/".startswith(f"{top}/"):
                continue
            looked = entry.stat()
        except OSError:
            continue
        if stat.S_ISREG(looked.st_mode):
            yield f"{path}/{entry.name}", looked
        elif stat.S_ISDIR(looked.st_mode):
            yield from _files(entry.path, f"{path}/{entry.name}", top, above | {here})
