"""Space in the store: refused where it is not enough, said clearly where it runs out, given back by an attempt that fails.

And what Drive refuses however much space is free: levels of folders, names in a folder, bytes in a day.

On Drive the mount tells the account's quota (ct#6051), and a full one may take writes in silence and upload nothing (ct#5325). So
what does not fit is refused by what the mount tells, whether writing would work or not.
"""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from holdfast.errors import LocalError, StoreDenied, StoreError, StoreExists, StoreFull, StoreTimeout
from holdfast.platform import file_system
from holdfast.store.backends.mounts import DRIVE_FILE_SYSTEM, GDRIVE
from holdfast.store.deciding import limits
from holdfast.store.format.keys import Key, printable
from holdfast.store.format.manifest import Manifest
from holdfast.store.format.names import GENERATIONS, mark
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.view import View
from holdfast.store.reporting.amounts import duration, size
from holdfast.store.store import Store
from holdfast.store.transfer.sending import Sending

log = logging.getLogger(__name__)

_UNTOUCHED = "the earlier generations are untouched"
_MEND = (
    "make space (what lies in Drive's trash counts until it is emptied; `holdfast prune` removes what newer backups make needless) "
    f"and back up again; {_UNTOUCHED}"
)
_MEND_FOLDER = f"make space (`holdfast prune` removes what newer backups make needless) and back up again; {_UNTOUCHED}"


def refuse_if_full(store: Store, needed: int, awaited: int) -> None:
    """Return where so many bytes fit beside those that still wait for their upload, or where the place does not tell.

    Raises:
        StoreFull: they do not.
    """
    space = store.backend.space()
    if space is None or needed + awaited <= space.free:
        return
    waiting = f" and {size(awaited)} wait for their upload" if awaited else ""
    raise StoreFull(
        errno.ENOSPC,
        f"No space left, the drive is full: {size(needed)} are needed{waiting}, {size(space.free)} are free; {_mend(store)}",
        store.backend.location,
    )


@contextlib.contextmanager
def within_limits(
    store: Store,
    workspace: Workspace,
    view: View,
    key: Key,
    sending: Sending,
    base: Manifest | None,
    *,
    clock: Callable[[], float],
) -> Iterator[None]:
    """Begin where Drive takes what a commit would put there, and remember what was sent, for what the day still takes.

    Args:
        store: Where to. For one that is not on Drive there is nothing to do.
        workspace: Knows what was sent within a day.
        view: A look at the store.
        key: What is committed.
        sending: What would be sent.
        base: The generation that the commit stands on.
        clock: Unix seconds.

    Raises:
        StoreDenied: it would lie too deep.
        StoreFull: a folder would hold too many names, or a day too many bytes.
    """
    if not _on_drive(store):
        yield
        return
    _refuse_too_deep(store, (*sending.folders, mark(key)))
    _refuse_too_many(store, view, () if base is None else tuple(base.payloads()), sending)
    _refuse_too_much(store, workspace, sending, clock())
    try:
        yield
    finally:
        with contextlib.suppress(LocalError):  # a day is judged by what is remembered; no backup fails for that
            workspace.note_sent(sum(sending.sent.values()), clock())


def _refuse_too_deep(store: Store, folders: Iterable[str]) -> None:
    deep = limits.too_deep(store.limits, store.location, folders)
    if deep is not None:
        raise StoreDenied(
            errno.ENAMETOOLONG,
            f"it would lie in {deep[1]} folders in one another, and Drive takes {store.limits.levels}: make the folders fewer; "
            f"{_UNTOUCHED}",
            printable(deep[0]),
        )


def _refuse_too_many(store: Store, view: View, there: Collection[str], sending: Sending) -> None:
    most, names = store.limits.items, len(view.names) + len(view.strays)
    for folder, count in ((GENERATIONS, names + 1), limits.fullest(there, sending.folders)):
        if count > most:
            raise StoreFull(
                errno.EDQUOT,
                f"the folder {folder} would hold {count:,} names, and Drive takes {most:,}: `holdfast prune` removes what newer "
                f"backups make needless, then empty Drive's trash, which may count; {_UNTOUCHED}",
                store.location,
            )
    if limits.nearly_too_many(store.limits, names) and GENERATIONS not in store.told:
        store.told.add(GENERATIONS)
        log.warning("the folder %s holds %d names, and Drive takes %d: run `holdfast prune`", GENERATIONS, names, most)


