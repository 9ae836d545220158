"""Which paths of a new generation are one file. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from holdfast.store.copies.snapshot import Snapshot
from holdfast.store.format.entries import FileRecord
from holdfast.store.format.keys import within
from holdfast.store.format.manifest import Manifest
from holdfast.store.local.records import Here


def group_hard_links(
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
