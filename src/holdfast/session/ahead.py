"""What a fresh machine is about to ask the store for, one thing after the other, asked for at once.

A mount as Drive's gives about one small file a second that it has not given yet, and hundreds of those that it has. So the
manifests and the small files that a run begins with are read here side by side. Nothing depends on it: what is read is read again,
from memory or from the mount's own, by whoever needs it, and checked then.
"""

from __future__ import annotations

import contextlib
import logging

from holdfast.errors import HoldfastError
from holdfast.session.project import Project
from holdfast.store.format.names import ManifestName
from holdfast.store.looking.known import artifacts
from holdfast.store.looking.same_store import look
from holdfast.store.store import Store

log = logging.getLogger(__name__)

#: So many artifacts at the most: a run has a dozen, and a store may have thousands that it does not need.
MOST_ARTIFACTS = 32
#: Of each so many tars of small files, the newest, up to this many bytes.
MOST_TARS, MOST_BYTES = 2, 1 << 20


def read_ahead(project: Project) -> None:
    """Read the newest manifests of what was never here, and the small files that they name. Costs nothing where all was."""
    store = project.store
    if store is None or store.parallel < 2:
        return
    try:
        view = look(store, project.workspace, fresh=False)
        known = artifacts(store, view, project.workspace)
        new = [k for k in sorted(known) if project.workspace.record(k).base is None and view.of(k)][:MOST_ARTIFACTS]
        newest = [max(view.of(k), key=lambda n: n.commit) for k in new]
        tars = [t for found in store.parallel_map(lambda n: _tars(store, n), newest) for t in found]
        for _ in store.parallel_map(lambda path: _give(store, path), tars):
            pass
    except HoldfastError as error:  # whoever needs it will say what is wrong
        log.debug("nothing more was read ahead (%s)", error)


def _tars(store: Store, name: ManifestName) -> list[str]:
    with contextlib.suppress(HoldfastError):
        tars = store.manifest(name).tars.values()
        small = sorted((t.payload.rpartition("@")[2], t.payload) for t in tars if t.size <= MOST_BYTES)
        return [payload for _, payload in small[-MOST_TARS:]]
    return []


def _give(store: Store, path: str) -> None:
    """Have the mount give a file once, so that it has it the next time."""
    with contextlib.suppress(HoldfastError):
        for _ in store.backend.read(path):
            pass
