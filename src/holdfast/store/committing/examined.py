"""What the store has of one artifact, as far as a commit needs to know."""

from __future__ import annotations

from holdfast.store.copies.snapshot import Snapshot
from holdfast.store.deciding.agreeing import agrees
from holdfast.store.deciding.heads import find_heads
from holdfast.store.format.manifest import Manifest
from holdfast.store.format.names import ManifestName
from holdfast.store.local.records import Record
from holdfast.store.looking.view import State
from holdfast.store.store import Store


def older_agreeing(store: Store, found: tuple[ManifestName, ...], examined: Examined, snapshot: Snapshot) -> Manifest | None:
    """Without memory: the newest whole generation that holds everything here as it is, where the head does not agree."""
    if not examined.heads or agrees(examined.heads[0], snapshot):
        return None
    for name in sorted(found, key=lambda n: n.commit, reverse=True):
        generation = store.examine(name)
        manifest = generation.manifest
        if generation.state is not State.WHOLE or manifest is None:
            continue
        if snapshot.staged.keys() <= manifest.files.keys() and agrees(manifest, snapshot, need_common=True):
            return manifest
    return None


class Examined:
    """What the store has of one artifact, as far as a commit needs to know. With one line and no damage nothing is read."""

    def __init__(self, store: Store, found: tuple[ManifestName, ...], record: Record) -> None:
        self.not_whole: frozenset[str] = record.damaged
        base = record.base
        self.lost_payloads: frozenset[str] = frozenset()
        self._base_whole = False
        if base is not None:
            at = next((n.path for n in found if n.commit == base.commit), None)
            length = {} if at is None else {at: len(base.encoded)}
            self.lost_payloads = frozenset(store.missing({**base.payloads(), **length}.items()))
            self._base_whole = at is not None and not self.lost_payloads
            if base.commit.id in record.damaged:  # which of its payload is rotten is not known, so none is referred to
                self.lost_payloads = frozenset(base.payloads())
                self._base_whole = False
        seen: set[str] = set()

        def whole(name: ManifestName) -> Manifest | None:
            if base is not None and name.commit == base.commit:
                return base if self._base_whole else None
            generation = store.examine(name)
            if generation.state is not State.WHOLE:
                seen.add(name.commit.id)
                return None
            return generation.manifest

        self.heads = find_heads(found, whole, record.damaged)
        self.not_whole |= seen

    def stands(self, parent: Manifest) -> bool:
        """True where the store still holds this generation, or one that descends from it."""
        return any(parent.commit.id == h.commit.id or parent.commit.id in h.ancestors for h in self.heads)
