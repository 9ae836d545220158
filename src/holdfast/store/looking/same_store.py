"""A look at a store that knows which one this workspace met there before: another one, or none, is no absence."""

from __future__ import annotations

import contextlib
import errno
import logging
import time
from collections.abc import Iterator

from holdfast.errors import LocalError, StoreError, StoreUnreadable
from holdfast.store.local.state import STATE_FOLDER
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.remembering import note_look
from holdfast.store.looking.view import Presence, View
from holdfast.store.store import Store

log = logging.getLogger(__name__)


#: What a store takes before anything is in it: its sentinel, and a test file.
_FIRST_BYTES = 4096
#: One look serves no longer: what another machine wrote since would be missed. Drive's mount shows that after seconds or minutes.
_A_MOMENT_SECONDS = 30.0


@contextlib.contextmanager
def one_look(store: Store) -> Iterator[None]:
    """Until the end of this, one look serves whoever takes one that was taken a moment ago.

    That something is not there, or cannot be had, always takes a fresh one.
    """
    store.shares = True
    try:
        yield
    finally:
        store.shares, store.shared = False, None


def look(store: Store, workspace: Workspace, *, create: bool = False, only_shown: bool = False, fresh: bool = True) -> View:
    """A look at the store that knows what this workspace met there before.

    Args:
        store: The store.
        workspace: Whose memory.
        create: It is for a backup: make a store where none is yet. Without it twins are looked for too.
        only_shown: Somebody is shown what there is, and nothing follows from it: the workspace remembers nothing.
        fresh: False takes the look that `one_look` keeps, where there is one.

    Raises:
        StoreUnreadable: the store that was here is not, which is a broken mount or another account, not absence.
    """
    if not fresh and store.shared is not None and time.monotonic() - store.shared_at < _A_MOMENT_SECONDS:
        return store.shared
    written, began = store.written, time.monotonic()
    known = workspace.known_store(store.backend.location)  # first: a backup of this session may make the store meanwhile
    view = store.look(tell=create or not only_shown)
    if workspace.known_store(store.backend.location) is None:
        known = None  # the mount died under this look, and what it had not uploaded is not expected any more
    if known is not None and known != view.store_id and not _made_at_once(store, workspace, view, known):
        raise StoreUnreadable(
            errno.ENOENT,
            f"this workspace met the store {known} here, and now {view.store_id or 'none'} is: is this the right account and "
            f"folder? To begin with another store, delete {STATE_FOLDER}/ beside outputs",
            store.backend.location,
        )
    if not only_shown:
        note_look(store)
    if create:
        from holdfast.store.transfer.room import telling_room

        with telling_room(store, _FIRST_BYTES):
            if view.presence is not Presence.STORE and store.memory.shows_made and store.knock():
                view = store.look()
            view = store.prepare(view, None if store.same_as is None else workspace.known_store(store.same_as))
    else:
        view = store.look_wider(view)
    location = store.backend.location
    if view.store_id is not None and not only_shown and (known != view.store_id or not workspace.knows_as_safe(location)):
        try:
            # Without a sentinel that can be read nothing says that it arrived; the next backup writes it again.
            arrived = view.sentinel_problem is None and not store.is_on_its_way()
            workspace.meet(location, view.store_id, safe=arrived)
        except LocalError as error:  # looking needs no memory; whatever is about to write will say what is wrong
            log.debug("the store could not be remembered (%s)", error)
    # Another thread may have written a manifest meanwhile, which this look does not show.
    store.shared = view if store.shares and not create and store.written == written else None
    store.shared_at = began
    return view


def _made_at_once(store: Store, workspace: Workspace, view: View, known: str) -> bool:
    """Whether this workspace's store and the one in view were made by two machines at once, so that it may go on in this one.

    Either it is one folder, in which two identities were written: then what this workspace gave to the store is in view. Or Drive
    made two folders of one name: then its own store lies beside, as a twin.
    """
    if view.store_id is None:
        return False
    bases = [b for k in workspace.known_keys() if (b := workspace.record(k).base) is not None and b.store_id == known]
    if any(b.commit.id in (n.commit.id, n.parent) for b in bases for n in view.of(b.key)):
        log.warning(
            "%s: two machines made this store at once; this one goes on in it under the identity that stayed (store_id: %s)",
            store.backend.location,
            view.store_id,
        )
        return True
    for twin in store.twins():
        with contextlib.suppress(StoreError):
            if twin.look(tell=False).store_id == known:
                log.warning(
                    "%s: two machines made this store at once, and Drive kept both; what this one has backed up lies in %s and is "
                    "found there; from now on it goes into the other, with all that is here",
                    store.backend.location,
                    twin.backend.location,
                )
                return True
    return False
