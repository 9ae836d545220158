"""What proves that a SQLite database is damaged: its pages, never what only its owner can evaluate.

SQLite's own check stumbles over collations, functions and modules that the owning program registers, over constraints that
old rows break, and over a schema that a newer SQLite wrote. None of that is damage: the pages are sound, and the owner
opens the file every day.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import struct
import urllib.parse
from pathlib import Path

from holdfast.store.live.pinned import MAGIC, peek

#: https://www.sqlite.org/fileformat.html, "The Database Header".
PAGE_SIZE = slice(16, 18)
READ_VERSION = 19
CHANGE_COUNTER = slice(24, 28)
PAGE_COUNT = slice(28, 32)
VALID_FOR = slice(92, 96)
#: The newest read version that is known: 1 is a rollback journal, 2 a write-ahead log.
_KNOWN_VERSION = 2
#: How SQLite's check begins what it says of pages (pragma.c, PRAGMA integrity_check). The rest is about rows: NULL where none may
#: be, a CHECK, a type, an index that is not unique, that is not in order or does not fit its table.
_OF_PAGES = "*** in database "
#: Said of every page of a table whose line in the schema could not be read.
_UNCLAIMED = "never used"
#: As many rows as SQLite gives of itself. Those about pages come first.
_MOST_ROWS = 100
#: Collations and functions of one owner.
_MOST_NAMES = 1000
_MISSING = re.compile(r"(?:no such|unknown) (collation sequence|function): (.+?)(?:\(\))?$")
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}


def is_locked(error: sqlite3.Error) -> bool:
    """True where somebody else's lock is in the way."""
    return code_of(error) in _BUSY


def is_damage(error: sqlite3.Error) -> bool:
    """True where SQLite met pages that are wrong. That it cannot read a schema has the same code, and is none."""
    return code_of(error) in _CORRUPT and not _is_about_schema(error)


def is_of_newer_sqlite(header: bytes) -> bool:
    """True where the header says that no SQLite that is known can read the file."""
    return header.startswith(MAGIC) and len(header) > READ_VERSION and header[READ_VERSION] > _KNOWN_VERSION


def open_uri(path: Path, query: str, timeout: float = 5.0) -> sqlite3.Connection:
    """A connection without Python's own transactions.

    Args:
        path: An existing file.
        query: As in https://www.sqlite.org/uri.html.
        timeout: Seconds that SQLite itself waits for a lock.
    """
    uri = f"file:{urllib.parse.quote(os.fsencode(path))}?{query}"
    return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)


def damage(path: Path, query: str = "mode=ro&immutable=1") -> str:
    """What proves that a database is damaged, in SQLite's words or ours; empty where nothing does.

    Args:
        path: A file that should be a database. Not a byte of it changes.
        query: How it is opened; by default as a file that nobody else works on.

    Raises:
        sqlite3.OperationalError: it is locked.
        OSError: it cannot be read.
    """
    size, header = os.stat(path).st_size, peek(path, 100)
    if not header.startswith(MAGIC):
        return "it does not begin as a database"
    if _is_cut(header, size):
        return "it is shorter than its header says"
    if is_of_newer_sqlite(header):
        return ""
    try:
        with contextlib.closing(open_uri(path, query, timeout=0)) as connection:
            return _proof(connection)
    except sqlite3.DatabaseError as error:
        if is_locked(error):
            raise
        return str(error) if is_damage(error) else ""


def _is_cut(header: bytes, size: int) -> bool:
    if len(header) < 100:
        return True
    (page_size,) = struct.unpack(">H", header[PAGE_SIZE])
    (pages,) = struct.unpack(">I", header[PAGE_COUNT])
    counted = header[CHANGE_COUNTER] == header[VALID_FOR]
    return counted and size < pages * (65536 if page_size == 1 else page_size)


def _proof(connection: sqlite3.Connection) -> str:
    """Ask SQLite, giving it stand-ins for what only the owner has: the check of pages calls none of them."""
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    connection.execute("PRAGMA ignore_check_constraints=ON")
    whole_schema = True
    for _ in range(_MOST_NAMES):
        try:
            return _check(connection, whole_schema=whole_schema)
        except sqlite3.DatabaseError as error:
            if is_locked(error) or is_damage(error):
                raise
            if _is_about_schema(error) and whole_schema:
                # "The schema is not parsed strictly" (https://www.sqlite.org/pragma.html#pragma_writable_schema).
                connection.execute("PRAGMA writable_schema=ON")
                whole_schema = False
            elif not _stand_in(connection, str(error)):
                return _by_table(connection)
    return ""


def _check(connection: sqlite3.Connection, *, table: str = "", whole_schema: bool = True) -> str:
    """The first thing that SQLite's check says of pages; empty where it says nothing of them."""
    wanted = "'{}'".format(table.replace("'", "''")) if table else _MOST_ROWS
    for (text,) in connection.execute(f"PRAGMA quick_check({wanted})").fetchall():
        if str(text).startswith(_OF_PAGES):
            for line in str(text).splitlines()[1:]:
                if whole_schema or _UNCLAIMED not in line:
                    return line
    return ""


def _stand_in(connection: sqlite3.Connection, message: str) -> bool:
    """Register what is missing, by the name that SQLite says."""
    found = _MISSING.search(message)
    if found is None:
        return False
    kind, name = found.groups()
    if kind == "function":
        connection.create_function(name, -1, lambda *_: None, deterministic=True)
    else:
        connection.create_collation(name, lambda a, b: (a > b) - (a < b))
    return True


def _by_table(connection: sqlite3.Connection) -> str:
    """Where the check as a whole cannot be asked: each table by itself, as far as it goes."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()]
    for table in tables:
        try:
            found = _check(connection, table=table, whole_schema=False)
        except sqlite3.DatabaseError as error:
            if is_locked(error) or is_damage(error):
                raise
            continue
        if found:
            return found
    return ""


def _is_about_schema(error: sqlite3.Error) -> bool:
    text = str(error)
    proven = "invalid rootpage" in text or "orphan index" in text
    return ("malformed database schema" in text and not proven) or "unsupported file format" in text


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code (https://www.sqlite.org/rescode.html); 0 where Python itself raised."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
