"""SQLite databases: judging one, and copying a live one.

A live database copied as a file can be torn and still pass an integrity check, so it is copied by SQLite's own online
backup (https://www.sqlite.org/backup.html) within one read transaction. Only what SQLite must not open is copied as it lies
there, while it rests: a database beside which a file of the user's has the name of a side file, and one of a newer SQLite.
"""

from __future__ import annotations

import contextlib
import enum
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from holdfast.errors import Refused
from holdfast.store.format.keys import printable
from holdfast.store.live.damage import (
    CHANGE_COUNTER,
    VALID_FOR,
    code_of,
    damage,
    is_damage,
    is_locked,
    is_of_newer_sqlite,
    open_uri,
)
from holdfast.store.live.pinned import copy_raw, is_database, peek
from holdfast.store.live.side_files import is_in_wal_mode, side_files, strangers

#: https://www.sqlite.org/fileformat.html, "The Database Header".
_JOURNAL_VERSIONS = slice(18, 20)
_SCHEMA_COOKIE = slice(40, 44)
_LIBRARY_VERSION = slice(96, 100)

#: How long to wait for a writer that holds a database exclusively: in seconds, and less once it was not to be had.
BUSY_SECONDS, BUSY_AGAIN_SECONDS = 5.0, 0.5
#: What a copy may take: so many seconds, and more for a database that is larger than this rate moves in them.
COPY_SECONDS, _BYTES_PER_SECOND = 60.0, 20_000_000
#: How much is copied between two looks at the clock.
_PAGES_AT_ONCE = 512
_RESTING_LOOKS = 3
#: SQLite's errors that say nothing of the file itself, but of the place or the moment.
_ELSEWHERE = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT}
#: Databases that were not to be had the last time, by device and inode.
_HELD: set[tuple[int, int]] = set()


class Health(enum.Enum):
    """What a local file that should be a database is."""

    SOUND = "sound"  #: nothing proves that it is damaged
    BUSY = "busy"  #: locked, or in the middle of a transaction; its owner knows best
    BROKEN = "broken"  #: empty without side files, truncated, not a database, or with damaged pages


class _TooSlow(Exception):
    """A copy took longer than it may."""


def judge(path: Path) -> Health:
    """Judge a local database without changing a byte of it or of its side files.

    What only its owner can evaluate (a collation, a function, a module, a constraint, a newer schema) is no damage.
    """
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
    before = _state(path)
    # In WAL mode even a reader would make side files, and what has their name may be the user's: then it is read as immutable.
    alone = is_in_wal_mode(peek(path, 20)) or bool(strangers(path))
    try:
        proof = damage(path, "mode=ro&immutable=1" if alone else "mode=ro")
    except (sqlite3.OperationalError, OSError):
        return Health.BUSY
    if side_files(path) or before != _state(path):
        return Health.BUSY
    return Health.BROKEN if proof else Health.SOUND


def passes_check(path: Path) -> bool:
    """True where a closed database is sound. For files of unknown origin."""
    return judge(path) is Health.SOUND


