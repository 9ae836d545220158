"""What a workspace remembers once a commit is done: its base, what lies here, and when that was looked at."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import replace

from holdfast.store.copies.snapshot import Snapshot, Staged
from holdfast.store.deciding.line import Line
from holdfast.store.deciding.looked_last import Stamp, Stamps, advanced
from holdfast.store.format.entries import FileRecord
from holdfast.store.format.keys import Key, folders_above, within
from holdfast.store.format.manifest import Manifest
from holdfast.store.local.disk import below, lstat_or_none
from holdfast.store.local.records import Here, Record, Signature, looked_at, refreshed
from holdfast.store.local.workspace import Workspace


def here_now(snapshot: Snapshot) -> dict[str, Signature]:
    """Signatures of everything that a snapshot looked at, by path."""
    return {
        **{p: h.signature for p, h in snapshot.kept.items()},
        **{p: s.here for p, s in snapshot.staged.items()},
    }


def last_looks(before: Mapping[str, float], snapshot: Snapshot, record: Record, now: float) -> dict[str, float]:
    """When what is here was last looked at, once this is committed. What was refused stays as it was."""
    held = record.base.files if record.base is not None and snapshot.refused.keys() - snapshot.found.keys() else ()
    folders, refused = folders_above(held), dict[str, float]()
    for path in snapshot.refused:
        if path in snapshot.found or path in folders:  # anything else, such as a link, holds no work
            found, at = snapshot.found.get(path), looked_at(before, path)
            refused[path] = at if at is not None else now if found is None else min(found.signature.mtime_ns / 1e9, now)
    kept = {
        path: at
        for path, at in before.items()
        if any(within(path, r) for r in refused) or not any(within(path, s) for s in snapshot.seen) or snapshot.is_overtaken(path)
    }
    return {**kept, **dict.fromkeys((s for s in snapshot.seen if not snapshot.is_overtaken(s)), now), **refused}


def last_stamps(record: Record, snapshot: Snapshot) -> dict[str, Stamp | None]:
    """In which order what is here was looked at, once this is committed."""

    def held() -> set[str]:
        base = () if record.base is None else record.base.files
        return {*base, *folders_above(base), *snapshot.found, *snapshot.folders}

    return advanced(snapshot.stamps, record.stamps, snapshot.refused, held)


def of_what_is_held(looked: Mapping[str, float], files: Mapping[str, FileRecord]) -> Mapping[str, float]:
    """Without what a generation does not hold."""
    if len(looked) == 1:
        return looked
    paths = sorted(files)

    def is_held(path: str) -> bool:
        if not path or path in files:
            return True
        first = bisect.bisect_left(paths, f"{path}/")
        return first < len(paths) and paths[first].startswith(f"{path}/")

    return {path: at for path, at in looked.items() if is_held(path)} or {"": max(looked.values())}


def learn(workspace: Workspace, key: Key, snapshot: Snapshot, files: Mapping[str, FileRecord], record: Record) -> dict[str, Here]:
    """What files here look like now that their content is in the store."""
    learned = {**snapshot.kept, **{p: s.as_here(files[p].blake3) for p, s in snapshot.staged.items()}}
    # Dropping a hard link moves the ctime of the original, under each of its names, so signatures are taken once more.
    snapshot.unlink()
    moved = {s.linked.inode for s in snapshot.staged.values() if s.linked is not None}
    # So did copies of earlier snapshots that went since. Nobody can tell that from a write any more.
    seen = {p for p, h in snapshot.kept.items() if (k := record.here.get(p, h)) is not h and k.signature != h.signature}
    root = str(workspace.local(key))
    for path, here in learned.items():
        if here.signature.inode in moved:
            learned[path] = _moved(below(root, path), here)
        elif path in seen or (path in snapshot.staged and not snapshot.staged[path].sqlite):
            learned[path] = _unproven(below(root, path), here)
    return learned


def drop_copies(workspace: Workspace, key: Key, record: Record, staged: Iterable[Staged]) -> Record:
    """Drop copies that are not needed, and know what that does to their originals."""
    links = [(s.source, s.linked.inode) for s in staged if s.linked is not None and s.source is not None]
    for link, _ in links:
        link.unlink(missing_ok=True)
    moved = {inode for _, inode in links}
    root = str(workspace.local(key))
    here = {p: _unproven(below(root, p), h) for p, h in record.here.items() if h.signature.inode in moved}
    if here:
        record = replace(record, here={**record.here, **here})
        workspace.save(key, record)
    return record


def _moved(place: str, here: Here) -> Here:
    """What is known of a file of which only the ctime was moved, by us."""
    found = lstat_or_none(place)
    return here if found is None else refreshed(here, found)


def _unproven(place: str, here: Here) -> Here:
    """The same where that may have been somebody else: its content is read again before anybody calls it safe."""
    now = _moved(place, here)
    return here if now == here else replace(now, trusted=False)


def remember_commit(
    workspace: Workspace,
    key: Key,
    record: Record,
    line: Line,
    manifest: Manifest,
    snapshot: Snapshot,
    looked: Mapping[str, float],
    stamps: Stamps,
) -> None:
    """The workspace stands on the new generation from now on."""
    before = {} if line.adopted else {p: h for p, h in record.here.items() if p in manifest.files}
    here = {**before, **learn(workspace, key, snapshot, manifest.files, record)}
    held = of_what_is_held(looked, manifest.files)
    links = held_links(Record() if line.adopted else record, snapshot, manifest.links)
    damaged = record.damaged
    earlier = record.earlier_than(manifest)
    updated = Record(manifest, here, record.copied, damaged=damaged, looked=held, links=links, stamps=stamps, earlier=earlier)
    workspace.save(key, updated)
    workspace.looked_into(key, record, updated, snapshot.scope)


def held_links(record: Record, snapshot: Snapshot, held: Iterable[str]) -> frozenset[str]:
    """The links of a generation that are or were here."""
    return (record.links | snapshot.links.keys()) & frozenset(held)
