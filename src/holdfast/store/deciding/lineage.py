"""Which generation descends from which, and which one a fresh workspace takes. Pure, and without a clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from holdfast.store.format.manifest import Kind, Manifest
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


def rank(manifest: Manifest) -> tuple[int, bool, float, int, bool, str]:
    """Order of preference among heads: most drops, since what was dropped is over; then most progress, highest sequence, id.

    A removal that was not a drop comes after any line that goes on. Between equals, a line that was begun after a failed
    restore comes last: the old head stays the default.
    """
    progress = float("-inf") if manifest.progress is None else float(manifest.progress)
    there = manifest.kind is not Kind.DROPPED
    return (manifest.drops, there, progress, manifest.commit.sequence, not manifest.fresh_line, manifest.commit.id)


def find_heads(
    names: Sequence[ManifestName],
    whole: Callable[[ManifestName], Manifest | None],
    excluded: frozenset[str] = frozenset(),
) -> list[Manifest]:
    """The heads among the generations of one artifact, best first.

    Goes from the highest sequence down and skips what a whole generation is already known to descend from, so that
    with one line and no damage exactly one manifest is read, however long the history.

    Args:
        names: Every manifest name of the artifact.
        whole: Reads one; None where it is not whole. May raise: an unreadable manifest leaves the head unknown.
        excluded: Ids that are proven damaged, treated as not whole.
    """
    recorded: dict[str, tuple[str, ...]] = {}
    heads: list[Manifest] = []
    covered: set[str] = set()
    for name in sorted(names, key=lambda n: n.commit, reverse=True):
        if name.commit.id in covered or name.commit.id in excluded:
            continue
        manifest = whole(name)
        if manifest is None:
            continue
        recorded[name.commit.id] = manifest.ancestors
        covered |= ancestry([name.commit.id], descent(names, recorded))
        heads.append(manifest)
    return sorted(heads, key=rank, reverse=True)
