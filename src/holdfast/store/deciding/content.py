"""What a new generation holds: base + what changed here - what was here and is gone. Pure.

Of each path it decides whether the base's record is taken over or the file is sent, and how.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from holdfast.store.copies.snapshot import Snapshot
from holdfast.store.deciding.agreeing import conflicts
from holdfast.store.deciding.hard_links import group_hard_links, sound_groups
from holdfast.store.deciding.line import Line
from holdfast.store.format.entries import FileRecord, FolderRecord
from holdfast.store.format.keys import all_within, folders_above, within
from holdfast.store.format.manifest import MAX_TARS, Kind, Manifest, Tar
from holdfast.store.format.tars import plan_merge
from holdfast.store.local.records import Here


@dataclass(frozen=True)
class Content:
    """What the new generation holds.

    Args:
        inherit: Records taken over by reference, by path.
        alone: Staged paths that are sent as a payload of their own.
        packed: Staged small paths that go into the commit's tar.
        merged: Payload paths of older tars whose live members move into the commit's tar.
        tars: The tars that inherited records may refer to.
        same: Staged paths that are hard links of another path, inherited or sent: the content of that one is theirs.
        gone: Paths of base that were here and are gone.
        folders: Every folder.
        links: Symbolic links.
        hard_links: Groups of paths that are one file; `sound_groups` of them, once all hashes are known, is what a manifest says.
        unchanged: The parent already is all this.
    """

    inherit: Mapping[str, FileRecord]
    alone: tuple[str, ...]
    packed: tuple[str, ...]
    merged: tuple[str, ...]
    tars: Mapping[str, Tar]
    same: Mapping[str, str]
    gone: tuple[str, ...]
    folders: Mapping[str, FolderRecord]
    links: Mapping[str, str]
    hard_links: Sequence[Sequence[str]]
    unchanged: bool


def plan_content(
    snapshot: Snapshot,
    line: Line,
    here: Mapping[str, Here],
    *,
    owned: tuple[str, ...],
    lost_payloads: frozenset[str],
    links_here: frozenset[str] = frozenset(),
    folders_here: frozenset[str] = frozenset(),
    whole: frozenset[str] = frozenset(),
) -> Content:
    """Decide which files the new generation takes over and which are sent.

    Args:
        snapshot: What is here.
        line: Where the commit stands.
        here: What of base is or was in this workspace; empty where base was adopted.
        owned: Paths that inner artifacts own.
        lost_payloads: Payload paths that are gone from the store: nothing may refer to them.
        links_here: The same as `here` of the base's symbolic links.
        folders_here: The same of its folders.
        whole: Staged paths that are sent although the base has them, where it has them in pieces.
    """
    base = line.content
    if snapshot.kind is Kind.DROPPED:
        parent = line.parent
        unchanged = parent is not None and base is parent and parent.kind is Kind.DROPPED
        return Content({}, (), (), (), {}, {}, tuple(base.files) if base else (), {}, {}, (), unchanged)
    single = snapshot.kind is not Kind.DIRECTORY
    inherit: dict[str, FileRecord] = {}
    gone: list[str] = []
    displaced = conflicts(base.files, (*snapshot.found, *snapshot.links)) if base is not None else set()
    if base is not None and (base.kind is Kind.DIRECTORY) != single:
        inherit = dict(base.files)
        for path in base.files if lost_payloads else _concerned(base, snapshot, owned, displaced):
            record = inherit.pop(path)
            anew = path in displaced or path in snapshot.links or (path in whole and record.pieces)
            kept = None if anew else _taken_over(path, record, snapshot, here, owned)
            if kept is None and path not in snapshot.staged:
                gone.append(path)
            elif kept is not None and (not lost_payloads or lost_payloads.isdisjoint((*kept.places, kept.tar or ""))):
                inherit[path] = kept
    elif base is not None:
        gone = list(base.files)
    send, same = _each_once(snapshot, sorted(path for path in snapshot.staged if path not in inherit), inherit)
    packed = tuple(p for p in send if not single and is_small(snapshot, p))
    merged: tuple[str, ...] = ()
    if packed:
        live: dict[str, int] = {}
        for record in inherit.values():
            if record.tar is not None:
                live[record.tar] = live.get(record.tar, 0) + record.size
        merged = tuple(plan_merge(live, sum(snapshot.staged[p].size for p in packed), MAX_TARS))
    files = {*inherit, *send, *same}
    links = _links(snapshot, base, links_here, files)
    folders = _folders(snapshot, base, folders_here, {*files, *links})
    hard_links = group_hard_links(snapshot, base, inherit, here)
    unchanged = (
        base is not None
        and base is line.parent
        and not send
        and not same
        and not gone
        and base.kind is snapshot.kind
        and base.links == links
        and _are_as_in(base, inherit, folders, sound_groups(hard_links, inherit))
    )
    in_tar = frozenset(packed)
    alone = tuple(p for p in send if p not in in_tar)
    tars = {} if base is None else base.tars
    return Content(inherit, alone, packed, merged, tars, same, tuple(gone), folders, links, hard_links, unchanged)


def _concerned(base: Manifest, snapshot: Snapshot, owned: Collection[str], displaced: Set[str]) -> Iterable[str]:
    """The base's files of which there is something to decide. The others were not looked into, or a glance told that they are."""
    if "" in snapshot.scope:
        return base.files
    inside = all_within(base.files, (*snapshot.scope, *owned), base.folders)
    return dict.fromkeys((*inside, *displaced, *(p for p in snapshot.links if p in base.files)))


