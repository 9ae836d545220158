"""What of a generation a restore has to bring: what is asked for, what of it is here, and what is missing."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from holdfast.errors import Corrupt
from holdfast.store.deciding.choose import Prefer, Wish, say
from holdfast.store.format.entries import FileRecord, FolderRecord
from holdfast.store.format.keys import Key, folders_above, printable, within
from holdfast.store.format.manifest import Manifest
from holdfast.store.local.disk import local_errors
from holdfast.store.local.folding import how_names_fold
from holdfast.store.local.folding import twins as twins_of
from holdfast.store.local.here import LocalPart, decisive, foreign, look_here, twins_here
from holdfast.store.local.links import joined
from holdfast.store.local.records import Record, Signature
from holdfast.store.local.workspace import Workspace

_Part = TypeVar("_Part")


@dataclass(frozen=True)
class Asked:
    """What a generation holds of what is asked for, by path below the artifact."""

    files: Mapping[str, FileRecord]
    links: Mapping[str, str]
    folders: Mapping[str, FolderRecord]


def asked_for(key: Key, manifest: Manifest, prefix: str, owned: tuple[str, ...], warnings: list[str]) -> Asked:
    """What of a generation is asked for: at and below the prefix, and not owned by an artifact further down.

    A symbolic link in whose place a folder of such an artifact comes is not made, which is said.
    """
    links = _part(manifest.links, prefix, owned)
    for path in [p for p in links if any(within(o, p) for o in owned)]:
        del links[path]
        say(
            warnings,
            f"{key.join(path)}: the symbolic link of generation {manifest.commit} is not made, because an artifact lies below it",
        )
    return Asked(_part(manifest.files, prefix, owned), links, _part(manifest.folders, prefix, owned))


def _part(held: Mapping[str, _Part], prefix: str, owned: tuple[str, ...]) -> dict[str, _Part]:
    return {p: value for p, value in held.items() if within(p, prefix) and not any(within(p, o) for o in owned)}


def leads_through(key: Key, manifest: Manifest, prefix: str) -> tuple[Key, Key] | None:
    """Where a path leads through a symbolic link of a generation: that link, and the path that is meant then."""
    for above in sorted(folders_above([prefix])):
        if above in manifest.links:
            link = key.join(above)
            return link, joined(link, manifest.links[above]).join(prefix[len(above) + 1 :])
    return None


def links_out(workspace: Workspace, key: Key, links: Mapping[str, str]) -> Corrupt | None:
    """What is wrong with links that lead out of the outputs of this workspace: a manifest was forged, or written for others."""
    deepest = len(workspace.outputs.parts)
    for path, target in links.items():
        up = sum(part == ".." for part in target.split("/"))
        if len(key.join(path).parts) - 1 - up < deepest:
            return Corrupt(f"{key.join(path)}: the link leads out of {workspace.outputs}/, to {printable(target)}")
    return None


@dataclass(frozen=True)
class Needed:
    """What is missing.

    Args:
        here: What is here.
        others: What differs here and nobody got from the store; it stays.
        why: Why nothing is done until somebody says which side counts; empty where nothing stands against it.
        files: To be fetched.
        links: To be made, with their targets.
        folders: To be made.
        twins: What cannot come, because this file system cannot tell its name from another one: path to that one.
    """

    here: LocalPart
    others: tuple[str, ...] = ()
    why: str = ""
    files: tuple[FileRecord, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, FolderRecord] = field(default_factory=dict)
    twins: Mapping[str, str] = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        """All of it is here, as far as it is to come."""
        return self.here.exists and not (self.files or self.links or self.folders)

    @property
    def paths(self) -> tuple[str, ...]:
        """All that is missing."""
        return (*(r.path for r in self.files), *self.links, *self.folders)


def needed(workspace: Workspace, key: Key, prefix: str, asked: Asked, record: Record, wish: Wish) -> Needed:
    """What a restore has to bring. A directory that is partly here gets what is missing; what is here stays.

    Raises:
        LocalError: what is here cannot be looked at.
    """
    here, paths = LocalPart(), (*asked.files, *asked.links, *asked.folders)
    if wish.replace_here and (twins := twins_here(workspace, key, (prefix,))):
        return Needed(LocalPart(True), twins=dict.fromkeys(paths, twins[prefix]))
    if not wish.replace_here:
        here = look_here(workspace, key, prefix, asked.files, record, asked.links, asked.folders)
    others = foreign(record, here)
    if others and wish.prefer is Prefer.STORE:
        left = tuple(p for p in here.differing if p not in others)
        here, others = replace(here, differing=left, blocked=(), broken=(*here.broken, *others)), ()
    elif others and wish.prefer is Prefer.NEITHER and (why := decisive(workspace, key, prefix, asked.files, here, others)):
        return Needed(here, others, why)
    # Where work went on here, what came from the store and is gone was removed by that work.
    went_on = bool(here.differing) and not others
    twins = {**_told_apart_nowhere(workspace, paths, here), **here.twins}
    stays = {*here.equal, *here.differing, *here.same_links, *twins, *(p for p in (*record.here, *record.links) if went_on)}

    def missing(path: str) -> bool:
        return path not in stays and not any(within(path, b) for b in here.blocked)

    files = tuple(r for p, r in asked.files.items() if missing(p))
    links = {p: target for p, target in asked.links.items() if missing(p)}
    above = folders_above((*(r.path for r in files), *links)) if went_on else asked.folders.keys()
    folders = {p: f for p, f in asked.folders.items() if p in above and missing(p)}
    if here.exists:
        aside = here.broken  # what can be seen below is seen through a link
        folders = {p: f for p, f in folders.items() if any(within(p, b) for b in aside) or not workspace.has(key.join(p))}
    return Needed(here, others, "", files, links, folders, twins)


def _told_apart_nowhere(workspace: Workspace, paths: Collection[str], here: LocalPart) -> dict[str, str]:
    """Those of the paths that cannot stand beside another of them on this file system."""
    if not twins_of(paths):
        return {}
    with local_errors():
        fold = how_names_fold(workspace.temporary())
    return {} if fold is None else twins_of(paths, fold, {*here.equal, *here.differing, *here.same_links})


def say_twins(key: Key, prefix: str, twins: Mapping[str, str]) -> str:
    """One line about what could not come because of its name."""
    topmost = {p: o for p, o in twins.items() if twins.keys().isdisjoint(folders_above([p]))}
    if prefix in twins:
        topmost = {prefix: twins[prefix]}
    path, other = min(topmost.items())
    more = f" (and {len(topmost) - 1} more like it)" if len(topmost) > 1 else ""
    rest = "nothing was touched" if prefix in twins else "everything else is here"
    return (
        f"{key.join(path)}: this file system cannot tell its name from {printable(other or key.name)}, so it did not come{more}; "
        f"{rest}; `holdfast restore {key.join(path)} --to FOLDER` brings it elsewhere"
    )


def say_torn(key: Key, manifest: Manifest, files: Iterable[FileRecord], warnings: list[str]) -> None:
    """Files that come back as they were, which is not whole."""
    for record in sorted((r for r in files if r.torn), key=lambda r: r.path):
        say(warnings, f"{key.join(record.path)}: it is {printable(record.torn)}, as generation {manifest.commit} has it")


def written_to(key: Key, need: Needed) -> set[Key]:
    """The folders that something is put into. What is moved aside first is in nobody's way."""
    put = need.paths if not need.here.broken else [next((b for b in need.here.broken if within(p, b)), p) for p in need.paths]
    below = {path.rpartition("/")[0] for path in put if path}
    return {key.join(folder) for folder in below} | {folder for folder in key.parents()[:1] if "" in put}


