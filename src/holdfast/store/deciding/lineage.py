"""Which generation descends from which. Pure, and without a clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from holdfast.store.format.names import ManifestName

T = TypeVar("T")


def descent(names: Iterable[ManifestName], ancestors: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Id to the ids that it descends from, by its name and by what its manifest records.

    A sequence always lies above those of its ancestors; what claims otherwise is forged and is ignored, so there is no cycle.
    """
    listed = list(names)
    sequences = {n.commit.id: n.commit.sequence for n in listed}
    found = {}
    for name in listed:
        claimed = {*((name.parent,) if name.parent else ()), *ancestors.get(name.commit.id, ())}
        found[name.commit.id] = {i for i in claimed if sequences.get(i, 0) < name.commit.sequence}
    return found


def ancestry(start: Iterable[str], parents: Mapping[str, Iterable[str]]) -> set[str]:
    """Every id that can be reached from `start` by going to parents, `start` not included unless reached."""
    seen: set[str] = set()
    todo = [p for s in start for p in parents.get(s, ())]
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo.extend(parents.get(current, ()))
    return seen
