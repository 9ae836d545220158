"""What of an artifact is on this machine, and whether that is all of it. No operation on the store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.store.keys import Key, within
from holdfast.store.local.pinned import hash_raw, is_database
from holdfast.store.local.side_files import promises_database, side_files
from holdfast.store.manifest import FileRecord, Kind
from holdfast.store.records import Here, Record, Signature
from holdfast.store.sqlite import Health, judge
from holdfast.store.workspace import Workspace, is_file, is_folder, local_errors, lstat_or_none


@dataclass(frozen=True)
class LocalPart:
    """What is here of the files that a restore wants.

    Args:
        exists: Something is at the place (an empty folder counts as nothing).
        equal: Files with the wanted content.
        differing: Paths at which something else is.
        broken: Databases that are empty, truncated or garbage, to be moved aside.
    """

    exists: bool = False
    equal: Mapping[str, Here] = field(default_factory=dict)
    differing: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


def is_complete(workspace: Workspace, key: Key) -> bool:
    """True where what is remembered proves that the path is present as a whole, so that nobody needs to ask the store.

    A file that is here is complete, unless it is or was a database and is broken, or is empty under a database's name. A
    directory is complete where every file of its base was restored to or committed from this workspace and is still there.
    """
    place = workspace.local(key)
    found = lstat_or_none(place)
    if found is None:
        return False
    known = workspace.known_keys()
    owner = next((k for k in (key, *key.parents()) if k in known), None)
    if not is_folder(found):
        base = None if owner is None else workspace.record(owner).base
        file = None if owner is None or base is None else base.files.get(owner.relative(key))
        if is_database(place) or (file is not None and file.sqlite):
            return judge(place) is not Health.BROKEN
        return found.st_size > 0 or not promises_database(key.name) or bool(side_files(place))
    inner = [k for k in known if k != key and key.covers(k)]
    if owner is None:
        return False
    base = workspace.record(owner).base
    if base is None or base.kind is not Kind.DIRECTORY:
        return False
    prefix = owner.relative(key)
    return all(_all_here(workspace, k, prefix if k == owner else "", inner) for k in (owner, *inner))


def _all_here(workspace: Workspace, key: Key, prefix: str, inner: list[Key]) -> bool:
    record = workspace.record(key)
    if record.base is None:
        return False
    for path, file in record.base.files.items():
        if not within(path, prefix) or any(k != key and k.covers(key.join(path)) for k in inner):
            continue
        place = workspace.local(key.join(path))
        if path not in record.here or not is_file(lstat_or_none(place)):
            return False
        if file.sqlite and judge(place) is Health.BROKEN:
            return False
    return all(is_folder(lstat_or_none(workspace.local(key.join(f)))) for f in record.base.folders if within(f, prefix))


def look_here(workspace: Workspace, key: Key, prefix: str, wanted: Mapping[str, FileRecord], record: Record) -> LocalPart:
    """Compare what is here with the wanted files: by remembered hash where the signature allows, else by content."""
    place = workspace.local(key.join(prefix))
    found = lstat_or_none(place)
    if found is None:
        return LocalPart()
    single = set(wanted) == {prefix}
    if is_folder(found) == single or not (is_folder(found) or is_file(found)):
        return LocalPart(True, {}, (prefix,), ())
    if not single and not os.listdir(place):
        return LocalPart()
    equal: dict[str, Here] = {}
    differing, broken = [], []
    for path, file in wanted.items():
        local = workspace.local(key.join(path))
        status = lstat_or_none(local)
        if status is None:
            continue
        if not is_file(status):
            differing.append(path)
        elif file.sqlite and judge(local) is Health.BROKEN:
            broken.append(path)
        else:
            here = _compare(local, status, file, record.here.get(path))
            if here is None:
                differing.append(path)
            else:
                equal[path] = here
    return LocalPart(True, equal, tuple(differing), tuple(broken))


def _compare(local: Path, status: os.stat_result, file: FileRecord, known: Here | None) -> Here | None:
    now = Signature.of(status)
    if known is not None and known.trusted and known.signature == now and not file.sqlite:
        return known if known.blake3 == file.blake3 else None
    if file.sqlite and known is not None and known.signature == now and not side_files(local):
        return known if known.blake3 == file.blake3 else None
    with local_errors():
        if status.st_size != file.size or hash_raw(local) != file.blake3:
            return None
    return Here(file.blake3, now, trusted=False)
