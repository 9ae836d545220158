"""Databases that are sound, and that only their owner can use in full."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Connection = sqlite3.Connection


def _register(connection: Connection) -> None:
    """What the owning program has and nobody else."""
    connection.create_collation("mine", lambda a, b: (a.lower() > b.lower()) - (a.lower() < b.lower()))
    connection.create_collation("yours é", lambda a, b: (a > b) - (a < b))
    connection.create_function("half", 1, lambda x: None if x is None else x / 2, deterministic=True)
    connection.create_function("is_fine", -1, lambda *_: True, deterministic=True)


def _rewrite(connection: Connection, table: str, old: str, new: str) -> None:
    """Change a schema behind SQLite's back, as another version of it would have written it."""
    connection.execute("pragma writable_schema=on")
    connection.execute("update sqlite_master set sql = replace(sql, ?, ?) where name = ?", (old, new, table))
    version = connection.execute("pragma schema_version").fetchone()[0]
    connection.execute(f"pragma schema_version={version + 1}")
    connection.execute("pragma writable_schema=off")


@dataclass(frozen=True)
class Owner:
    """One kind of database.

    Args:
        schema: Statements.
        after: Done once rows are in it; last, because nobody may be able to open it afterwards.
        mends: Undoes what keeps this SQLite from opening a copy.
        table: That has the rows, in its column `x`.
    """

    schema: tuple[str, ...]
    after: Callable[[Connection], None] | None = None
    mends: Callable[[Path], None] | None = None
    table: str = "t"

    def connect(self, place: Path) -> Connection:
        connection = sqlite3.connect(place, isolation_level=None)
        connection.execute("pragma synchronous=off")
        _register(connection)
        return connection

    def make(self, place: Path, rows: int, mode: str) -> None:
        """A new database at a place, closed, or with its log beside it where nobody has closed it."""
        connection = self.connect(place)
        connection.execute(f"pragma journal_mode={mode}")
        for statement in self.schema:
            connection.execute(statement)
        connection.execute("begin")
        for number in range(rows):
            connection.execute(f"insert into {self.table} (x) values (?)", (f"row {number} {'x' * 900}",))
        connection.execute("commit")
        if self.after is not None:
            self.after(connection)
        connection.close()

    def rows(self, place: Path) -> int:
        """How many the owner finds in a copy, which this may change."""
        if self.mends is not None:
            self.mends(place)
        connection = self.connect(place)
        try:
            return len(connection.execute(f"select x from {self.table} order by x").fetchall())
        finally:
            connection.close()


def _mended(new: str, old: str) -> Callable[[Path], None]:
    def mend(place: Path) -> None:
        connection = sqlite3.connect(place, isolation_level=None)
        _rewrite(connection, "t", new, old)
        connection.close()

    return mend


def _bytes(offset: int, value: bytes) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        with open(place, "r+b") as handle:
            handle.seek(offset)
            handle.write(value)

    return write


def _nulls(connection: Connection) -> None:
    connection.execute("insert into t (y) values (1)")
    _rewrite(connection, "t", "x text", "x text not null")


def _checked(connection: Connection) -> None:
    connection.execute("pragma ignore_check_constraints=on")
    connection.execute("insert into t (x) values ('')")


def _newer(connection: Connection) -> None:
    _rewrite(connection, "t", "x text)", "x text) FUTURE")


def _rewrite_module(connection: Connection) -> None:
    connection.execute("pragma writable_schema=on")
    connection.execute(
        "insert into sqlite_master values ('table', 'm', 'm', 0, 'CREATE VIRTUAL TABLE m USING nobody_has_it(a, b)')"
    )
    connection.execute("pragma writable_schema=off")


def _late(connection: Connection, write: Callable[[Path], None]) -> None:
    """Write into the header once the connection is closed."""
    place = Path(connection.execute("select file from pragma_database_list where name = 'main'").fetchone()[0])
    connection.execute("pragma journal_mode=delete")
    connection.close()
    write(place)


OWNERS: dict[str, Owner] = {
    "collation in an index": Owner(("create table t(x text collate mine)", "create index i on t(x)")),
    "collation with a name of any letters": Owner(('create table t(x text collate "yours é")', "create index i on t(x)")),
    "collation in a primary key": Owner(("create table t(x text collate mine primary key) without rowid",)),
    "function in a CHECK": Owner(("create table t(x text check (is_fine(x)))",)),
    "function in an index": Owner(("create table t(x text)", "create index i on t(half(length(x)))")),
    "function in a partial index": Owner(("create table t(x text)", "create index i on t(x) where is_fine(x)")),
    "function in a generated column": Owner(("create table t(x text, h generated always as (half(length(x))) stored)",)),
    "function in a virtual column that must not be null": Owner(
        ("create table t(x text, h not null generated always as (is_fine(x, 1, 2)) virtual)",)
    ),
    "function in a view and a trigger": Owner(
        (
            "create table t(x text)",
            "create view v as select half(length(x)) from t",
            "create trigger g after insert on t begin select is_fine(new.x); end",
        )
    ),
    "a module that nobody has": Owner(
        ("create table t(x text)", "create table u(x)"),
        _rewrite_module,
    ),
    "full text search with a tokenizer of its own": Owner(
        ("create table t(x text)", "create virtual table f using fts5(y)", "insert into f values ('some words')"),
        lambda c: _rewrite(c, "f", "fts5(y)", "fts5(y, tokenize = 'mine')"),
    ),
    "NOT NULL that old rows break": Owner(("create table t(x text, y)",), _nulls),
    "CHECK that old rows break": Owner(("create table t(x text check (x <> ''))",), _checked),
    "UNIQUE that old rows break": Owner(
        ("create table t(x text)", "create index i on t(1)"), lambda c: _rewrite(c, "i", "create index", "create unique index")
    ),
    "a table option of a newer SQLite": Owner(("create table t(x text)", "create table u(y)"), _newer, _mended(") FUTURE", ")")),
    "a schema format of a newer SQLite": Owner(
        ("create table t(x text)",), lambda c: _late(c, _bytes(44, b"\0\0\0\x09")), _bytes(44, b"\0\0\0\x04")
    ),
    "a read version of a newer SQLite": Owner(
        ("create table t(x text)",), lambda c: _late(c, _bytes(18, b"\3\3")), _bytes(18, b"\1\1")
    ),
}
