"""Which artifacts there are, and what each of them is, by the store and by what this machine remembers."""

from __future__ import annotations

from holdfast.errors import Corrupt, StoreNotFound
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Kind
from holdfast.store.format.names import key_code
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.view import View
from holdfast.store.store import Store


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
