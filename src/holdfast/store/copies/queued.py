"""Snapshots that wait to be sent: what the next one is taken against, how two become one, and when one still stands.

A later snapshot takes over, path by path, what it looked at; what it did not look at stays as the earlier one has it. So a
backup of one file never makes the files of another disappear, and what was superseded before it was sent is never sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from holdfast.store.copies.guard import Guard
from holdfast.store.copies.snapshot import Known, Snapshot, Staged
from holdfast.store.copies.spools import spooled
from holdfast.store.copies.taking import take, take_differing
from holdfast.store.copies.wanted import SPOOL
from holdfast.store.deciding.requests import Request
from holdfast.store.format.entries import FileRecord
from holdfast.store.format.keys import within
from holdfast.store.format.manifest import Kind
from holdfast.store.format.tars import TarWriter
from holdfast.store.local.disk import remove_tree
from holdfast.store.local.records import Here, Record
from holdfast.store.local.workspace import Workspace

T = TypeVar("T")

#: So many tars of small files may wait for one commit before they are packed into one.
_MOST_SPOOLS = 16
#: A superseded copy of so many bytes is removed by another thread.
_LARGE = 8 << 20


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

    @classmethod
    def about(cls, request: Request, folder: Path) -> Queued:
        """A copy that is about to be taken into `folder`."""
        empty = Snapshot(request.artifact, Kind.FILE, request.scope, request.inner)
        return cls(request, empty, (folder,), time.time())

    def holding(self, snapshot: Snapshot) -> Queued:
        """The same with its copy."""
        return replace(self, snapshot=snapshot)

    def discard(self) -> None:
        """Remove the copies."""
        for folder in self.folders:
            remove_tree(folder)


def expected(record: Record, waiting: list[Queued]) -> Known:
    """What will be known once everything that waits is sent, oldest first. A hash that is not known yet is empty."""
    files, here = dict(Known.of(record).files), dict(record.here)
    for queued in waiting:
        for path in [p for p in files if queued.snapshot.covers(p) and p not in queued.snapshot.found]:
            del files[path]
            here.pop(path, None)
        for path, staged in queued.snapshot.staged.items():
            digest = staged.blake3 or ""
            files[path] = FileRecord(path, staged.size, digest, staged.mode, sqlite=staged.sqlite, torn=staged.torn)
            here[path] = staged.as_here(digest)
        here.update(queued.snapshot.kept)
    return Known(files, here, record.copied, record.was_here or bool(waiting))


def take_behind(
    workspace: Workspace,
    request: Request,
    waiting: list[Queued],
    folder: Path,
    *,
    guard: Guard | None = None,
    bytes_waiting: Callable[[], int] = int,
) -> Snapshot:
    """Take the copy that is to wait.

    Args:
        workspace: Where from.
        request: What it is to be committed as.
        waiting: Copies of the same artifact that are sent before it, oldest first.
        folder: As for `take`.
        guard: As for `take`.
        bytes_waiting: As `waiting` for `take`.

    Raises:
        LocalError, Refused: as `take`.
    """
    key, record = request.artifact, workspace.record(request.artifact)
    known = expected(record, waiting)

    def taking(scope: tuple[str, ...]) -> Snapshot:
        return take(workspace, key, known, folder, scope=scope, owned=request.inner, guard=guard, waits=True, waiting=bytes_waiting)

    if request.scope == ("",) and not waiting and (quick := take_differing(workspace, key, record, request.inner, taking)):
        return quick
    return taking(request.scope)


def merge(older: Queued, newer: Queued, new_folder: Callable[[], Path]) -> Queued:
    """One in place of two. Neither may be used afterwards.

    Args:
        older: Taken first, and not sent.
        newer: Taken against what `older` will have made.
        new_folder: Makes an empty folder in the queue, for small files of many that are packed together.
    """
    old, new = older.snapshot.spelled_out(), newer.snapshot
    # What the newer one found as the older one has it is still the older one's to send, as it looked to the newer one.
    found_again = {p: _seen_again(old.staged[p], h, new.found[p].mode) for p, h in new.kept.items() if p in old.staged}
    staged = {**_beside(old.staged, new), **found_again, **new.staged}
    kept = {**_beside(old.kept, new), **{p: h for p, h in new.kept.items() if p not in old.staged}}
    owned = new.owned if "" in new.scope else tuple(sorted({*old.owned, *new.owned}))
    merged = Snapshot(
        key=new.key,
        kind=new.kind,
        scope=("",) if "" in (*old.scope, *new.scope) else tuple(sorted({*old.scope, *new.scope})),
        owned=owned,
        found={**_beside(old.found, new), **new.found},
        folders={**_beside(old.folders, new), **new.folders},
        links={**_beside(old.links, new), **new.links},
        kept=kept,
        staged=staged,
        refused={**_beside(old.refused, new), **new.refused},
        left_out=tuple(sorted({*(p for p in old.left_out if not new.covers(p)), *new.left_out})),
        merged=True,
        stamps={**_beside(old.stamps, new), **new.stamps},
    )
    folders = (*older.folders, *newer.folders)
    if len(merged.spools) > _MOST_SPOOLS:
        folders = (*folders, new_folder())
        merged = replace(merged, staged=_packed(staged, folders[-1]))
    _drop(old, merged)
    all_anew = all(any(within(path, prefix) for prefix in new.scope) for path in old.scope)
    request = replace(
        newer.request,
        taken=newer.request.taken if all_anew else older.request.taken,
        scope=merged.scope,
        inner=owned,
        settled=tuple(sorted({*older.request.settled, *newer.request.settled} & set(owned))),
        progress=older.request.progress if newer.request.progress is None else newer.request.progress,
    )
    return Queued(request, merged, folders, min(older.since, newer.since))


def _seen_again(staged: Staged, here: Here, mode: int) -> Staged:
    """The same content, whose mode, time or names may have changed since it was taken."""
    return replace(staged, here=here.signature, mode=mode, proven=here.trusted)


def _drop(old: Snapshot, merged: Snapshot) -> None:
    """Remove the copies that were superseded. To free the blocks of a large one takes long, and whoever backs up waits for this."""
    sources = {s.source for s in merged.staged.values()}
    superseded = [s for s in old.staged.values() if s.source is not None and s.source not in sources]
    _remove([*(old.spools - merged.spools), *(s.source for s in superseded if s.source is not None and s.size < _LARGE)])
    large = [s.source for s in superseded if s.source is not None and s.size >= _LARGE]
    if large:
        threading.Thread(target=_remove, args=(large,), name="holdfast-superseded", daemon=True).start()


def _remove(places: Iterable[Path]) -> None:
    """What stays because the process ends goes with its folder."""
    for place in places:
        place.unlink(missing_ok=True)


def _beside(mapping: Mapping[str, T], newer: Snapshot) -> dict[str, T]:
    return {path: value for path, value in mapping.items() if not newer.covers(path)}


def _packed(staged: dict[str, Staged], into: Path) -> dict[str, Staged]:
    """The same with every small file in one tar."""
    small = [s for s in staged.values() if s.spool is not None]
    spool = into / SPOOL
    with TarWriter(spool) as writer:
        for one, data in spooled(small):
            writer.add(one.path, data, one.mode, one.here.mtime_ns)
    return {**staged, **{s.path: replace(s, spool=spool, member=None) for s in small}}
