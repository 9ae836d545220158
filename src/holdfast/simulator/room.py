"""What the cloud has room for, beside the quota: levels, items in a folder, bytes in a day."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable

from holdfast.simulator.items import ROOT, SHARED
from holdfast.simulator.limits import Limit, Limits

#: Begins a statement about items and all that is in them; the braces are for which items.
BELOW = (
    "with recursive below(id) as (select id from items where {} "
    "union select items.id from items join below on items.parent = below.id) "
)
_DAY_MINUTES = 24 * 60


class Room:
    """Counts in the cloud's database. The cloud holds its lock around every call.

    Args:
        database: The cloud's.
        now: Seconds since 1970.
    """

    def __init__(self, database: sqlite3.Connection, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def limits(self) -> Limits:
        """Those that were set, and the documented ones."""
        rows = self._database.execute("select name, value from numbers where name like 'limit.%'").fetchall()
        return Limits(**{name.removeprefix("limit."): value for name, value in rows})

    def set_limits(self, limits: Limits) -> None:
        """Keep other limits."""
        for name, value in dataclasses.asdict(limits).items():
            self._database.execute("insert or replace into numbers values (?, ?)", (f"limit.{name}", value))

    def limit(self, parent: str, *, folder: bool, sends: bool) -> Limit | None:
        """The limit that stands against a change, as `Cloud.limit` says."""
        limits = self.limits()
        if sends and self._sent_in_a_day() >= limits.day:
            return Limit.DAY
        if parent in ("", ROOT):
            return None
        above = self._above(parent)
        shared = above[-1] == SHARED
        if shared and self._count(BELOW.format("parent=?") + "select count(*) from below", SHARED) >= limits.shared_items:  # noqa: S608
            return Limit.SHARED_ITEMS
        if folder and len(above) - shared >= limits.levels:
            return Limit.SHARED_LEVELS if shared else Limit.LEVELS
        if parent != SHARED and self._count("select count(*) from items where parent=? and trashed<2", parent) >= limits.children:
            return Limit.CHILDREN
        return None

    def _count(self, statement: str, parent: str) -> int:
        return int(self._database.execute(statement, (parent,)).fetchone()[0])

    def _above(self, id_: str) -> list[str]:
        """A folder and those above it, without `My Drive`."""
        found = []
        while id_ not in ("", ROOT):
            found.append(id_)
            row = self._database.execute("select parent from items where id=?", (id_,)).fetchone()
            id_ = "" if row is None else row[0]
        return found

    def _sent_in_a_day(self) -> int:
        since = int(self._now() // 60) - _DAY_MINUTES
        return int(self._database.execute("select coalesce(sum(size), 0) from sent where minute>?", (since,)).fetchone()[0])

    def sent(self, size: int) -> None:
        """Count bytes that were uploaded now."""
        statement = "insert into sent values (?, ?) on conflict (minute) do update set size=size+excluded.size"
        self._database.execute(statement, (int(self._now() // 60), size))
