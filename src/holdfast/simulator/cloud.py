"""What Google has: items with ids, content, versions and checksums, a quota, and a trash that counts.

It lies in a folder: an SQLite database and the contents. It outlives a mount, and several mounts, each in a process of
its own, can share it, as several machines share one Drive.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holdfast.simulator.items import Content, Item, Sums
from holdfast.simulator.limits import Limit, Limits
from holdfast.simulator.room import BELOW, Room

DEFAULT_QUOTA = 15 * 10**9

_SCHEMA = """
create table if not exists items (
    id text primary key, parent text not null, name text not null, folder integer not null,
    blob text not null, size integer not null, md5 text not null, version integer not null,
    trashed integer not null, born integer not null, change integer not null, machine text not null, modified real not null
);
create index if not exists items_of_a_folder on items (parent);
create table if not exists numbers (name text primary key, value integer not null);
create table if not exists details (id text primary key, fields text not null);
create table if not exists checksums (blob text primary key, sha1 text not null, sha256 text not null);
create table if not exists ids (id text primary key);
create table if not exists sent (minute integer primary key, size integer not null);
"""
_COLUMNS = "id, parent, name, folder, blob, size, md5, version, trashed, born, change, machine, modified"
_CHUNK = 1 << 20
_HERE, _TRASHED, _DELETED = 0, 1, 2


class Taken(Exception):
    """The id belongs to an item already, or to one that was deleted."""


class Cloud:
    """The account's Drive.

    Args:
        folder: Where it lies; made if missing.
        machine: Who changes it, so that a machine knows the changes of others.
        quota: Bytes; None to keep what was set before.
        now: Seconds since 1970, for what a day may take.
    """

    def __init__(
        self, folder: Path, machine: str = "elsewhere", quota: int | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._blobs = folder / "contents"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._machine = machine
        self._lock = threading.RLock()
        self._used: tuple[int, int] | None = None
        self._database = sqlite3.connect(folder / "cloud.sqlite", isolation_level=None, check_same_thread=False, timeout=30)
        self._room = Room(self._database, now)
        self._database.execute("pragma journal_mode=wal")
        self._database.execute("pragma synchronous=off")
        self._database.executescript(_SCHEMA)
        with self._changing():
            for name, value in (("change", 0), ("quota", DEFAULT_QUOTA), ("mounts", 0), ("ids", 0)):
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
            if self._database.in_transaction:  # a part of a change that has begun
                yield
                return
            self._database.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._database.execute("rollback")
                raise
            self._database.execute("commit")

    @contextmanager
    def together(self) -> Iterator[None]:
        """Several changes as one."""
        with self._changing():
            yield

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
                total = self._database.execute("select coalesce(sum(size), 0) from items where trashed<2").fetchone()[0]
                self._used = (change, int(total))
            return self._used[1]

    @property
    def limits(self) -> Limits:
        """What else there is room for."""
        with self._lock:
            return self._room.limits()

    @limits.setter
    def limits(self, limits: Limits) -> None:
        with self._changing():
            self._room.set_limits(limits)

    def limit(self, parent: str, *, folder: bool, growth: int, sends: bool) -> Limit | None:
        """The limit that stands against a change; None where none does.

        Args:
            parent: Folder that a new item goes to; empty for an item that stays where it is.
            folder: Whether the new item is a folder.
            growth: Bytes by which the account grows.
            sends: Whether there are bytes to upload.
        """
        with self._lock:
            if growth > 0 and self.used() + growth > self.quota:
                return Limit.FULL
            return self._room.limit(parent, folder=folder, sends=sends)

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

    def inside(self, id_: str, until: int) -> list[Item]:
        """What lies in a folder and is not in the trash, as far as it changed no later than change number `until`."""
        return self._select("where parent=? and trashed=0 and change<=? order by born", (id_, until))

    def changes(self, since: int) -> list[Item]:
        """What others changed after change number `since`; what is in the trash or deleted is included, as trashed."""
        return self._select("where change>? and machine<>? order by change", (since, self._machine))

    def all_changes(self, since: int) -> list[tuple[Item, bool]]:
        """What anybody changed after change number `since`, and whether it was deleted."""
        return [(_plain(row), row.trashed == _DELETED) for row in self._rows("where change>? order by change", (since,))]

    def everything(self) -> list[Item]:
        """All that is not deleted, the trash included, the eldest first."""
        return self._select("where trashed<2 order by born", ())

    def get(self, id_: str) -> Item | None:
        """One item, in the trash or not; None where there is none, or none any more."""
        return next(iter(self._select("where id=? and trashed<2", (id_,))), None)

    def details(self, id_: str) -> dict[str, Any]:
        """What else was said of an item: nothing where it came through a mount."""
        with self._lock:
            row = self._database.execute("select fields from details where id=?", (id_,)).fetchone()
        return {} if row is None else dict(json.loads(row[0]))

    def secure_sums(self, item: Item) -> tuple[str, str]:
        """SHA-1 and SHA-256 of a file's content, computed when they are asked for first."""
        with self._lock:
            row = self._database.execute("select sha1, sha256 from checksums where blob=?", (item.blob,)).fetchone()
        if row is not None:
            return row[0], row[1]
        sums = Sums()
        if item.blob:
            with open(self.content_path(item.blob), "rb") as file:
                while chunk := file.read(_CHUNK):
                    sums.add(chunk)
        _, sha1, sha256 = sums.read()
        with self._changing():
            self._database.execute("insert or ignore into checksums values (?, ?, ?)", (item.blob, sha1, sha256))
        return sha1, sha256

    def _select(self, where: str, values: tuple[object, ...]) -> list[Item]:
        return [_plain(row) for row in self._rows(where, values)]

    def _rows(self, where: str, values: tuple[object, ...]) -> list[Item]:
        """Items with numbers for `folder` and `trashed`, as the database has them."""
        with self._lock:
            rows = self._database.execute(f"select {_COLUMNS} from items {where}", values).fetchall()  # noqa: S608 - our own words
        return [Item(*row) for row in rows]

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

    def take(self, place: Path, sums: Sums) -> Content:
        """Take over a file whose checksums are known already."""
        size = place.stat().st_size
        md5, sha1, sha256 = sums.read()
        if size == 0:
            place.unlink()
            return Content()
        blob = uuid.uuid4().hex
        shutil.move(place, self._blobs / blob)
        with self._changing():
            self._database.execute("insert into checksums values (?, ?, ?)", (blob, sha1, sha256))
        return Content(blob, size, md5)

    def new_ids(self, count: int) -> list[str]:
        """Ids that a later `create` may choose."""
        with self._changing():
            found = [_id("chosen", self._next("ids")) for _ in range(count)]
            self._database.executemany("insert into ids values (?)", [(id_,) for id_ in found])
        return found

    def is_new_id(self, id_: str) -> bool:
        """Whether `new_ids` gave this id out; used or not."""
        with self._lock:
            return self._database.execute("select 1 from ids where id=?", (id_,)).fetchone() is not None

    def create(
        self,
        parent: str,
        name: str,
        content: Content | None,
        modified: float = 0.0,
        *,
        id_: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> Item:
        """A new file, or a new folder where `content` is None. Never refuses a name that is taken: twins are allowed.

        Raises:
            Taken: the id that was chosen belongs to something, also where that was deleted.
        """
        with self._changing():
            change = self._next("change")
            id_ = id_ or _id(change)
            kept = content or Content()
            self._room.sent(kept.size)
            row = (
                id_,
                parent,
                name,
                content is None,
                kept.blob,
                kept.size,
                kept.md5,
                1,
                _HERE,
                change,
                change,
                self._machine,
                modified,
            )
            try:
                self._database.execute(f"insert into items ({_COLUMNS}) values ({','.join('?' * 13)})", row)  # noqa: S608
            except sqlite3.IntegrityError as error:
                raise Taken(id_) from error
            if details is not None:
                self._database.execute("insert into details values (?, ?)", (id_, json.dumps(details)))
        return self._get(id_)

    def update(self, id_: str, content: Content, modified: float = 0.0) -> Item:
        """Overwrite in place. The revision before is forgotten and does not count."""
        with self._changing():
            self._room.sent(content.size)
            values = (content.blob, content.size, content.md5, modified)
            return self._set(id_, "blob=?, size=?, md5=?, version=version+1, modified=?", values)

    def move(self, id_: str, parent: str, name: str) -> Item:
        """Rename, or move to another folder."""
        return self._set(id_, "parent=?, name=?", (parent, name))

    def trash(self, id_: str) -> Item:
        """Into the trash, where it counts as before."""
        return self._set(id_, "trashed=?", (_TRASHED,))

    def restore(self, id_: str) -> Item:
        """Out of the trash, to where it was."""
        return self._set(id_, "trashed=?", (_HERE,))

    def describe(self, id_: str, details: dict[str, Any], modified: float | None = None) -> Item:
        """Say other things of an item, in place of what was said before."""
        with self._changing():
            self._database.execute("insert or replace into details values (?, ?)", (id_, json.dumps(details)))
            return self._set(id_, "modified=coalesce(?, modified)", (modified,))

    def _set(self, id_: str, assignments: str, values: tuple[object, ...]) -> Item:
        with self._changing():
            change = self._next("change")
            statement = f"update items set {assignments}, change=?, machine=? where id=?"  # noqa: S608 - our own words
            self._database.execute(statement, (*values, change, self._machine, id_))
            return self._get(id_)

    def delete(self, id_: str) -> None:
        """Delete for good, past the trash; of a folder all that is in it too."""
        self._delete("id=?", (id_,))

    def empty_trash(self) -> None:
        """Delete for good what is in the trash."""
        self._delete("trashed=1", ())

    def _delete(self, where: str, values: tuple[object, ...]) -> None:
        with self._changing():
            change = self._next("change")
            statement = BELOW.format(where) + "update items set trashed=?, change=?, machine=? where id in (select id from below)"  # noqa: S608 - our own words
            self._database.execute(statement, (*values, _DELETED, change, self._machine))


def _plain(row: Item) -> Item:
    return dataclasses.replace(row, folder=bool(row.folder), trashed=bool(row.trashed))


def _id(*of: object) -> str:
    return "1" + hashlib.blake2b("|".join(map(str, of)).encode(), digest_size=16).hexdigest()
