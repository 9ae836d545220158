"""Listings that a mount remembers: what is missing from one proves nothing until it is known to be new.

A mount that remembers a listing for N seconds shows, N seconds after the first look at it, what was there at that look or later.
Then what is missing was missing. rclone has a shorter way: a folder that it is told to make, and that is there already, shows what
is in it now. So where no store is shown its folder is made, and looked into.
"""

from __future__ import annotations

import contextlib
import logging

from holdfast.errors import Corrupt, LocalError, StoreDenied, StoreFull
from holdfast.store import records
from holdfast.store.amounts import duration
from holdfast.store.store import Store
from holdfast.store.workspace import STATE_FOLDER, Workspace

log = logging.getLogger(__name__)

_FILE = "looks.json"


def note_look(store: Store, workspace: Workspace) -> None:
    """Remember when this workspace first looked at this mount. That it cannot be remembered costs a wait, not safety."""
    memory = store.memory
    if memory.seconds <= 0 or memory.first is not None:
        return
    memory.first = memory.clock()
    known = _looks(workspace).get(store.backend.location)
    if isinstance(known, list) and len(known) == 2 and known[0] == memory.mount and isinstance(known[1], int | float):
        memory.first = min(memory.first, float(known[1]))
    else:
        _remember(store, workspace)


def _looks(workspace: Workspace) -> dict[str, object]:
    with contextlib.suppress(Corrupt, LocalError, ValueError, TypeError):
        return dict(records.read_sealed(workspace.root / STATE_FOLDER / _FILE) or {})
    return {}


def _remember(store: Store, workspace: Workspace) -> None:
    memory = store.memory
    if memory.mount:
        try:
            looks = {**_looks(workspace), store.backend.location: [memory.mount, memory.first]}
            records.write_sealed(workspace.root / STATE_FOLDER / _FILE, looks)
        except (LocalError, OSError) as error:
            log.debug("the first look could not be remembered (%s)", error)


def is_new(store: Store, workspace: Workspace) -> bool:
    """Whether what is missing in the store's listings is known to be missing, after making the store's folders where none is shown.

    False where what was shown has to be looked at again: at once where `left` is 0, because a folder was made, else after so long.

    Raises:
        StoreError: it cannot be told now.
    """
    memory = store.memory
    if memory.seconds <= 0:
        return True
    if memory.shows_made:
        try:
            if store.knock():
                memory.first = memory.clock() - memory.seconds
                _remember(store, workspace)
                return False
        except (StoreDenied, StoreFull) as error:  # mounted for reading only: time has to tell
            log.debug("no folder could be made (%s)", error)
    return memory.left <= 0


def wait(store: Store, path: str) -> None:
    """Wait until what is missing is known to be missing, and say so."""
    memory = store.memory
    if (left := memory.left) <= 0:
        return
    how = f"mounted by {memory.quick}, and " if memory.quick else ""
    log.warning(
        "%s: not seen in the store, and %s may show listings as they were up to %s ago; it is looked for again in %s, before it is "
        "called absent (%swith drive.remembers set in config/paths.yaml, that is shorter)",
        path,
        memory.name,
        duration(memory.seconds),
        duration(left),
        how,
    )
    store.backoff.sleep(left)
