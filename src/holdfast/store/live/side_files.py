"""Side files: what SQLite keeps beside a database, and would replay, write over or delete; and locks of other libraries.

They are known by what they hold, because anybody may call a file `notes-journal`.
"""

from __future__ import annotations

import enum
import os
import stat
from pathlib import Path

from holdfast.store.live.pinned import is_database, peek

SIDE_SUFFIXES = ("-wal", "-shm", "-journal")
#: Behind the name of an LMDB that is one file: its lock.
LMDB_LOCK_SUFFIX = "-lock"
#: How names of such files end.
SIDE_NAMES = (*SIDE_SUFFIXES, LMDB_LOCK_SUFFIX)
LOCK_NAMES = ("lock.mdb", "LOCK")
#: In each of the two first pages of an LMDB (lmdb's mdb.c, `MDB_MAGIC`).
LMDB_MARK = b"\xde\xc0\xef\xbe"
#: Names that promise a database, so that an empty file under one of them is looked at twice.
DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3", ".db3")
#: https://www.sqlite.org/fileformat.html, "The Rollback Journal" and "The Write-Ahead Log".
_BEGINS = {
    "-journal": (bytes.fromhex("d9d505f920a163d7"),),
    "-wal": (bytes.fromhex("377f0682"), bytes.fromhex("377f0683")),
}
#: SQLite clears so many bytes of a journal's header when it is not yet valid, or not any more (pager.c, writeJournalHdr).
_CLEARED = {"-journal": 12, "-wal": 4}
#: A `-shm` grows by pages of the system's memory; at first it has 3 bytes (os_unix.c, unixLockSharedMemory).
_SHM_PAGE, _SHM_BEGUN = 4096, (0, 3)
_WAL_MODE = b"\2\2"


class _Look(enum.Enum):
    """What a file under a side file's name looks like."""

    ITS_OWN = enum.auto()  #: begins as only SQLite's do
    BLANK = enum.auto()  #: empty or cleared: SQLite's, if a database is beside it
    STRANGE = enum.auto()  #: anything else, so somebody's


def promises_database(name: str) -> bool:
    """True where the name says that it is a database."""
    return name.lower().endswith(DATABASE_SUFFIXES)


def is_in_wal_mode(header: bytes) -> bool:
    """True where the first 20 bytes of a database say that it has a write-ahead log."""
    return header[18:20] == _WAL_MODE


def is_side_file(place: Path) -> bool:
    """True for a regular file that SQLite keeps beside a database, and whose content its online backup holds.

    Beside no database, a file is its owner's whatever it is called: also a log that outlived its database.
    """
    suffix = next((s for s in SIDE_SUFFIXES if place.name.endswith(s)), "")
    if not suffix:
        return False
    database = place.with_name(place.name.removesuffix(suffix))
    try:
        found = os.lstat(database)
    except OSError:
        return False
    if not stat.S_ISREG(found.st_mode):
        return False
    look = _look(place, suffix) or _Look.BLANK  # gone meanwhile: it comes and goes, as SQLite's do
    if is_database(database):
        return look is not _Look.STRANGE and (suffix != "-shm" or _has_log(database))
    if found.st_size == 0:
        return look is _Look.ITS_OWN or (look is _Look.BLANK and promises_database(database.name))
    return False


def may_be_side_file(place: Path) -> bool:
    """True where the name is that of a side file or a lock, and what it would belong to is beside it. Opens nothing."""
    beside = next((place.name.removesuffix(s) for s in SIDE_NAMES if place.name.endswith(s)), "")
    return bool(beside) and _is_regular(place.with_name(beside))


def which_hold_no_data(places: tuple[str, ...]) -> tuple[bool, ...]:
    """Of each file that `may_be_side_file` says yes to, whether it is one. Opens them, so it runs where a `Reader` runs it."""
    return tuple(_is_lmdb_lock(Path(p)) if p.endswith(LMDB_LOCK_SUFFIX) else is_side_file(Path(p)) for p in places)


def is_lock(place: Path, found: os.stat_result) -> bool:
    """True for a lock that a database keeps beside its data, by its name and what is beside it. Opens nothing."""
    if place.name == "lock.mdb":
        return _is_regular(place.with_name("data.mdb"))
    return place.name == "LOCK" and found.st_size == 0 and _is_regular(place.with_name("CURRENT"))


def _is_lmdb_lock(place: Path) -> bool:
    """Beside an environment that is one file (`subdir=False`)."""
    try:
        head = peek(place.with_name(place.name.removesuffix(LMDB_LOCK_SUFFIX)), 20)
    except OSError:
        return False
    return head[:8] == bytes(8) and head[16:20] == LMDB_MARK


def _is_regular(place: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(place).st_mode)
    except OSError:
        return False


def side_files(database: Path) -> list[Path]:
    """SQLite's files beside a database that is here, is broken, or is about to come. A link under such a name is one too."""
    return [place for place, look in _beside(database) if look in (_Look.ITS_OWN, _Look.BLANK)]


def strangers(database: Path) -> list[Path]:
    """What lies beside a database under the name of a side file and is none.

    SQLite takes it for its own all the same and deletes it when it opens the database to write (measured: a text file
    named `-journal` or `-wal`, and `-shm` in WAL mode).
    """
    return [place for place, look in _beside(database) if look is _Look.STRANGE]


def _beside(database: Path) -> list[tuple[Path, _Look]]:
    looks = []
    for suffix in SIDE_SUFFIXES:
        place = database.with_name(database.name + suffix)
        look = _look(place, suffix)
        if look is None or (suffix == "-shm" and not _has_log(database)):
            continue
        looks.append((place, look))
    return looks


def _has_log(database: Path) -> bool:
    """Whether a `-shm` would be this database's: it is in WAL mode or not here, or a log lies there."""
    log = database.with_name(database.name + "-wal")
    try:
        if is_in_wal_mode(peek(database, 20)):
            return True
    except OSError:
        return True
    return _look(log, "-wal") in (_Look.ITS_OWN, _Look.BLANK)


def _look(place: Path, suffix: str) -> _Look | None:
    """None where nothing is. A `-shm` is never opened: SQLite's locks are on it, and closing it would drop ours."""
    try:
        found = os.lstat(place)
        if stat.S_ISLNK(found.st_mode):
            return _Look.BLANK
        if not stat.S_ISREG(found.st_mode):
            return _Look.STRANGE
        if suffix == "-shm":
            size = found.st_size
            return _Look.BLANK if size in _SHM_BEGUN or size % _SHM_PAGE == 0 else _Look.STRANGE
        head = peek(place, 16)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return _Look.BLANK  # nobody knows, and a database beside it makes it likely
    if head.startswith(_BEGINS[suffix]):
        return _Look.ITS_OWN
    return _Look.BLANK if head[: _CLEARED[suffix]] == bytes(min(len(head), _CLEARED[suffix])) else _Look.STRANGE