def is_small(snapshot: Snapshot, path: str) -> bool:
    """True where the staged file lies in the spool, and so travels in the tar."""
    return snapshot.staged[path].source is None


def _each_once(snapshot: Snapshot, wanted: Iterable[str], inherit: Mapping[str, FileRecord]) -> tuple[list[str], dict[str, str]]:
    """What is sent, and the paths that share the content of another: hard links of one file."""
    first: dict[object, str] = {}
    send, same = [], {}
    for path in wanted:
        staged = snapshot.staged[path]
        if staged.same_as is not None:
            same[path] = staged.same_as
        elif staged.copy is None or (leader := first.setdefault(staged.copy, path)) == path:
            send.append(path)
        else:
            same[path] = leader
    missing = [path for path, other in same.items() if other not in inherit and other not in send]
    assert not missing, missing  # a snapshot that names what the base lost does not stand, and is taken anew
    return send, same


def _are_as_in(
    base: Manifest,
    files: Mapping[str, FileRecord],
    folders: Mapping[str, FolderRecord],
    hard_links: tuple[tuple[str, ...], ...],
) -> bool:
    """True where the base says the same of these. A folder's time alone is no change, nor is what format 1 could not say."""
    if base.format == 1:
        same_files = {p: replace(r, mtime_ns=None, torn="") for p, r in files.items()} == base.files
        occupied = folders_above([*files, *folders])
        return same_files and {f for f in folders if f and f not in occupied} == {*base.folders}
    timeless = {path: folder.mode for path, folder in folders.items()} == {p: f.mode for p, f in base.folders.items()}
    return timeless and dict(base.files) == files and base.hard_links == hard_links


def _taken_over(
    path: str, record: FileRecord, snapshot: Snapshot, here: Mapping[str, Here], owned: tuple[str, ...]
) -> FileRecord | None:
    """The base's record as the new generation has it, or None where it is sent anew or is gone."""
    if path in snapshot.kept:
        return _as_found(record, snapshot, path)
    if any(within(path, not_kept) for not_kept in snapshot.not_kept):
        return record
    if path in snapshot.staged:
        staged = snapshot.staged[path]
        same = staged.blake3 == record.blake3 and staged.sqlite == record.sqlite and staged.torn == record.torn
        return _as_found(record, snapshot, path) if same else None
    inner = any(path == prefix or path.startswith(prefix + "/") for prefix in owned)
    if inner or (snapshot.covers(path) and path in here):
        return None
    return record


def _as_found(record: FileRecord, snapshot: Snapshot, path: str) -> FileRecord:
    """The record with the mode and the time that the file has here."""
    found = snapshot.found[path]
    if (record.mode, record.mtime_ns) == (found.mode, found.signature.mtime_ns):
        return record
    return replace(record, mode=found.mode, mtime_ns=found.signature.mtime_ns)


def _links(snapshot: Snapshot, base: Manifest | None, links_here: frozenset[str], files: Collection[str]) -> dict[str, str]:
    """Links here within scope, and the base's that this workspace never had or did not look at."""
    if snapshot.kind is not Kind.DIRECTORY:
        return dict(snapshot.links)
    kept = {}
    for path, target in {} if base is None else base.links.items():
        stays = any(within(path, not_kept) for not_kept in snapshot.not_kept)
        if stays or not (snapshot.covers(path) and path in links_here):
            kept[path] = target
    blocked = conflicts(kept, {*files, *snapshot.links})
    kept = {p: t for p, t in kept.items() if p not in blocked and p not in files and p not in snapshot.folders}
    return {**kept, **snapshot.links}


def _folders(snapshot: Snapshot, base: Manifest | None, here: frozenset[str], held: Set[str]) -> dict[str, FolderRecord]:
    """Folders here, and the base's that this workspace never had or did not look at; never where something else is."""
    if snapshot.kind is not Kind.DIRECTORY:
        return {}
    before = {} if base is None else base.folders
    kept = dict(before)
    for path in all_within(before, snapshot.scope, before):
        if path in here and snapshot.covers(path) and not any(within(path, n) for n in snapshot.not_kept):
            del kept[path]
    # The base's folders are free of its own files, so only what is new can be in their way.
    for path in all_within(kept, {*snapshot.found, *snapshot.links} & held, kept):
        del kept[path]
    return {**kept, **{f: r for f, r in snapshot.folders.items() if held.isdisjoint({f, *folders_above([f])})}}