def _refuse_too_much(store: Store, workspace: Workspace, sending: Sending, now: float) -> None:
    sent, first = workspace.sent_since(now - limits.DAY_SECONDS)
    day = store.limits.day
    if not limits.too_much(store.limits, sent, sending.size):
        return
    again = f"; back up again in {duration(first + limits.DAY_SECONDS - now)}"
    mend = again if sending.size <= day else ": back up parts of it, on one day after the other"
    raise StoreFull(
        errno.EDQUOT,
        f"{size(sending.size)} are to be sent and {size(sent)} were sent from here within 24 hours, and Drive takes {size(day)} "
        f"a day{mend}; {_UNTOUCHED}",
        store.location,
    )


@contextlib.contextmanager
def telling_room(store: Store, needed: int) -> Iterator[None]:
    """Where the drive proves full, say how much is needed and free.

    Raises:
        StoreFull: it is full.
    """
    try:
        yield
    except StoreFull as error:
        raise _explained(store, error, needed, 0) from error


@contextlib.contextmanager
def giving_back(store: Store, sending: Sending, manifest: str | None = None) -> Iterator[None]:
    """Where an attempt fails, take back what it sent: nobody will refer to it, and each further attempt would leave as much again.

    Not after a hang, which is not asked a second time. What a kill leaves behind, prune finds.

    Args:
        store: Where.
        sending: What was sent.
        manifest: Path of the manifest that is being written.

    Raises:
        StoreFull: it is full; the text says how much is needed and free.
    """
    try:
        yield
    except StoreFull as error:
        explained = _explained(store, error, sending.size, sum(sending.sent.values()))
        if not give_back(store, sending, manifest):
            log.warning("what was sent could not be taken back; `holdfast prune` removes it later")
        raise explained from error
    except Exception as error:
        taken = manifest is not None and isinstance(error, StoreExists)  # what lies under that name is not ours to remove
        if not taken and not isinstance(error, StoreTimeout):
            give_back(store, sending, manifest)
        raise


def give_back(store: Store, sending: Sending, manifest: str | None = None) -> bool:
    """Remove what an attempt sent, whose names are never used again. False where the drive does not let us; prune finds it then.

    The manifest that was being written goes first; where it cannot be removed, what it names stays.
    """
    try:
        for path in [*([manifest] if manifest else []), *sending.begun]:
            store.backend.remove(path)
        store.backend.flush()
    except StoreError as problem:
        log.debug("what was sent could not be taken back (%s)", problem)
        return False
    sending.begun.clear()
    return True


def _on_drive(store: Store) -> bool:
    location = store.backend.location
    return location.startswith(GDRIVE) or file_system(Path(location)) == DRIVE_FILE_SYSTEM


def _mend(store: Store) -> str:
    return _MEND if _on_drive(store) else _MEND_FOLDER


def _explained(store: Store, error: StoreFull, needed: int, sent: int) -> StoreFull:
    """What is full, and what to do.

    Args:
        store: Where.
        error: What was refused.
        needed: Bytes that were to be sent.
        sent: Those of them that were sent. A mount may not count them before they are uploaded.
    """
    try:
        space = store.backend.space()
    except StoreError:
        space = None
    if space is None or not space.free - sent >= needed > 0:
        free = "" if space is None else f", {size(max(space.free - sent, 0))} are free"
        why = f"No space left, the drive is full: {size(needed)} are needed{free}; {_mend(store)}"
    elif _on_drive(store):
        why = (
            f"the drive refuses {size(needed)} as over quota though {size(space.free)} are free: Drive limits how many files "
            f"one may make in a time; wait an hour and back up again; {_UNTOUCHED}"
        )
    else:
        why = (
            f"the folder refuses {size(needed)} ({error.strerror}) though {size(space.free)} are free: a quota, or a limit of that "
            f"disk on the number of files or on the size of one; make room there, or take another folder; {_UNTOUCHED}"
        )
    return StoreFull(error.errno, why, store.backend.location)
