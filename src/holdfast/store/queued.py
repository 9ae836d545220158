"""Snapshots that wait to be sent: what the next one is taken against, how two become one, and when one still stands.

A later snapshot takes over, path by path, what it looked at; what it did not look at stays as the earlier one has it. So a
backup of one file never makes the files of another disappear, and what was superseded before it was sent is never sent.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from holdfast.store.backup import Request
from holdfast.store.manifest import FileRecord
from holdfast.store.records import Record
from holdfast.store.snapshot import Known, Snapshot, Staged
from holdfast.store.tars import TarWriter, read_members

T = TypeVar("T")


@dataclass(frozen=True)
class Queued:
    """A stable copy that waits.

    Args:
        request: What it is to be committed as.
        snapshot: The copy.
        folders: Where the copies lie; nobody else's, removed with it.
        since: When the oldest change in it was taken, Unix seconds; for people.
    """

    request: Request
    snapshot: Snapshot
    folders: tuple[Path, ...]
    since: float

    def discard(self) -> None:
        """Remove the copies."""
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


def expected(record: Record, waiting: list[Queued]) -> Known:
    """What will be known once everything that waits is sent, oldest first. A hash that is not known yet is empty."""
    files, here = dict(Known.of(record).files), dict(record.here)
    for queued in waiting:
        for path in [p for p in files if queued.snapshot.covers(p) and p not in queued.snapshot.found]:
            del files[path]
            here.pop(path, None)
        for path, staged in queued.snapshot.staged.items():
            digest = staged.blake3 or ""
            files[path] = FileRecord(path, staged.size, digest, staged.mode, sqlite=staged.sqlite)
            here[path] = staged.as_here(digest)
        here.update(queued.snapshot.kept)
    return Known(files, here, record.copied)


def merge(older: Queued, newer: Queued, into: Path) -> Queued:
    """One in place of two. Neither may be used afterwards.

    Args:
        older: Taken first, and not sent.
        newer: Taken against what `older` will have made.
        into: A new empty folder of the queue, for small files that come from both.
    """
    old, new = older.snapshot, newer.snapshot
    # What the newer one found as the older one has it is still the older one's to send.
    staged = {**_beside(old.staged, new), **{p: old.staged[p] for p in new.kept if p in old.staged}, **new.staged}
    kept = {**_beside(old.kept, new), **{p: h for p, h in new.kept.items() if p not in old.staged}}
    owned = new.owned if "" in new.scope else tuple(sorted({*old.owned, *new.owned}))
    merged = Snapshot(
        key=new.key,
        kind=new.kind,
        scope=("",) if "" in (*old.scope, *new.scope) else tuple(sorted({*old.scope, *new.scope})),
        owned=owned,
        found={**_beside(old.found, new), **new.found},
        folders=tuple(sorted({*(f for f in old.folders if not new.covers(f)), *new.folders})),
        kept=kept,
        staged=staged,
        spool=_spool(old, new, staged, into),
        refused={**_beside(old.refused, new), **new.refused},
    )
    request = replace(
        newer.request,
        scope=merged.scope,
        inner=owned,
        settled=tuple(sorted({*older.request.settled, *newer.request.settled} & set(owned))),
        progress=older.request.progress if newer.request.progress is None else newer.request.progress,
    )
    return Queued(request, merged, (*older.folders, *newer.folders, into), min(older.since, newer.since))


def _beside(mapping: Mapping[str, T], newer: Snapshot) -> dict[str, T]:
    return {path: value for path, value in mapping.items() if not newer.covers(path)}


def _spool(old: Snapshot, new: Snapshot, staged: Mapping[str, Staged], into: Path) -> Path | None:
    """The small files of both, in one tar."""
    spooled = {path: s for path, s in staged.items() if s.source is None}
    parts = []
    for snapshot in (old, new):
        mine = {path: s for path, s in spooled.items() if snapshot.staged.get(path) is s}
        if mine and snapshot.spool is not None:
            parts.append((snapshot.spool, mine))
    if len(parts) < 2:
        return parts[0][0] if parts else None
    with TarWriter(into / "spool.tar") as writer:
        for spool, mine in parts:
            for path, data in read_members(spool, {p: s.size for p, s in mine.items()}):
                writer.add(path, data, mine[path].mode, mine[path].here.mtime_ns)
    return writer.close()
