"""Marks: folders that tell by name alone that a backup of an artifact was safe in the store once.

A listing may leave names out, the same ones every time, and then two listings agree on a lie. A mark is asked for by its name, so
that nothing that was ever safe is called absent because no listing shows it. It is made only once a generation is known
to be safe: what never arrived leaves none.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable

from holdfast.errors import StoreError, StoreUnreadable
from holdfast.store.format.keys import Key
from holdfast.store.format.names import ARTIFACTS, mark, mark_folder
from holdfast.store.store import Store

log = logging.getLogger(__name__)


def mark_safe(store: Store, key: Key) -> None:
    """Have an artifact known by name, now that a generation of it is safe. That it fails costs a proof, not safety."""
    try:
        if not store.exists(mark(key)):
            store.backend.make_folder(mark(key))
    except StoreError as error:
        log.debug("%s could not be marked (%s)", key, error)


def refuse_if_known(store: Store, key: Key, shown: Iterable[Key]) -> None:
    """Return where no mark tells that the store has a path of which no listing shows anything.

    Args:
        store: The store.
        key: The path.
        shown: The artifacts of which a listing shows a generation.

    Raises:
        StoreUnreadable: an artifact that may hold the path was safe here once, and none of its manifests is shown.
    """
    there = set(shown)
    if not store.exists(ARTIFACTS):
        return
    hidden = [k for k in key.parents() if k not in there and store.exists(mark(k))]
    if not any(key.covers(k) for k in there) and store.exists(mark_folder(key)):
        hidden.insert(0, key)
    if hidden:
        raise StoreUnreadable(
            errno.EIO,
            f"{hidden[0]} was backed up here and none of its manifests is shown: the listing is incomplete, or somebody removed "
            f"them; try again, and if it is gone for good remove {mark_folder(hidden[0])}/ from the store",
            store.backend.location,
        )
