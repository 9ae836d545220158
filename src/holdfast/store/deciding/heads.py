"""Which generations of an artifact are its heads, and which of them comes first: the one that a fresh machine takes. Pure.

Where files of the first are torn, `choose` goes on from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast.store.deciding.lineage import ancestry, descent
from holdfast.store.format.manifest import Kind, Manifest
from holdfast.store.format.names import ManifestName


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
