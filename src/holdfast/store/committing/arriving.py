"""Whether what a commit sent is what it was to send, and has arrived at its length."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from holdfast.errors import Corrupt, Refused, StoreNotFound, StoreUnreadable
from holdfast.store.copies.snapshot import Snapshot
from holdfast.store.format.manifest import Manifest
from holdfast.store.format.manifest_reading import prove
from holdfast.store.store import Store
from holdfast.store.transfer.sending import was_rewritten


def prove_readable(manifest: Manifest, base: Manifest | None = None) -> None:
    """What no reader would take must never be written.

    Args:
        manifest: What is to be written.
        base: What it takes files over from: a generation that was read, or proven, before.

    Raises:
        Refused: no reader would take it.
    """
    try:
        prove(manifest, base if base is not None and base.format == manifest.format else None)
    except Corrupt as error:
        raise Refused(errno.EINVAL, f"it cannot be described in the store's format ({error})", str(manifest.key)) from error


def check_lengths(store: Store, sent: Mapping[str, int]) -> None:
    """Return where everything that was sent is there at its length.

    Raises:
        StoreUnreadable: something is not.
    """
    for path, size in sent.items():
        try:
            found = store.backend.stat(path)
        except StoreNotFound as error:
            raise StoreUnreadable(errno.EIO, "it vanished right after it was written", path) from error
        if found.size != size:
            raise StoreUnreadable(errno.EIO, f"{size} bytes were written and {found.size} are there", path)


def find_rewritten(snapshot: Snapshot) -> list[str]:
    """Paths of linked files that were rewritten while they were sent."""
    return [path for path, staged in snapshot.staged.items() if staged.linked is not None and was_rewritten(staged)]
