"""What a stage made: its files, by content."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from holdfast.session.files import file_identity


def any_file(place: Path) -> bool:
    """True where there is a file at or below a path."""
    return place.is_file() or any(files for _, _, files in os.walk(place))


def files_of(folder: Path, above: Path, unfinished: str, varying: Collection[str], no_outputs: Collection[str]) -> dict[str, str]:
    """Each output at or below a path with its hash; a database, and what varies, with none: their bytes mean little.

    Args:
        folder: The path.
        above: The folder from which they are named.
        unfinished: The folder in it whose files are no outputs; empty for none.
        varying: Names of files, and of folders in it, whose bytes may change without meaning.
        no_outputs: Names of files that are no outputs, such as that of the record.
    """
    files = {}
    for place in sorted(p for p in (folder, *folder.rglob("*")) if p.is_file() and p.name not in no_outputs):
        name, inside = place.relative_to(above).as_posix(), place.relative_to(folder).parts
        if unfinished and unfinished in inside:
            continue
        if place != folder and (place.name.endswith(("-wal", "-shm", "-journal")) or is_aside(place.name)):
            continue
        with place.open("rb") as file:
            database = file.read(16) == b"SQLite format 3\0"
        files[name] = "" if database or not {place.name, *inside}.isdisjoint(varying) else file_identity(place)
    return files


def is_aside(name: str) -> bool:
    """Whether a file was set aside beside the one that serves."""
    return any(f".{word}-" in name for word in ("changed", "damaged", "unreadable"))
