"""What Google has: items with ids, content, versions and checksums, a quota, and a trash that counts.

It lies in a folder: an SQLite database and the contents. It outlives a mount, and several mounts, each in a process of
its own, can share it, as several machines share one Drive.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = "root"
DEFAULT_QUOTA = 15 * 10**9

_SCHEMA = """
create table if not exists items (
    id text primary key, parent text not null, name text not null, folder integer not null,
    blob text not null, size integer not null, md5 text not null, version integer not null,
    trashed integer not null, born integer not null, change integer not null, machine text not null, modified real not null
);
create table if not exists numbers (name text primary key, value integer not null);
"""
_COLUMNS = "id, parent, name, folder, blob, size, md5, version, trashed, born, change, machine, modified"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Item:
    """One file or folder. Two items of one folder can share a name: they are twins."""

    id: str
    parent: str
    name: str
    folder: bool
    blob: str
    size: int
    md5: str
    version: int
    trashed: bool
    born: int
    change: int
    machine: str
    modified: float


@dataclass(frozen=True)
class Content:
    """The bytes of one version of a file, kept under a name that is never used again."""

    blob: str = ""
    size: int = 0
    md5: str = hashlib.md5(b"", usedforsecurity=False).hexdigest()


class Cloud:
    """The account's Drive.

    Args:
        folder: Where it lies; made if missing.
        machine: Who changes it, so that a machine knows the changes of others.
        quota: Bytes; None to keep what was set before.
    """

    def __init__(self, folder: Path, machine: str = "elsewhere", quota: int | None = None) -> None:
        self._blobs = folder / "contents"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._machine = machine
        self._lock = threading.RLock()
        self._used: tuple[int, int] | None = None
        self._database = sqlite3.connect(folder / "cloud.sqlite", isolation_level=None, check_same_thread=False, timeout=30)
        self._database.execute("pragma journal_mode=wal")
        self._database.execute("pragma synchronous=off")
        self._database.executescript(_SCHEMA)
        with self._changing():
            for name, value in (("change", 0), ("quota", DEFAULT_QUOTA), ("mounts", 0)):
                self._database.execute("insert or ignore into numbers values (?, ?)", (name, value))
            if quota is not None:
                self._database.execute("update numbers set value=? where name='quota'", (quota,))

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            self._database.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._database.execute("rollback")
                raise
            self._database.execute("commit")

    def _next(self, name: str) -> int:
        self._database.execute("update numbers set value=value+1 where name=?", (name,))
        return self._number(name)

    def _number(self, name: str) -> int:
        with self._lock:
            return int(self._database.execute("select value from numbers where name=?", (name,)).fetchone()[0])

    # --- Reading ---

    @property
    def quota(self) -> int:
        """Bytes that the account may hold."""
        return self._number("quota")

    @quota.setter
    def quota(self, size: int) -> None:
        with self._changing():
            self._database.execute("update numbers set value=? where name='quota'", (size,))

    def used(self) -> int:
        """Bytes that count: every file, the trash too, and of each only its current version."""
        with self._lock:
            change = self.last_change()
            if self._used is None or self._used[0] != change:
                total = self._database.execute("select coalesce(sum(size), 0) from items").fetchone()[0]
                self._used = (change, int(total))
            return self._used[1]

    def begin_mount(self) -> int:
        """Number of the mount that begins now, from 1."""
        with self._changing():
            return self._next("mounts")

    def last_change(self) -> int:
        """Number of the last change."""
        return self._number("change")

    def items(self) -> list[Item]:
        """Everything that is not in the trash, the eldest first."""
        return self._select("where trashed=0 order by born", ())

    def changes(self, since: int) -> list[Item]:
        """What others changed after change number `since`, trashed items included."""
        return self._select("where change>? and machine<>? order by change", (since, self._machine))

    def _select(self, where: str, values: tuple[object, ...]) -> list[Item]:
        with self._lock:
            rows = self._database.execute(f"select {_COLUMNS} from items {where}", values).fetchall()  # noqa: S608 - our own words
        return [
            dataclasses.replace(item, folder=bool(item.folder), trashed=bool(item.trashed)) for item in (Item(*row) for row in rows)
        ]

    def _get(self, id_: str) -> Item:
        (item,) = self._select("where id=?", (id_,))
        return item

    def content_path(self, blob: str) -> Path:
        """The file on this machine's disk that stands for Google's copy of a content."""
        return self._blobs / blob

    # --- Changing ---

    def keep(self, source: Path | None, size: int | None = None, *, move: bool = False) -> Content:
        """Take over a content.

        Args:
            source: A file; None for no bytes.
            size: Take only so many bytes.
            move: The file is given away, which saves the copy.
        """
        if source is None or size == 0:
            return Content()
        blob = uuid.uuid4().hex
        place = self._blobs / blob
        if move and size is None:
            shutil.move(source, place)
        else:
            shutil.copyfile(source, place)
            if size is not None:
                os.truncate(place, size)
        digest = hashlib.md5(usedforsecurity=False)
        with open(place, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return Content(blob, place.stat().st_size, digest.hexdigest())

    def create(self, parent: str, name: str, content: Content | None, modified: float = 0.0) -> Item:
        """A new file, or a new folder where `content` is None. Never refuses a name that is taken: twins are allowed."""
        with self._changing():
            change = self._next("change")
            id_ = "1" + hashlib.blake2b(str(change).encode(), digest_size=16).hexdigest()
            kept = content or Content()
            values = (
                id_,
                parent,
                name,
                content is None,
                kept.blob,
                kept.size,
                kept.md5,
                1,
                0,
                change,
                change,
                self._machine,
                modified,
            )
            self._database.execute(f"insert into items ({_COLUMNS}) values ({','.join('?' * 13)})", values)  # noqa: S608
        return self._get(id_)

    def update(self, id_: str, content: Content, modified: float = 0.0) -> Item:
        """Overwrite in place. The revision before is forgotten and does not count."""
        return self._set(
            id_, "blob=?, size=?, md5=?, version=version+1, modified=?", (content.blob, content.size, content.md5, modified)
        )

    def move(self, id_: str, parent: str, name: str) -> Item:
        """Rename, or move to another folder."""
        return self._set(id_, "parent=?, name=?", (parent, name))

    def trash(self, id_: str) -> Item:
        """Into the trash, where it counts as before."""
        return self._set(id_, "trashed=1", ())

    def _set(self, id_: str, assignments: str, values: tuple[object, ...]) -> Item:
        with self._changing():
            change = self._next("change")
            statement = f"update items set {assignments}, change=?, machine=? where id=?"  # noqa: S608 - our own words
            self._database.execute(statement, (*values, change, self._machine, id_))
        return self._get(id_)

    def empty_trash(self) -> None:
        """Delete for good what is in the trash."""
        with self._changing():
            self._next("change")
            self._database.execute("delete from items where trashed=1")
