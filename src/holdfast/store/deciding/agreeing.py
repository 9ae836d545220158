"""Whether what is here is what a generation holds, and which paths cannot stand beside each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.store.copies.snapshot import Snapshot
from holdfast.store.format.keys import folders_above
from holdfast.store.format.manifest import Kind, Manifest

#: Of so many paths each is held against every other path; of more, the folders of these are found first.
_FEW = 20


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
    if not files:
        return set()
    folders, blocking = folders_above(files), _with_some_below(files, held)
    above = {p for p in held if not blocking.isdisjoint(folders_above([p]))} if blocking else set()
    return above | (held & folders)


def _with_some_below(paths: set[str], held: set[str]) -> set[str]:
    """Those of the paths below which something held lies."""
    if len(paths) <= _FEW:
        below = tuple(f"{path}/" for path in paths)
        if not any(path.startswith(below) for path in held):
            return set()
    return paths & folders_above(held)
