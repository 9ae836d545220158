"""Make a path present. What is here already asks nothing of the store, and loads nothing that restores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import Corrupt, HoldfastError
from holdfast.store.deciding.choose import Prefer, Wish
from holdfast.store.format.keys import Key
from holdfast.store.local.disk import lstat_or_none
from holdfast.store.local.here import is_complete
from holdfast.store.local.workspace import Workspace
from holdfast.store.reporting.one_line import describe
from holdfast.store.reporting.outcomes import Outcome, Restored

if TYPE_CHECKING:
    from holdfast.store.store import Store
    from holdfast.store.transfer.progress import Progress


def ensure(
    store: Store | None, workspace: Workspace, key: Key, progress: Progress | None = None, prefer: Prefer = Prefer.NEITHER
) -> Restored:
    """Make a path present: here already, restored, proven absent, or failed. Does not raise for what a store can do.

    Args:
        store: Where from, or None.
        workspace: Where to.
        key: The path.
        progress: Told about the transfer.
        prefer: Which side counts where a database or a checkpoint here is another than the store's.

    Raises:
        OutsideOutputs: the path cannot be kept at all.
    """
    try:
        if is_complete(workspace, key):
            return Restored(key, Outcome.LOCAL)
        if store is None:
            here = lstat_or_none(workspace.local(key)) is not None
            return Restored(key, Outcome.LOCAL if here else Outcome.ABSENT)
        from holdfast.store.restore import surely

        result = surely(store, workspace, key, Wish(prefer=prefer), progress)
    except HoldfastError as error:
        result = Restored(key, Outcome.FAILED, error=describe(key, error), damaged=isinstance(error, Corrupt))
    if result.outcome in (Outcome.FAILED, Outcome.DIFFERS):
        from holdfast.store.restoring.base import remember_failure

        remember_failure(workspace, key)
    return result
