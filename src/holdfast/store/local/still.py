"""What of a folder is not as it is remembered: one walk that asks the system once for each file and keeps nothing else.

What it does not name is so that `scan`, and what `copies/taking` and `deciding/content` make of that, would come to "unchanged".
What it names is looked into by those, and so is the whole folder where it cannot say name by name what differs.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter

from holdfast.platform import NO_FOLLOW
from holdfast.store.deciding.together import begins_group, roots_of_groups
from holdfast.store.format.entries import FileRecord, FolderRecord
from holdfast.store.format.keys import MAX_DEPTH, Key, all_within, check_component, within
from holdfast.store.format.manifest import FORMAT, Kind, Manifest
from holdfast.store.live.side_files import LOCK_NAMES, SIDE_NAMES, SIDE_SUFFIXES
from holdfast.store.local.links import Outputs, kept_target
from holdfast.store.local.records import Here, Record

#: Where more names than that differ, a whole walk is as quick.
_MOST = 256

#: What a file has to look like: a `Signature`, and the kind and the mode, which two changes in one grain of the clock can hide.
_look = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_mode")

#: A file by what it looks like, a folder by its record, a link by its target as it is kept. None is a file whose looks prove
#: nothing, so that it is always looked into.
_Entry = tuple[int, int, int, int, int] | FolderRecord | str | None


@dataclass(frozen=True)
class Glance:
    """What differs from what is expected.

    Args:
        scope: Paths that are to be looked into, with all that lies below them.
        folders: Folders that have another time, and nothing else.
    """

    scope: tuple[str, ...]
    folders: Mapping[str, FolderRecord]


@dataclass(frozen=True)
class Expected:
    """What a walk finds where nothing has changed.

    Args:
        base: The generation that holds all of it.
        here: What is remembered of its files.
        entries: By path, what lies there; the folder itself under the empty one.
        groups: Folders in which files are worth something only as they were at one moment.
    """

    base: Manifest
    here: Mapping[str, Here]
    entries: Mapping[str, _Entry]
    groups: tuple[str, ...]

    def is_of(self, record: Record) -> bool:
        """True where it was made of what this record says of the files."""
        return self.base is record.base and self.here is record.here

    @classmethod
    def of(cls, record: Record) -> Expected | None:
        """What is remembered, as a walk finds it; None where that cannot be said name by name."""
        base = record.base
        if base is None or not _is_told(base) or record.here.keys() != base.files.keys() or record.links != base.links.keys():
            return None
        if not _are_linked_as_in(record, base):
            return None
        entries = {**base.folders, **base.links, **{p: _file(p, file, record.here[p]) for p, file in base.files.items()}}
        return cls(base, record.here, entries, roots_of_groups(base.files))

    def after(self, record: Record, scope: Collection[str]) -> Expected | None:
        """The same once something was looked into and what was found there is remembered.

        Args:
            record: What is remembered now.
            scope: What was looked into. Elsewhere nothing is remembered otherwise than before, but for the times of folders.
        """
        base = record.base
        if base is None or not _is_told(base) or base.hard_links != self.base.hard_links:
            return Expected.of(record)
        entries = dict(self.entries)
        for path in all_within(entries, scope, {*self.base.folders, *base.folders}):
            del entries[path]
        entries.update(base.folders)
        folders = base.folders.keys()
        entries.update({p: base.links[p] for p in all_within(base.links, scope, folders) if p in record.links})
        inodes = set()
        files = [p for p in all_within(base.files, scope, folders) if p in record.here]
        for path in files:
            entries[path] = _file(path, base.files[path], record.here[path])
            inodes.add(record.here[path].signature.inode)
        if len(entries) != len(base.files) + len(base.links) + len(base.folders) or len(inodes) != len(files):
            return Expected.of(record)
        touched = any(map(begins_group, files)) or bool(all_within(self.groups, scope, self.groups))
        groups = roots_of_groups(base.files) if touched else self.groups
        return Expected(base, record.here, entries, groups)


def _is_told(base: Manifest) -> bool:
    """Whether a generation tells of all its folders what they look like."""
    if base.kind is not Kind.DIRECTORY or base.format != FORMAT or "" not in base.folders:
        return False
    return all(folder.mode is not None and folder.mtime_ns is not None for folder in base.folders.values())


def _file(path: str, file: FileRecord, known: Here) -> _Entry:
    """What a file has to look like. Of a database, a torn file and what may be a side file, looks prove nothing."""
    signature = known.signature
    if not known.trusted or file.sqlite or file.torn or file.mtime_ns != signature.mtime_ns:
        return None
    if path.endswith((*SIDE_NAMES, *LOCK_NAMES)):
        return None
    return (signature.size, signature.mtime_ns, signature.ctime_ns, signature.inode, stat.S_IFREG | file.mode)


def _are_linked_as_in(record: Record, base: Manifest) -> bool:
    """Whether the hard links that the signatures show are those of the generation."""
    groups: dict[int, list[str]] = {}
    for path, known in record.here.items():
        groups.setdefault(known.signature.inode, []).append(path)
    shown = (group for group in groups.values() if len(group) > 1)
    return tuple(sorted(tuple(sorted(group)) for group in shown)) == base.hard_links


def glance(root: str, key: Key, outputs: Outputs, expected: Expected, owned: Collection[str] = ()) -> Glance | None:
    """Find what differs in a folder. Opens folders, and no file.

    Args:
        root: The folder.
        key: Its key.
        outputs: All that is kept.
        expected: What is remembered.
        owned: Relative paths that belong to inner artifacts, which are passed over.

    Returns:
        None where all of it has to be looked into: much differs, or it cannot be said name by name what does.
    """
    differing, moved = _Differing(expected, len(key.parts)), dict[str, FolderRecord]()
    entries, seen = expected.entries, {""}
    try:
        top = os.lstat(root)
        if not _is_folder(top, expected.base.folders[""]):
            return None
        _note(moved, expected.base.folders[""], top)
        for folder in sorted(expected.base.folders):
            if differing.holds(folder):
                continue
            above = f"{folder}/" if folder else ""
            with _listed(f"{root}/{folder}" if folder else root) as listed:
                for entry in listed:
                    path = above + entry.name
                    known, found = entries.get(path), entry.stat(follow_symlinks=False)
                    seen.add(path)
                    if known == _look(found) or path in owned:
                        continue
                    if isinstance(known, FolderRecord) and _is_folder(found, known):
                        _note(moved, known, found)
                    elif not isinstance(known, str) or kept_target(f"{root}/{path}", key.join(path), outputs) != (known, ""):
                        differing.add(path, entry.name)
        for path in sorted(entries.keys() - seen) if not entries.keys() <= seen else ():
            differing.add(path, path.rpartition("/")[2])
    except (OSError, _AllDiffers):  # whoever walks with care says what is wrong
        return None
    return Glance(tuple(differing.scope), {p: f for p, f in moved.items() if not differing.holds(p)})


class _AllDiffers(Exception):
    """All of a folder has to be looked into."""


class _Differing:
    """Which paths are to be looked into, of those that differ."""

    def __init__(self, expected: Expected, depth: int) -> None:
        self._expected = expected
        self._depth = depth
        self.scope: list[str] = []

    def holds(self, path: str) -> bool:
        """True where a path lies in what is to be looked into anyway."""
        return any(within(path, prefix) for prefix in self.scope)

    def add(self, path: str, name: str) -> None:
        """Have a path looked into, with what it is to be looked at together with.

        Raises:
            _AllDiffers: that is everything.
        """
        if self.holds(path):
            return
        if check_component(name) is not None or self._depth + path.count("/") >= MAX_DEPTH or begins_group(path):
            raise _AllDiffers
        group = next((root for root in self._expected.groups if within(path, root)), None)
        path = self._main_of(path) if group is None else group
        if not path or len(self.scope) >= _MOST:
            raise _AllDiffers
        self.scope = [p for p in self.scope if not within(p, path)]
        self.scope.append(path)

    def _main_of(self, path: str) -> str:
        """Itself; of a side file the database beside it, or else its folder, where it turns out what it is."""
        if not path.endswith((*SIDE_NAMES, *LOCK_NAMES)):
            return path
        for suffix in SIDE_SUFFIXES:
            known = self._expected.base.files.get(path.removesuffix(suffix))
            if path.endswith(suffix) and known is not None and known.sqlite:
                return known.path
        return path.rpartition("/")[0]


def _is_folder(found: os.stat_result, known: FolderRecord) -> bool:
    return stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) & 0o777 == known.mode


def _note(moved: dict[str, FolderRecord], known: FolderRecord, found: os.stat_result) -> None:
    if known.mtime_ns != found.st_mtime_ns:
        moved[known.path] = replace(known, mtime_ns=found.st_mtime_ns)


@contextlib.contextmanager
def _listed(place: str) -> Iterator[Iterable[os.DirEntry[str]]]:
    """The entries of a folder. By its descriptor where that goes: the system then looks each name up from there."""
    if os.scandir not in os.supports_fd or not hasattr(os, "O_DIRECTORY"):
        with os.scandir(place) as entries:
            yield entries
        return
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | NO_FOLLOW)
    try:
        with os.scandir(descriptor) as entries:
            yield entries
    finally:
        os.close(descriptor)
