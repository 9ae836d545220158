"""What of an artifact is on this machine, and whether that is all of it. No operation on the store."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from holdfast.store.format.entries import FileRecord
from holdfast.store.format.keys import Key, folders_above, printable, within
from holdfast.store.format.manifest import Kind
from holdfast.store.live.pinned import is_database
from holdfast.store.live.side_files import promises_database, side_files
from holdfast.store.local.disk import is_file, is_folder, is_link, local_errors, lstat_or_none
from holdfast.store.local.folding import Names
from holdfast.store.local.links import kept_target
from holdfast.store.local.records import Here, Record, Signature
from holdfast.store.local.workspace import Workspace


@dataclass(frozen=True)
class LocalPart:
    """What is here of the files that a restore wants.

    Args:
        exists: Something is at the place (an empty folder counts as nothing).
        equal: Files with the wanted content.
        same_links: Symbolic links with the wanted target.
        differing: Paths at which something else is.
        blocked: Those among them where something stands in the way of a folder.
        broken: Databases that are empty, truncated or garbage, to be moved aside.
        twins: Wanted paths that are here under another name only, which this file system cannot tell from it; and that name.
    """

    exists: bool = False
    equal: Mapping[str, Here] = field(default_factory=dict)
    same_links: frozenset[str] = frozenset()
    differing: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    twins: Mapping[str, str] = field(default_factory=dict)


def is_complete(workspace: Workspace, key: Key) -> bool:
    """True where what is remembered proves that the path is present as a whole, so that nobody needs to ask the store.

    A file that its folder lists by this very name is complete, unless it is or was a database and is broken, or is empty under
    a database's name. A directory is complete where every file of its base was restored to or committed from this workspace and
    is still there.
    """
    place = workspace.local(key)
    found = lstat_or_none(place)
    names = workspace.names()
    if found is None or twin_here(workspace, key, names) is not None:
        return False
    if is_link(found):
        target = workspace.leads_to(key)
        return target is None or is_complete(workspace, target)
    known = workspace.known_keys()
    owner = next((k for k in (key, *key.parents()) if k in known), None)
    if not is_folder(found):
        base = None if owner is None else workspace.record(owner).base
        file = None if owner is None or base is None else base.files.get(owner.relative(key))
        if workspace.read(is_database, place) or (file is not None and file.sqlite):
            return not _is_broken(workspace, place)
        return found.st_size > 0 or not promises_database(key.name) or bool(side_files(place))
    inner = [k for k in known if k != key and key.covers(k)]
    if owner is None:
        return False
    base = workspace.record(owner).base
    if base is None or base.kind not in (Kind.DIRECTORY, Kind.DROPPED):
        return False
    prefix = owner.relative(key)
    return all(_all_here(workspace, k, prefix if k == owner else "", inner, names) for k in (owner, *inner))


def _all_here(workspace: Workspace, key: Key, prefix: str, inner: list[Key], names: Names) -> bool:
    record = workspace.record(key)
    if record.base is None:
        return False

    def asked(path: str) -> bool:
        return within(path, prefix) and not any(k != key and k.covers(key.join(path)) for k in inner)

    if any(twin_here(workspace, key.join(p), names) for p in (*record.base.files, *record.base.links, *record.base.folders)):
        return False
    for path, file in record.base.files.items():
        if not asked(path):
            continue
        place = workspace.local(key.join(path))
        if path not in record.here or not is_file(lstat_or_none(place)):
            return False
        if file.sqlite and _is_broken(workspace, place):
            return False
    for path in record.base.links:
        if asked(path) and (path not in record.links or not is_link(lstat_or_none(workspace.local(key.join(path))))):
            return False
    return all(workspace.has_folder(key.join(f)) for f in record.base.folders if asked(f))


def _is_broken(workspace: Workspace, place: Path) -> bool:
    """A database that is empty, truncated or garbage. What judges it loads where one is."""
    from holdfast.store.live.sqlite import Health, judge

    return workspace.read(judge, place) is Health.BROKEN


def look_here(
    workspace: Workspace,
    key: Key,
    prefix: str,
    wanted: Mapping[str, FileRecord],
    record: Record,
    links: Mapping[str, str] | None = None,
    folders: Iterable[str] = (),
) -> LocalPart:
    """Compare what is here with the wanted files and links: by remembered hash where the signature allows, else by content.

    Of the folders only those count in which another of them should lie.
    """
    place, links, folders = workspace.local(key.join(prefix)), links or {}, tuple(folders)
    if twins := twins_here(workspace, key, (prefix,)):
        return LocalPart(True, twins=twins)
    found = lstat_or_none(place)
    if found is None:
        return LocalPart()
    twins = twins_here(workspace, key, (*wanted, *links, *folders))
    wanted, links = _without(twins, wanted), _without(twins, links)
    if set(links) == {prefix}:
        same = _has_link(workspace, key.join(prefix), links[prefix])
        return LocalPart(True, same_links=frozenset(links) if same else frozenset(), differing=() if same else (prefix,))
    single = set(wanted) == {prefix}
    if workspace.has_folder(key.join(prefix)) == single or not (workspace.has_folder(key.join(prefix)) or is_file(found)):
        return LocalPart(True, differing=(prefix,))
    if not single and not os.listdir(place):
        return LocalPart()
    equal: dict[str, Here] = {}
    blocked = _blocked(workspace, key, {f for f in folders_above([*wanted, *links, *folders]) if within(f, prefix)})
    if blocked:  # what can be seen below is seen through a link, and lies elsewhere
        wanted = {path: file for path, file in wanted.items() if folders_above([path]).isdisjoint(blocked)}
        links = {path: target for path, target in links.items() if folders_above([path]).isdisjoint(blocked)}
    differing, broken = list(blocked), []
    for path, file in wanted.items():
        local = workspace.local(key.join(path))
        status = lstat_or_none(local)
        if status is None:
            continue
        if not is_file(status):
            differing.append(path)
        elif file.sqlite and _is_broken(workspace, local):
            broken.append(path)
        else:
            here = _compare(workspace, local, status, file, record.here.get(path))
            if here is None:
                differing.append(path)
            else:
                equal[path] = here
    same_links = frozenset(p for p, target in links.items() if _has_link(workspace, key.join(p), target))
    differing += [p for p in links if p not in same_links and lstat_or_none(workspace.local(key.join(p))) is not None]
    return LocalPart(True, equal, same_links, tuple(differing), blocked, tuple(broken), twins)


def _blocked(workspace: Workspace, key: Key, folders: Iterable[str]) -> tuple[str, ...]:
    """The topmost of these folders that cannot be made, because something else is there."""
    blocked: tuple[str, ...] = ()
    for folder in sorted(folders):
        reached = folders_above([folder]).isdisjoint(blocked)
        if reached and not workspace.has_folder(key.join(folder)) and workspace.has(key.join(folder)):
            blocked = (*blocked, folder)
    return blocked


_Part = TypeVar("_Part")


def _without(twins: Mapping[str, str], parts: Mapping[str, _Part]) -> Mapping[str, _Part]:
    return {path: part for path, part in parts.items() if path not in twins} if twins else parts


def twin_here(workspace: Workspace, key: Key, names: Names) -> Key | None:
    """What is here in place of a path that is not, where the file system cannot tell the two names apart.

    Raises:
        LocalError: a folder cannot be listed.
    """
    path = workspace.outputs.relative(key)
    with local_errors():
        twin = names.twin(path)
    return None if twin is None else workspace.outputs.join(twin[1] + path[len(twin[0]) :])


def twins_here(workspace: Workspace, key: Key, paths: Iterable[str]) -> dict[str, str]:
    """Those of an artifact's paths that are here under another name only, with that one."""
    names, found = workspace.names(), {}
    for path in paths:
        other = twin_here(workspace, key.join(path), names)
        if other is not None:
            found[path] = key.relative(other) if key.covers(other) else other.value
    return found


