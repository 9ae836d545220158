"""Plain mirrors: unversioned files that a hand or an older script put at the mirrored path. Read, never vouched for."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

from holdfast.errors import Corrupt, LocalError, StoreNotFound
from holdfast.store.format.keys import Key
from holdfast.store.format.names import parse_payload_name, twin_of
from holdfast.store.live.pinned import is_database
from holdfast.store.live.side_files import promises_database, side_files
from holdfast.store.local.disk import lstat_or_none
from holdfast.store.local.placing import publish_files, publish_tree
from holdfast.store.local.workspace import Workspace
from holdfast.store.reporting.outcomes import Outcome, Restored
from holdfast.store.store import Store, refuse_depth

log = logging.getLogger(__name__)


def plain_outcome(store: Store, workspace: Workspace, key: Key) -> Restored | None:
    """Restore a single plain file; None where nothing plain lies at the mirrored path.

    What lies there and is not restored by itself (a directory, an empty file, one of several twins, a database that
    fails its check) is `FAILED`, never absent.
    """
    try:
        found = store.backend.stat(key.value)
    except StoreNotFound:
        return None
    if found.is_folder:
        example = _plain_file_below(store, key.value)
        if example is None:
            return None
        return Restored(
            key,
            Outcome.FAILED,
            error=f"{key}: the store has plain files there ({example}), which no manifest vouches for: "
            f"`holdfast restore --unverified {key}` takes them",
        )
    if parse_payload_name(key.name) is not None:
        return None
    return restore_plain(store, workspace, key, replace_here=False)


def _passes_check(database: Path) -> bool:
    from holdfast.store.live.sqlite import passes_check  # loads SQLite

    return passes_check(database)


def _plain_file_below(store: Store, folder: str) -> str | None:
    refuse_depth(folder)
    for entry in store.backend.list(folder):
        path = f"{folder}/{entry.name}"
        if entry.is_folder:
            below = _plain_file_below(store, path)
            if below is not None:
                return below
        elif parse_payload_name(entry.name) is None:
            return path
    return None


def restore_plain(store: Store, workspace: Workspace, key: Key, *, replace_here: bool) -> Restored:
    """Bring back a plain file or directory as it is. The workspace's lock is held.

    Raises:
        StoreError, LocalError: nothing was published.
    """
    try:
        found = store.backend.stat(key.value)
    except StoreNotFound:
        return Restored(key, Outcome.ABSENT, error=f"{key}: the store has no plain file or folder there")
    folder = workspace.temporary()
    try:
        single = not found.is_folder
        files = {"": _copy_file(store, key, folder / "file")} if single else _copy_tree(store, key.value, folder / "tree")
    except Corrupt as error:
        return Restored(key, Outcome.FAILED, error=str(error))
    if not files:
        return Restored(key, Outcome.ABSENT, error=f"{key}: the store has no plain file or folder there")
    place = workspace.local(key)
    of_database = single and (is_database(files[""]) or workspace.read(is_database, place))
    if replace_here and lstat_or_none(place) is not None:
        workspace.set_aside(place, *(side_files(place) if of_database else ()))
    if not found.is_folder:
        stale = side_files(place) if of_database else ()
        if stale:
            workspace.set_aside(*stale)
        appeared = bool(publish_files(files, place))
    else:
        appeared = not publish_tree(folder / "tree", place)
    if appeared:
        return Restored(key, Outcome.LOCAL, warnings=(f"{key} appeared during the restore; the local one was kept",))
    text = f"{key}: restored from a plain copy in the store that no manifest vouches for (unverified)"
    log.warning("%s", text)
    return Restored(key, Outcome.RESTORED, warnings=(text,), files=len(files))


def _copy_file(store: Store, key: Key, target: Path) -> Path:
    path = key.value
    parent, _, name = path.rpartition("/")
    twins = [e.name for e in store.backend.list(parent) if twin_of(e.name) == name]
    if twins:
        raise Corrupt(f"{key}: the store has several plain files of that name ({name}, {twins[0]}): keep one, rename the others")
    size = _copy(store, path, target)
    if size == 0:
        raise Corrupt(f"{key}: the plain file in the store is empty: its upload may never have finished")
    if (is_database(target) or promises_database(name)) and not _passes_check(target):
        raise Corrupt(f"{key}: the plain file in the store is not a sound database")
    return target


def _copy_tree(store: Store, folder: str, target: Path) -> dict[str, Path]:
    refuse_depth(folder)
    files: dict[str, Path] = {}
    for entry in store.backend.list(folder):
        path = f"{folder}/{entry.name}"
        if entry.is_folder:
            below = _copy_tree(store, path, target / entry.name)
            files.update({f"{entry.name}/{p}": t for p, t in below.items()})
        elif parse_payload_name(entry.name) is None:
            _copy(store, path, target / entry.name)
            files[entry.name] = target / entry.name
    return files


def _copy(store: Store, path: str, target: Path) -> int:
    size = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "xb") as handle:
            for chunk in store.backend.read(path):
                handle.write(chunk)
                size += len(chunk)
    except FileExistsError as error:
        raise LocalError(errno.EEXIST, "two names that this file system cannot tell apart", str(target)) from error
    return size
