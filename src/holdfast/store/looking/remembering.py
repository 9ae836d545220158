"""Listings that a mount remembers: what is missing from one proves nothing until it is known to be new.

A mount that remembers a listing for N seconds shows, N seconds after the first look at it, what was there at that look or later.
Then what is missing was missing. rclone has a shorter way: a folder that it is told to make, and that is there already, shows what
is in it now. So where no store is shown its folder is made, and looked into.
"""

from __future__ import annotations

import logging

from holdfast.errors import StoreDenied, StoreFull
from holdfast.store.reporting.amounts import duration
from holdfast.store.store import Store

log = logging.getLogger(__name__)


def note_look(store: Store) -> None:
    """Note that this session looks at the store now, unless it did before."""
    if store.memory.first is None:
        store.memory.first = store.memory.clock()


def knocked(store: Store, root: str) -> bool:
    """Make a folder of the store that is not shown, where the mount then shows what is in the one that may be there.

    Args:
        store: The store.
        root: The folder of the store in which the payload lies.

    Returns:
        False where there is none to make, or the mount is not such a one.

    Raises:
        StoreError: it cannot be told now.
    """
    try:
        return store.memory.seconds > 0 and store.memory.shows_made and store.knock(root)
    except (StoreDenied, StoreFull) as error:  # mounted for reading only: time has to tell
        log.debug("no folder could be made (%s)", error)
        return False


def wait(store: Store, path: str) -> None:
    """Wait until what is missing is known to have been missing when this session began, and say so."""
    memory, left = store.memory, store.memory.left
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