def foreign(record: Record, here: LocalPart) -> tuple[str, ...]:
    """What differs and was neither taken from the store nor given to it here. Anything else is work that went on here."""
    return tuple(path for path in here.differing if path not in record.here and path not in record.links)


def decisive(
    workspace: Workspace, key: Key, prefix: str, files: Mapping[str, FileRecord], here: LocalPart, others: Iterable[str]
) -> str:
    """Why somebody has to say which side counts, or an empty text: a database or a checkpoint is another on each side.

    So it is where something stands in the way of a folder: what lies in there could not come.
    """
    from holdfast.store.copies.inspecting import is_checkpoint

    for path in others:
        place = workspace.local(key.join(path))
        record = files.get(path)
        named = printable(path or key.name)
        if path in here.blocked:
            return f"{named} here is no folder, and"
        if record is None or not is_file(lstat_or_none(place)):
            if path == prefix:
                return f"{named} here is something else than what the store has there, and"
            continue
        if record.sqlite or workspace.read(is_database, place):
            return f"the database {named} here"
        if workspace.read(is_checkpoint, str(place)):
            return f"the checkpoint {named} here"
    return ""


def _has_link(workspace: Workspace, key: Key, target: str) -> bool:
    place = workspace.local(key)
    if not is_link(lstat_or_none(place)):
        return False
    with local_errors():
        return kept_target(str(place), key, workspace.places)[0] == target


def _compare(workspace: Workspace, local: Path, status: os.stat_result, file: FileRecord, known: Here | None) -> Here | None:
    now = Signature.of(status)
    if known is not None and known.trusted and known.signature == now and not file.sqlite:
        return known if known.blake3 == file.blake3 else None
    if file.sqlite and known is not None and known.signature == now and not side_files(local):
        return known if known.blake3 == file.blake3 else None
    with local_errors():
        if status.st_size != file.size:
            return None
        from holdfast.store.copies.inspecting import hash_content

        sparse = file.sparse is not None
        if workspace.read(functools.partial(hash_content, sparse=sparse), str(local), size=file.size) != file.blake3:
            return None
    return Here(file.blake3, now, trusted=False)
