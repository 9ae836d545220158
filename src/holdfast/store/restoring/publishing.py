"""Putting what was fetched in place, without replacing anything that appeared meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from holdfast.store.deciding.choose import Wish
from holdfast.store.format.entries import FolderRecord
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Kind, Manifest
from holdfast.store.live.side_files import side_files
from holdfast.store.local.disk import local_errors, lstat_or_none
from holdfast.store.local.needed import Needed
from holdfast.store.local.placing import make_links, publish_files, publish_tree, settle_folders
from holdfast.store.local.workspace import Workspace


def _at_first(folder: FolderRecord) -> FolderRecord:
    """The folder as it is published: where its mode would stand in the way of what is still to come, that is set at the end."""
    bars = folder.mode is not None and folder.mode & 0o700 != 0o700
    return replace(folder, mode=None) if bars else folder


def comes_as_folder(manifest: Manifest, prefix: str, need: Needed) -> bool:
    """True where all of it is put in place as one folder, which moves no time of what lies in it."""
    is_folder = manifest.kind is Kind.DIRECTORY and prefix not in manifest.files and prefix not in manifest.links
    return is_folder and not need.here.exists


def publish(
    workspace: Workspace,
    key: Key,
    prefix: str,
    manifest: Manifest,
    folder: Path,
    fetched: Mapping[str, str],
    need: Needed,
    wish: Wish,
) -> tuple[str, ...] | None:
    """Put what was fetched in place, then the links.

    Gives the paths at which something had appeared, or None where a whole folder had.
    """
    place = workspace.local(key.join(prefix))
    if wish.replace_here and lstat_or_none(place) is not None:
        is_database = prefix in manifest.files and manifest.files[prefix].sqlite
        workspace.set_aside(place, *(side_files(place) if is_database else ()))
    for path in need.here.broken:
        broken = workspace.local(key.join(path))
        workspace.set_aside(broken, *side_files(broken))
    if comes_as_folder(manifest, prefix, need):
        with local_errors():
            for path in need.folders:
                (folder / path).mkdir(parents=True, exist_ok=True)
            (folder / prefix).mkdir(parents=True, exist_ok=True)
        make_links(need.links, folder)
        settle_folders({folder / p: _at_first(f) for p, f in need.folders.items()})
        return () if publish_tree(folder / prefix if prefix else folder, place) else None
    for path in fetched:
        # Side files without their database are another database's: SQLite must never replay them into this one.
        stale = side_files(workspace.local(key.join(path))) if manifest.files[path].sqlite else []
        if stale and lstat_or_none(workspace.local(key.join(path))) is None:
            workspace.set_aside(*stale)
    for path in need.folders:
        with local_errors(), contextlib.suppress(FileExistsError):
            workspace.local(key.join(path)).mkdir(parents=True)
    return (*publish_files(fetched, workspace.local(key)), *make_links(need.links, workspace.local(key)))
