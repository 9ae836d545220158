"""Which process of a workspace looked last at what is here, so that its copy counts. Pure.

Each takes its copy when it is told to and sends it when it can, so copies may come to be committed in another order than they were
taken in. What was looked at later counts: of an older copy only that is committed which nobody has looked at since.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from holdfast.store.format.keys import within

#: So many paths are remembered that are in no generation any more.
_REMEMBERED = 256


@dataclass(frozen=True)
class Stamp:
    """When something was looked at: between two turns of a count that the processes of a workspace share.

    Args:
        count: Which count; turns of two counts cannot be compared. Empty where there was none.
        begun: The turn before the first look.
        ended: The turn after the last.
    """

    count: str
    begun: int
    ended: int

    def is_before(self, other: Stamp) -> bool:
        """True where the other one began when this one had ended."""
        return bool(self.count) and self.count == other.count and self.ended < other.begun


#: By path prefix, when what is there was last looked at; the longest that covers a path counts. None: never.
Stamps = Mapping[str, Stamp | None]


class Standing(Enum):
    """What a copy still is, when its turn comes."""

    STANDS = "nobody has looked since"
    OVERTAKEN = "a later look is in already"
    UNCLEAR = "both looked at once, or nobody knows"


def at(stamps: Stamps, path: str) -> Stamp | None:
    """The stamp of a path; None where it was never looked at."""
    while path not in stamps and path:
        path = path.rpartition("/")[0]
    return stamps.get(path)


def standing(mine: Stamps, theirs: Stamps, path: str) -> Standing:
    """What a copy is worth at a path.

    Args:
        mine: Those of the copy.
        theirs: Those of what was committed.
        path: Where.
    """
    own, other = at(mine, path), at(theirs, path)
    if own is None or other is None or other.is_before(own) or own == other:
        return Standing.STANDS
    return Standing.OVERTAKEN if own.is_before(other) else Standing.UNCLEAR


def standings(mine: Stamps, theirs: Stamps) -> set[Standing]:
    """All that a copy is, over everything that it looked at."""
    borders = {*mine, *(p for p in theirs if any(within(p, scope) for scope in mine))}
    return {standing(mine, theirs, path) for path in borders}


def newest_is_theirs(mine: Stamps, theirs: Stamps) -> bool:
    """True where anything was looked at after all that the copy looked at, so that who did that has counted last."""
    own = [stamp for stamp in mine.values() if stamp is not None]
    return bool(own) and any(all(stamp.is_before(other) for stamp in own) for other in theirs.values() if other is not None)


def advanced(mine: Stamps, theirs: Stamps, refused: Iterable[str], held: Callable[[], Collection[str]]) -> dict[str, Stamp | None]:
    """What is remembered once a copy is committed.

    Args:
        mine: Those of the copy.
        theirs: What is remembered until then.
        refused: Paths that it could not look at.
        held: Gives what the generation holds, files and folders.
    """
    borders = {*mine, *theirs}
    seen = {
        path: at(mine, path)
        if _looks_at(mine, path) and standing(mine, theirs, path) is not Standing.OVERTAKEN
        else at(theirs, path)
        for path in borders
    }
    seen.update({path: at(theirs, path) for path in refused})
    merged = {path: stamp for path, stamp in seen.items() if not path or at(seen, path.rpartition("/")[0]) != stamp}
    return _bounded(merged, held)


def _looks_at(mine: Stamps, path: str) -> bool:
    return any(within(path, scope) for scope in mine)


def _bounded(stamps: dict[str, Stamp | None], held: Callable[[], Collection[str]]) -> dict[str, Stamp | None]:
    if len(stamps) <= _REMEMBERED:
        return stamps
    present = held()
    gone = [path for path in stamps if path and path not in present]
    if len(gone) <= _REMEMBERED:
        return stamps
    gone.sort(key=lambda path: 0 if (stamp := stamps[path]) is None else stamp.ended)
    dropped = set(gone[:-_REMEMBERED])
    return {path: stamp for path, stamp in stamps.items() if path not in dropped}
