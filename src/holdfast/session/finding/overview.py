"""What a session finds when it begins: here, in the store, and what will come back. As plain data, and cheaply."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Kind, Manifest
from holdfast.store.format.names import ManifestName
from holdfast.store.local.disk import is_folder, local_errors, lstat_or_none
from holdfast.store.local.records import Record
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.known import artifacts
from holdfast.store.looking.view import Presence, View
from holdfast.store.store import Store

#: So many manifests are read, eight at a time. Drive reads about one small cold file a second, and this is a first screen.
MOST_READ = 32


@dataclass(frozen=True)
class Counted:
    """An artifact whose writer counted how far it is.

    Args:
        key: The artifact.
        progress: Finished trials, training steps, or whatever it counts.
        is_study: It holds a database, as a study does.
    """

    key: Key
    progress: float
    is_study: bool


@dataclass(frozen=True)
class Overview:
    """What a session finds.

    Args:
        presence: What lies where the store should be; None where no store is attached.
        here: Artifacts that are here, as far as their store has them.
        part: Of these, those of which files are still to come.
        loose: Paths right below outputs that no artifact holds: they were never backed up.
        stored: Artifacts in the store.
        coming: Artifacts that come back when they are needed, all or in part.
        coming_bytes: Bytes of them, as far as their manifests were read.
        unread: Artifacts whose manifest was not read, because there are many.
        broken: Artifacts of which the store has nothing that is whole, and that are not here.
        counted: How far artifacts are that were counted.
    """

    presence: Presence | None
    here: int = 0
    part: int = 0
    loose: int = 0
    stored: int = 0
    coming: int = 0
    coming_bytes: int = 0
    unread: int = 0
    broken: tuple[Key, ...] = ()
    counted: tuple[Counted, ...] = ()


def overview(store: Store | None, view: View | None, workspace: Workspace, most: int = MOST_READ) -> Overview:
    """What a session finds. Nothing local is read but names; in the store the heads of what is not all here, up to `most`.

    Raises:
        StoreError: it cannot be told.
    """
    known = sorted(artifacts(store, view, workspace))
    loose = _loose(workspace, known)
    if store is None or view is None:
        return Overview(None, here=sum(_is_here(workspace, k) for k in known), loose=loose)
    here, part, coming, heads = 0, 0, [], {}
    for key in known:
        record = workspace.record_in(key, view)
        is_here, lacks = _is_here(workspace, key), _lacks(record)
        here += is_here
        part += is_here and bool(lacks)
        if record.base is not None and _is_newest(record.base, view.of(key)):
            heads[key] = record.base
        if not is_here or lacks:
            coming.append(key)
    asked = [k for k in coming if k not in heads and view.of(k)]
    read = store.parallel_map(lambda k: _head(store, view, workspace, k), asked[:most])
    heads.update({k: h for k, h in zip(asked, read, strict=False) if h is not None})
    unread = set(asked[most:])
    dropped = {k for k, h in heads.items() if h.kind is Kind.DROPPED}
    whole = [k for k in coming if k in heads and k not in dropped]
    return Overview(
        view.presence,
        here=here,
        part=part,
        loose=loose,
        stored=sum(bool(view.of(k)) and k not in dropped for k in known),
        coming=len(whole) + len(unread),
        coming_bytes=sum(_to_come(heads[k], workspace.record_in(k, view), here=_is_here(workspace, k)) for k in whole),
        unread=len(unread),
        broken=tuple(k for k in asked[:most] if k not in heads),
        counted=tuple(
            Counted(k, h.progress, _is_study(h)) for k, h in sorted(heads.items()) if h.progress is not None and view.of(k)
        ),
    )


def _is_here(workspace: Workspace, key: Key) -> bool:
    return lstat_or_none(workspace.local(key)) is not None


def _lacks(record: Record) -> set[str]:
    """Paths of the base that never were in this workspace."""
    return set() if record.base is None else set(record.base.files) - set(record.here)


def _is_newest(base: Manifest, names: Iterable[ManifestName]) -> bool:
    newest = max((n.commit for n in names), default=None)
    return newest == base.commit


def _head(store: Store, view: View, workspace: Workspace, key: Key) -> Manifest | None:
    heads = store.heads(view.of(key), workspace.record_in(key, view).damaged)
    return heads[0] if heads else None


def _to_come(head: Manifest, record: Record, *, here: bool) -> int:
    lacks = _lacks(record) if here else set(head.files)
    return sum(f.size for p, f in head.files.items() if p in lacks)


def _is_study(head: Manifest) -> bool:
    return head.kind is Kind.SQLITE or any(f.sqlite for f in head.files.values())


def _loose(workspace: Workspace, known: Iterable[Key]) -> int:
    """Names right below outputs, each with a file at or below it, at, above and below which no artifact lies."""
    outputs = workspace.outputs
    keys = list(known)
    place = workspace.local(outputs)
    if any(k.covers(outputs) for k in keys) or not is_folder(lstat_or_none(place)):
        return 0
    with local_errors():
        names = [outputs.join(name) for name in os.listdir(place)]
        return sum(_has_file(workspace.local(n)) for n in names if not any(n.covers(k) for k in keys))


def _has_file(place: Path) -> bool:
    return not is_folder(lstat_or_none(place)) or any(files for _, _, files in os.walk(place))
