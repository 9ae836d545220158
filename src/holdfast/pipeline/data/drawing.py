"""Which documents serve for validation and test where there is no file for it: drawn by seed, and what belongs together stays so.

Pure. Documents belong together where the file says that they are of one source, and where they are near-duplicates: a model that
has learnt one of them knows the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blake3 import blake3

#: A set of near-duplicates that is more than this share of all documents is divided: what is left would measure something else.
_MOST = 0.5


@dataclass(frozen=True)
class Units:
    """Documents by what must not be divided.

    Args:
        members: The numbers of the documents of each unit, in order.
        notes: What was kept together or was not, a line each.
    """

    members: tuple[tuple[int, ...], ...]
    notes: tuple[str, ...] = ()


def units_of(sources: Sequence[str | None], near: Sequence[int], wanted: int) -> Units:
    """The units of documents.

    Args:
        sources: Of each document the source that its file names; None where it names none. One source alone tells nothing.
        near: Of each document the first that it is a near-duplicate of, or itself; see `near.near_duplicates`.
        wanted: How many units there have to be at least. What would leave fewer is not kept together, and said.
    """
    notes = []
    by_source = _joined(range(len(sources)), sources if len(set(sources)) > 1 else ())
    if len(set(by_source)) < wanted:
        notes.append(f"all documents are of {len(set(by_source))} source(s), so documents of one source were not kept together")
        by_source = list(range(len(sources)))
    largest = max(Counter(near).values(), default=0)
    both = _joined(near, by_source)
    if largest > _MOST * len(near) or len(set(both)) < wanted:
        most = f"{largest} of {len(near)} documents are near-duplicates of each other"
        what = most if largest > _MOST * len(near) else "with near-duplicates together there is too little to draw from"
        notes.append(f"{what}, so near-duplicates were not kept together, and scores may come out too high")
        both = by_source
    elif told := _told(near, "set", "of near-duplicates"):
        notes.append(told)
    if told := _told(by_source, "source", "that the data names"):
        notes.append(told)
    members: dict[int, list[int]] = {}
    for number, unit in enumerate(both):
        members.setdefault(unit, []).append(number)
    return Units(tuple(map(tuple, members.values())), tuple(notes))


def draw(units: Iterable[Sequence[int]], count: int, share: float, seed: int, salt: str = "") -> frozenset[int]:
    """Which documents are taken out for a split; at least one unit is, and at least one is left.

    Units are drawn by hashes, not by a random generator, whose draws may change between versions of Python. One that would
    bring the number of documents further from the share than it is without it is passed over.

    Args:
        units: What can be taken, two or more; the first document of each stands for it.
        count: Of how many documents the share is meant.
        share: The share, between 0 and 1.
        seed: Decides which; the same on every machine and Python.
        salt: Makes another draw with the same seed.
    """
    order = sorted(units, key=lambda unit: (blake3(f"{salt}{seed}/{unit[0]}".encode()).digest(), unit[0]))
    target = min(count - 1, max(1, round(count * share)))
    chosen: list[Sequence[int]] = []
    taken = 0
    for unit in order:
        if taken >= target or len(chosen) == len(order) - 1:
            break
        if len(unit) < 2 * (target - taken):
            chosen.append(unit)
            taken += len(unit)
    if not chosen:
        chosen.append(min(order, key=len))
    return frozenset(number for unit in chosen for number in unit)


def _joined(first: Iterable[int], keys: Sequence[int | str | None]) -> list[int]:
    """The sets that come of joining those of the same key, too: for each document the first of its set."""
    root = list(first)

    def of(number: int) -> int:
        while root[number] != number:
            root[number] = root[root[number]]
            number = root[number]
        return number

    met: dict[int | str, int] = {}
    for number, key in enumerate(keys):
        if key is not None:
            low, high = sorted((of(number), of(met.setdefault(key, number))))
            root[high] = low
    return [of(number) for number in range(len(root))]


def _told(first: Sequence[int], one: str, what: str) -> str:
    sizes = [size for size in Counter(first).values() if size > 1]
    if not sizes:
        return ""
    return f"drawn together: {len(sizes):,} {one}{'s' if len(sizes) > 1 else ''} {what}, {sum(sizes):,} documents"
