"""What was asked: requests by kind, quota units by the documented table, and bytes."""

from __future__ import annotations

import threading
from collections import Counter

#: Google's "Usage limits" of 2026: read 5, list 100, download 200, edit 50, other 5. A create is not named there and counts
#: as an edit; what belongs to a session that has begun counts nothing *(both assumed)*.
UNITS = {
    "files.list": 100,
    "files.get": 5,
    "files.create": 50,
    "files.update": 50,
    "delete": 50,
    "emptyTrash": 50,
    "generateIds": 5,
    "download": 200,
    "session.start": 50,
    "session.chunk": 0,
    "session.question": 0,
    "session.cancel": 0,
    "about": 5,
    "drives.list": 100,
    "drives.get": 5,
    "changes.list": 100,
    "changes.start": 5,
    "token": 0,
    "unknown": 0,
}


class Book:
    """Counts. Safe to use from every thread.

    Every request counts when it is asked, also one that is then refused or lost. Bytes are those of bodies. Kept for good are the
    secrets that went over the line, so that a test can look for them where they may not be: `tokens`, with what gives new ones, and
    `uploads`, the keys in the addresses of resumable uploads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests: Counter[str] = Counter()
        self.units = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.tokens: set[str] = set()
        self.uploads: set[str] = set()
        self._number = 0

    def asked(self, kind: str) -> int:
        """Count a request. Returns its number, from 1, which a reset does not change."""
        with self._lock:
            self.requests[kind] += 1
            self.units += UNITS[kind]
            self._number += 1
            return self._number

    def moved(self, *, into: int = 0, out: int = 0) -> None:
        """Count bytes of a body."""
        with self._lock:
            self.bytes_in += into
            self.bytes_out += out

    def reset(self) -> None:
        """Begin again at zero."""
        with self._lock:
            self.requests = Counter()
            self.units = self.bytes_in = self.bytes_out = 0
