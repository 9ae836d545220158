"""What lies in outputs at a moment, by content. Only for outputs that nobody works in any more."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterable
from pathlib import Path

from blake3 import blake3

from holdfast.drill.comparing import File
from holdfast.session.files import file_identity
from holdfast.store.local.pinned import is_database
from holdfast.store.local.side_files import is_lock, may_be_side_file, which_hold_no_data


def take(root: Path, outputs: str, follow: Iterable[str] = ()) -> dict[str, File]:
    """Every regular file below outputs, by its path from the project folder. Side files of databases are part of those.

    Args:
        root: The project folder.
        outputs: Path of the outputs folder below it.
        follow: Paths of symbolic links that are followed, as `drive.follow` has them.
    """
    found: dict[str, File] = {}
    links = [root / path for path in follow if (root / path).is_symlink()]
    for folder, _, names in (walked for top in (root / outputs, *links) for walked in os.walk(top)):
        for place in (Path(folder, name) for name in sorted(names)):
            state = place.stat() if place in links and place.exists() else place.lstat()
            if stat.S_ISREG(state.st_mode) and not _is_side_file(place, state):
                found[place.relative_to(root).as_posix()] = File(file_identity(place), state.st_mtime_ns / 1e9)
    # Last, because opening a database that was left in a transaction rolls that back.
    contents = {path: _content(root / path) for path in found if is_database(root / path)}
    return {path: File(contents.get(path) or file.identity, file.mtime) for path, file in found.items()}


def _is_side_file(place: Path, state: os.stat_result) -> bool:
    return is_lock(place, state) or (may_be_side_file(place) and which_hold_no_data((str(place),))[0])


def _content(place: Path) -> str:
    """BLAKE3 of schema and rows; empty where SQLite cannot read them."""
    hasher = blake3()
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(place)) as database:
        database.text_factory = lambda raw: raw.decode(errors="surrogateescape")
        for statement in database.iterdump():
            hasher.update(statement.encode(errors="surrogateescape") + b"\n")
        return "sqlite:" + hasher.hexdigest()
    return ""
