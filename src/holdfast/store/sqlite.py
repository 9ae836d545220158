"""SQLite databases: knowing one, judging one, and copying a live one.

A live database copied as a file can be torn and still pass an integrity check, so it is copied by SQLite's own online
backup (https://www.sqlite.org/backup.html) in one step, which holds a read lock for as long as that takes.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import sqlite3
import stat
import struct
import threading
import time
import urllib.parse
from pathlib import Path

from blake3 import blake3

from holdfast.errors import Refused
from holdfast.store.backend import CHUNK_BYTES
from holdfast.store.keys import printable
from holdfast.store.platform import BINARY, HAS_PREAD, NO_BLOCK
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
_SCHEMA_COOKIE = slice(40, 44)
_VALID_FOR = slice(92, 96)
_LIBRARY_VERSION = slice(96, 100)


class Health(enum.Enum):
    """What a local file that should be a database is."""

    SOUND = "sound"
    BUSY = "busy"  #: locked, or in the middle of a transaction; its owner knows best
    BROKEN = "broken"  #: empty without side files, truncated, or not a database


#: Open descriptors of databases, by device and inode. On POSIX, closing any descriptor of a file drops every lock that this
#: process holds on it, also those of a connection in another thread (https://www.sqlite.org/howtocorrupt.html, 2.2). So a
#: database that was once opened past SQLite stays open.
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


def hash_raw(path: Path) -> str:
    """BLAKE3 of a database file as it lies there, without costing anybody a lock.

    Raises:
        OSError: it cannot be read.
    """
    hasher = blake3()
    if not HAS_PREAD or not is_database(path):
        with open(path, "rb") as handle:
            while chunk := handle.read(CHUNK_BYTES):
                hasher.update(chunk)
        return hasher.hexdigest()
    with _PIN_LOCK:
        descriptor, _ = _open_pinned(path)
        position = 0
        while chunk := os.pread(descriptor, CHUNK_BYTES, position):
            hasher.update(chunk)
            position += len(chunk)
    return hasher.hexdigest()


def is_database(path: Path) -> bool:
    """True where the file begins like a SQLite database."""
    try:
        return peek(path, len(MAGIC)) == MAGIC
    except OSError:
        return False


def promises_database(name: str) -> bool:
    """True where the name says that it is a database."""
    return name.lower().endswith(DATABASE_SUFFIXES)


def judge(path: Path) -> Health:
    """Judge a local database without changing a byte of it or of its side files."""
    try:
        peek(path, 1)
    except OSError:
        return Health.BUSY  # it may be anything, so it is left alone
    if side_files(path):
        # A journal or a WAL: the database is live, or waits for SQLite's own recovery. Only plain garbage is broken.
        with contextlib.suppress(OSError):
            size = os.stat(path).st_size
            return Health.BUSY if size == 0 or is_database(path) else Health.BROKEN
        return Health.BROKEN
    before = os.stat(path)
    if before.st_size < 512 or not is_database(path) or _truncated(path, before.st_size):
        return Health.BROKEN
    # In WAL mode even a reader would make side files, so such a database is read as immutable.
    query = "mode=ro&immutable=1" if peek(path, 20)[_JOURNAL_VERSIONS] == b"\2\2" else "mode=ro"
    try:
        with contextlib.closing(_open(path, query, timeout=0)) as connection:
            sound = connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.OperationalError as error:
        return Health.BUSY if _is_locked(error) else Health.BROKEN
    except sqlite3.DatabaseError:
        sound = False
    after = os.stat(path)
    if side_files(path) or (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        return Health.BUSY
    return Health.SOUND if sound else Health.BROKEN


def _truncated(path: Path, size: int) -> bool:
    header = peek(path, 100)
    if len(header) < 100:
        return True
    (page_size,) = struct.unpack(">H", header[16:18])
    (pages,) = struct.unpack(">I", header[_PAGE_COUNT])
    counted = header[_CHANGE_COUNTER] == header[_VALID_FOR]
    return counted and size < pages * (65536 if page_size == 1 else page_size)


def snapshot(source: Path, target: Path, *, busy_seconds: float = 60.0) -> None:
    """Copy a live database to a new file in one consistent state, in DELETE journal mode and without side files.

    Two snapshots of one state are byte for byte equal. In rollback mode the copy equals the file that SQLite itself would
    leave; from WAL mode the counters that SQLite keeps for its caches are set to 1.

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
            _begin_reading(live, busy_seconds)
            original = peek(source, 100)
            copy.execute("PRAGMA synchronous=OFF")  # a scratch file: the store syncs its own copy
            live.backup(copy, pages=-1)
            live.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode=DELETE")
            if copy.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("the integrity check failed")
    except sqlite3.OperationalError as error:
        if _is_locked(error):
            why = f"the database was locked for more than {busy_seconds:g} s; close the program that holds it"
        else:
            why = f"the database cannot be read ({error})"
        raise Refused(0, why, printable(str(source))) from error
    except sqlite3.DatabaseError as error:
        raise Refused(0, f"not a sound database ({error})", printable(str(source))) from error
    _settle_header(target, original)


def _begin_reading(live: sqlite3.Connection, busy_seconds: float) -> None:
    """Take a read lock. A writer that never rests leaves gaps of a millisecond between its commits, so ask often."""
    deadline = time.monotonic() + busy_seconds
    live.execute("BEGIN")
    while True:
        try:
            live.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            if not _is_locked(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.001)
        else:
            return


def _is_locked(error: sqlite3.OperationalError) -> bool:
    return "locked" in str(error) or "busy" in str(error)


def _settle_header(target: Path, original: bytes) -> None:
    """Undo what copying itself wrote into the header, so that a copy depends on the content alone."""
    with open(target, "r+b") as handle:
        header = bytearray(handle.read(100))
        if original[_JOURNAL_VERSIONS] == b"\1\1":
            # Read under the same lock as the pages, and in rollback mode nobody writes the file meanwhile.
            for field in (_CHANGE_COUNTER, _SCHEMA_COOKIE, _VALID_FOR, _LIBRARY_VERSION):
                header[field] = original[field]
        else:
            header[_JOURNAL_VERSIONS] = b"\1\1"
            header[_CHANGE_COUNTER] = header[_VALID_FOR] = b"\0\0\0\1"
        handle.seek(0)
        handle.write(header)


def passes_check(path: Path) -> bool:
    """True where a closed database is sound. For files of unknown origin."""
    return judge(path) is Health.SOUND


def _open(path: Path, query: str, timeout: float = 5.0) -> sqlite3.Connection:
    uri = f"file:{urllib.parse.quote(os.fsencode(path))}?{query}"
    return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)
