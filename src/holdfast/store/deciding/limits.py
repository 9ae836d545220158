"""What Drive refuses however much space is free, and whether a commit would run into it.

The numbers are documented for Drive's API ("Resolve errors" and "Usage limits", 2026) and hold for the account, whichever way
bytes take. Nobody says what a mount does with what Drive refuses: it takes the write, and the file never arrives, is the
likely way. So a commit that would run into a limit is refused before its first byte is sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

#: The account's own folder as mounts call it, and the folder of the shared drives.
_MINE = ("My Drive", "MyDrive")
_SHARED = ("Shareddrives", "Shared drives")
#: From this share of a limit on it is said that it is near.
_NEAR = 0.9
DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Limits:
    """How much Drive takes.

    Args:
        levels: Folders in one another, below `My Drive` or the shared drive. Files may lie in the last.
        items: Names directly in one folder.
        day: Bytes that are uploaded within 24 hours, whichever way.
    """

    levels: int = 100
    items: int = 500_000
    day: int = 750 * 10**9


DRIVE = Limits()


def levels_of(location: str) -> int:
    """In how many folders of Drive what lies in the store folder lies, as far as its place tells.

    Args:
        location: Path on a mount, or `gdrive:Folder/Sub`.
    """
    _, colon, named = location.partition("gdrive:")
    parts = [part for part in (named if colon else location).split("/") if part]
    if colon:
        return len(parts)
    for position, part in enumerate(parts):
        if part in _MINE:
            return len(parts) - position - 1
        if part in _SHARED:
            return max(1, len(parts) - position - 2)
    return 1


def too_deep(limits: Limits, location: str, folders: Iterable[str]) -> tuple[str, int] | None:
    """The deepest of these folders of the store, and in how many it would lie, where that is too many."""
    deepest = max(folders, key=_levels, default="")
    levels = levels_of(location) + _levels(deepest)
    return (deepest, levels) if levels > limits.levels else None


def _levels(folder: str) -> int:
    return folder.count("/") + 1 if folder else 0


def nearly_too_many(limits: Limits, names: int) -> bool:
    """Whether a folder of so many names is nearly full."""
    return names >= _NEAR * limits.items


def fullest(there: Collection[str], new: Iterable[str]) -> tuple[str, int]:
    """The folder in which most payload would lie, and how many names.

    Args:
        there: Paths of payload that is there already.
        new: The folder of each new payload.
    """
    counts = Counter(path.rpartition("/")[0] for path in there)
    counts.update(new)
    return max(counts.items(), key=lambda found: found[1], default=("", 0))


def too_much(limits: Limits, sent: int, needed: int) -> bool:
    """Whether so many bytes do not go to what was sent within a day. A commit counts as a whole: its manifest comes last."""
    return needed > 0 and sent + needed > limits.day