def join_here(workspace: Workspace, key: Key, manifest: Manifest, need: Needed, folder: Path) -> dict[str, str]:
    """Missing files that are another name of a file that is here: path to the path of that one. They are linked into `folder`."""
    wanted, joined = {r.path for r in need.files}, {}
    for group in manifest.hard_links if need.here.equal else ():
        first = next((p for p in group if p in need.here.equal), None)
        if first is None:
            continue
        for path in group:
            if path in wanted and _link(workspace.local(key.join(first)), folder / path, need.here.equal[first].signature):
                joined[path] = first
    return joined


def _link(place: Path, temporary: Path, seen: Signature) -> bool:
    """Another name for a file that is here, unless it has changed since it was seen or the file system cannot."""
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        os.link(place, temporary, follow_symlinks=False)
        if seen.same_content(Signature.of(os.lstat(temporary))):
            return True
        temporary.unlink()
    except OSError:
        return False
    return False


def missing_above(workspace: Workspace, key: Key, prefix: str, folders: Mapping[str, FolderRecord]) -> dict[str, FolderRecord]:
    """The folders above a part that a restore is about to make."""
    return {p: f for p, f in folders.items() if p != prefix and within(prefix, p) and not workspace.has(key.join(p))}


def in_places(workspace: Workspace, key: Key, folders: Mapping[str, FolderRecord]) -> dict[Path, FolderRecord]:
    """The same by where they lie."""
    return {workspace.local(key.join(path)): folder for path, folder in folders.items()}
