"""What this workspace remembers of the blocks of the databases that it sent. Disposable: without it a database is sent whole."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from blake3 import blake3

from holdfast.store.deciding.pages import Stored
from holdfast.store.format.entries import Piece
from holdfast.store.format.keys import Key
from holdfast.store.format.names import CommitId
from holdfast.store.local.disk import local_errors

#: As many states of one database are remembered: the last, and the one before, which the next is sent against.
_STATES = 2
_SUFFIX = ".pages"
#: So many files are kept: databases come and go, and one that is forgotten is sent whole.
_MOST = 64


def remember(folder: Path, file: Key, commit: CommitId, state: Stored) -> None:
    """Remember the state that a commit sent, and forget the oldest.

    It is not synced: one that a power cut leaves torn does not verify, and counts as none.

    Args:
        folder: Where; it is made.
        file: The database.
        commit: Which sent it, so that they can be told apart and put in order.
        state: What it sent.

    Raises:
        LocalError: the disk is full or denies access.
    """
    head = {
        "blake3": state.blake3,
        "size": state.size,
        "marks": len(state.marks),
        "pieces": [[p.payload, p.size, p.offset, p.length] for p in state.pieces],
        "whole": state.whole,
        "steps": state.steps,
        "levels": [list(level) for level in state.levels],
        "damaged": sorted(state.damaged),
    }
    body = json.dumps(head).encode() + b"\n" + state.marks + state.coarse
    with local_errors():
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / f"{_stem(file)}@{commit}{_SUFFIX}"
        temporary = place.with_suffix(".new")
        temporary.write_bytes(blake3(body).digest() + body)
        os.replace(temporary, place)
    for name in (*_names(folder, file)[_STATES:], *_of_nobody(folder)):
        with contextlib.suppress(OSError):
            os.unlink(folder / name)


def remembered(folder: Path, file: Key) -> list[Stored]:
    """The states of a database that are remembered, the newest first. What does not verify is none."""
    found = []
    for name in _names(folder, file)[:_STATES]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            data = (folder / name).read_bytes()
            if blake3(data[32:]).digest() == data[:32]:
                found.append(_parsed(data[32:]))
    return found


def _parsed(body: bytes) -> Stored:
    line, _, rest = body.partition(b"\n")
    head = json.loads(line)
    marks = rest[: head["marks"]]
    return Stored(
        head["blake3"],
        head["size"],
        marks,
        rest[head["marks"] :],
        tuple(Piece(*row) for row in head["pieces"]),
        head["whole"],
        head["steps"],
        tuple((payload, level) for payload, level in head["levels"]),
        frozenset(head["damaged"]),
    )


def _of_nobody(folder: Path) -> list[str]:
    """What a kill left half-written, and what was written longest ago where there are very many. The workspace's lock is held."""
    with contextlib.suppress(OSError):
        names = os.listdir(folder)
        oldest = sorted((n for n in names if n.endswith(_SUFFIX)), key=lambda n: os.lstat(folder / n).st_mtime_ns)
        return [*(n for n in names if not n.endswith(_SUFFIX)), *oldest[:-_MOST]]
    return []


def _stem(file: Key) -> str:
    return blake3(file.value.encode()).hexdigest(length=16)


def _names(folder: Path, file: Key) -> list[str]:
    """Those of a database, newest first: a sequence has six digits or more, so longer is larger."""
    stem = f"{_stem(file)}@"
    try:
        names = [n for n in os.listdir(folder) if n.startswith(stem) and n.endswith(_SUFFIX)]
    except OSError:
        return []
    return sorted(names, key=lambda n: (len(n), n), reverse=True)
