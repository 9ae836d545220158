"""What a workspace remembers of a restore: its base, what of it is here, which generations are damaged, what failed."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace

from holdfast.errors import Corrupt, HoldfastError
from holdfast.store.deciding.choose import Wish
from holdfast.store.format.entries import FileRecord
from holdfast.store.format.keys import Key, printable, within
from holdfast.store.format.manifest import Manifest
from holdfast.store.local.collecting import uncollected
from holdfast.store.local.disk import below, lstat_or_none
from holdfast.store.local.records import Here, Record, Signature, refreshed
from holdfast.store.local.workspace import Workspace

log = logging.getLogger(__name__)


def remember_failure(workspace: Workspace, key: Key) -> None:
    """A commit that follows without base begins a fresh line, and never descends from what could not be restored."""
    try:
        workspace.restore_failed(key)
    except (HoldfastError, OSError) as error:
        log.warning("%s: that its restore failed could not be remembered (%s)", key, error)


def anything_here(workspace: Workspace, record: Record) -> bool:
    """True where any file of the base is on this machine."""
    if record.base is None:
        return False
    root = str(workspace.local(record.base.key))
    return any(lstat_or_none(below(root, p)) is not None for p in record.here)


def exclude(
    workspace: Workspace,
    key: Key,
    record: Record,
    manifest: Manifest,
    damage: Corrupt,
    wish: Wish,
    excluded: set[str],
    warnings: list[str],
) -> Record:
    """The record once a generation is proven damaged. Raises the damage where that very generation was asked for."""
    if wish.generation is not None:
        raise damage
    excluded.add(manifest.commit.id)
    record = replace(record, damaged=frozenset(excluded))
    workspace.save(key, record)
    warnings.append(f"{damage}; going back a generation from {manifest.commit}")
    log.warning("%s", warnings[-1])
    return record


def refuse_mixture(
    key: Key, base: Manifest, manifest: Manifest, in_use: Mapping[str, str], differing: tuple[str, ...], warnings: list[str]
) -> None:
    """Another generation than the base comes in only beside files that it holds as well: two are never mixed.

    Raises:
        Corrupt: something of the base is here that the other generation has not, or has otherwise.
    """
    other = [p for p, digest in in_use.items() if p not in manifest.files or manifest.files[p].blake3 != digest]
    if other or differing:
        why = warnings[-1] if warnings else f"generation {base.commit}, on which this workspace stands, does not hold it"
        raise Corrupt(
            f"{key}: {why}, and {printable((other or list(differing))[0])} here is of another generation than {manifest.commit}; "
            f"`holdfast restore {base.key}` brings that back whole and moves what is here aside"
        )


def landed(
    workspace: Workspace, fetched: Mapping[str, str], files: Mapping[str, FileRecord]
) -> tuple[dict[str, Here], dict[str, int]]:
    """What is known of files that were fetched, by their temporaries, and the inode of each.

    Rename and link keep the inode, so it tells later whether the file was published.
    """
    proven = workspace.times_prove
    here, inodes = {}, {}
    with uncollected():
        for path, temporary in fetched.items():
            found, file = os.lstat(temporary), files[path]
            assert stat.S_ISREG(found.st_mode)
            here[path] = Here(file.blake3, Signature.of(found), proven and not file.sqlite)
            inodes[path] = found.st_ino
    return here, inodes


def refreshed_here(workspace: Workspace, key: Key, kept: Mapping[str, Here], moved: Set[str]) -> dict[str, Here]:
    """Publishing moves ctimes, so the signatures of what was published are taken once more."""
    result, root = dict(kept), str(workspace.local(key))
    for path in moved & kept.keys():
        found = lstat_or_none(below(root, path))
        if found is not None:
            result[path] = refreshed(kept[path], found)
    return result


def record_after(
    record: Record,
    manifest: Manifest,
    here: Mapping[str, Here],
    linked: Iterable[str],
    wish: Wish,
    prefix: str,
    now: float,
) -> Record:
    """The record once this is published.

    A part of another generation than the base's leaves the base alone, and counts as a change made here. So does a
    file that is added to a directory that stands on another generation.
    """
    base = record.base
    whole = wish.replace_here and not prefix
    damaged = record.damaged - {manifest.commit.id}
    if prefix and wish.generation is not None:
        return replace(record, damaged=damaged)
    if base is not None and base.commit != manifest.commit and record.here and not whole and base.commit.id not in record.damaged:
        return replace(record, damaged=damaged)
    same = base is not None and base.commit == manifest.commit
    # Of a damaged base only what the other generation holds as well is here: `refuse_mixture` saw to that.
    kept = {
        p: h for p, h in record.here.items() if same or (not whole and p in manifest.files and manifest.files[p].blake3 == h.blake3)
    }
    looked = {**{p: at for p, at in record.looked.items() if not within(p, prefix)}, prefix: now}
    links = (record.links if same or not whole else frozenset()) & manifest.links.keys() | frozenset(linked)
    return Record(
        manifest,
        {**kept, **here},
        record.copied,
        chosen=wish.generation is not None,
        damaged=damaged,
        looked=looked,
        links=links,
        passed=record.passed if wish.generation is None else (),
        stamps=record.stamps,
        earlier=record.earlier_than(manifest),
    )


def remember_if_changed(workspace: Workspace, key: Key, after: Record, before: Record) -> None:
    """Remember what differs from what was remembered before."""
    if after != before:
        workspace.save(key, after)


def files_in_use(workspace: Workspace, key: Key, record: Record) -> dict[str, str]:
    """Files of the base that are on this machine, with their hashes in the base."""
    root = str(workspace.local(key))
    return {p: h.blake3 for p, h in record.here.items() if lstat_or_none(below(root, p)) is not None}
