"""What lies in outputs at a moment, by content, as a program sees it. Only for outputs that nobody works in any more."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from blake3 import blake3

from holdfast.drill.comparing import File
from holdfast.session.files import file_identity
from holdfast.store.live.pinned import is_database
from holdfast.store.live.side_files import is_lock, may_be_side_file, which_hold_no_data

#: Stands where the folder of a machine stood.
_HERE = b"/the machine"


@dataclass(frozen=True)
class Seeing:
    """What is looked at, and how.

    Args:
        outputs: Path of the outputs folder below the project folder.
        machines: Matches the folder of any machine of this drill. By that alone, where it stands in a file, no two differ.
        follow: Paths of links that are followed, as `drive.follow` has them: what they lead to is as good as in outputs.
        since: Unix seconds. Behind a link that leads out of outputs only what was made since is work, and no data that lay there.
    """

    outputs: str
    machines: re.Pattern[bytes] | None = None
    follow: tuple[str, ...] = ()
    since: float = 0.0


def take(root: Path, seeing: Seeing) -> dict[str, File]:
    """Every file below outputs, by its path from the project folder; through links that lead out of outputs, too.

    A link that leads to another place in outputs is an entry of its own. Side files of databases are part of those.

    Args:
        root: The project folder.
        seeing: See there.
    """
    found = dict(_seen(root, seeing))
    # Last, because opening a database that was left in a transaction rolls that back.
    for path in [path for path, file in found.items() if not file.identity and is_database(root / path)]:
        if (content := _content(root / path, seeing.machines)) is not None:
            found[path] = replace(found[path], identity=f"sqlite:{content[0]}", local=content[1])
    for path, file in found.items():
        if not file.identity:
            identity, local = _bytes(root / path, seeing.machines)
            found[path] = replace(file, identity=identity, local=local)
    return found


def _seen(root: Path, seeing: Seeing) -> Iterator[tuple[str, File]]:
    """Files, whose identity is still to be found, and links."""
    top = os.path.realpath(root / seeing.outputs)
    pending: list[tuple[str, bool, frozenset[str]]] = [(seeing.outputs, False, frozenset())]
    while pending:
        folder, outside, above = pending.pop()
        real = os.path.realpath(root / folder)
        if real in above or not os.path.isdir(real):
            continue
        for name in sorted(os.listdir(real)):
            path, place = f"{folder}/{name}", Path(real, name)
            state = place.lstat()
            beyond = outside
            if stat.S_ISLNK(state.st_mode):
                leads = os.path.realpath(place)
                if f"{leads}/".startswith(f"{top}/") or not os.path.exists(leads):
                    yield path, File(f"link:{_from(top, place, leads, seeing)}", state.st_mtime_ns / 1e9)
                    continue
                state, beyond = os.stat(leads), outside or path not in seeing.follow
            if stat.S_ISDIR(state.st_mode):
                pending.append((path, beyond, above | {real}))
            elif stat.S_ISREG(state.st_mode) and not _is_side_file(place, state) and not (beyond and state.st_mtime < seeing.since):
                yield path, File("", state.st_mtime_ns / 1e9, stat.S_IMODE(state.st_mode))


def _from(top: str, place: Path, leads: str, seeing: Seeing) -> str:
    if f"{leads}/".startswith(f"{top}/"):
        return os.path.relpath(leads, top)
    text = os.fsencode(os.readlink(place))
    return os.fsdecode(seeing.machines.sub(_HERE, text) if seeing.machines else text)


def _is_side_file(place: Path, state: os.stat_result) -> bool:
    return is_lock(place, state) or (may_be_side_file(place) and which_hold_no_data((str(place),))[0])


def _content(place: Path, machines: re.Pattern[bytes] | None) -> tuple[str, bool] | None:
    """BLAKE3 of schema and rows, and whether the folder of a machine stands in them; None where SQLite cannot read them."""
    hasher, local = blake3(), False
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(place)) as database:
        database.text_factory = lambda raw: raw.decode(errors="surrogateescape")
        for statement in database.iterdump():
            line = statement.encode(errors="surrogateescape")
            if machines is not None:
                line, count = machines.subn(_HERE, line)
                local = local or count > 0
            hasher.update(line + b"\n")
        return hasher.hexdigest(), local
    return None


def _bytes(place: Path, machines: re.Pattern[bytes] | None) -> tuple[str, bool]:
    """BLAKE3 of the bytes without the folders of machines, and whether any stood there."""
    with place.open("rb") as file:
        if machines is None or not os.fstat(file.fileno()).st_size:
            return file_identity(place), False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            ends = [match.span() for match in machines.finditer(content)]
            if not ends:
                return file_identity(place), False
            hasher, before = blake3(), 0
            for begin, end in ends:
                hasher.update(content[before:begin])
                hasher.update(_HERE)
                before = end
            hasher.update(content[before:])
            return hasher.hexdigest(), True
