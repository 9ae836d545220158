"""What Drive itself says of files that somebody wrote: whether it has those bytes, outside of the trash, in our folder.

A mount says of a file what it likes, and no page documents it. The API gives length and checksum of what Drive has.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

from holdfast.errors import StoreNotFound
from holdfast.store.backends.api.items import AT_ONCE, Item, called_within
from holdfast.store.backends.api.tree import Tree


class Seen(enum.Enum):
    """What Drive says of one file."""

    SAFE = "Drive has just these bytes"
    OTHER = "Drive has other bytes under this name, or not all of them yet"
    TRASHED = "it lies in the trash"
    NOT_SHOWN = "no listing shows it, which proves nothing for minutes"


@dataclass(frozen=True)
class Written:
    """What somebody wrote.

    Args:
        size: Bytes; None where only that it is there is asked.
        md5: Checksum; None where it is not known.
        id: In Drive, where a mount names one.
    """

    size: int | None = None
    md5: str | None = None
    id: str | None = None

    def is_in(self, item: Item) -> bool:
        """Whether Drive has these bytes. A checksum that only one side knows is no equal one."""
        return item.is_file and (self.size is None or (item.size == self.size and self.md5 is not None and item.md5 == self.md5))


def judge(written: Written, found: Sequence[Item]) -> Seen:
    """What is known of a file by all that Drive has under its name, in our folder. Pure."""
    there = [i for i in found if not i.trashed]
    if any(written.is_in(i) for i in there):
        return Seen.SAFE
    if there:
        return Seen.OTHER
    return Seen.TRASHED if found else Seen.NOT_SHOWN


class Witness:
    """Asks Drive about files of one store.

    Args:
        tree: The store, as Drive knows it.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def look(self, written: Mapping[str, Written], also: Mapping[str, Written] | None = None) -> dict[str, Seen]:
        """What Drive says of each of these paths: one request for a hundred, and one for each that only its id shows yet.

        Args:
            written: What is asked about.
            also: What is asked about too, as far as that costs no request; of these only what is safe is in the answer.

        Raises:
            StoreError: it cannot be told now.
        """
        also = also or {}
        self._tree.learn_folders({_folder_of(path) for path in written}, {_folder_of(path) for path in also})
        placed = list(self._in_folders(written))
        others = ((p, ids) for p in also if p not in written and (ids := self._tree.known_folders(_folder_of(p))))
        placed += islice(others, -len(placed) % AT_ONCE)
        found: dict[str, list[Item]] = {path: [] for path in (*written, *(path for path, _ in placed))}
        for at in range(0, len(placed), AT_ONCE):
            self._ask(placed[at : at + AT_ONCE], found)
        seen = {path: judge(written.get(path) or also[path], items) for path, items in found.items()}
        for path, how in seen.items():
            id_ = written[path].id if path in written else None
            if how is Seen.NOT_SHOWN and id_ is not None and (item := self._by_id(path, id_)) is not None:
                seen[path] = judge(written[path], [item])
        return {path: how for path, how in seen.items() if path in written or how is Seen.SAFE}

    def _in_folders(self, paths: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each path with the ids of its folder, folder by folder; what lies in none is passed over."""
        for folder, inside in groupby(sorted(paths, key=_folder_of), key=_folder_of):
            if ids := self._tree.folders(folder):
                yield from ((path, ids) for path in inside)

    def _ask(self, paths: Sequence[tuple[str, tuple[str, ...]]], found: dict[str, list[Item]]) -> None:
        places = {(id_, _name_of(path)): path for path, ids in paths for id_ in ids}
        query = called_within((_name_of(path), ids) for path, ids in paths)
        for item in self._tree.files.search(query, self._tree.shown()):
            if (path := places.get((item.parent or "", item.name))) is not None:
                found[path].append(item)

    def _by_id(self, path: str, id_: str) -> Item | None:
        try:
            item = self._tree.files.get(id_, self._tree.shown(path))
        except StoreNotFound:
            return None
        ours = self._tree.folders(_folder_of(path))
        return item if item.name == _name_of(path) and item.parent in ours else None


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def _name_of(path: str) -> str:
    return path.rpartition("/")[2]
