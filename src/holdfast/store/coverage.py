"""Which artifacts a path means. The deepest artifact owns a path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from holdfast.errors import Corrupt, StoreNotFound
from holdfast.store.keys import Key
from holdfast.store.manifest import Kind
from holdfast.store.names import key_code
from holdfast.store.store import Store
from holdfast.store.view import View
from holdfast.store.workspace import Workspace


@dataclass(frozen=True)
class Target:
    """An artifact, and the part of it that is meant (empty: all of it)."""

    artifact: Key
    prefix: str


@dataclass(frozen=True)
class Coverage:
    """What a path means.

    Args:
        own: The artifact that owns the path, with the part that is meant; None where no artifact covers it.
        inner: Artifacts below the path, shallowest first.
    """

    own: Target | None
    inner: tuple[Key, ...]


def artifacts(store: Store | None, view: View | None, workspace: Workspace) -> frozenset[Key]:
    """Every artifact that the store shows or the workspace remembers."""
    keys = set(workspace.known_keys())
    if view is not None and store is not None:
        known = {key_code(k) for k in keys}
        for name in view.names:
            if name.key_code in known:
                continue
            known.add(name.key_code)
            key = name.key
            if key is None:  # the name was cut, so the manifest has to tell
                try:
                    key = store.manifest(name).key
                except (Corrupt, StoreNotFound):
                    known.discard(name.key_code)
                    continue
            keys.add(key)
    return frozenset(k for k in keys if workspace.outputs.covers(k))


def cover(key: Key, known: Iterable[Key], is_directory: Callable[[Key], bool]) -> Coverage:
    """Find what a path means among the known artifacts. Pure but for `is_directory`, asked of those above the path only."""
    keys = set(known)
    inner = tuple(sorted((k for k in keys if k != key and key.covers(k)), key=lambda k: (len(k.parts), k)))
    if key in keys:
        return Coverage(Target(key, ""), inner)
    for above in key.parents():
        if above in keys and is_directory(above):
            return Coverage(Target(above, above.relative(key)), inner)
    return Coverage(None, inner)


class DirectoryTest:
    """Tells whether an artifact is a directory: from the workspace's memory, else from its newest readable manifest."""

    def __init__(self, store: Store | None, view: View | None, workspace: Workspace) -> None:
        self._store = store
        self._view = view
        self._workspace = workspace

    def __call__(self, key: Key) -> bool:
        """True where the artifact is a directory, or where nothing tells."""
        base = self._workspace.record(key).base
        names = () if self._view is None else self._view.of(key)
        newer = base is not None and any(n.commit.sequence > base.commit.sequence for n in names)
        if base is not None and (base.kind is Kind.DIRECTORY or not newer):
            return base.kind is Kind.DIRECTORY
        if self._store is None or self._view is None:
            return False
        for name in sorted(names, key=lambda n: n.commit, reverse=True):
            try:
                return self._store.manifest(name).kind is Kind.DIRECTORY
            except (Corrupt, StoreNotFound):
                continue
        # Nothing readable: it may hold the path, so it is not passed over in silence.
        return True
