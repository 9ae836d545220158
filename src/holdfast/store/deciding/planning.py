"""Deciding what a commit is: pure, tested without a disk. Doing it is `backup.py`.

A commit is base + what changed here - what was here and is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from holdfast.store.copies.snapshot import Snapshot
from holdfast.store.deciding.lineage import ancestry, descent
from holdfast.store.format.entries import FileRecord, FolderRecord
from holdfast.store.format.keys import folders_above, within
from holdfast.store.format.manifest import MAX_ANCESTORS, MAX_TARS, Kind, Manifest, Tar
from holdfast.store.format.names import CommitId, ManifestName
from holdfast.store.format.tars import plan_merge
from holdfast.store.local.records import Here, Record


@dataclass(frozen=True)
class Line:
    """Where a commit stands among the generations of its artifact.

    Args:
        parent: The generation that it descends from, or None.
        content: The generation whose files it takes over: the parent, or a base that is no longer whole.
        adopted: `parent` was not remembered; it became the base because contents agree, so nothing may be deleted.
        others: Heads that the commit does not descend from: with any, it is a fork.
        sequence: The commit's.
        fresh: It begins a line because a restore had failed.
        drops: How often the artifact was dropped before what the commit makes.
        over: Generations that the commit outranks without going on from what they hold.
    """

    parent: Manifest | None
    content: Manifest | None
    adopted: bool
    others: tuple[Manifest, ...]
    sequence: int
    fresh: bool
    drops: int = 0
    over: tuple[CommitId, ...] = ()


def plan_drop(record: Record, heads: Sequence[Manifest], names: Iterable[ManifestName]) -> Line:
    """Decide what a drop descends from: all that there is, and what may still arrive of it ranks below.

    Args:
        record: What this workspace remembers.
        heads: Heads of the artifact, best first.
        names: Every manifest name of the artifact.
    """
    base = record.base
    parent = next((h for h in heads if base is not None and h.commit == base.commit), heads[0] if heads else base)
    if parent is not None and parent.kind is Kind.DROPPED and len(heads) < 2:
        return Line(parent, parent, False, (), parent.commit.sequence + 1, fresh=False, drops=parent.drops)
    known = [m for m in (base, *heads) if m is not None]
    sequence = max((*(n.commit.sequence for n in names), *(m.commit.sequence for m in known)), default=0) + 1
    over = tuple(h.commit for h in heads if parent is not None and h.commit != parent.commit)
    return Line(parent, None, False, (), sequence, fresh=False, drops=max((m.drops for m in known), default=0) + 1, over=over)


def plan_line(
    record: Record,
    heads: list[Manifest],
    names: Iterable[ManifestName],
    snapshot: Snapshot,
    *,
    failed: bool,
    broken: bool,
    lost: frozenset[str],
    older: Manifest | None = None,
) -> Line:
    """Decide what the commit descends from.

    Args:
        record: What this workspace remembers.
        heads: Heads of the artifact, best first; the base among them only if it is whole.
        names: Every manifest name of the artifact.
        snapshot: What is here.
        failed: A restore of the artifact failed before, and none has succeeded since.
        broken: Files that carry over from base have no payload any more, so the commit cannot stand for base.
        lost: Ids of generations that were looked into and are not whole.
        older: A generation behind the head that holds everything here as it is; the base where nothing is remembered.
    """
    named = {n.commit.id: n for n in names}
    parents = descent(named.values(), {})
    base, adopted = record.base, False
    most = max((m.drops for m in heads), default=0)
    if base is None and heads and heads[0].kind is Kind.DROPPED:
        base = heads[0]
    elif base is None and heads and agrees(heads[0], snapshot, need_common=failed):
        base, adopted = heads[0], True
    elif base is None and older is not None:
        base, adopted = older, True
    if base is not None and not broken:
        parents[base.commit.id] = {*base.ancestors, *([base.parent] if base.parent else [])}
        line = {base.commit.id, *(p.id for p in record.passed)} | ancestry([base.commit.id], parents)
        others = tuple(h for h in heads if h.commit.id not in line)
        children = {i for i in lost if i in named and base.commit.id in ancestry([i], parents)}
        above = [named[i].commit.sequence for i in children]
        drops, over = base.drops, tuple[CommitId, ...]()
        if record.chosen or adopted:  # what is here now is the newest, whatever it was made from
            above += [h.commit.sequence for h in others]
            drops = max(base.drops, most)
            over = tuple(h.commit for h in others if h.kind is Kind.DROPPED)
            others = tuple(h for h in others if h.kind is not Kind.DROPPED)
        sequence = max([base.commit.sequence, *above]) + 1
        return Line(base, base, adopted, others, sequence, fresh=False, drops=drops, over=over)
    if failed and base is None:
        return Line(None, None, False, tuple(heads), 1, fresh=True, drops=most)
    seen = [h.commit.sequence for h in heads] + [named[i].commit.sequence for i in lost if i in named]
    if base is not None:
        seen.append(base.commit.sequence)
    return Line(None, base, False, tuple(heads), max(seen, default=0) + 1, fresh=False, drops=most)


def agrees(head: Manifest, snapshot: Snapshot, *, need_common: bool = False) -> bool:
    """True where every file and link that is both here and in the head is the same.

    With `need_common` there must be such a file: after a failed restore, new files alone do not descend from the head.
    """
    if (head.kind is Kind.DIRECTORY) != (snapshot.kind is Kind.DIRECTORY):
        return False
    if conflicts(head.files, (*snapshot.staged, *snapshot.links)) or conflicts(head.links, snapshot.staged):
        return False
    if any(p in head.files or head.links.get(p, t) != t for p, t in snapshot.links.items()) or head.links.keys() & snapshot.staged:
        return False
    common = [path for path in snapshot.staged if path in head.files]
    if need_common and not common:
        return False
    return all(snapshot.staged[path].blake3 == head.files[path].blake3 for path in common)


def conflicts(old: Iterable[str], new: Iterable[str]) -> set[str]:
    """The old paths that cannot stand beside the new ones: a file here where they have a folder, or the reverse."""
    held = set(old)
    files = set(new) - held  # one tree is sound by itself, so only what it lacks can stand in its way
    folders, blocking = folders_above(files), files & folders_above(held)
    above = {p for p in held if not blocking.isdisjoint(folders_above([p]))} if blocking else set()
    return above | (held & folders)


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
        for path, record in base.files.items():
            kept = None if path in displaced or path in snapshot.links else _taken_over(path, record, snapshot, here, owned)
            if kept is None and path not in snapshot.staged:
                gone.append(path)
            elif kept is not None and lost_payloads.isdisjoint((*kept.places, kept.tar or "")):
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
    hard_links = _hard_links(snapshot, base, inherit, here)
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
    alone = tuple(p for p in send if p not in packed)
    tars = {} if base is None else base.tars
    return Content(inherit, alone, packed, merged, tars, same, tuple(gone), folders, links, hard_links, unchanged)


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
    kept = {
        f: r for f, r in before.items() if not (snapshot.covers(f) and f in here) or any(within(f, n) for n in snapshot.not_kept)
    }
    return {f: r for f, r in {**kept, **snapshot.folders}.items() if held.isdisjoint({f, *folders_above([f])})}


def _hard_links(
    snapshot: Snapshot, base: Manifest | None, inherit: Mapping[str, FileRecord], here: Mapping[str, Here]
) -> list[list[str]]:
    """Groups here, with those of their names that were not looked at and are still the same file."""
    group_of: dict[str, list[str]] = {}

    def join(paths: Iterable[str]) -> None:
        """These names are one file, and so are all that were one with any of them."""
        joined = list(dict.fromkeys(name for path in paths for name in group_of.get(path, [path])))
        group_of.update(dict.fromkeys(joined, joined))

    for group in snapshot.hard_links:
        join(group)
    for group in () if base is None else base.hard_links:
        unseen = [p for p in group if not _looked_at(snapshot, p)]
        join(unseen)
        for path in (p for p in group if unseen and p in snapshot.found and p not in unseen):
            join([path, *(p for p in unseen if _is_same(p, path, snapshot, inherit, here))])
    several = {found.signature.inode: path for path, found in snapshot.found.items() if found.links > 1}
    for path in inherit if several else ():
        seen = None if _looked_at(snapshot, path) or path not in here else several.get(here[path].signature.inode)
        if seen is not None and _is_same(path, seen, snapshot, inherit, here):
            join([seen, path])
    return list({id(group): group for group in group_of.values()}.values())


def _looked_at(snapshot: Snapshot, path: str) -> bool:
    return snapshot.covers(path) and not any(within(path, n) for n in snapshot.not_kept)


def _is_same(path: str, seen: str, snapshot: Snapshot, inherit: Mapping[str, FileRecord], here: Mapping[str, Here]) -> bool:
    """Whether a name that was not looked at was the file that another is when it was, and what is known of both is the same.

    The hash of a large file is known once it was sent: `sound_groups` compares it then.
    """
    known, found = here.get(path), snapshot.found[seen]
    if known is None or found.links < 2 or known.signature.inode != found.signature.inode:
        return False
    one, other, new = inherit.get(path), inherit.get(seen), snapshot.staged.get(seen)
    if one is None:
        return False
    mine = (one.size, one.blake3, one.mode, one.mtime_ns)
    if other is not None:
        return mine == (other.size, other.blake3, other.mode, other.mtime_ns)
    return new is not None and mine == (new.size, new.blake3 or one.blake3, new.mode, new.here.mtime_ns)


def sound_groups(groups: Iterable[Iterable[str]], files: Mapping[str, FileRecord]) -> tuple[tuple[str, ...], ...]:
    """Hard links as a manifest may name them: each path once, only its files, and of one content.

    Names of one file may have other content where one of them could not be looked at, or not be kept.
    """
    taken: set[str] = set()
    sound = []
    for group in groups:
        by_content: dict[tuple[int, str], list[str]] = {}
        for path in dict.fromkeys(group):
            if path in files and path not in taken:
                by_content.setdefault((files[path].size, files[path].blake3), []).append(path)
        found = [sorted(same) for same in by_content.values() if len(same) > 1]
        taken.update(path for same in found for path in same)
        sound += [tuple(same) for same in found]
    return tuple(sorted(sound))


def ancestors_of(parent: Manifest | None, present: Iterable[str], voided: Iterable[CommitId] = ()) -> tuple[str, ...]:
    """The nearest ancestors of a commit, parent first.

    Those still in the store come before those already pruned, so that a generation kept for its progress stays
    connected however much between was pruned. Commits that failed come right after the parent.
    """
    if parent is None:
        return tuple(v.id for v in voided)
    there = set(present)
    failed = [v.id for v in voided if v.id != parent.commit.id]
    line = list(dict.fromkeys((parent.commit.id, *failed, *parent.ancestors)))
    sure = 1 + len(failed)
    known = [*line[:sure], *(a for a in line[sure:] if a in there)]
    known += [a for a in line if a not in known]
    chosen = known[:MAX_ANCESTORS]
    return tuple(a for a in line if a in chosen)
