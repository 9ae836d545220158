"""What a run wrote, held against what an uninterrupted run wrote: how much of that it did again, and under which names. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

#: How many writes of a file that is written again and again may have been overlooked: one, and a tenth of them.
_OVERLOOKED = 0.1
#: Two folders are one under two names where so much of what either holds is alike.
_ALIKE = 0.5


@dataclass(frozen=True)
class Write:
    """A file was written.

    Args:
        at: Seconds after the start of the run.
        path: From the project folder.
    """

    at: float
    path: str


#: All that was seen to be written in a run, in order.
Written = Sequence[Write]


def skipped(reference: Written, run: Written, startup: float) -> float:
    """Seconds of an uninterrupted run that another one did without: it did not write what was written there.

    Every write stands for the time since the one before it. Where a file is written again and again, a run that goes on writes
    it less often, and it is the first ones that are skipped. One that begins anew under another name skips nothing.

    Args:
        reference: What the uninterrupted run wrote.
        run: What the other one wrote, to its end.
        startup: Seconds until work begins.
    """
    names = {new: old for old, new in _pairs(reference, run)}
    again = Counter(names.get(write.path, write.path) for write in run)
    left = {path: _unwritten(count, again[path]) for path, count in Counter(write.path for write in reference).items()}
    total, before = 0.0, startup
    for write in reference:
        at = max(write.at, before)
        if left[write.path]:
            left[write.path] -= 1
            total += at - before
        before = at
    return total


def _unwritten(wanted: int, got: int) -> int:
    slack = 0 if wanted == 1 else max(1, int(_OVERLOOKED * wanted))
    return wanted - got if not got else max(wanted - got - slack, 0)


def stretch(written: Written) -> float:
    """Seconds from the first write to the last, which starting does not count in."""
    return max((write.at for write in written), default=0.0) - min((write.at for write in written), default=0.0)


def lead(written: Written) -> float:
    """Seconds until work begins, as far as what is written tells: before the first write, less what lies between two."""
    moments = sorted({write.at for write in written})
    if len(moments) < 2:
        return 0.0
    return max(moments[0] - (moments[-1] - moments[0]) / (len(moments) - 1), 0.0)


def new_names(before: Written, after: Written, fresh: Container[str]) -> tuple[tuple[str, str], ...]:
    """Folders, or files, that another start makes again under another name: the earlier name and the new one.

    Args:
        before: What was written from nothing.
        after: What the other start wrote.
        fresh: What is there then and was not before.
    """
    again = {write.path for write in after}
    found = dict[tuple[str, str], None]()
    for old, new in _pairs([w for w in before if w.path not in again], [w for w in after if w.path in fresh]):
        tops = zip(reversed([*_above(old), old]), reversed([*_above(new), new]), strict=True)
        found[next((a, b) for a, b in tops if a.rpartition("/")[2] != b.rpartition("/")[2])] = None
    return tuple(found)


def _pairs(before: Written, after: Written) -> Iterator[tuple[str, str]]:
    """Files that were written before and are written again under another name."""
    old, new = ({write.path for write in written} for written in (before, after))
    gone, come = sorted(old - new), sorted(new - old)
    folders = _folders(gone, come)
    paired = set[str]()
    for path in come:
        for top in _above(path):
            if top in folders and (twin := folders[top] + path[len(top) :]) in old - new:
                paired |= {path, twin}
                yield twin, path
                break
    classes = defaultdict[str, list[str]](list)
    for path in gone:
        if path not in paired:
            classes[_class(path)].append(path)
    for path in come:
        if path not in paired and (twins := classes.get(_class(path))):
            yield twins.pop(0), path


def _folders(gone: Iterable[str], come: Iterable[str]) -> dict[str, str]:
    """New folder to the one that it is a twin of: beside it, alike below, and with nothing written in it any more."""
    below = (defaultdict[str, set[str]](set), defaultdict[str, set[str]](set))
    for side, paths in zip(below, (gone, come), strict=True):
        for path in paths:
            for top in _above(path):
                side[top].add(path[len(top) :])
    twins = {}
    for new, inside in below[1].items():
        place = new.rpartition("/")[0]
        beside = [old for old in below[0] if old != new and old.rpartition("/")[0] == place]
        best = max(beside, key=lambda old: len(below[0][old] & inside), default=None)
        if best is not None and len(below[0][best] & inside) >= _ALIKE * min(len(inside), len(below[0][best])):
            twins[new] = best
    return twins


def _above(path: str) -> list[str]:
    """Every folder above a path, the highest first."""
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _class(path: str) -> str:
    """A path without what a clock, a counter or a generator of names puts into its last part."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/" + re.sub(r"[0-9A-Za-z]*[0-9][0-9A-Za-z]*", "#", name)
