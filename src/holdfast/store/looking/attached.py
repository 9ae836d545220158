"""What a session knows for sure about a store: what it found there, and what it wrote itself, with how safe each is."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from holdfast.errors import StoreNotFound
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Manifest
from holdfast.store.looking.marks import mark_safe
from holdfast.store.looking.view import Generation, State, View
from holdfast.store.reporting.durability import Durability
from holdfast.store.store import Store

log = logging.getLogger(__name__)

#: So many of the newest generations of an artifact are asked about again. What is older and still not confirmed matters to
#: nobody once these are, and asking about a night's backlog at every backup would cost seconds.
_ASKED = 8


@dataclass
class Attached:
    """What a session knows.

    Args:
        view: The first look of the session.
        own: Id of each generation that this machine wrote, with how safe it is: those of this session, and those of earlier
            ones over the same mount. That one of them is seen here proves nothing, because a mount shows at once what it
            has not uploaded.
        awaited: Those of them that are not known to be safe yet, oldest first.
    """

    view: View
    own: dict[str, Durability] = field(default_factory=dict)
    awaited: dict[str, Manifest] = field(default_factory=dict)

    def wrote(self, store: Store, manifest: Manifest, durability: Durability) -> None:
        """Learn of a whole generation that this machine wrote, and how safe it is."""
        id_ = manifest.commit.id
        self.own[id_] = durability
        if durability is Durability.CONFIRMED:
            self.awaited.pop(id_, None)
            mark_safe(store, manifest.key)
        else:
            self.awaited[id_] = manifest

    def remembered(self, store: Store, bases: Iterable[Manifest]) -> None:
        """Learn of what this machine is known to have written in earlier sessions, and may still be on its way.

        Raises:
            StoreError: it cannot be told how safe one is.
        """
        for base in bases:
            if not store.elsewhere(base):
                self.wrote(store, base, store.durability(base))

    def found(self, store: Store, generations: Iterable[Generation]) -> None:
        """Learn which of these this machine wrote.

        Raises:
            StoreError: it cannot be told how safe one is.
        """
        for generation in generations:
            manifest = generation.manifest
            if manifest is None or generation.state is not State.WHOLE or manifest.commit.id in self.own:
                continue
            if not store.elsewhere(manifest):
                self.wrote(store, manifest, store.durability(manifest))

    def seen(self, key: Key) -> frozenset[str]:
        """Ids of an artifact's generations that were in the first look."""
        return frozenset(n.commit.id for n in self.view.of(key))

    @property
    def awaited_bytes(self) -> int:
        """Bytes that wait for their upload, and will count against the quota."""
        waiting = [m for i, m in self.awaited.items() if self.own[i] is Durability.WRITTEN]
        return sum(sum(m.sent_payloads().values()) for m in waiting)


def confirm(store: Store, attached: Attached) -> list[Manifest]:
    """Ask again about the newest of what was not known to be safe. Returns what is now.

    Raises:
        StoreError: it cannot be told now; what was known before stands.
    """
    asked: dict[Key, int] = {}
    confirmed = []
    for manifest in reversed(list(attached.awaited.values())):
        key = manifest.key
        asked[key] = asked.get(key, 0) + 1
        if asked[key] > _ASKED:
            continue
        try:
            durability = store.durability(manifest)
        except StoreNotFound:  # pruned meanwhile, or removed by somebody: nothing to wait for
            attached.awaited.pop(manifest.commit.id)
            attached.own[manifest.commit.id] = Durability.UNKNOWN
            continue
        attached.wrote(store, manifest, durability)
        if durability is Durability.CONFIRMED:
            log.info("%s: generation %s is confirmed", key, manifest.commit)
            confirmed.append(manifest)
    return confirmed