def snapshot(
    source: Path,
    target: Path,
    *,
    busy_seconds: float = BUSY_SECONDS,
    copy_seconds: float = COPY_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Copy a live database to a new file in one consistent state, in DELETE journal mode and without side files.

    Two snapshots of one state are byte for byte equal. In rollback mode the copy equals the file that SQLite itself would
    leave; from WAL mode the counters that SQLite keeps for its caches are set to 1.

    Args:
        source: The database; other processes may be writing to it.
        target: A path where nothing is.
        busy_seconds: How long to wait for a writer that holds the database exclusively. One that did so the last time, in
            this process, is given at most `BUSY_AGAIN_SECONDS`.
        copy_seconds: How long copying may take; more for what is larger than 20 MB/s move in that time.
        clock: Seconds that only go forward.

    Raises:
        Refused: it stays locked, copying takes too long, or it is not a sound database.
    """
    try:
        _snapshot(source, target, busy_seconds, copy_seconds, clock)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _snapshot(source: Path, target: Path, busy_seconds: float, copy_seconds: float, clock: Callable[[], float]) -> None:
    found = os.stat(source)
    held = (found.st_dev, found.st_ino)
    patience = min(busy_seconds, BUSY_AGAIN_SECONDS) if held in _HELD else busy_seconds
    allowed = max(copy_seconds, found.st_size / _BYTES_PER_SECOND)
    try:
        if strangers(source) or is_of_newer_sqlite(peek(source, 100)):
            _copy_at_rest(source, target, clock() + patience, clock)
        else:
            _back_up(source, target, patience, allowed, clock)
        proof = damage(target)
    except _TooSlow as error:
        why = f"copying the database took longer than {allowed:.0f} s; back up again when its disk has less to do"
        raise Refused(0, why, printable(str(source))) from error
    except (sqlite3.DatabaseError, BlockingIOError) as error:
        if isinstance(error, BlockingIOError) or is_locked(error):
            _HELD.add(held)
            why = f"the database was locked for more than {patience:g} s; close the program that holds it"
            raise Refused(0, why, printable(str(source))) from error
        if not is_damage(error):
            raise Refused(0, f"the database cannot be read ({error})", printable(str(source))) from error
        proof = str(error)
    _HELD.discard(held)
    if proof:
        raise Refused(0, f"not a sound database ({proof})", printable(str(source)))


def _back_up(source: Path, target: Path, patience: float, allowed: float, clock: Callable[[], float]) -> None:
    try:
        with (
            contextlib.closing(open_uri(source, "mode=rw", timeout=0)) as live,
            contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            _begin_reading(live, clock() + patience, clock)
            original = peek(source, 100)
            copy.execute("PRAGMA synchronous=OFF")  # a scratch file: the store syncs its own copy
            end = clock() + allowed

            def look(*_: int) -> None:
                if clock() > end:
                    raise _TooSlow

            # In steps, so that somebody looks at the clock. The read transaction holds the state that is copied.
            live.backup(copy, pages=_PAGES_AT_ONCE, progress=look, sleep=0.01)
            live.execute("ROLLBACK")
            with contextlib.suppress(sqlite3.DatabaseError):  # a schema that this SQLite cannot read; the header is settled below
                copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.DatabaseError as error:
        if is_locked(error) or is_damage(error) or code_of(error) in _ELSEWHERE:
            raise
        target.unlink(missing_ok=True)
        _copy_at_rest(source, target, clock() + patience, clock)
        return
    _settle_header(target, original)


def _begin_reading(live: sqlite3.Connection, end: float, clock: Callable[[], float]) -> None:
    """Take a read lock. A writer that never rests leaves gaps of a millisecond between its commits, so ask often."""
    live.execute("BEGIN")
    while True:
        try:
            live.execute("PRAGMA user_version").fetchall()  # the one read that needs no schema
        except sqlite3.OperationalError as error:
            if not is_locked(error) or clock() > end:
                raise
            time.sleep(0.001)
        else:
            return


def _copy_at_rest(source: Path, target: Path, end: float, clock: Callable[[], float]) -> None:
    """Copy the file as it lies there, where SQLite must not or cannot open it.

    Raises:
        Refused: it does not rest, or has side files, without which it is nothing.
        BlockingIOError: somebody holds it exclusively.
    """
    for _ in range(_RESTING_LOOKS):
        before = _state(source)
        while True:
            try:
                copy_raw(source, target)
                break
            except BlockingIOError:
                if clock() > end:
                    raise
                time.sleep(0.001)
        if not [p for p in side_files(source) if os.lstat(p).st_size] and _state(source) == before:
            return
    foreign = strangers(source)
    if foreign:
        why = f"it is in use, and {foreign[0].name} beside it is no file of SQLite's, which would delete it; rename that file"
    else:
        why = "this SQLite cannot read the database, and it is in use; close the program that holds it"
    raise Refused(0, why, printable(str(source)))


def _state(path: Path) -> tuple[int, int, int, int, bytes]:
    """Some of this every commit changes."""
    found = os.stat(path)
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, peek(path, 100))


def _settle_header(target: Path, original: bytes) -> None:
    """Undo what copying itself wrote into the header, so that a copy depends on the content alone."""
    with open(target, "r+b") as handle:
        header = bytearray(handle.read(100))
        if original[_JOURNAL_VERSIONS] == b"\1\1":
            # Read under the same lock as the pages, and in rollback mode nobody writes the file meanwhile.
            for field in (CHANGE_COUNTER, _SCHEMA_COOKIE, VALID_FOR, _LIBRARY_VERSION):
                header[field] = original[field]
        else:
            header[_JOURNAL_VERSIONS] = b"\1\1"
            header[CHANGE_COUNTER] = header[VALID_FOR] = b"\0\0\0\1"
        handle.seek(0)
        handle.write(header)
