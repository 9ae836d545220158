"""SQLite databases: knowing one, judging one, and copying a live one.

A live database copied as a file can be torn and still pass an integrity check, so it is copied by SQLite's own online
backup (https://www.sqlite.org/backup.html) in one step, which holds a read lock for as long as that takes.
"""

from __future__ import annotations

import contextlib
import enum
import os
import sqlite3
import struct
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from holdfast.errors import Refused
from holdfast.store.keys import printable
from holdfast.store.workspace import side_files

MAGIC = b"SQLite format 3\0"
#: Names that promise a database, so that an empty or garbage file under one of them is looked at twice.
DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3", ".db3")
SIDE_SUFFIXES = ("-wal", "-shm", "-journal")

#: https://www.sqlite.org/fileformat.html, "The Database Header": journal versions, change counter, page count,
#: version-valid-for.
_JOURNAL_VERSIONS = slice(18, 20)
_CHANGE_COUNTER = slice(24, 28)
_PAGE_COUNT = slice(28, 32)
_VALID_FOR = slice(92, 96)


class Health(enum.Enum):
    """What a local file that should be a database is."""

    SOUND = "sound"
    BUSY = "busy"  #: locked, or in the middle of a transaction; its owner knows best
    BROKEN = "broken"  #: empty without side files, truncated, or not a database


def is_database(path: Path) -> bool:
    """True where the file begins like a SQLite database."""
    try:
        with open(path, "rb") as handle:
            return handle.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def promises_database(name: str) -> bool:
    """True where the name says that it is a database."""
    return name.lower().endswith(DATABASE_SUFFIXES)


def judge(path: Path) -> Health:
    """Judge a local database without changing a byte of it or of its side files."""
    if side_files(path):
        # A journal or a WAL: the database is live, or waits for SQLite's own recovery. Only plain garbage is broken.
        with contextlib.suppress(OSError):
            size = os.stat(path).st_size
            return Health.BUSY if size == 0 or is_database(path) else Health.BROKEN
        return Health.BROKEN
    before = os.stat(path)
    if before.st_size < 512 or not is_database(path) or _truncated(path, before.st_size):
        return Health.BROKEN
    try:
        # immutable: no lock, no journal, no side file is made by looking.
        with contextlib.closing(_open(path, "mode=ro&immutable=1")) as connection:
            sound = connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.DatabaseError:
        sound = False
    after = os.stat(path)
    if side_files(path) or (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        return Health.BUSY
    return Health.SOUND if sound else Health.BROKEN


def _truncated(path: Path, size: int) -> bool:
    with open(path, "rb") as handle:
        header = handle.read(100)
    if len(header) < 100:
        return True
    (page_size,) = struct.unpack(">H", header[16:18])
    (pages,) = struct.unpack(">I", header[_PAGE_COUNT])
    counted = header[_CHANGE_COUNTER] == header[_VALID_FOR]
    return counted and size < pages * (65536 if page_size == 1 else page_size)


def snapshot(source: Path, target: Path, *, busy_seconds: float = 60.0) -> None:
    """Copy a live database to a new file in one consistent state, in DELETE journal mode and canonical form.

    Two snapshots of one state are byte for byte equal: the counters that SQLite keeps for its caches are set to 1.

    Args:
        source: The database; other processes may be writing to it.
        target: A path where nothing is.
        busy_seconds: How long to wait for a writer that holds the database exclusively.

    Raises:
        Refused: it stays locked, or is not a sound database.
    """
    try:
        with (
            contextlib.closing(_open(source, "mode=rw", timeout=0)) as live,
            contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            copy.execute("PRAGMA synchronous=OFF")  # a scratch file: the store syncs its own copy
            # A writer that never rests leaves gaps of a millisecond between its commits: ask often.
            live.backup(copy, pages=-1, progress=_until(busy_seconds), sleep=0.001)
            copy.execute("PRAGMA journal_mode=DELETE")
            if copy.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("the integrity check failed")
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            why = f"the database was locked for more than {busy_seconds:g} s; close the program that holds it"
        else:
            why = f"the database cannot be read ({error})"
        raise Refused(0, why, printable(str(source))) from error
    except sqlite3.DatabaseError as error:
        raise Refused(0, f"not a sound database ({error})", printable(str(source))) from error
    with open(target, "r+b") as handle:
        header = bytearray(handle.read(100))
        header[_JOURNAL_VERSIONS] = b"\1\1"
        header[_CHANGE_COUNTER] = header[_VALID_FOR] = b"\0\0\0\1"
        handle.seek(0)
        handle.write(header)


def _until(seconds: float) -> Callable[[int, int, int], None]:
    """A progress callback that ends a backup that stays locked: Python's own loop would try for ever."""
    deadline = time.monotonic() + seconds

    def check(status: int, remaining: int, total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")

    return check


def passes_check(path: Path) -> bool:
    """True where a closed database is sound. For files of unknown origin."""
    return judge(path) is Health.SOUND


def _open(path: Path, query: str, timeout: float = 5.0) -> sqlite3.Connection:
    uri = f"file:{urllib.parse.quote(os.fsencode(path))}?{query}"
    return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)
