"""What the store holds of a path, by manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.store.deciding.coverage import cover
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Manifest
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.known import DirectoryTest, artifacts
from holdfast.store.looking.view import View
from holdfast.store.store import Store


@dataclass(frozen=True)
class Held:
    """What the store holds of a path.

    Args:
        key: The path.
        files: Each file at or below it, by key, with size in bytes and BLAKE3; of the generation that a restore would take.
        progress: Of the artifact that owns the path, as its writer counted.
        ahead: The store has gone on, on another machine, from what this workspace last took or gave.
    """

    key: Key
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    progress: float | None = None
    ahead: bool = False

    @property
    def size(self) -> int:
        """Bytes that a restore of all of it would fetch."""
        return sum(size for size, _ in self.files.values())

    def __bool__(self) -> bool:
        return bool(self.files)


def held(store: Store, view: View, workspace: Workspace, key: Key) -> Held:
    """See `Held`; nothing where no whole generation covers the path."""
    known = artifacts(store, view, workspace)
    coverage = cover(key, known, DirectoryTest(store, view, workspace))
    files: dict[str, tuple[int, str]] = {}
    progress, ahead = None, False
    owners = [*([coverage.own.artifact] if coverage.own else []), *coverage.inner]
    for owner in owners:
        heads = store.heads(view.of(owner))
        if coverage.own is not None and owner == coverage.own.artifact and heads:
            progress, ahead = heads[0].progress, _is_ahead(view, workspace, heads[0])
        for path, entry in heads[0].files.items() if heads else ():
            place = owner.join(path) if path else owner
            if key.covers(place) and not any(k != owner and owner.covers(k) and k.covers(place) for k in known):
                files[place.value] = (entry.size, entry.blake3)
    return Held(key, files, progress, ahead)


def _is_ahead(view: View, workspace: Workspace, head: Manifest) -> bool:
    """True where the head descends from this workspace's base, or where the base was pruned because newer ones are there."""
    base = workspace.record(head.key).base
    if base is None or base.commit.id == head.commit.id:
        return False
    parents = {n.commit.id: n.parent for n in view.of(head.key)}
    if base.commit.id not in parents:
        return head.commit.sequence > base.commit.sequence
    at: str | None = head.commit.id
    seen = set()
    while at is not None and at not in seen:
        seen.add(at)
        at = parents.get(at)
        if at == base.commit.id:
            return True
    return base.commit.id in head.ancestors
