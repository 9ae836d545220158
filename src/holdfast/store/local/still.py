"""Whether a folder is still all that is remembered of it: one walk that asks the system once for each file and keeps nothing.

It only ever says yes where `scan`, and what `copies/taking` and `deciding/content` make of that, would come to "unchanged".
Whatever it does not understand is a no, and is then looked at by those.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from holdfast.platform import NO_FOLLOW
from holdfast.store.format.entries import FileRecord
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import FORMAT, Kind, Manifest
from holdfast.store.live.side_files import LOCK_NAMES, SIDE_NAMES
from holdfast.store.local.links import Outputs, kept_target
from holdfast.store.local.records import Here, Record

#: What a file has to look like: a `Signature`, and the kind and the mode, which two changes in one grain of the clock can hide.
_look = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_mode")

#: A file by what it looks like, a folder by its permission bits, a link by its target as it is kept.
_Entry = tuple[int, int, int, int, int] | int | str


@dataclass(frozen=True)
class Expected:
    """What a walk finds where nothing has changed.

    Args:
        base: The generation that holds all of it.
        here: What is remembered of its files.
        mode: Permission bits of the folder itself.
        names: For the path of every folder, what lies in it.
    """

    base: Manifest
    here: Mapping[str, Here]
    mode: int
    names: Mapping[str, Mapping[str, _Entry]]

    def is_of(self, record: Record) -> bool:
        """True where it was made of what this record says of the files."""
        return self.base is record.base and self.here is record.here

    @classmethod
    def of(cls, record: Record) -> Expected | None:
        """What is remembered, as a walk finds it; None where the looks of some of it prove nothing."""
        base = record.base
        if base is None or base.kind is not Kind.DIRECTORY or base.format != FORMAT or "" not in base.folders:
            return None
        if record.here.keys() != base.files.keys() or record.links != base.links.keys() or not _are_linked_as_in(record, base):
            return None
        names: dict[str, dict[str, _Entry]] = {folder: {} for folder in base.folders}
        entries: dict[str, _Entry] = {**base.links}
        for path, folder in base.folders.items():
            if folder.mode is None:
                return None
            if path:
                entries[path] = folder.mode
        for path, file in base.files.items():
            known = record.here[path]
            if not _is_proven(path, file, known):
                return None
            signature = known.signature
            mode = stat.S_IFREG | file.mode
            entries[path] = (signature.size, signature.mtime_ns, signature.ctime_ns, signature.inode, mode)
        for path, entry in entries.items():
            above, _, name = path.rpartition("/")
            if above not in names:
                return None
            names[above][name] = entry
        return cls(base, record.here, base.folders[""].mode or 0, names)


def _is_proven(path: str, file: FileRecord, known: Here) -> bool:
    """Whether the signature is all that has to be looked at. A database, a torn file and what may be a side file take more."""
    if not known.trusted or file.sqlite or file.torn or file.mtime_ns != known.signature.mtime_ns:
        return False
    return not path.endswith(SIDE_NAMES) and not path.endswith(LOCK_NAMES)


def _are_linked_as_in(record: Record, base: Manifest) -> bool:
    """Whether the hard links that the signatures show are those of the generation."""
    groups: dict[int, list[str]] = {}
    for path, known in record.here.items():
        groups.setdefault(known.signature.inode, []).append(path)
    shown = (group for group in groups.values() if len(group) > 1)
    return tuple(sorted(tuple(sorted(group)) for group in shown)) == base.hard_links


def is_still(root: str, key: Key, outputs: Outputs, expected: Expected, owned: Collection[str] = ()) -> bool:
    """Whether a folder holds all that is expected and nothing else. Opens folders, and no file.

    Args:
        root: The folder.
        key: Its key.
        outputs: All that is kept.
        expected: What is remembered.
        owned: Relative paths that belong to inner artifacts, which are passed over.
    """
    try:
        if not _is_folder(os.lstat(root), expected.mode):
            return False
        return all(_holds(root, key, outputs, folder, names, owned) for folder, names in expected.names.items())
    except OSError:  # whoever walks with care says what is wrong
        return False


def _holds(root: str, key: Key, outputs: Outputs, folder: str, names: Mapping[str, _Entry], owned: Collection[str]) -> bool:
    place, found = f"{root}/{folder}" if folder else root, 0
    with _listed(place) as entries:
        for entry in entries:
            expected, seen = names.get(entry.name), entry.stat(follow_symlinks=False)
            if expected == _look(seen):
                found += 1
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            if path in owned:
                continue
            if isinstance(expected, int):
                if not _is_folder(seen, expected):
                    return False
            elif not isinstance(expected, str) or kept_target(f"{root}/{path}", key.join(path), outputs) != (expected, ""):
                return False
            found += 1
    return found == len(names)


def _is_folder(found: os.stat_result, mode: int) -> bool:
    return stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) & 0o777 == mode


@contextlib.contextmanager
def _listed(place: str) -> Iterator[Iterator[os.DirEntry[str]]]:
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
