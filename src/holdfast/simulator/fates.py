"""What becomes of work that was pending when the machine was taken away."""

from __future__ import annotations

import enum
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.simulator.seeds import drawn


class Change(enum.Enum):
    """What was pending."""

    NEW = "new"  #: a file that the cloud has never seen
    UPDATE = "update"  #: a file that was written over
    FOLDER = "folder"
    MOVE = "move"
    REMOVE = "remove"


class Fate(enum.Enum):
    """What the cloud holds of it afterwards."""

    WHOLE = "whole"  #: it happened
    TORN = "torn"  #: a part of the content
    EMPTY = "empty"  #: 0 bytes (ct#2607); for a removal: emptied, but still there
    MISSING = "missing"  #: it never happened: no such file, or the old content


@dataclass(frozen=True)
class Lost:
    """One pending change and its fate.

    Args:
        path: Below `My Drive`, as this machine saw it.
        change: What was pending.
        fate: What became of it.
        size: Bytes of it in the cloud afterwards.
    """

    path: str
    change: Change
    fate: Fate
    size: int


POSSIBLE: dict[Change, tuple[Fate, ...]] = {
    Change.NEW: (Fate.WHOLE, Fate.TORN, Fate.EMPTY, Fate.MISSING),
    Change.UPDATE: (Fate.WHOLE, Fate.TORN, Fate.EMPTY, Fate.MISSING),
    Change.FOLDER: (Fate.WHOLE, Fate.MISSING),
    Change.MOVE: (Fate.WHOLE, Fate.MISSING),
    Change.REMOVE: (Fate.WHOLE, Fate.EMPTY, Fate.MISSING),
}
_KINDS = frozenset(change.value for change in Change)


class Lot:
    """Draws fates by seed, unless a pattern says what a path's fate shall be.

    Args:
        seed: The simulator's seed.
        mount: Number of the mount, so that a path has a new chance on the next machine.
        wanted: Glob over paths below `My Drive` to fate; the first that matches counts. `move:*` and the like mean one
            kind of change only.
    """

    def __init__(self, seed: int, mount: int, wanted: Mapping[str, Fate]) -> None:
        self._seed = seed
        self._mount = mount
        self._wanted = wanted

    def fate(self, path: str, change: Change) -> Fate:
        """The fate of one pending change. A fate that the change cannot have counts as missing."""
        for pattern, fate in self._wanted.items():
            if _applies(pattern, path, change):
                return fate if fate in POSSIBLE[change] else Fate.MISSING
        return drawn(self._seed, "fate", self._mount, path, change.value).choice(POSSIBLE[change])

    def torn_size(self, path: str, size: int) -> int:
        """Where a torn file ends: at least one byte and not all of them; 0 for a file too small to tear."""
        return drawn(self._seed, "torn", self._mount, path).randrange(1, size) if size > 1 else 0


def _applies(pattern: str, path: str, change: Change) -> bool:
    kind, colon, rest = pattern.partition(":")
    if colon and kind in _KINDS:
        return kind == change.value and fnmatch.fnmatchcase(path, rest)
    return fnmatch.fnmatchcase(path, pattern)
