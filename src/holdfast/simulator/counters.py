"""Exact counts of what was asked of the mount and what went over the line."""

from __future__ import annotations

import threading
from collections import Counter

#: What is counted. An operation counts when it is asked for, whether it then fails or not.
#:
#: `lookups` is what the kernel asks with no cache of its own: one `stat` of `a/b` asks for every part of the path.
#: `cold_reads` and `warm_reads` count opened files at their first read; `reads` and `writes` count the calls.
NAMES = (
    *("lookups", "listings", "opens", "creates", "reads", "cold_reads", "warm_reads", "writes", "truncates"),
    *("removes", "mkdirs", "rmdirs", "renames", "attributes", "statfs", "fsyncs", "flushes", "chmods", "links"),
    *("bytes_read", "bytes_written", "bytes_down", "bytes_up"),
    *("uploads", "cloud_files", "cloud_folders", "cloud_moves", "cloud_removes"),
    "milliseconds_waited",
)


class Counters:
    """Numbers by name. Safe to use from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: Counter[str] = Counter()

    def add(self, name: str, amount: int = 1) -> None:
        """Count something that `NAMES` lists."""
        if name not in NAMES:
            raise KeyError(name)
        with self._lock:
            self._numbers[name] += amount

    def read(self) -> dict[str, int]:
        """All numbers, zeros included."""
        with self._lock:
            return {name: self._numbers[name] for name in NAMES}

    def reset(self) -> dict[str, int]:
        """All numbers as they were, and begin again at zero."""
        with self._lock:
            before = {name: self._numbers[name] for name in NAMES}
            self._numbers.clear()
        return before
