"""What two machines hold, held against each other. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class File:
    """A file as it was at a moment, or a symbolic link that leads to another place in outputs, or nowhere.

    Args:
        identity: BLAKE3 of its bytes; of a SQLite database that of its schema and rows, which a backup keeps and its bytes do not;
            of a link where it leads. Without the folder of the machine, where that stands in it.
        mtime: Unix seconds.
        mode: Permission bits; 0 of a link.
        local: The folder of a machine stands in it.
    """

    identity: str
    mtime: float
    mode: int = 0
    local: bool = False

    def is_like(self, other: File) -> bool:
        """Nobody who reads it could tell the two apart, but by their times."""
        return (self.identity, self.mode) == (other.identity, other.mode)


#: Path from the project folder to file.
Inventory = Mapping[str, File]


@dataclass(frozen=True)
class Difference:
    """How what came out differs from what was to come out: paths, sorted. False where it does not."""

    differ: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.differ or self.missing or self.extra)


def left_out(path: str, ignored: Sequence[str]) -> bool:
    """Whether a glob names this path: all of it, what stands below its first folder, or its last part. `*` crosses `/`."""
    names = (path, path.partition("/")[2], path.rpartition("/")[2])
    return any(fnmatchcase(name, glob) for glob in ignored for name in names)


def without(inventory: Inventory, ignored: Sequence[str]) -> dict[str, File]:
    """An inventory without what the globs name."""
    return {path: file for path, file in inventory.items() if not left_out(path, ignored)}


def compare(wanted: Inventory, got: Inventory) -> Difference:
    """File by file, by what is in it and its mode. Times do not count."""
    return Difference(
        tuple(sorted(p for p in wanted.keys() & got.keys() if not wanted[p].is_like(got[p]))),
        tuple(sorted(wanted.keys() - got.keys())),
        tuple(sorted(got.keys() - wanted.keys())),
    )
